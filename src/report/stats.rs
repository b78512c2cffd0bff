//! The latest report of a target, and its counters since the process started.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use strum::{IntoStaticStr, VariantArray};

use super::browser::BrowserRun;
use super::history::ClockStep;
use super::{BrowserCheck, Hop, Reason, Report};

/// Upper bounds of the histogram of probe durations, in seconds.
pub const DURATION_BUCKETS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Why a scheduled probe did not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum MissReason {
    /// The previous probe was still in progress.
    Overrun,
    /// Too many probes of other targets were in progress.
    #[strum(serialize = "limit")]
    ConcurrencyLimit,
    /// The server asked for a pause (429 or 503 with Retry-After).
    Backoff,
}

impl MissReason {
    pub const ALL: &[Self] = Self::VARIANTS;
}

/// The latest report of a target and its counters since the process started.
#[derive(Clone, Debug, Default)]
pub struct TargetStats {
    /// Includes the browser check, unless that is too old.
    pub latest: Option<Arc<Report>>,
    /// Absent if no browser opens the target.
    pub browser: Option<Arc<BrowserRun>>,
    pub attempts: u64,
    pub successes: u64,
    pub failures: BTreeMap<Reason, u64>,
    pub missed: BTreeMap<MissReason, u64>,
    pub last_success: Option<Timestamp>,
    /// How often the resolved addresses changed from one answer to the next.
    pub answer_changes: u64,
    /// Requests sent a second time, on a new connection.
    pub repeated_requests: u64,
    pub durations: DurationHistogram,
    last_answer: Option<BTreeSet<IpAddr>>,
}

/// A histogram over [`DURATION_BUCKETS`].
#[derive(Clone, Debug, Default)]
pub struct DurationHistogram {
    /// Not cumulative; values above the last bound are in `count` only.
    buckets: [u64; DURATION_BUCKETS.len()],
    pub count: u64,
    /// Seconds.
    pub sum: f64,
}

impl DurationHistogram {
    fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = DURATION_BUCKETS
            .iter()
            .zip(&mut self.buckets)
            .find(|(bound, _)| seconds <= **bound);
        if let Some((_, count)) = bucket {
            *count += 1;
        }
        self.count += 1;
        self.sum += seconds;
    }

    /// Each upper bound with the count of values up to it.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        DURATION_BUCKETS
            .iter()
            .zip(&self.buckets)
            .scan(0, |sum, (bound, count)| {
                *sum += count;
                Some((*bound, *sum))
            })
    }
}

impl TargetStats {
    /// Empty counters; the last successful probe may be older than the process.
    pub fn since(last_success: Option<Timestamp>) -> Self {
        Self {
            last_success,
            ..Self::default()
        }
    }

    /// Counts a report.
    pub fn observe(&mut self, report: Arc<Report>) {
        self.attempts += 1;
        self.durations.observe(report.duration);
        match report.verdict.reason() {
            None => {
                self.successes += 1;
                self.last_success = Some(report.started);
            }
            Some(reason) => *self.failures.entry(reason).or_default() += 1,
        }
        let repeated = |hop: &&Hop| hop.http.facts().is_some_and(|http| http.repeated.is_some());
        let repeated = report.hops.iter().filter(repeated).count();
        self.repeated_requests += repeated as u64;
        self.compare_answer(&report);
        self.latest = Some(report);
        if self.browser.is_some() {
            self.compare_with_browser();
        }
    }

    /// Replaces the latest browser check.
    pub fn observe_browser(&mut self, run: BrowserRun) {
        let run = run.after(self.browser.as_deref());
        self.browser = Some(Arc::new(run));
        self.compare_with_browser();
    }

    /// No browser opens the target any more.
    pub fn forget_browser(&mut self) {
        if self.browser.take().is_some() {
            self.compare_with_browser();
        }
    }

    fn compare_with_browser(&mut self) {
        let Some(report) = &mut self.latest else {
            return;
        };
        let report = Arc::make_mut(report);
        report.remove_browser();
        let Some(run) = &self.browser else { return };
        if run.result.is_err() {
            report.browser_not_started = Some(Arc::clone(run));
        }
        if let Some(check) = run.check_at(report.started) {
            BrowserCheck::clone(check).add_to(report);
        }
    }

    /// Dates the latest report and success again, as `TargetHistory::apply` does.
    pub fn apply(&mut self, step: ClockStep, began: Timestamp) {
        if let Some(success) = &mut self.last_success {
            step.apply(began, success);
        }
        if let Some(report) = &mut self.latest {
            step.apply(began, &mut Arc::make_mut(report).started);
        }
        if let Some(run) = &mut self.browser {
            Arc::make_mut(run).apply(step, began);
            self.compare_with_browser();
        }
    }

    fn compare_answer(&mut self, report: &Report) {
        let resolution = report.hops.first().and_then(|hop| hop.dns.facts());
        let addresses = resolution.map_or(&[][..], |facts| &facts.resolution.addresses);
        if addresses.is_empty() {
            return;
        }
        let answer = addresses.iter().copied().collect();
        let last = self.last_answer.replace(answer);
        if last.is_some() && last != self.last_answer {
            self.answer_changes += 1;
        }
    }
}
