//! Deduplicates concurrent probes (single-flight). Callers that ask for the same target, URL and
//! module share one probe, unless its timeout is shorter than theirs: such a caller starts its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use tokio_util::task::AbortOnDropHandle;

use super::task::log_bug;
use crate::config::{AllowedHosts, Target};
use crate::lock::lock;
use crate::probe::{Engine, ForbiddenAddress};
use crate::report::Report;

#[derive(Clone, Debug)]
pub enum ProbeOutcome {
    Completed(Arc<Report>),
    Forbidden(ForbiddenAddress),
    /// A bug, which was logged. There is no report.
    Panicked,
}

/// The probes in flight with one configuration.
#[derive(Debug)]
pub struct SingleFlight {
    engine: Arc<Engine>,
    in_flight: Mutex<HashMap<ProbeKey, InFlightProbe>>,
}

/// Probes with equal keys are the same.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ProbeKey {
    target: String,
    url: String,
    module: String,
}

#[derive(Debug)]
struct InFlightProbe {
    timeout: Duration,
    /// Only the callers hold the probe, so that it is aborted when the last one leaves.
    outcome: WeakShared<OutcomeFuture>,
}

type OutcomeFuture = BoxFuture<'static, ProbeOutcome>;

impl SingleFlight {
    pub fn new(engine: Engine) -> Self {
        Self {
            engine: Arc::new(engine),
            in_flight: Mutex::default(),
        }
    }

    /// Probes `target`, or waits for a probe of it that is in flight and has at least its timeout.
    /// Otherwise a short scrape timeout would fail a probe of the scheduler. `allowed` limits the
    /// addresses of a target that is not configured.
    pub async fn probe(
        &self,
        target: &Arc<Target>,
        allowed: Option<&Arc<AllowedHosts>>,
    ) -> ProbeOutcome {
        self.join_or_start(target, allowed).await
    }

    fn join_or_start(
        &self,
        target: &Arc<Target>,
        allowed: Option<&Arc<AllowedHosts>>,
    ) -> Shared<OutcomeFuture> {
        let key = ProbeKey {
            target: target.name.clone(),
            url: target.url.to_string(),
            module: target.module.name.clone(),
        };
        let mut in_flight = lock(&self.in_flight);
        in_flight.retain(|_, probe| probe.outcome.upgrade().is_some());
        if let Some(probe) = in_flight.get(&key)
            && probe.timeout >= target.timeout
            && let Some(outcome) = probe.outcome.upgrade()
            && outcome.peek().is_none()
        {
            return outcome;
        }
        let engine = Arc::clone(&self.engine);
        let outcome = start_probe(engine, Arc::clone(target), allowed.cloned()).shared();
        if let Some(weak) = outcome.downgrade() {
            let probe = InFlightProbe {
                timeout: target.timeout,
                outcome: weak,
            };
            in_flight.insert(key, probe);
        }
        outcome
    }
}

/// Spawns the probe at once; it is aborted when the returned future is dropped.
fn start_probe(
    engine: Arc<Engine>,
    target: Arc<Target>,
    allowed: Option<Arc<AllowedHosts>>,
) -> OutcomeFuture {
    let name = target.name.clone();
    let probe = AbortOnDropHandle::new(tokio::spawn(async move {
        match &allowed {
            None => ProbeOutcome::Completed(Arc::new(engine.probe(&target).await)),
            Some(allowed) => match engine.probe_allowed(&target, allowed).await {
                Ok(report) => ProbeOutcome::Completed(Arc::new(report)),
                Err(forbidden) => ProbeOutcome::Forbidden(forbidden),
            },
        }
    }));
    Box::pin(async move {
        probe.await.unwrap_or_else(|error| {
            log_bug(&format!("probe of {name}"), error);
            ProbeOutcome::Panicked
        })
    })
}
