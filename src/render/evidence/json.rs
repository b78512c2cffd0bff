//! The records as one JSON document; docs/evidence.schema.json describes it.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Selected;
use crate::evidence::Content;

/// Raised when a field changes its meaning or goes away.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
pub(super) struct Document<'a> {
    schema: u32,
    generated: Timestamp,
    /// Newest record of the ledger, also when the selection leaves it out.
    head: Head<'a>,
    files: &'a [String],
    faults: Vec<String>,
    /// Where time runs backwards.
    clock_set_back: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<&'a str>,
    /// What keeps the connection from being verified, as far as these records show.
    missing: Vec<String>,
    terminals: Vec<Terminal<'a>>,
    records: Vec<Record<'a>>,
}

#[derive(Serialize)]
struct Head<'a> {
    number: u64,
    hash: &'a str,
}

#[derive(Serialize)]
struct Terminal<'a> {
    terminal: &'a str,
    /// Absent until the first check.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<Timestamp>,
}

#[derive(Serialize)]
struct Record<'a> {
    number: u64,
    recorded: Timestamp,
    host: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<&'a str>,
    kind: &'a str,
    content: Box<RawValue>,
    previous: &'a str,
    hash: &'a str,
    /// It is not as it was written.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    altered: bool,
}

/// The records as JSON.
///
/// # Errors
/// A value cannot be serialized (a bug).
pub fn json(selected: &Selected<'_>) -> anyhow::Result<String> {
    text(&Document::of(selected)?)
}

/// Indented, with a line break at the end.
pub(super) fn text(document: &impl Serialize) -> anyhow::Result<String> {
    let mut text = serde_json::to_string_pretty(document)?;
    text.push('\n');
    Ok(text)
}

impl<'a> Document<'a> {
    pub fn of(selected: &'a Selected<'_>) -> anyhow::Result<Self> {
        let audit = selected.audit;
        let mut records = Vec::new();
        for record in &selected.records {
            records.push(Record {
                number: record.number,
                recorded: record.recorded,
                host: &record.host,
                version: &record.version,
                site: record.site.as_deref(),
                kind: record.content.kind(),
                content: record.content.written()?,
                previous: &record.previous,
                hash: &record.hash,
                altered: audit.is_altered(record),
            });
        }
        let terminals = selected.terminal_checks().into_iter();
        Ok(Self {
            schema: SCHEMA,
            generated: selected.generated,
            head: Head {
                number: audit.head.number,
                hash: &audit.head.hash,
            },
            files: &audit.files,
            faults: audit.faults.iter().map(ToString::to_string).collect(),
            clock_set_back: audit.backward.iter().map(ToString::to_string).collect(),
            from: selected.from,
            to: selected.to,
            of: selected.of,
            missing: selected.missing(),
            terminals: terminals
                .map(|(terminal, checks)| Terminal {
                    terminal,
                    outcome: checks.first().and_then(|newest| match &newest.content {
                        Content::Terminal(check) => Some(check.outcome.into_str()),
                        _ => None,
                    }),
                    recorded: checks.first().map(|newest| newest.recorded),
                })
                .collect(),
            records,
        })
    }
}
