//! Probes each target once per interval, independently of scrapes.
//!
//! Each target has one task, so that its probes never overlap. The first cycles of the targets are
//! spread over the interval, and every later cycle has a little jitter. A cycle that cannot run in
//! time is counted as missed and not made up for.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::clock_watch::ClockWatch;
use super::recorder::Observation;
use super::single_flight::ProbeOutcome;
use super::state::ActiveConfig;
use super::state::ServiceState;
use crate::clock::monotonic_now;
use crate::config::Target;
use crate::lock::lock;
use crate::report::history::Watch;
use crate::report::{MissReason, Report, Verdict};

/// For probes in flight at the stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// Jitter is at most the interval divided by this, and at most [`MAX_JITTER`].
const JITTER_DIVISOR: u32 = 20;
const MAX_JITTER: Duration = Duration::from_secs(3);

/// What the tasks of one configuration share.
struct SchedulerContext {
    active: Arc<ActiveConfig>,
    state: Arc<ServiceState>,
    /// To the recorder of evidence.
    observations: Option<mpsc::Sender<Observation>>,
    clock_watch: Arc<ClockWatch>,
    permits: Semaphore,
    stop: CancellationToken,
}

/// By the name and URL of the target. A target that a reload does not change keeps its schedule, so
/// that reloads do not cause additional probes.
type Schedules = HashMap<(String, String), Schedule>;

#[derive(Clone)]
struct Schedule {
    interval: Duration,
    /// When cycle 0 is due.
    start: Instant,
    /// Until when the server asked for no requests (Retry-After). Shared with the task of the
    /// previous configuration, whose last probe may still be in flight.
    backoff_until: Arc<Mutex<Option<Instant>>>,
}

impl Schedule {
    fn due(&self, cycle: u32) -> Instant {
        self.start + self.interval * cycle
    }

    /// The first cycle that is due at or after `instant`.
    fn cycle_at(&self, instant: Instant) -> u32 {
        let elapsed = instant.saturating_duration_since(self.start);
        (elapsed.as_secs_f64() / self.interval.as_secs_f64()).ceil() as u32
    }

    /// `cycle`, or the first one after the backoff.
    fn next_allowed_cycle(&self, cycle: u32) -> u32 {
        let until = *lock(&self.backoff_until);
        until.map_or(cycle, |until| cycle.max(self.cycle_at(until)))
    }
}

/// Probes the targets of the active configuration until `stop`, and then completes probes in flight
/// for at most [`SHUTDOWN_TIMEOUT`].
pub async fn run(
    state: Arc<ServiceState>,
    observations: Option<mpsc::Sender<Observation>>,
    stop: CancellationToken,
) {
    let clock_watch = ClockWatch::new(Arc::clone(&state), observations.clone());
    let clock_watch = Arc::new(clock_watch);
    let watching = Arc::clone(&clock_watch);
    let watching = async { watching.run(&stop).await };
    tokio::join!(
        watching,
        run_schedules(&state, observations, clock_watch, stop.clone())
    );
}

async fn run_schedules(
    state: &Arc<ServiceState>,
    observations: Option<mpsc::Sender<Observation>>,
    clock_watch: Arc<ClockWatch>,
    stop: CancellationToken,
) {
    let mut active = state.active.subscribe();
    let mut tasks = JoinSet::new();
    let mut schedules = Schedules::new();
    loop {
        let current = Arc::clone(&active.borrow_and_update());
        let replaced = stop.child_token();
        let context = SchedulerContext {
            state: Arc::clone(state),
            observations: observations.clone(),
            clock_watch: Arc::clone(&clock_watch),
            permits: Semaphore::new(current.config.probe.concurrency),
            stop: replaced.clone(),
            active: current,
        };
        schedules = start_targets(&mut tasks, context, &schedules);
        match stop.run_until_cancelled(active.changed()).await {
            Some(Ok(())) => {}
            Some(Err(_)) | None => break,
        }
        // Probes in flight complete, and their reports are recorded.
        replaced.cancel();
        while tasks.try_join_next().is_some() {}
    }
    stop.cancelled().await;
    let all = async { while tasks.join_next().await.is_some() {} };
    if timeout(SHUTDOWN_TIMEOUT, all).await.is_err() {
        debug!("aborted probes in flight at shutdown");
    }
}

