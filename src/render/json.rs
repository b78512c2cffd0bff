//! Reports as JSON, with the advice for each.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{browser, overview};
use crate::config::{Contacts, Target};
use crate::report::advice;
use crate::report::history::{
    Availability, Change, ClockStep, DAY_SECONDS, Hour, LAYERS, LastSuccess, Minute, Outage,
    SavedState, Scope, SeenCertificate, TargetHistory, Transition,
};
use crate::report::overview::Overview;
use crate::report::{BrowserRun, Finding, Reason, Report, caveats};

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
    #[serde(skip_serializing_if = "Option::is_none")]
    browser_not_started: Option<BrowserNotStarted>,
}

/// Why `serve` did not open the page in a browser.
#[derive(Serialize)]
struct BrowserNotStarted {
    attempted: Timestamp,
    since: Timestamp,
    /// The code in metrics.
    error: &'static str,
    /// Also what to do.
    message: String,
}

impl BrowserNotStarted {
    fn of(run: &BrowserRun) -> Option<Self> {
        let why = run.result.as_ref().err()?;
        Some(Self {
            attempted: run.started,
            since: run.since,
            error: why.code(),
            message: browser::not_run(why, browser::PATH_KEY),
        })
    }
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

/// The history of a target: last success, transitions, outages, recent failures, availability; with a
/// `range`, the results in it too: of each minute up to a day, else of each hour.
///
/// # Errors
/// A value cannot be serialized, which is an internal error.
pub fn history(
    target: &str,
    history: &TargetHistory,
    range: Option<Duration>,
    generated: Timestamp,
) -> serde_json::Result<Vec<u8>> {
    let second = |ago: i64| generated.as_second().saturating_sub(ago);
    let range = range.map(|range| i64::try_from(range.as_secs()).unwrap_or(i64::MAX));
    let minutes = range.filter(|range| *range <= DAY_SECONDS).map(|range| {
        let first = second(range).div_euclid(60);
        let minutes = history.timeline.minutes.iter();
        let minutes = minutes.filter(|minute| minute.number >= first);
        minutes.map(MinuteDocument::of).collect()
    });
    let hours = range.filter(|range| *range > DAY_SECONDS).map(|range| {
        let first = second(range).div_euclid(3_600);
        let hours = history.timeline.hours.iter();
        let hours = hours.filter(|hour| hour.number >= first);
        hours.map(HourDocument::of).collect()
    });
    let availability = AVAILABILITY_DAYS.map(|days| {
        let from = Timestamp::from_second(second(days * DAY_SECONDS)).unwrap_or(Timestamp::MIN);
        AvailabilityDocument {
            days,
            always: history.timeline.availability(from, Scope::Always),
            in_service_hours: history.timeline.availability(from, Scope::ServiceHours),
        }
    });
    serde_json::to_vec_pretty(&HistoryDocument {
        schema: SCHEMA,
        generated,
        target,
        url: &history.url,
        last_good: history.last_good.as_ref(),
        last_probe: history.last_probe,
        changes: &history.changes,
        transitions: &history.transitions,
        outages: history.outages(),
        certificates: &history.certificates,
        availability,
        minutes,
        hours,
        failures: &history.failures,
        clock_steps: &history.clock_steps,
    })
}

const AVAILABILITY_DAYS: [i64; 4] = [1, 7, 30, 90];

#[derive(Serialize)]
struct HistoryDocument<'a> {
    schema: u32,
    generated: Timestamp,
    target: &'a str,
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_good: Option<&'a LastSuccess>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_probe: Option<Timestamp>,
    #[serde(skip_serializing_if = "<[Change]>::is_empty")]
    changes: &'a [Change],
    transitions: &'a VecDeque<Transition>,
    outages: Vec<Outage>,
    certificates: &'a VecDeque<SeenCertificate>,
    availability: [AvailabilityDocument; AVAILABILITY_DAYS.len()],
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes: Option<Vec<MinuteDocument>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hours: Option<Vec<HourDocument>>,
    failures: &'a VecDeque<Box<RawValue>>,
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    clock_steps: &'a VecDeque<ClockStep>,
}

/// By whole hours. Time in which nothing probed counts as neither.
#[derive(Serialize)]
struct AvailabilityDocument {
    days: i64,
    always: Availability,
    in_service_hours: Availability,
}

#[derive(Serialize)]
struct MinuteDocument {
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Reason>,
    duration_seconds: f64,
    /// Of the layers that were reached.
    layers: BTreeMap<&'static str, f64>,
}

impl MinuteDocument {
    fn of(minute: &Minute) -> Self {
        let layers = LAYERS.iter().zip(minute.layers);
        let layers = layers.filter(|(_, duration)| *duration > 0);
        Self {
            at: Timestamp::from_second(minute.number.saturating_mul(60)).unwrap_or_default(),
            failure: minute.failure,
            duration_seconds: f64::from(minute.total) / 10_000.0,
            layers: layers
                .map(|(layer, duration)| (layer.into_str(), f64::from(duration) / 10_000.0))
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct HourDocument {
    at: Timestamp,
    always: Availability,
    in_service_hours: Availability,
    /// The newest failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Reason>,
    successes: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_duration_seconds: Option<f64>,
}

impl HourDocument {
    fn of(hour: &Hour) -> Self {
        let mean = hour.total.checked_div(u64::from(hour.successes));
        Self {
            at: Timestamp::from_second(hour.number.saturating_mul(3_600)).unwrap_or_default(),
            always: hour.always,
            in_service_hours: hour.in_service_hours,
            failure: hour.failure,
            successes: hour.successes,
            mean_duration_seconds: mean.map(|mean| mean as f64 / 10_000.0),
        }
    }
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
                browser_not_started: report
                    .browser_not_started
                    .as_deref()
                    .and_then(BrowserNotStarted::of),
            })
            .collect(),
        overview: overview::OverviewDocument::of(&Overview::of(reports.iter().copied())),
    };
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}
