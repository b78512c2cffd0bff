//! Metric descriptions, and the families of one scrape.
//!
//! A series is rendered into the text of its family immediately: a scrape of 1,000 targets has 60,000 series,
//! which as values would need more memory than everything else together.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use memchr::memchr3;

use super::Format;
use crate::report::DurationHistogram;

/// A documented metric with its labels in order.
#[derive(Debug, PartialEq, Eq)]
pub struct MetricDesc {
    /// Without the prefix.
    pub name: &'static str,
    /// As in the exposition.
    pub full_name: &'static str,
    pub kind: MetricType,
    pub labels: &'static [&'static str],
    /// What is written before the value of each label: `{one="` and `",two="`.
    pub(super) openers: &'static [&'static str],
    pub help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricType {
    Gauge,
    Counter,
    Histogram,
}

impl MetricType {
    pub fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// Defines metrics whose names begin with a prefix, and a list of them in the order of the documentation.
macro_rules! metrics {
    (
        $(#[$about:meta])*
        pub static $all:ident = $prefix:literal;
        $($metric:ident = $kind:ident($name:literal, [$($first:literal $(, $other:literal)*)?], $help:literal);)*
    ) => {
        $(pub(super) static $metric: MetricDesc = MetricDesc {
            name: $name,
            full_name: concat!($prefix, $name),
            kind: MetricType::$kind,
            labels: &[$($first $(, $other)*)?],
            openers: &[$(concat!("{", $first, "=\"") $(, concat!("\",", $other, "=\""))*)?],
            help: $help,
        };)*
        $(#[$about])*
        pub static $all: &[&MetricDesc] = &[$(&$metric),*];
    };
}
pub(super) use metrics;

/// Approximate bytes per series.
const SERIES_SIZE_HINT: usize = 128;

/// The families of one scrape.
pub(super) struct Families {
    format: Format,
    /// By the address of their definition, each of which is a static: a scrape of 1,000 targets looks up 70,000 times.
    families: BTreeMap<*const MetricDesc, Family>,
}

/// A family with its rendered series.
struct Family {
    definition: &'static MetricDesc,
    /// Its type and its help, then its samples.
    text: String,
}

/// Adds series, all of them with the same first label or none.
pub(super) struct SeriesWriter<'a> {
    families: &'a mut Families,
    /// The first label up to its closing quote, rendered once for all series.
    first: String,
}

impl Families {
    pub fn new(format: Format) -> Self {
        Self {
            format,
            families: BTreeMap::new(),
        }
    }

    /// Adds series without a label in common.
    pub fn writer(&mut self) -> SeriesWriter<'_> {
        SeriesWriter {
            families: self,
            first: String::new(),
        }
    }

    /// Adds series whose first label is this one; the labels of each series are those after it.
    pub fn writer_with(&mut self, label: &str, value: &str) -> SeriesWriter<'_> {
        let mut first = format!("{{{label}=\"");
        push_escaped(&mut first, value, Quotes::Escaped);
        SeriesWriter {
            families: self,
            first,
        }
    }

    fn family(&mut self, definition: &'static MetricDesc) -> &mut Family {
        let new = || Family::new(definition, self.format);
        self.families.entry(definition).or_insert_with(new)
    }

    /// The text of each family, sorted by name: a scrape of 1,000 targets has 5 MiB, which nothing copies into one.
    pub fn into_texts(self) -> impl Iterator<Item = String> {
        let name = |family: &Family| family_name(family.definition, self.format);
        let mut families: Vec<Family> = self.families.into_values().collect();
        families.sort_by_key(name);
        families.into_iter().map(|family| family.text)
    }
}

