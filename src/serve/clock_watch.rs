//! Notices when the host's clock is set by more than a minute, against the monotonic clock: logs and counts
//! the step, dates again what this process recorded before it, and has it recorded as evidence.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::recorder::Observation;
use super::state::ServiceState;
use super::task::poll_interval;
use crate::clock::{Clock, Stopwatch};
use crate::lock::lock;
use crate::report::Report;
use crate::report::history::ClockStep;

/// Corrections of the network time are smaller.
const MIN_STEP: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_secs(1);

pub struct ClockWatch {
    state: Arc<ServiceState>,
    /// To the recorder of evidence.
    observations: Option<mpsc::Sender<Observation>>,
    readings: Mutex<Readings>,
}

struct Readings {
    clock: Clock,
    /// When the service started, by the present clock.
    began: Timestamp,
    last: Timestamp,
    since_last: Stopwatch,
}

impl ClockWatch {
    pub fn new(state: Arc<ServiceState>, observations: Option<mpsc::Sender<Observation>>) -> Self {
        let readings = Mutex::new(Readings::of(state.clock));
        Self {
            state,
            observations,
            readings,
        }
    }

    /// Checks the clock every second until `stop`.
    pub async fn run(&self, stop: &CancellationToken) {
        let mut ticks = poll_interval(POLL_INTERVAL);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.check();
        }
    }

    /// Checks the clock; also called before a report is recorded, so that none comes before its step.
    pub fn check(&self) {
        let mut readings = lock(&self.readings);
        let began = readings.began;
        let Some(step) = readings.step() else {
            return;
        };
        warn!(
            from = %step.from,
            to = %step.to,
            seconds = step.length().as_secs_f64().round() as i64,
            "clock set by more than a minute, or host suspended; earlier times are converted to the new clock"
        );
        self.state.count_clock_step();
        self.state.reports.apply(step, began);
        if let Some(observations) = &self.observations
            && let Err(TrySendError::Full(_)) = observations.try_send(Observation::ClockStep(step))
        {
            error!("clock step not recorded as evidence, the queue is full");
        }
    }

    /// The report; if the clock was set during the probe, dated by the new clock.
    pub fn redate(&self, report: Arc<Report>) -> Arc<Report> {
        let Ok(started) = self.state.clock.now().checked_sub(report.duration) else {
            return report;
        };
        // Measurements in the background may go on after the verdict.
        let tolerance = MIN_STEP + report.timeout;
        if report.started.duration_since(started).unsigned_abs() <= tolerance {
            return report;
        }
        let mut report = Report::clone(&report);
        report.started = started;
        Arc::new(report)
    }
}

impl Readings {
    fn of(clock: Clock) -> Self {
        let now = clock.now();
        Self {
            clock,
            began: now,
            last: now,
            since_last: Stopwatch::start(),
        }
    }

    /// The step since the last reading, if there is one.
    fn step(&mut self) -> Option<ClockStep> {
        let elapsed = self.since_last.elapsed();
        let now = self.clock.now();
        let expected = self.last.checked_add(elapsed).unwrap_or(now);
        self.since_last = Stopwatch::start();
        self.last = now;
        let step = ClockStep {
            from: expected,
            to: now,
        };
        if step.length().unsigned_abs() <= MIN_STEP {
            return None;
        }
        self.began = self.began.checked_add(step.length()).unwrap_or(now);
        Some(step)
    }
}
