//! The scheduler: probes each target once an interval, however often anybody scrapes.
//!
//! One task a target, so that a target is never probed twice at once. The targets' first cycles are
//! spread over the interval, and each cycle has a little jitter. A cycle that cannot run in its time
//! is counted, never made up for.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::active_config::ActiveConfig;
use super::report_store::ReportStore;
use super::single_flight::ProbeOutcome;
use crate::clock::monotonic_now;
use crate::config::{ProbeLimits, Target};
use crate::report::{MissReason, Report, Verdict};

/// How long a probe that is under way may go on after the stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// A cycle's jitter is at most this share of the interval, and at most [`MAX_JITTER`].
const JITTER_SHARE: u32 = 20;
const MAX_JITTER: Duration = Duration::from_secs(3);

/// What the tasks share while one configuration is in force.
struct SchedulerContext {
    active: Arc<ActiveConfig>,
    store: Arc<ReportStore>,
    /// Where reports go that may become evidence.
    records: Option<mpsc::Sender<Arc<Report>>>,
    limits: ProbeLimits,
    permits: Semaphore,
    stop: CancellationToken,
}

/// A target, by its name and address, that a reload leaves where it is keeps its beat, so that no reload
/// makes it be probed more often.
type Schedules = HashMap<(String, String), Schedule>;

/// When a target is probed.
#[derive(Clone)]
struct Schedule {
    interval: Duration,
    /// When its cycles are counted from.
    start: Instant,
    backoff: Arc<Backoff>,
}

/// Until when the server asked to be left alone.
#[derive(Default)]
struct Backoff(Mutex<Option<Instant>>);

impl Backoff {
    fn until(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, until: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }
}

impl Schedule {
    fn due(&self, cycle: u32) -> Instant {
        self.start + self.interval * cycle
    }

    /// The first cycle that is due at or after `instant`.
    fn cycle_at(&self, instant: Instant) -> u32 {
        let passed = instant.saturating_duration_since(self.start);
        (passed.as_secs_f64() / self.interval.as_secs_f64()).ceil() as u32
    }

    /// `cycle`, or the first one after the rest that the server asked for.
    fn next_allowed_cycle(&self, cycle: u32) -> u32 {
        let resume = self.backoff.until().map(|until| self.cycle_at(until));
        resume.map_or(cycle, |resume| cycle.max(resume))
    }
}

/// Probes the targets that are in force until `stop`; then waits for probes under way, but not for
/// long.
pub async fn run(
    mut active: watch::Receiver<Arc<ActiveConfig>>,
    store: Arc<ReportStore>,
    records: Option<mpsc::Sender<Arc<Report>>>,
    stop: CancellationToken,
) {
    let mut tasks = JoinSet::new();
    let mut schedules = Schedules::new();
    loop {
        let current = Arc::clone(&active.borrow_and_update());
        let over = stop.child_token();
        let context = SchedulerContext {
            store: Arc::clone(&store),
            records: records.clone(),
            limits: current.config.probe,
            permits: Semaphore::new(current.config.probe.concurrency),
            stop: over.clone(),
            active: current,
        };
        schedules = start_targets(&mut tasks, context, &schedules);
        let stopped = tokio::select! {
            () = stop.cancelled() => true,
            changed = active.changed() => changed.is_err(),
        };
        if stopped {
            break;
        }
        // Probes under way end by themselves, and are still taken in.
        over.cancel();
        while tasks.try_join_next().is_some() {}
    }
    stop.cancelled().await;
    let all = async { while tasks.join_next().await.is_some() {} };
    if timeout(SHUTDOWN_TIMEOUT, all).await.is_err() {
        debug!("abandoned probes that were under way");
    }
}

/// Starts a task for each target; says from when on each counts its cycles.
fn start_targets(
    tasks: &mut JoinSet<()>,
    context: SchedulerContext,
    before: &Schedules,
) -> Schedules {
    let limits = context.limits;
    let targets = context.active.config.targets.clone();
    let context = Arc::new(context);
    let now = monotonic_now();
    let mut schedules = Schedules::new();
    for (index, target) in targets.iter().enumerate() {
        let key = (target.name.clone(), target.url.to_string());
        let offset = offset(limits.interval, index, targets.len());
        let known = before.get(&key);
        let (start, cycle) = match known {
            Some(schedule) if schedule.interval == limits.interval => {
                (schedule.start, schedule.cycle_at(now))
            }
            // It was probed a moment ago, perhaps.
            Some(_) => (now + offset, 1),
            None => (now + offset, 0),
        };
        let schedule = Schedule {
            interval: limits.interval,
            start,
            backoff: known.map_or_else(Arc::default, |schedule| Arc::clone(&schedule.backoff)),
        };
        schedules.insert(key, schedule.clone());
        let (context, target) = (Arc::clone(&context), Arc::clone(target));
        tasks.spawn(probe_loop(context, target, schedule, cycle));
    }
    schedules
}

