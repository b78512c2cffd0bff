//! Definitions of metrics, and families gathered afresh for one scrape.

use std::collections::BTreeMap;

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

use crate::report::Durations;

/// Every metric of ours begins with this.
pub const PREFIX: &str = "ccass2fa_";

/// One metric as it is documented: its labels are a closed list, in this order.
#[derive(Debug, PartialEq, Eq)]
pub struct Definition {
    /// Without the prefix.
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Gauge,
    Counter,
    Histogram,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

impl Definition {
    pub const fn gauge(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind: Kind::Gauge,
            labels,
            help,
        }
    }

    pub const fn counter(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind: Kind::Counter,
            labels,
            help,
        }
    }

    pub const fn histogram(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind: Kind::Histogram,
            labels,
            help,
        }
    }

    pub fn full_name(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }
}

/// The families of one scrape, by name.
pub(super) struct Families {
    prefix: &'static str,
    families: BTreeMap<&'static str, MetricFamily>,
}

impl Families {
    /// Their names begin with `prefix`.
    pub fn prefixed(prefix: &'static str) -> Self {
        Self {
            prefix,
            families: BTreeMap::new(),
        }
    }

    /// Adds a series of a gauge or a counter.
    pub fn add(&mut self, definition: &Definition, labels: &[&str], value: f64) {
        let mut metric = Metric::from_label(pairs(definition, labels));
        match definition.kind {
            Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            Kind::Gauge | Kind::Histogram => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        self.push(definition, metric);
    }

    /// Adds a series where there is a value: an absent fact is an absent series.
    pub fn add_some(&mut self, definition: &Definition, labels: &[&str], value: Option<f64>) {
        if let Some(value) = value {
            self.add(definition, labels, value);
        }
    }

    /// Adds a series of a fact: 1 while it holds.
    pub fn add_info(&mut self, definition: &Definition, labels: &[&str]) {
        self.add(definition, labels, 1.0);
    }

    pub fn add_histogram(&mut self, definition: &Definition, labels: &[&str], values: &Durations) {
        let buckets = values
            .cumulative()
            .map(|(bound, count)| {
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(bound);
                bucket.set_cumulative_count(count);
                bucket
            })
            .collect();
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(values.count);
        histogram.set_sample_sum(values.sum);
        let mut metric = Metric::from_label(pairs(definition, labels));
        metric.set_histogram(histogram);
        self.push(definition, metric);
    }

    fn push(&mut self, definition: &Definition, metric: Metric) {
        let prefix = self.prefix;
        self.families
            .entry(definition.name)
            .or_insert_with(|| empty_family(prefix, definition))
            .mut_metric()
            .push(metric);
    }

    pub fn into_sorted(self) -> Vec<MetricFamily> {
        self.families.into_values().collect()
    }
}

fn empty_family(prefix: &str, definition: &Definition) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(format!("{prefix}{}", definition.name));
    family.set_help(definition.help.to_owned());
    family.set_field_type(match definition.kind {
        Kind::Gauge => MetricType::GAUGE,
        Kind::Counter => MetricType::COUNTER,
        Kind::Histogram => MetricType::HISTOGRAM,
    });
    family
}

fn pairs(definition: &Definition, values: &[&str]) -> Vec<LabelPair> {
    debug_assert_eq!(definition.labels.len(), values.len(), "{}", definition.name);
    definition
        .labels
        .iter()
        .zip(values)
        .map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        })
        .collect()
}
