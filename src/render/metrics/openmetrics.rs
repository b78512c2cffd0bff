//! The OpenMetrics text format 1.0 of gathered families.

use std::fmt::Write as _;

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

/// The families as OpenMetrics writes them.
pub(super) fn text(families: &[MetricFamily]) -> Vec<u8> {
    let mut out = String::with_capacity(16 * 1024);
    for family in families {
        add(&mut out, family);
    }
    out.push_str("# EOF\n");
    out.into_bytes()
}

fn add(out: &mut String, family: &MetricFamily) {
    let kind = family.get_field_type();
    // A counter's samples end in _total, its family does not.
    let name = match kind {
        MetricType::COUNTER => family.name().trim_end_matches("_total"),
        _ => family.name(),
    };
    let word = match kind {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::HISTOGRAM => "histogram",
        MetricType::SUMMARY => "summary",
        MetricType::UNTYPED => "unknown",
    };
    let _ = writeln!(out, "# TYPE {name} {word}");
    let _ = writeln!(out, "# HELP {name} {}", escaped(family.help()));
    for metric in family.get_metric() {
        let labels = metric.get_label();
        match kind {
            MetricType::COUNTER => {
                let value = metric.get_counter().get_value();
                sample(out, name, "_total", labels, None, value);
            }
            MetricType::HISTOGRAM => histogram(out, name, metric),
            MetricType::GAUGE | MetricType::SUMMARY | MetricType::UNTYPED => {
                sample(out, name, "", labels, None, metric.get_gauge().get_value());
            }
        }
    }
}

fn histogram(out: &mut String, name: &str, metric: &Metric) {
    let labels = metric.get_label();
    let histogram = metric.get_histogram();
    let count = histogram.get_sample_count() as f64;
    for bucket in histogram.get_bucket() {
        let bound = bucket.upper_bound();
        if bound.is_finite() {
            // Canonical: 1.0, not 1.
            let bound = format!("{bound:?}");
            let so_far = bucket.cumulative_count() as f64;
            sample(out, name, "_bucket", labels, Some(&bound), so_far);
        }
    }
    sample(out, name, "_bucket", labels, Some("+Inf"), count);
    sample(out, name, "_count", labels, None, count);
    sample(out, name, "_sum", labels, None, histogram.get_sample_sum());
}

fn sample(
    out: &mut String,
    name: &str,
    suffix: &str,
    labels: &[LabelPair],
    bound: Option<&str>,
    value: f64,
) {
    out.push_str(name);
    out.push_str(suffix);
    let pairs = labels.iter().map(|pair| (pair.name(), pair.value()));
    let mut opener = '{';
    for (label, text) in pairs.chain(bound.map(|bound| ("le", bound))) {
        let _ = write!(out, "{opener}{label}=\"{}\"", escaped(text));
        opener = ',';
    }
    if opener == ',' {
        out.push('}');
    }
    let _ = match value {
        f64::INFINITY => writeln!(out, " +Inf"),
        f64::NEG_INFINITY => writeln!(out, " -Inf"),
        value => writeln!(out, " {value}"),
    };
}

/// In help and label values alike.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out
}