/// When in the interval a target's cycles begin: each of `count` at another time.
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
    loop {
        cycle = schedule.next_allowed_cycle(cycle);
        tokio::select! {
            () = sleep_until(schedule.due(cycle) + jitter(interval, cycle)) => {}
            () = context.stop.cancelled() => return,
        }
        // Asked for meanwhile, of a probe from before a reload, which counts the cycles.
        if schedule.next_allowed_cycle(cycle) > cycle {
            continue;
        }
        let retry_after = match timeout(interval, context.permits.acquire()).await {
            Ok(Ok(_place)) => probe(&context, &target).await,
            Ok(Err(_)) => return,
            Err(_) => {
                context
                    .store
                    .record_missed(&target.name, MissReason::ConcurrencyLimit, 1);
                None
            }
        };
        let next = schedule.cycle_at(monotonic_now()).max(cycle + 1);
        context.store.record_missed(
            &target.name,
            MissReason::Overrun,
            u64::from(next - cycle - 1),
        );
        if let Some(wait) = retry_after {
            schedule.backoff.set(monotonic_now() + wait);
        }
        cycle = schedule.next_allowed_cycle(next);
        context
            .store
            .record_missed(&target.name, MissReason::Backoff, u64::from(cycle - next));
    }
}

/// None for the first cycle: a newcomer wants to see something at once.
fn jitter(interval: Duration, cycle: u32) -> Duration {
    if cycle == 0 {
        return Duration::ZERO;
    }
    let share = (interval / JITTER_SHARE).min(MAX_JITTER);
    let random = RandomState::new().hash_one(cycle);
    share.mul_f64(random as f64 / u64::MAX as f64)
}

/// Probes once; says how long the server asked to be left alone. A probe that panics, by a defect of
/// ours or of a library, is told and ends alone: the next cycle comes.
async fn probe(context: &SchedulerContext, target: &Arc<Target>) -> Option<Duration> {
    let report = match context.active.single_flight.probe(target, None).await {
        ProbeOutcome::Completed(report) => report,
        ProbeOutcome::Forbidden(_) => return None,
        ProbeOutcome::Panicked(cause) => {
            error!(
                target_name = target.name,
                cause, "a probe broke: this is a defect, please report it"
            );
            return None;
        }
    };
    let retry_after = report.response().and_then(|response| response.retry_after);
    let before = context.store.record(Arc::clone(&report));
    log_transition(&report, before.as_deref());
    if let Some(records) = &context.records
        && records.try_send(Arc::clone(&report)).is_err()
    {
        error!(
            target_name = target.name,
            "a report is not looked at for evidence: too many wait"
        );
    }
    retry_after
}

/// Logs what changed; what stays as it was is for those who debug.
fn log_transition(report: &Report, before: Option<&Report>) {
    let target = report.target.as_str();
    let seconds = report.duration.as_secs_f64();
    match (report.verdict, before.map(|before| before.verdict)) {
        (now, Some(then)) if now == then => debug!(target_name = target, ?now, seconds, "probed"),
        (Verdict::Good { .. }, _) => info!(target_name = target, seconds, "the probe is good"),
        (Verdict::Failed { layer, reason }, _) => warn!(
            target_name = target,
            layer = layer.into_str(),
            reason = reason.into_str(),
            seconds,
            "the probe fails"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_of_an_interval_holds_more_than_twice_its_share_of_the_probes() {
        const TARGETS: usize = 1_000;
        let interval = Duration::from_secs(60);
        let share = TARGETS as f64 / interval.as_secs_f64();
        for cycle in 0..5 {
            let mut seconds = [0_u32; 60];
            for index in 0..TARGETS {
                let begins = offset(interval, index, TARGETS) + jitter(interval, cycle);
                // What the jitter moves beyond the end falls into the next interval, as that of the one
                // before falls into this.
                seconds[(begins.as_secs() % 60) as usize] += 1;
            }
            let busiest = seconds.iter().max().copied().unwrap_or_default();
            assert!(f64::from(busiest) <= 2.0 * share, "{cycle}: {seconds:?}");
        }
    }
}
