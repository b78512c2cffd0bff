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
pub enum Landing {
    Report(Arc<Report>),
    /// It would have connected to what it may not.
    Forbidden(IpAddr),
    /// It panicked, by a defect of ours or of a library: nothing is known.
    Broke(String),
}

/// The probes under way, of one configuration.
#[derive(Debug)]
pub struct Flights {
    engine: Arc<Engine>,
    under_way: Mutex<HashMap<Key, Weak<Flight>>>,
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
struct Flight {
    limit: Duration,
    landing: watch::Receiver<Option<Landing>>,
    _probe: AbortOnDropHandle<()>,
}

impl Flights {
    pub fn new(engine: Engine) -> Self {
        Self {
            engine: Arc::new(engine),
            under_way: Mutex::default(),
        }
    }

    /// Probes `target`, or joins a probe of it that is under way and has as much time. A hurried
    /// scraper's time-out is thus never taken for the scheduler's. `allowed` says where a target that
    /// somebody outside named may lead.
    pub async fn probe(
        &self,
        target: &Arc<Target>,
        allowed: Option<&Arc<AllowedHosts>>,
    ) -> Landing {
        let flight = self.board(target, allowed);
        let mut landing = flight.landing.clone();
        match landing.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(landing)) => landing.clone(),
            Ok(None) | Err(_) => Landing::Broke("the probe ended without a word".to_owned()),
        }
    }

    fn board(&self, target: &Arc<Target>, allowed: Option<&Arc<AllowedHosts>>) -> Arc<Flight> {
        let key = Key {
            target: target.name.clone(),
            url: target.url.to_string(),
            module: target.module.name.clone(),
        };
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|_, flight| flight.strong_count() > 0);
        let joined = under_way.get(&key).and_then(Weak::upgrade);
        if let Some(flight) = joined
            && flight.limit >= target.timeout
            && flight.landing.borrow().is_none()
        {
            return flight;
        }
        let flight = Arc::new(take_off(
            Arc::clone(&self.engine),
            Arc::clone(target),
            allowed.cloned(),
        ));
        under_way.insert(key, Arc::downgrade(&flight));
        flight
    }
}

fn take_off(
    engine: Arc<Engine>,
    target: Arc<Target>,
    allowed: Option<Arc<AllowedHosts>>,
) -> Flight {
    let limit = target.timeout;
    let (told, landing) = watch::channel(None);
    let probe = tokio::spawn(async move {
        let probe = async {
            match &allowed {
                None => Landing::Report(Arc::new(engine.probe(&target).await)),
                Some(allowed) => match engine.probe_allowed(&target, allowed).await {
                    Ok(report) => Landing::Report(Arc::new(report)),
                    Err(address) => Landing::Forbidden(address),
                },
            }
        };
        // Nothing of it is looked at again once it has panicked.
        let landing = match AssertUnwindSafe(probe).catch_unwind().await {
            Ok(landing) => landing,
            Err(_) => Landing::Broke("it panicked".to_owned()),
        };
        told.send_replace(Some(landing));
    });
    Flight {
        limit,
        landing,
        _probe: AbortOnDropHandle::new(probe),
    }
}
