//! `/metrics`: the only place that names a metric.
//!
//! Families are built anew for every scrape, so that no stale series remains; an absent fact is an absent
//! series. `definitions` has the names, `probe`, `browser`, `tls`, `dates`, `readiness` and `evidence` the values;
//! `blackbox` has the names that `/probe` shares with blackbox_exporter, `terminal` those of a file for the textfile collector.

mod blackbox;
mod browser;
mod dates;
mod definitions;
mod evidence;
mod family;
mod openmetrics;
mod probe;
mod readiness;
mod terminal;
mod tls;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prometheus::TextEncoder;
use prometheus::proto::MetricFamily;

use crate::config::{Config, Target};
use crate::evidence::LedgerStatus;
use crate::input_file::InputFile;
use crate::readiness::ReadinessState;
use crate::report::history::TargetState;
use crate::report::overview::Overview;
use crate::report::{RejectReason, Report};
pub use blackbox::BLACKBOX;
pub use definitions::DEFINITIONS;
use definitions::{
    BUILD_INFO, CLOCK_STEPS, CONFIG_RELOAD_SUCCESSFUL, CONFIG_RELOAD_TIMESTAMP, EXPORTER_TIME,
    FILE_READ_FAILURES, RECORDING, REFUSALS,
};
use family::{Families, SeriesWriter};
pub use family::{MetricDesc, MetricType};
pub use terminal::{TERMINAL_DEFINITIONS, TerminalMetrics, textfile};

/// The state that a scrape renders.
pub struct Snapshot<'a> {
    pub config: &'a Config,
    /// When the active configuration was loaded.
    pub loaded_at: Timestamp,
    pub known: &'a [(Arc<Target>, TargetState)],
    pub now: Timestamp,
    /// Whether the files could be read when they were last read.
    pub is_reload_successful: bool,
    pub readiness_state: &'a ReadinessState,
    pub evidence: &'a LedgerStatus,
    /// Whether each content of the data directory is saved; absent without one.
    pub recording: Option<[(&'static str, bool); 2]>,
    /// Steps of the host's clock since start.
    pub clock_steps: u64,
    /// `/probe` requests rejected since start.
    pub rejections: &'a BTreeMap<RejectReason, u64>,
}

/// The result of a `/probe` request.
pub struct Probed<'a> {
    pub outcome: Outcome<'a>,
    /// The effective timeout of scraper and module.
    pub limit: Duration,
}

/// What `/probe` waited for.
#[derive(Clone, Copy)]
pub enum Outcome<'a> {
    Report(&'a Report),
    /// A joined probe did not end within the scrape timeout.
    Unfinished {
        waited: Duration,
    },
}

/// The exposition format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// Renders the metrics of all targets, one text for each family.
///
/// # Errors
/// The encoder rejects a family, which is an internal error.
pub fn render(exposition: &Snapshot<'_>, format: Format) -> prometheus::Result<Vec<String>> {
    let mut texts: Vec<String> = gather(exposition, format).into_texts().collect();
    let mut last = String::new();
    add_process(&mut last, format)?;
    end(&mut last, format);
    texts.push(last);
    Ok(texts)
}

/// Renders a single probe under blackbox_exporter's names, and under this exporter's where it has none.
pub fn probe(probed: &Probed<'_>, format: Format) -> Vec<u8> {
    let mut families = Families::new(format);
    match probed.outcome {
        Outcome::Report(report) => {
            blackbox::add(&mut families.writer(), report, probed.limit);
            let series = &mut families.writer_with("target", &report.target);
            probe::add_facts(series, report);
        }
        Outcome::Unfinished { waited } => {
            blackbox::add_unfinished(&mut families.writer(), probed.limit, waited);
        }
    }
    let mut text = String::with_capacity(16 * 1024);
    text.extend(families.into_texts());
    end(&mut text, format);
    text.into_bytes()
}

fn end(text: &mut String, format: Format) {
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
}

