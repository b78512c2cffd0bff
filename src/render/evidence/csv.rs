//! The records for a spreadsheet: one row each, the same columns for every kind.

use jiff::Timestamp;

use super::{Selected, addresses, checks, reference};
use crate::calendar::HKT;
use crate::evidence::{ChainedRecord, Content, DrillOutcome, LayerSeen};
use crate::report::LayerName;
use crate::terminal::single_line;

/// Times are Hong Kong's, as a spreadsheet reads them.
pub(super) const COLUMNS: [&str; 30] = [
    "number",
    "recorded_hkt",
    "kind",
    "origin",
    "subject",
    "outcome",
    "layer",
    "reason",
    "started_hkt",
    "ended_hkt",
    "duration_seconds",
    "dns",
    "tcp",
    "proxy",
    "tls",
    "http",
    "page",
    "page_checks",
    "page_sha256",
    "url",
    "host",
    "site",
    "source_addresses",
    "addresses",
    "certificate_sha256",
    "version",
    "reference",
    "previous",
    "hash",
    "altered",
];

/// The records as CSV, with a heading.
///
/// # Errors
/// A row cannot be serialized (a bug).
pub fn csv(selected: &Selected<'_>) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for row in rows(selected) {
        writer.write_record(row)?;
    }
    finished(writer)
}

/// The cells of each record.
pub(super) fn rows(selected: &Selected<'_>) -> impl Iterator<Item = [String; COLUMNS.len()]> {
    selected.records.iter().map(|record| {
        let mut row = row(record);
        if selected.audit.is_altered(record) {
            row.put("altered", "altered");
        }
        COLUMNS.map(|column| row.of(column))
    })
}

pub(super) fn finished(writer: csv::Writer<Vec<u8>>) -> anyhow::Result<String> {
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// The cells that are not empty, by their columns.
#[derive(Default)]
struct Row(Vec<(&'static str, String)>);

impl Row {
    fn of(&self, column: &str) -> String {
        let cell = self.0.iter().find(|(name, _)| *name == column);
        cell.map(|(_, text)| text.clone()).unwrap_or_default()
    }

    fn put(&mut self, column: &'static str, text: impl ToString) {
        self.0
            .push((column, single_line(&text.to_string()).into_owned()));
    }
}

fn row(record: &ChainedRecord) -> Row {
    let mut row = Row::default();
    row.put("number", record.number);
    row.put("recorded_hkt", hkt(record.recorded));
    row.put("kind", record.content.kind());
    row.put("subject", record.content.subject().unwrap_or_default());
    row.put("host", &record.host);
    row.put("site", record.site.as_deref().unwrap_or_default());
    row.put("version", &record.version);
    row.put("reference", reference(&record.content).unwrap_or_default());
    row.put("previous", &record.previous);
    row.put("hash", &record.hash);
    match &record.content {
        Content::Verification(it) => {
            row.put("outcome", it.outcome.into_str());
            if let Some(failure) = it.failure {
                row.put("layer", failure.layer.into_str());
                row.put("reason", failure.reason);
            }
            row.put("started_hkt", hkt(it.started));
            row.put("origin", it.origin.into_str());
            row.put("page_checks", checks(it));
            row.put("page_sha256", it.page_sha256.as_deref().unwrap_or_default());
            row.put("url", &it.url);
            for seen in &it.layers {
                row.put(seen.layer.into_str(), cell(seen));
            }
            row.put("source_addresses", addresses(&it.sources));
            row.put("addresses", addresses(&it.addresses));
            if let Some(certificate) = &it.certificate {
                row.put("certificate_sha256", &certificate.fingerprint_sha256);
            }
        }
        Content::Terminal(it) => row.put("outcome", it.outcome.into_str()),
        Content::TerminalBrowser(it) => {
            row.put("outcome", it.outcome.into_str());
            row.put("reason", it.failure.as_deref().unwrap_or_default());
            row.put("started_hkt", hkt(it.started));
            row.put("url", &it.url);
        }
        Content::OutageBegan(it) => {
            row.put("layer", it.failure.layer.into_str());
            row.put("reason", it.failure.reason);
            row.put("started_hkt", hkt(it.since));
            row.put("url", &it.url);
        }
        Content::OutageEnded(it) => {
            row.put("layer", it.outage.failure.layer.into_str());
            row.put("reason", it.outage.failure.reason);
            row.put("started_hkt", hkt(it.outage.since));
            row.put("ended_hkt", hkt(it.until));
            let duration = it.duration_seconds.map(|seconds| seconds.to_string());
            row.put("duration_seconds", duration.unwrap_or_default());
            row.put("url", &it.outage.url);
        }
        Content::Drill(it) => row.put(
            "outcome",
            match it.outcome {
                DrillOutcome::Good => "good",
                DrillOutcome::Failed => "failed",
            },
        ),
        Content::ClockStepped(it) => {
            row.put("started_hkt", hkt(it.from));
            row.put("ended_hkt", hkt(it.to));
        }
        Content::Repair(_) | Content::Unknown(_) => {}
    }
    row
}

fn hkt(at: Timestamp) -> String {
    let local = HKT.to_datetime(at);
    local.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn cell(seen: &LayerSeen) -> String {
    match seen.layer {
        // A page's time is no measurement.
        LayerName::Page => seen.state.title().to_owned(),
        _ => super::layer(seen),
    }
}
