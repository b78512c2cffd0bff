//! OpenMetrics text format 1.0 for the process metrics of the client library; `family` writes all others.

use std::fmt::Write as _;

use prometheus::proto::{MetricFamily, MetricType};

/// Adds gauges and counters without labels.
pub(super) fn add(out: &mut String, families: &[MetricFamily]) {
    for family in families {
        let (name, help) = (family.name(), family.help().replace('\n', " "));
        let (name, word, suffix) = match family.get_field_type() {
            // A counter's samples end in _total, the family name does not.
            MetricType::COUNTER => (name.trim_end_matches("_total"), "counter", "_total"),
            _ => (name, "gauge", ""),
        };
        let _ = writeln!(out, "# TYPE {name} {word}\n# HELP {name} {help}");
        for metric in family.get_metric() {
            let value = match suffix {
                "" => metric.get_gauge().get_value(),
                _ => metric.get_counter().get_value(),
            };
            let _ = writeln!(out, "{name}{suffix} {value}");
        }
    }
}
