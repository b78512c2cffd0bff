//! Definitions of metrics, and families gathered afresh for one scrape.
//!
//! A series is written as soon as it is known, into the text of its family: a scrape of a thousand
//! targets has 60,000 of them, and as values they would take more memory than all else together.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::Format;
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
    format: Format,
    families: BTreeMap<&'static str, Family>,
}

/// One family: its series as they are written.
struct Family {
    kind: Kind,
    help: &'static str,
    /// What its samples begin with.
    name: String,
    text: String,
}

impl Families {
    /// Their names begin with `prefix`.
    pub fn prefixed(prefix: &'static str, format: Format) -> Self {
        Self {
            prefix,
            format,
            families: BTreeMap::new(),
        }
    }

    /// Adds a series of a gauge or a counter.
    pub fn add(&mut self, definition: &Definition, labels: &[&str], value: f64) {
        let suffix = match (self.format, definition.kind) {
            (Format::OpenMetrics, Kind::Counter) => "_total",
            _ => "",
        };
        let family = self.family(definition);
        family.sample(definition, suffix, labels, None, value);
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
        let format = self.format;
        let family = self.family(definition);
        let mut bucket = |bound: &str, count: u64| {
            family.sample(definition, "_bucket", labels, Some(bound), count as f64);
        };
        for (bound, count) in values.cumulative() {
            match format {
                Format::Text => bucket(&bound.to_string(), count),
                // Canonical: 1.0, not 1.
                Format::OpenMetrics => bucket(&format!("{bound:?}"), count),
            }
        }
        bucket("+Inf", values.count);
        family.sample(definition, "_sum", labels, None, values.sum);
        family.sample(definition, "_count", labels, None, values.count as f64);
    }

    fn family(&mut self, definition: &Definition) -> &mut Family {
        let (prefix, format) = (self.prefix, self.format);
        let of = || {
            // In OpenMetrics a counter's samples end in _total, its family does not.
            let name = match (format, definition.kind) {
                (Format::OpenMetrics, Kind::Counter) => definition.name.trim_end_matches("_total"),
                _ => definition.name,
            };
            Family {
                kind: definition.kind,
                help: definition.help,
                name: format!("{prefix}{name}"),
                text: String::new(),
            }
        };
        self.families.entry(definition.name).or_insert_with(of)
    }

    /// Writes them, sorted by name.
    pub fn write(self, out: &mut String) {
        for family in self.families.into_values() {
            let (name, kind) = (&family.name, family.kind.name());
            let _ = match self.format {
                Format::Text => writeln!(
                    out,
                    "# HELP {name} {}\n# TYPE {name} {kind}",
                    Escaped(family.help, Quotes::AsTheyAre)
                ),
                Format::OpenMetrics => writeln!(
                    out,
                    "# TYPE {name} {kind}\n# HELP {name} {}",
                    Escaped(family.help, Quotes::Escaped)
                ),
            };
            out.push_str(&family.text);
        }
    }
}

impl Family {
    /// Adds a line; `bound` is a bucket's.
    fn sample(
        &mut self,
        definition: &Definition,
        suffix: &str,
        labels: &[&str],
        bound: Option<&str>,
        value: f64,
    ) {
        debug_assert_eq!(definition.labels.len(), labels.len(), "{}", definition.name);
        let out = &mut self.text;
        out.push_str(&self.name);
        out.push_str(suffix);
        let names = definition.labels.iter().copied();
        let pairs = names.zip(labels.iter().copied());
        let mut opener = '{';
        for (name, label) in pairs.chain(bound.map(|bound| ("le", bound))) {
            out.push(opener);
            out.push_str(name);
            out.push_str("=\"");
            let _ = write!(out, "{}", Escaped(label, Quotes::Escaped));
            out.push('"');
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
}

/// Whether quotes are escaped too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Escaped,
    AsTheyAre,
}

/// A text as both formats escape it.
struct Escaped<'a>(&'a str, Quotes);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(mut rest, quotes) = *self;
        let special = |c: char| matches!(c, '\\' | '\n') || c == '"' && quotes == Quotes::Escaped;
        while let Some(at) = rest.find(special) {
            let (plain, from) = rest.split_at(at);
            f.write_str(plain)?;
            let mut chars = from.chars();
            match chars.next() {
                Some('\n') => f.write_str("\\n")?,
                Some(c) => write!(f, "\\{c}")?,
                None => {}
            }
            rest = chars.as_str();
        }
        f.write_str(rest)
    }
}
