//! `/metrics`: the only place that names a metric.
//!
//! In: what is known now. Out: families built afresh, so that no stale label set can stay. Absent
//! facts are absent series. `catalogue` has every name, `probe` and `dates` say what their values
//! are.

mod catalogue;
mod dates;
mod family;
mod probe;

use std::sync::Arc;

use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Encoder, TextEncoder};

use crate::config::{Config, Target};
use crate::report::memory::Known;
use crate::report::overview::Overview;
pub use catalogue::CATALOGUE;
use catalogue::{BUILD_INFO, CONFIG_RELOAD_SUCCESSFUL, CONFIG_RELOAD_TIMESTAMP, EXPORTER_TIME};
use family::Families;
pub use family::{Definition, Kind, PREFIX};

/// What a scrape tells.
pub struct Exposition<'a> {
    pub config: &'a Config,
    /// When the configuration in force was read.
    pub configured: Timestamp,
    pub known: &'a [(Arc<Target>, Known)],
    pub now: Timestamp,
}

/// The media type of the text format.
pub const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The exposition in Prometheus's text format 0.0.4.
///
/// # Errors
/// The encoder refuses a family: a defect of ours.
pub fn text(exposition: &Exposition<'_>) -> prometheus::Result<Vec<u8>> {
    let mut families = gather(exposition);
    families.extend(process());
    let mut text = Vec::with_capacity(16 * 1024);
    TextEncoder::new().encode(&families, &mut text)?;
    Ok(text)
}

fn gather(exposition: &Exposition<'_>) -> Vec<MetricFamily> {
    let mut families = Families::default();
    for (target, known) in exposition.known {
        probe::add(
            &mut families,
            target,
            known,
            exposition.config.probe.interval,
        );
    }
    let latest = exposition.known.iter();
    let latest = latest.filter_map(|(_, known)| known.tally.latest.as_deref());
    probe::add_groups(&mut families, &Overview::of(latest));
    dates::add(&mut families, exposition.config, exposition.now);
    own(&mut families, exposition);
    families.into_sorted()
}

fn own(families: &mut Families, exposition: &Exposition<'_>) {
    families.add_info(&BUILD_INFO, &[env!("CARGO_PKG_VERSION")]);
    families.add(&CONFIG_RELOAD_SUCCESSFUL, &[], 1.0);
    families.add(&CONFIG_RELOAD_TIMESTAMP, &[], unix(exposition.configured));
    families.add(&EXPORTER_TIME, &[], unix(exposition.now));
}

/// The usual `process_*` of every Prometheus client.
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