impl SeriesWriter<'_> {
    /// Adds a series of a gauge or counter.
    pub fn add(&mut self, definition: &'static MetricDesc, labels: &[&str], value: f64) {
        let family = self.families.family(definition);
        family.sample("", &self.first, labels, None, value);
    }

    /// Adds a series if there is a value.
    pub fn add_optional(
        &mut self,
        definition: &'static MetricDesc,
        labels: &[&str],
        value: Option<f64>,
    ) {
        if let Some(value) = value {
            self.add(definition, labels, value);
        }
    }

    /// Adds an info series with value 1.
    pub fn add_info(&mut self, definition: &'static MetricDesc, labels: &[&str]) {
        self.add(definition, labels, 1.0);
    }

    pub fn add_histogram(
        &mut self,
        definition: &'static MetricDesc,
        labels: &[&str],
        values: &DurationHistogram,
    ) {
        let format = self.families.format;
        let family = self.families.family(definition);
        let mut bucket = |bound: &str, count: u64| {
            family.sample("_bucket", &self.first, labels, Some(bound), count as f64);
        };
        for (bound, count) in values.cumulative() {
            match format {
                Format::Text => bucket(&bound.to_string(), count),
                // OpenMetrics writes 1.0, not 1.
                Format::OpenMetrics => bucket(&format!("{bound:?}"), count),
            }
        }
        bucket("+Inf", values.count);
        family.sample("_sum", &self.first, labels, None, values.sum);
        family.sample("_count", &self.first, labels, None, values.count as f64);
    }
}

impl Family {
    fn new(definition: &'static MetricDesc, format: Format) -> Self {
        let name = family_name(definition, format);
        let mut text = String::with_capacity(2 * SERIES_SIZE_HINT);
        // The formats differ in the order.
        match format {
            Format::Text => {
                push_help(&mut text, name, definition.help, Quotes::Literal);
                push_type(&mut text, name, definition.kind);
            }
            Format::OpenMetrics => {
                push_type(&mut text, name, definition.kind);
                push_help(&mut text, name, definition.help, Quotes::Escaped);
            }
        }
        Self { definition, text }
    }

    /// Adds a line; `first` is the rendered first label or empty, `bound` the bucket's upper bound.
    fn sample(
        &mut self,
        suffix: &str,
        first: &str,
        labels: &[&str],
        bound: Option<&str>,
        value: f64,
    ) {
        let rendered = usize::from(!first.is_empty());
        let MetricDesc {
            full_name, openers, ..
        } = self.definition;
        debug_assert_eq!(openers.len(), rendered + labels.len(), "{full_name}");
        // A scrape of 1,000 targets has 70,000 samples, so that each append counts.
        let out = &mut self.text;
        out.push_str(full_name);
        for part in [suffix, first] {
            if !part.is_empty() {
                out.push_str(part);
            }
        }
        for (opener, label) in openers.iter().skip(rendered).zip(labels) {
            out.push_str(opener);
            push_escaped(out, label, Quotes::Escaped);
        }
        let is_labelled = !openers.is_empty();
        if let Some(bound) = bound {
            out.push_str(if is_labelled { "\",le=\"" } else { "{le=\"" });
            out.push_str(bound);
        }
        let labels_end = is_labelled || bound.is_some();
        out.push_str(if labels_end { "\"} " } else { " " });
        push_value(out, value);
        out.push('\n');
    }
}

/// In OpenMetrics a counter's samples end in `_total`, the family's name does not.
fn family_name(definition: &MetricDesc, format: Format) -> &'static str {
    match (format, definition.kind) {
        (Format::OpenMetrics, MetricType::Counter) => {
            definition.full_name.trim_end_matches("_total")
        }
        _ => definition.full_name,
    }
}

fn push_type(out: &mut String, name: &str, kind: MetricType) {
    for part in ["# TYPE ", name, " ", kind.name(), "\n"] {
        out.push_str(part);
    }
}

fn push_help(out: &mut String, name: &str, help: &str, quotes: Quotes) {
    for part in ["# HELP ", name, " "] {
        out.push_str(part);
    }
    push_escaped(out, help, quotes);
    out.push('\n');
}

