//! Flights: the probes under way. One target is asked for once at a time by one module, whoever
//! wants to know: who comes second shares the answer, unless it would wait longer than that probe may.

use std::collections::HashMap;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::config::{AllowedHosts, Target};
use crate::probe::Engine;
use crate::report::Report;

/// What a probe came to.
#[derive(Clone, Debug)]
pub enum ProbeOutcome {
    Completed(Arc<Report>),
    /// It would have connected to what it may not.
    Forbidden(IpAddr),
    /// It panicked, by a defect of ours or of a library: nothing is known.
    Panicked(String),
}

/// The probes under way, of one configuration.
#[derive(Debug)]
pub struct SingleFlight {
    engine: Arc<Engine>,
    in_flight: Mutex<HashMap<Key, Weak<InFlightProbe>>>,
}

/// What makes two probes the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    target: String,
    url: String,
    module: String,
}

/// It ends when nobody waits for it any more.
#[derive(Debug)]
struct InFlightProbe {
    limit: Duration,
    outcome: watch::Receiver<Option<ProbeOutcome>>,
    _probe: AbortOnDropHandle<()>,
}

impl SingleFlight {
    pub fn new(engine: Engine) -> Self {
        Self {
            engine: Arc::new(engine),
            in_flight: Mutex::default(),
        }
    }

    /// Probes `target`, or joins a probe of it that is under way and has as much time. A hurried
    /// scraper's time-out is thus never taken for the scheduler's. `allowed` says where a target that
    /// somebody outside named may lead.
    pub async fn probe(
        &self,
        target: &Arc<Target>,
        allowed: Option<&Arc<AllowedHosts>>,
    ) -> ProbeOutcome {
        let probe = self.join_or_start(target, allowed);
        let mut outcome = probe.outcome.clone();
        match outcome.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            Ok(None) | Err(_) => {
                ProbeOutcome::Panicked("the probe ended without a word".to_owned())
            }
        }
    }

    fn join_or_start(
        &self,
        target: &Arc<Target>,
        allowed: Option<&Arc<AllowedHosts>>,
    ) -> Arc<InFlightProbe> {
        let key = Key {
            target: target.name.clone(),
            url: target.url.to_string(),
            module: target.module.name.clone(),
        };
        let mut in_flight = self
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        in_flight.retain(|_, probe| probe.strong_count() > 0);
        let joined = in_flight.get(&key).and_then(Weak::upgrade);
        if let Some(probe) = joined
            && probe.limit >= target.timeout
            && probe.outcome.borrow().is_none()
        {
            return probe;
        }
        let probe = Arc::new(start_probe(
            Arc::clone(&self.engine),
            Arc::clone(target),
            allowed.cloned(),
        ));
        in_flight.insert(key, Arc::downgrade(&probe));
        probe
    }
}

fn start_probe(
    engine: Arc<Engine>,
    target: Arc<Target>,
    allowed: Option<Arc<AllowedHosts>>,
) -> InFlightProbe {
    let limit = target.timeout;
    let (told, outcome) = watch::channel(None);
    let probe = tokio::spawn(async move {
        let probe = async {
            match &allowed {
                None => ProbeOutcome::Completed(Arc::new(engine.probe(&target).await)),
                Some(allowed) => match engine.probe_allowed(&target, allowed).await {
                    Ok(report) => ProbeOutcome::Completed(Arc::new(report)),
                    Err(address) => ProbeOutcome::Forbidden(address),
                },
            }
        };
        // Nothing of it is looked at again once it has panicked.
        let outcome = match AssertUnwindSafe(probe).catch_unwind().await {
            Ok(outcome) => outcome,
            Err(_) => ProbeOutcome::Panicked("it panicked".to_owned()),
        };
        told.send_replace(Some(outcome));
    });
    InFlightProbe {
        limit,
        outcome,
        _probe: AbortOnDropHandle::new(probe),
    }
}