fn gather(exposition: &Snapshot<'_>, format: Format) -> Families {
    let mut families = Families::new(format);
    for (target, known) in exposition.known {
        let series = &mut families.writer_with("target", &target.name);
        probe::add(series, target, known, exposition.config.probe.interval);
        browser::add(series, &known.stats);
    }
    let latest = exposition.known.iter();
    let latest = latest.filter_map(|(_, known)| known.stats.latest.as_deref());
    let series = &mut families.writer();
    probe::add_groups(series, &Overview::of(latest));
    dates::add(series, exposition);
    evidence::add(series, exposition);
    if let Some(source) = &exposition.config.readiness {
        readiness::add(series, exposition, source);
    }
    own(series, exposition);
    families
}

fn own(series: &mut SeriesWriter<'_>, exposition: &Snapshot<'_>) {
    series.add_info(&BUILD_INFO, &[env!("CARGO_PKG_VERSION")]);
    let successful = flag(exposition.is_reload_successful);
    series.add(&CONFIG_RELOAD_SUCCESSFUL, &[], successful);
    for cause in RejectReason::ALL {
        let count = exposition
            .rejections
            .get(cause)
            .copied()
            .unwrap_or_default();
        series.add(&REFUSALS, &[cause.into_str()], count as f64);
    }
    for file in InputFile::ALL {
        let failures = file.failures() as f64;
        series.add(&FILE_READ_FAILURES, &[file.into_str()], failures);
    }
    series.add(&CLOCK_STEPS, &[], exposition.clock_steps as f64);
    for (content, is_saved) in exposition.recording.into_iter().flatten() {
        series.add(&RECORDING, &[content], flag(is_saved));
    }
    series.add(&CONFIG_RELOAD_TIMESTAMP, &[], unix(exposition.loaded_at));
    series.add(&EXPORTER_TIME, &[], unix(exposition.now));
}

/// Adds the `process_*` metrics of Prometheus client libraries.
fn add_process(text: &mut String, format: Format) -> prometheus::Result<()> {
    match format {
        Format::Text => TextEncoder::new().encode_utf8(&process(), text),
        Format::OpenMetrics => {
            openmetrics::add(text, &process());
            Ok(())
        }
    }
}

#[cfg(target_os = "linux")]
fn process() -> Vec<MetricFamily> {
    use prometheus::core::Collector;
    prometheus::process_collector::ProcessCollector::for_self().collect()
}

/// The client library supports them on Linux only. A handle counts as a file descriptor, as in other client libraries.
#[cfg(windows)]
fn process() -> Vec<MetricFamily> {
    use prometheus::core::{Collector, Opts};
    use prometheus::{Counter, Gauge};

    let Ok(process) = ccass_2fa_windows::Process::current() else {
        return Vec::new();
    };
    let gauge = |name: &str, help: &str, value: f64| {
        let gauge = Gauge::with_opts(Opts::new(name, help)).ok()?;
        gauge.set(value);
        Some(gauge.collect())
    };
    let cpu = Opts::new(
        "process_cpu_seconds_total",
        "Total user and system CPU time spent in seconds.",
    );
    let cpu = Counter::with_opts(cpu).ok().map(|counter| {
        counter.inc_by(process.cpu_seconds);
        counter.collect()
    });
    let all = [
        cpu,
        gauge(
            "process_open_fds",
            "Number of open file descriptors.",
            f64::from(process.open_handles),
        ),
        gauge(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            process.resident_bytes as f64,
        ),
        gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            process.start_time_seconds,
        ),
        gauge(
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes.",
            process.virtual_bytes as f64,
        ),
    ];
    all.into_iter().flatten().flatten().collect()
}

#[cfg(not(any(target_os = "linux", windows)))]
fn process() -> Vec<MetricFamily> {
    Vec::new()
}

/// Unix time in seconds, with fractions.
fn unix(instant: Timestamp) -> f64 {
    instant.as_duration().as_secs_f64()
}

/// 1 for yes, 0 for no.
fn flag(is_set: bool) -> f64 {
    f64::from(u8::from(is_set))
}