/// Whole numbers, which most values are, skip the search for the shortest fraction.
fn push_value(out: &mut String, value: f64) {
    const EXACT: f64 = 9e15;
    if value == 0.0 || value == 1.0 {
        out.push(if value == 0.0 { '0' } else { '1' });
        return;
    }
    let _ = match value {
        f64::INFINITY => write!(out, "+Inf"),
        f64::NEG_INFINITY => write!(out, "-Inf"),
        whole if whole.abs() < EXACT && whole.trunc() == whole => write!(out, "{}", whole as i64),
        value => write!(out, "{value}"),
    };
}

/// Whether quotes are escaped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Escaped,
    Literal,
}

/// Escapes text as both formats require.
fn push_escaped(out: &mut String, text: &str, quotes: Quotes) {
    let quote = match quotes {
        Quotes::Escaped => b'"',
        Quotes::Literal => b'\\',
    };
    let mut rest = text;
    while let Some(at) = memchr3(b'\\', b'\n', quote, rest.as_bytes()) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let (special, after) = special.split_at(1);
        out.push_str(match special {
            "\n" => "\\n",
            "\"" => "\\\"",
            _ => "\\\\",
        });
        rest = after;
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    metrics! {
        pub static SAMPLES = "ccass2fa_";
        TWO_LABELS = Gauge("sample", ["one", "two"], "A sample.");
    }

    /// Reads a label's value up to its closing quote, as the exposition format defines it.
    fn unescape(text: &str) -> Option<(String, &str)> {
        let mut value = String::new();
        let mut rest = text.chars();
        loop {
            match rest.next()? {
                '"' => return Some((value, rest.as_str())),
                '\n' => return None,
                '\\' => value.push(match rest.next()? {
                    'n' => '\n',
                    escaped @ ('\\' | '"') => escaped,
                    _ => return None,
                }),
                c => value.push(c),
            }
        }
    }

    proptest! {
        #[test]
        fn labels_of_any_text_read_back_as_they_were(
            one in any::<String>(),
            two in "[\"\\\\\n,={} a]{0,12}",
            value in any::<f64>(),
        ) {
            for format in [Format::Text, Format::OpenMetrics] {
                let mut families = Families::new(format);
                families.writer().add(SAMPLES[0], &[&one, &two], value);
                let out: String = families.into_texts().collect();
                let sample = out.split_inclusive('\n').nth(2).unwrap();
                let read = || {
                    let rest = sample.strip_prefix("ccass2fa_sample{one=\"")?;
                    let (first, rest) = unescape(rest)?;
                    let (second, rest) = unescape(rest.strip_prefix(",two=\"")?)?;
                    let number = rest.strip_prefix("} ")?.strip_suffix('\n')?;
                    Some((first, second, number.parse::<f64>().ok()?))
                };
                let (first, second, number) = read().unwrap();
                prop_assert_eq!((&first, &second), (&one, &two));
                prop_assert!(number == value || number.is_nan() && value.is_nan());
                prop_assert_eq!(out.lines().count(), 3);
            }
        }
    }

    #[test]
    fn values_and_texts_are_written_as_prometheus_reads_them() {
        for (value, rendered) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-3.0, "-3"),
            (0.25, "0.25"),
            (1_824_590_956.0, "1824590956"),
            (1_795_646_956.5, "1795646956.5"),
            (1e300, &format!("{}", 1e300)),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            let mut out = String::new();
            push_value(&mut out, value);
            assert_eq!(out, rendered);
        }
        for (quotes, rendered) in [
            (Quotes::Escaped, r#"a\\b\n\"c\""#),
            (Quotes::Literal, r#"a\\b\n"c""#),
        ] {
            let mut out = String::new();
            push_escaped(&mut out, "a\\b\n\"c\"", quotes);
            assert_eq!(out, rendered);
        }
    }
}
