//! `/metrics`: the only place that names a metric.
//!
//! In: what is known now. Out: families built afresh, so that no stale label set can stay. Absent
//! facts are absent series. `catalogue` has every name of ours, `probe`, `dates`, `readiness` and `evidence`
//! say what their values are; `blackbox` has the names that `/probe` shares with blackbox_exporter; `openmetrics`
//! is the other form.

mod blackbox;
mod dates;
mod definitions;
mod evidence;
mod family;
mod openmetrics;
mod probe;
mod readiness;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prometheus::TextEncoder;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;

use crate::config::{Config, Target};
use crate::evidence::EvidenceState;
use crate::readiness::Readiness;
use crate::report::history::TargetState;
use crate::report::overview::Overview;
use crate::report::{RejectReason, Report};
use crate::timetable::Timetable;
pub use blackbox::BLACKBOX;
pub use definitions::DEFINITIONS;
use definitions::{
    BUILD_INFO, CONFIG_RELOAD_SUCCESSFUL, CONFIG_RELOAD_TIMESTAMP, EXPORTER_TIME, REFUSALS,
};
use family::Families;
pub use family::{MetricDesc, MetricType, PREFIX};

/// What a scrape tells.
pub struct Snapshot<'a> {
    pub config: &'a Config,
    /// When the configuration in force was read.
    pub loaded_at: Timestamp,
    pub known: &'a [(Arc<Target>, TargetState)],
    pub now: Timestamp,
    pub reload: Reload,
    pub readiness_state: &'a ReadinessState,
    pub evidence: &'a Evidence,
    /// What `/probe` refused since start.
    pub rejections: &'a BTreeMap<RejectReason, u64>,
}

/// What the readiness file said when it could be read last.
#[derive(Clone, Debug, Default)]
pub struct ReadinessState {
    /// Absent until it could be read once.
    pub readiness: Option<Readiness>,
    /// Whether it can be read now.
    pub is_readable: bool,
}

/// What the evidence says, and whether it could be added to.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Absent without a data directory, and until it could be read once.
    pub standing: Option<Arc<EvidenceState>>,
    /// Tries since start that put nothing on disk; absent without a data directory.
    pub errors: Option<u64>,
}

impl Evidence {
    /// The timetable with what the records show to be done.
    pub fn with_evidence(&self, config: &Config) -> Timetable {
        match &self.standing {
            None => config.timetable.clone(),
            Some(standing) => {
                standing.with_evidence(&config.timetable, &config.targets, &config.terminals)
            }
        }
    }
}

/// Whether the files could be read when they were read last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    Successful,
    /// The configuration in force is older than the files.
    Failed,
}

/// What one call of `/probe` tells.
pub struct Probed<'a> {
    pub outcome: Outcome<'a>,
    /// The limit that the scraper and the module left.
    pub limit: Duration,
}

/// What `/probe` waited for.
#[derive(Clone, Copy)]
pub enum Outcome<'a> {
    Report(&'a Report),
    /// A probe that was under way did not end in the scraper's time.
    Unfinished {
        waited: Duration,
    },
}

/// The form of an exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// What is known of all targets.
///
/// # Errors
/// The encoder refuses a family: a defect of ours.
pub fn render(exposition: &Snapshot<'_>, format: Format) -> prometheus::Result<Vec<u8>> {
    let mut text = gather(exposition, format);
    add_process(&mut text, format)?;
    Ok(ended(text, format))
}

/// What one probe saw, under blackbox_exporter's names, and under ours what it has no names for.
///
/// # Errors
/// The encoder refuses a family: a defect of ours.
pub fn probe(probed: &Probed<'_>, format: Format) -> prometheus::Result<Vec<u8>> {
    let mut shared = Families::prefixed("", format);
    let mut own = Families::prefixed(PREFIX, format);
    match probed.outcome {
        Outcome::Report(report) => {
            blackbox::add(&mut shared, report, probed.limit);
            probe::add_facts(&mut own, &report.target, report);
        }
        Outcome::Unfinished { waited } => {
            blackbox::add_unfinished(&mut shared, probed.limit, waited);
        }
    }
    let mut text = String::with_capacity(16 * 1024);
    own.write(&mut text);
    shared.write(&mut text);
    Ok(ended(text, format))
}

fn ended(mut text: String, format: Format) -> Vec<u8> {
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text.into_bytes()
}

fn gather(exposition: &Snapshot<'_>, format: Format) -> String {
    let mut families = Families::prefixed(PREFIX, format);
    for (target, known) in exposition.known {
        probe::add(
            &mut families,
            target,
            known,
            exposition.config.probe.interval,
        );
    }
    let latest = exposition.known.iter();
    let latest = latest.filter_map(|(_, known)| known.stats.latest.as_deref());
    probe::add_groups(&mut families, &Overview::of(latest));
    dates::add(&mut families, exposition);
    evidence::add(&mut families, exposition);
    if let Some(source) = &exposition.config.readiness {
        readiness::add(&mut families, exposition, source);
    }
    own(&mut families, exposition);
    let mut text = String::new();
    families.write(&mut text);
    text
}

fn own(families: &mut Families, exposition: &Snapshot<'_>) {
    families.add_info(&BUILD_INFO, &[env!("CARGO_PKG_VERSION")]);
    let successful = f64::from(u8::from(exposition.reload == Reload::Successful));
    families.add(&CONFIG_RELOAD_SUCCESSFUL, &[], successful);
    for cause in RejectReason::ALL {
        let count = exposition
            .rejections
            .get(&cause)
            .copied()
            .unwrap_or_default();
        families.add(&REFUSALS, &[cause.into_str()], count as f64);
    }
    families.add(&CONFIG_RELOAD_TIMESTAMP, &[], unix(exposition.loaded_at));
    families.add(&EXPORTER_TIME, &[], unix(exposition.now));
}

/// Adds the usual `process_*` of every Prometheus client.
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
    prometheus::process_collector::ProcessCollector::for_self().collect()
}

/// The client library knows them on Linux only.
#[cfg(not(target_os = "linux"))]
fn process() -> Vec<MetricFamily> {
    Vec::new()
}

/// Seconds since 1970, with what the clock has of fractions.
fn unix(instant: Timestamp) -> f64 {
    instant.as_duration().as_secs_f64()
}
