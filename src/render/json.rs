//! Reports as JSON, with the advice for each.

use jiff::Timestamp;
use serde::Serialize;

use super::overview;
use crate::config::{Contacts, Target};
use crate::report::advice;
use crate::report::history::{Change, SavedState, TargetHistory};
use crate::report::overview::Overview;
use crate::report::{Finding, Report, caveats};

/// Incremented when a field changes its meaning or is removed.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    generated: Timestamp,
    reports: Vec<ReportDocument<'a>>,
    #[serde(flatten)]
    overview: overview::OverviewDocument<'a>,
}

#[derive(Serialize)]
struct ReportDocument<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<Advice<'a>>,
    /// What to send to the contact; empty for a good report without findings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details_to_send: Vec<advice::Detail>,
    finding_advice: Vec<FindingAdvice<'a>>,
    /// Absent without history.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_good: Option<Timestamp>,
    /// What differs from the last success.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed: Vec<Change>,
    caveats: Vec<String>,
    manual_step: String,
}

#[derive(Serialize)]
struct Advice<'a> {
    #[serde(flatten)]
    advice: advice::Advice,
    /// The configured name and number of that contact.
    #[serde(skip_serializing_if = "Option::is_none")]
    contact_details: Option<&'a str>,
}

#[derive(Serialize)]
struct FindingAdvice<'a> {
    finding: Finding,
    #[serde(flatten)]
    advice: Advice<'a>,
}

/// The response for Prometheus's HTTP service discovery: each target is scraped through `/probe`.
///
/// # Errors
/// A value cannot be serialized, which is an internal error.
pub fn discovery(
    address: &str,
    probe_path: &str,
    scheme: &str,
    targets: &[SdTarget<'_>],
) -> serde_json::Result<Vec<u8>> {
    let groups = targets.iter().map(|(target, module)| {
        serde_json::json!({
            "targets": [address],
            "labels": {
                "__scheme__": scheme,
                "__metrics_path__": probe_path,
                "__param_target": target.name,
                "__param_module": module,
                "__meta_ccass2fa_target": target.name,
                "__meta_ccass2fa_url": target.url.as_str(),
                "__meta_ccass2fa_role": target.role.into_str(),
                "__meta_ccass2fa_group": target.group.as_deref().unwrap_or_default(),
                "instance": target.url.as_str(),
                "module": module,
            },
        })
    });
    serde_json::to_vec_pretty(&groups.collect::<Vec<_>>())
}

/// A target and the name of the module that probes it.
pub type SdTarget<'a> = (&'a Target, &'a str);

/// The history of a target: last success, transitions, recent failures.
///
/// # Errors
/// A value cannot be serialized, which is an internal error.
pub fn history(
    target: &str,
    history: &TargetHistory,
    generated: Timestamp,
) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct History<'a> {
        schema: u32,
        generated: Timestamp,
        target: &'a str,
        #[serde(flatten)]
        history: &'a TargetHistory,
    }
    serde_json::to_vec_pretty(&History {
        schema: SCHEMA,
        generated,
        target,
        history,
    })
}

/// The reports as one document.
///
/// # Errors
/// A value cannot be serialized, which is an internal error.
pub fn reports(
    reports: &[&Report],
    contacts: &Contacts,
    memory: &SavedState,
    generated: Timestamp,
) -> serde_json::Result<String> {
    let with_contact = |advice: advice::Advice| Advice {
        contact_details: contacts.of(advice.contact),
        advice,
    };
    let history = |report: &Report| memory.of(&report.target, &report.url);
    let document = Document {
        schema: SCHEMA,
        generated,
        reports: reports
            .iter()
            .copied()
            .map(|report| ReportDocument {
                report,
                advice: advice::of_report(report).map(with_contact),
                details_to_send: if report.verdict.is_good() && report.findings.is_empty() {
                    Vec::new()
                } else {
                    advice::details_to_send(report)
                },
                finding_advice: report
                    .findings
                    .iter()
                    .map(|found| FindingAdvice {
                        finding: found.finding,
                        advice: with_contact(advice::of_finding_in(report, found.finding)),
                    })
                    .collect(),
                last_good: history(report).and_then(|history| Some(history.last_good.as_ref()?.at)),
                changed: history(report).map_or_else(Vec::new, |history| history.diff(report)),
                caveats: caveats::caveats(report),
                manual_step: caveats::manual_step(report),
            })
            .collect(),
        overview: overview::OverviewDocument::of(&Overview::of(reports.iter().copied())),
    };
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}
