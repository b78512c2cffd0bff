//! Opens targets in a browser of this host, as the key `browser` of the configuration says: one at a
//! time, each after a probe, once per interval and when the outcome of its probe changes.
//!
//! A browser that cannot be started stops nothing: it is the result of the check.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::state::{ActiveConfig, ServiceState};
use crate::browser::{self, Browser};
use crate::clock::monotonic_now;
use crate::config::{BrowserChecks, Target};
use crate::render::browser::{PATH_KEY, not_run};
use crate::report::BrowserRun;
use crate::report::browser::protocol::NotRun;

/// For opening a page and looking at it, as in `verify --browser`.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Between two checks of a target whose probe alternates.
const MIN_PAUSE: Duration = Duration::from_secs(60);

/// Checks the targets of the active configuration until `stop`, which ends a running check.
pub async fn run(state: &ServiceState, stop: CancellationToken) {
    let mut active = state.active.subscribe();
    let mut checks = Checks::default();
    loop {
        let current = Arc::clone(&active.borrow_and_update());
        checks.follow(&current, state);
        if let Some(due) = checks.due(&current, state) {
            checks.check(due, state, &stop).await;
            if stop.is_cancelled() {
                return;
            }
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = active.changed() => if changed.is_err() { return },
            () = state.reports.recorded() => {}
        }
    }
}

#[derive(Default)]
struct Checks {
    plan: Option<BrowserChecks>,
    /// The configuration that the plan is from.
    loaded: Option<Arc<ActiveConfig>>,
    /// By name and URL of the target.
    last: HashMap<(String, String), Last>,
    /// Why the latest check started no browser; it is the same for every target.
    not_run: Option<NotRun>,
}

/// The last check of a target.
#[derive(Clone, Copy)]
struct Last {
    at: Instant,
    probe_was_good: bool,
}

/// A check that is due.
struct Due {
    target: Arc<Target>,
    probe_is_good: bool,
}

impl Checks {
    /// Adopts a new configuration. All targets are due if that changes the checks, or may mend the browser.
    fn follow(&mut self, current: &Arc<ActiveConfig>, state: &ServiceState) {
        let is_known = self.loaded.as_ref();
        if is_known.is_some_and(|known| Arc::ptr_eq(known, current)) {
            return;
        }
        self.loaded = Some(Arc::clone(current));
        let plan = &current.config.browser;
        if self.plan != *plan || self.not_run.is_some() {
            self.last.clear();
        }
        self.plan.clone_from(plan);
        let targets = &current.config.targets;
        self.last.retain(|(name, url), _| {
            let target = targets.named(name);
            target.is_some_and(|target| target.url.as_str() == url)
        });
        let targets = plan.as_ref().map_or(&[][..], |plan| &plan.targets);
        state.reports.keep_browser_checks(targets);
    }

    /// The target that has waited longest since its last check; none whose server asks for a pause.
    fn due(&self, current: &ActiveConfig, state: &ServiceState) -> Option<Due> {
        let plan = self.plan.as_ref()?;
        let now = monotonic_now();
        let due = plan.targets.iter().filter_map(|name| {
            let target = current.config.targets.named(name)?;
            let report = state.reports.latest(name)?;
            if report
                .pause()
                .is_some_and(|(_, until)| until > state.clock.now())
            {
                return None;
            }
            let probe_is_good = report.verdict.is_good();
            let last = self.last.get(&key(target));
            let is_due = last.is_none_or(|last| {
                let pause = if last.probe_was_good == probe_is_good {
                    plan.interval
                } else {
                    MIN_PAUSE
                };
                now.duration_since(last.at) >= pause
            });
            let target = Arc::clone(target);
            let due = Due {
                target,
                probe_is_good,
            };
            is_due.then_some((last.map(|last| last.at), due))
        });
        due.min_by_key(|(at, _)| *at).map(|(_, due)| due)
    }

    async fn check(&mut self, due: Due, state: &ServiceState, stop: &CancellationToken) {
        let Some(plan) = &self.plan else { return };
        let target = &due.target;
        let last = Last {
            at: monotonic_now(),
            probe_was_good: due.probe_is_good,
        };
        self.last.insert(key(target), last);
        let started = state.clock.now();
        let browser = Browser {
            program: plan.path.as_deref(),
            timeout: TIMEOUT,
            stop,
        };
        let result = browser::check(target, &browser, state.clock).await;
        if stop.is_cancelled() {
            return;
        }
        let run = BrowserRun {
            started,
            since: started,
            interval: plan.interval,
            result: result.map(Box::new),
        };
        self.log_start(&run);
        let failure = run.failure();
        let is_run = run.result.is_ok();
        let previous = state.reports.record_browser(target, run);
        let target_name = target.name.as_str();
        match (previous.map(|run| run.failure()), failure) {
            (Some(previous), failure) if previous == failure => {
                debug!(target_name, failure, "result of the browser unchanged");
            }
            (_, None) => info!(target_name, "the browser shows the page"),
            (_, Some(failure)) if is_run => {
                warn!(target_name, failure, "the browser does not show the page");
            }
            (_, Some(_)) => {}
        }
    }

    /// Logs once that no browser can be started, and once that one can.
    fn log_start(&mut self, run: &BrowserRun) {
        let why = run.result.as_ref().err();
        let code = why.map(NotRun::code);
        if self.not_run.as_ref().map(NotRun::code) != code {
            match why {
                Some(why) => {
                    let error = not_run(why, PATH_KEY);
                    warn!(
                        error,
                        "cannot start a browser, targets are not opened in one"
                    );
                }
                None => info!("a browser can be started again"),
            }
        }
        self.not_run = why.cloned();
    }
}

fn key(target: &Target) -> (String, String) {
    (target.name.clone(), target.url.to_string())
}