/// Starts a task for each target and returns their schedules.
fn start_targets(
    tasks: &mut JoinSet<()>,
    context: SchedulerContext,
    previous: &Schedules,
) -> Schedules {
    let interval = context.active.config.probe.interval;
    let targets = context.active.config.targets.clone();
    let context = Arc::new(context);
    let now = monotonic_now();
    let mut schedules = Schedules::new();
    for (index, target) in targets.iter().enumerate() {
        let key = (target.name.clone(), target.url.to_string());
        let offset = offset(interval, index, targets.len());
        let known = previous.get(&key);
        let (start, cycle) = match known {
            Some(known) if known.interval == interval => (known.start, known.cycle_at(now)),
            // Not at once: it may have been probed just before the reload.
            Some(_) => (now + offset, 1),
            None => (now + offset, 0),
        };
        let schedule = Schedule {
            interval,
            start,
            backoff_until: known
                .map_or_else(Arc::default, |known| Arc::clone(&known.backoff_until)),
        };
        schedules.insert(key, schedule.clone());
        let (context, target) = (Arc::clone(&context), Arc::clone(target));
        tasks.spawn(probe_loop(context, target, schedule, cycle));
    }
    schedules
}

/// When in the interval the cycles of a target start.
fn offset(interval: Duration, index: usize, count: usize) -> Duration {
    interval.mul_f64(index as f64 / count as f64)
}

async fn probe_loop(
    context: Arc<SchedulerContext>,
    target: Arc<Target>,
    schedule: Schedule,
    mut cycle: u32,
) {
    let interval = schedule.interval;
    let missed = |reason, count: u32| {
        let store = &context.state.reports;
        store.record_missed(&target.name, reason, u64::from(count));
    };
    loop {
        cycle = schedule.next_allowed_cycle(cycle);
        let due = schedule.due(cycle) + jitter(interval, cycle);
        let waited = context.stop.run_until_cancelled(sleep_until(due)).await;
        if waited.is_none() {
            return;
        }
        // A probe of the previous configuration has set a backoff meanwhile, and counts its cycles.
        if schedule.next_allowed_cycle(cycle) > cycle {
            continue;
        }
        let mut limited = 0;
        let turn = wait_for_turn(&context.permits, interval, || {
            limited += 1;
            missed(MissReason::ConcurrencyLimit, 1);
        });
        let Some(Ok(permit)) = context.stop.run_until_cancelled(turn).await else {
            return;
        };
        let pause = probe(&context, &target).await;
        drop(permit);
        let next = schedule.cycle_at(monotonic_now()).max(cycle + 1);
        missed(
            MissReason::Overrun,
            (next - cycle - 1).saturating_sub(limited),
        );
        if let Some(wait) = pause {
            *lock(&schedule.backoff_until) = Some(monotonic_now() + wait);
        }
        cycle = schedule.next_allowed_cycle(next);
        missed(MissReason::Backoff, cycle - next);
    }
}

/// Waits for a free place and calls `missed` after each interval of waiting. The queue is served in its
/// order: a target that gave up its place at the end of an interval could wait for ever.
async fn wait_for_turn(
    permits: &Semaphore,
    interval: Duration,
    mut missed: impl FnMut(),
) -> Result<SemaphorePermit<'_>, AcquireError> {
    let mut turn = pin!(permits.acquire());
    loop {
        match timeout(interval, &mut turn).await {
            Ok(permit) => return permit,
            Err(_) => missed(),
        }
    }
}

