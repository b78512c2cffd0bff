//! `verify --watch`: probes every interval and prints what changes, until Ctrl-C.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::time::{Instant, sleep_until};

use super::{Selected, live};
use crate::clock::{Clock, Stopwatch, monotonic_now};
use crate::commands::status_lines::StatusLines;
use crate::commands::{ExitStatus, output_width, write_output};
use crate::config::{Config, Contacts, Target};
use crate::probe::Engine;
use crate::render::text;
use crate::render::watch::{self, Compared};
use crate::report::history::{SavedState, TargetHistory, Watch};
use crate::report::{Report, TargetStats};

/// How often the line with the time to the next probe is updated.
const TICK: Duration = Duration::from_secs(1);

struct Watcher<'a> {
    config: &'a Config,
    engine: &'a Engine,
    clock: Clock,
    targets: Vec<Watched>,
}

struct Watched {
    target: Arc<Target>,
    /// Whether it counts for the exit status.
    counts: bool,
    stats: TargetStats,
    history: TargetHistory,
}

/// Watches the targets. Success means that every probe succeeded.
///
/// # Errors
/// The output cannot be written, or Ctrl-C cannot be handled.
pub(super) async fn run(
    config: &Config,
    engine: &Engine,
    selected: &Selected,
    clock: Clock,
) -> anyhow::Result<ExitStatus> {
    let watched = selected.targets.iter().map(|target| Watched {
        target: Arc::clone(target),
        counts: selected.counts(target.role),
        stats: TargetStats::default(),
        history: TargetHistory::of(target.url.as_str()),
    });
    let mut watcher = Watcher {
        config,
        engine,
        clock,
        targets: watched.collect(),
    };
    let watch = Stopwatch::start();
    tokio::select! {
        result = watcher.run() => result?,
        stopped = tokio::signal::ctrl_c() => stopped.context("cannot handle Ctrl-C")?,
    }
    let targets = watcher.targets.iter();
    let probed = targets.clone().filter(|one| one.stats.attempts > 0);
    let probed = probed.map(|one| (one.target.name.as_str(), &one.stats));
    write_output(
        &watch::summary(probed, watch.elapsed(), output_width()),
        None,
    )?;
    let is_good = |one: &Watched| one.stats.failures.is_empty() || !one.counts;
    Ok(if targets.clone().all(is_good) {
        ExitStatus::Success
    } else {
        ExitStatus::CheckFailed
    })
}

impl Watcher<'_> {
    /// Probes until it is dropped.
    async fn run(&mut self) -> anyhow::Result<()> {
        loop {
            let next = monotonic_now() + self.config.probe.interval;
            let due = self.due();
            let concurrency = self.config.probe.concurrency;
            let reports = live::probe(self.engine, &due, concurrency).await;
            self.print(reports)?;
            self.wait_until(next).await;
        }
    }

    /// The targets whose server has not asked for a pause.
    fn due(&self) -> Vec<Arc<Target>> {
        let now = self.clock.now();
        let is_due = |one: &&Watched| {
            let pause = one.stats.latest.as_ref().and_then(|report| report.pause());
            pause.is_none_or(|(_, until)| until <= now)
        };
        let due = self.targets.iter().filter(is_due);
        due.map(|one| Arc::clone(&one.target)).collect()
    }

    /// Prints the first reports as a whole, and then what changed.
    fn print(&mut self, reports: Vec<Report>) -> anyhow::Result<()> {
        let width = output_width();
        let contacts = &self.config.contacts;
        let is_first = self.targets.iter().all(|one| one.stats.attempts == 0);
        if is_first {
            let all: Vec<&Report> = reports.iter().collect();
            let text = text::reports(&all, contacts, &SavedState::default(), width);
            write_output(&text, None)?;
            write_output("\n", None)?;
        }
        let mut output = String::new();
        for report in reports {
            let mut targets = self.targets.iter_mut();
            if let Some(watched) = targets.find(|one| one.target.name == report.target) {
                output += &watched.observe(report, contacts);
            }
        }
        write_output(&output, None)
    }

    async fn wait_until(&self, next: Instant) {
        let Some(mut lines) = StatusLines::on_terminal() else {
            return sleep_until(next).await;
        };
        loop {
            let now = monotonic_now();
            let left = next.saturating_duration_since(now);
            let stats = self.targets.iter().map(|one| &one.stats);
            lines.show(&[format!(
                "{}; next in {} s; Ctrl-C ends with a summary",
                watch::progress(stats),
                left.as_secs()
            )]);
            if left.is_zero() {
                return;
            }
            sleep_until(next.min(now + TICK)).await;
        }
    }
}

impl Watched {
    /// Counts a report; returns the lines about what it changes.
    fn observe(&mut self, report: Report, contacts: &Contacts) -> String {
        let failing_since = self.history.failing_since();
        let mut changes = self.history.diff(&report);
        // The others are known from an earlier report.
        changes.retain(|change| change.since == report.started);
        let report = Arc::new(report);
        let output = self.stats.latest.as_ref().map(|previous| {
            let compared = Compared {
                report: &report,
                previous,
                failing_since,
                changes: &changes,
            };
            watch::changes(&compared, contacts, output_width())
        });
        // Gaps and service hours are of no interest here.
        let watch = Watch {
            max_gap: Duration::MAX,
            in_service_hours: true,
        };
        self.history.observe(&report, watch);
        self.stats.observe(Arc::clone(&report));
        output.unwrap_or_default()
    }
}