/// None for the first cycle, whose result somebody may be waiting for.
fn jitter(interval: Duration, cycle: u32) -> Duration {
    if cycle == 0 {
        return Duration::ZERO;
    }
    let max = (interval / JITTER_DIVISOR).min(MAX_JITTER);
    let random = RandomState::new().hash_one(cycle);
    max.mul_f64(random as f64 / u64::MAX as f64)
}

/// Probes once, records the report, and returns how long to pause because the server asked for it.
async fn probe(context: &SchedulerContext, target: &Arc<Target>) -> Option<Duration> {
    let outcome = context.active.single_flight.probe(target, None).await;
    let ProbeOutcome::Completed(report) = outcome else {
        return None;
    };
    context.clock_watch.check();
    let report = context.clock_watch.redate(report);
    let config = &context.active.config;
    let watch = Watch {
        max_gap: Watch::max_gap(config.probe.interval, target.timeout),
        in_service_hours: config.service_hours.open(report.started, &config.calendar),
    };
    let previous = context.state.reports.record(Arc::clone(&report), watch);
    // Before the log: what it says is recorded, also at a stop.
    if let Some(observations) = &context.observations
        // At a shutdown the recorder has stopped, and this probe is not part of its evidence.
        && let Err(TrySendError::Full(_)) = observations.try_send(Observation::Report(Arc::clone(&report)))
    {
        error!(
            target_name = target.name,
            "report not recorded as evidence, the queue is full"
        );
    }
    log_transition(&report, previous.as_deref());
    report.pause().map(|(pause, _)| pause)
}

/// Logs a changed verdict at info or warn, and an unchanged one at debug.
fn log_transition(report: &Report, previous: Option<&Report>) {
    let target_name = report.target.as_str();
    let seconds = report.duration.as_secs_f64();
    let verdict = report.verdict;
    if previous.is_some_and(|previous| previous.verdict == verdict) {
        debug!(target_name, ?verdict, seconds, "verdict unchanged");
        return;
    }
    match verdict {
        Verdict::Good { .. } => info!(target_name, seconds, "probe succeeded"),
        Verdict::Failed { layer, reason } => warn!(
            target_name,
            layer = layer.into_str(),
            reason = reason.into_str(),
            seconds,
            "probe failed"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn target_keeps_its_place_in_the_queue_however_long_it_waits() {
        let permits = Arc::new(Semaphore::new(1));
        let running = permits.acquire().await.unwrap();
        let (events, mut received) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        for (name, interval) in [
            ("first", Duration::from_millis(1)),
            ("second", Duration::MAX),
        ] {
            let (permits, events) = (Arc::clone(&permits), events.clone());
            tasks.spawn(async move {
                let missed = || events.send((name, "missed")).unwrap();
                let _permit = wait_for_turn(&permits, interval, missed).await.unwrap();
                events.send((name, "runs")).unwrap();
            });
            // The first one has waited for some intervals before the second one comes.
            for _ in 0..3 {
                assert_eq!(received.recv().await.unwrap(), ("first", "missed"));
            }
        }
        drop(running);
        let mut order = Vec::new();
        while order.len() < 2 {
            let (name, event) = received.recv().await.unwrap();
            if event == "runs" {
                order.push(name);
            }
        }
        assert_eq!(order, ["first", "second"]);
    }

    #[test]
    fn probes_are_spread_over_the_interval() {
        const TARGETS: usize = 1_000;
        let interval = Duration::from_secs(60);
        let share = TARGETS as f64 / interval.as_secs_f64();
        for cycle in 0..5 {
            let mut seconds = [0_u32; 60];
            for index in 0..TARGETS {
                let start = offset(interval, index, TARGETS) + jitter(interval, cycle);
                // Jitter moves some starts into the next interval, as it does from the previous one.
                seconds[(start.as_secs() % 60) as usize] += 1;
            }
            let busiest = seconds.iter().max().copied().unwrap_or_default();
            assert!(f64::from(busiest) <= 2.0 * share, "{cycle}: {seconds:?}");
        }
    }
}
