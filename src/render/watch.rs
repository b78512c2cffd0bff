//! What `verify --watch` prints after the first reports: what changed, and a summary at the end.

use std::time::Duration;

use jiff::Timestamp;

use super::layer_name;
use super::page::{BAD, GOOD, Page, STRONG, WARN, Width, clock, format_duration, instant};
use super::status::approximate;
use super::text::contact_name;
use crate::config::Contacts;
use crate::report::advice;
use crate::report::history::Change;
use crate::report::{PageVerdict, Report, TargetStats, Verdict};

/// A report and what it is compared with.
pub struct Compared<'a> {
    pub report: &'a Report,
    pub previous: &'a Report,
    /// Since when the target had been failing before this report.
    pub failing_since: Option<Timestamp>,
    /// Facts that differ from the last success, new in this report.
    pub changes: &'a [Change],
}

/// A line for each change; empty without one.
pub fn changes(compared: &Compared<'_>, contacts: &Contacts, width: Width) -> String {
    let Compared {
        report, previous, ..
    } = compared;
    let mut page = Page::new(width);
    let mut line = |text: &str| {
        let target = &report.target;
        let at = clock(report.started);
        page.hanging(&format!("{at}  {STRONG}{target}{STRONG:#}  {text}"));
    };
    if report.verdict != previous.verdict {
        line(&verdict(compared, contacts));
    }
    for change in compared.changes {
        let fact = change.fact.title();
        line(&format!(
            "{fact}: {} before, {} now",
            change.before, change.now
        ));
    }
    for found in &report.findings {
        if !previous.has(found.finding) {
            let code = found.finding.into_str();
            line(&format!("{WARN}finding {code}{WARN:#}: {}", found.detail));
        }
    }
    for code in gone(previous, report) {
        line(&format!("finding {code} is gone"));
    }
    page.text
}

fn gone(previous: &Report, report: &Report) -> Vec<&'static str> {
    let findings = previous.findings.iter().map(|found| found.finding);
    let gone = findings.filter(|finding| !report.has(*finding));
    gone.map(|finding| finding.into_str()).collect()
}

fn verdict(compared: &Compared<'_>, contacts: &Contacts) -> String {
    let report = compared.report;
    match report.verdict {
        Verdict::Failed { layer, reason } => {
            let advice = advice::of_report(report);
            let advice = advice.map_or(String::new(), |advice| {
                let contact = contact_name(advice.contact, contacts);
                format!(". Contact {contact}. {}", advice.action)
            });
            let (layer, reason) = (layer_name(layer), reason.into_str());
            format!("{BAD}FAILED at {layer}{BAD:#} ({reason}){advice}")
        }
        Verdict::Good { page } => {
            let page = match page {
                PageVerdict::Checked => "",
                PageVerdict::Unchecked => ", page not checked",
            };
            let duration = format_duration(report.duration);
            let outage = compared.failing_since.map_or(String::new(), |since| {
                let lasted = report.started.duration_since(since);
                let lasted = approximate(Duration::try_from(lasted).unwrap_or_default());
                format!("; it failed for {lasted}, since {}", instant(since))
            });
            format!("{GOOD}OK{GOOD:#}{page}, {duration}{outage}")
        }
    }
}

/// The state of all targets, for the line that is replaced: `5 probes, 5 OK, 0 failed`.
pub fn progress<'a>(stats: impl Iterator<Item = &'a TargetStats>) -> String {
    let (mut all, mut good) = (0, 0);
    for one in stats {
        all += one.attempts;
        good += one.successes;
    }
    format!("{}, {good} OK, {} failed", probes(all), all - good)
}

/// One line for each target.
pub fn summary<'a>(
    targets: impl Iterator<Item = (&'a str, &'a TargetStats)>,
    lasted: Duration,
    width: Width,
) -> String {
    let mut page = Page::new(width);
    page.line(&format!(
        "\n{STRONG}Summary of {}{STRONG:#}",
        approximate(lasted)
    ));
    for (target, stats) in targets {
        let all = stats.attempts.max(1) as f64;
        let share = 100.0 * stats.successes as f64 / all;
        let average = Duration::from_secs_f64(stats.durations.sum / all);
        let mut text = format!(
            "{}, {} OK ({share:.1} %), average {}",
            probes(stats.attempts),
            stats.successes,
            format_duration(average)
        );
        for (reason, count) in &stats.failures {
            text += &format!(", {BAD}{} {count}{BAD:#}", reason.into_str());
        }
        page.hanging(&format!("{target}  {text}"));
    }
    page.text
}

fn probes(count: u64) -> String {
    match count {
        1 => "1 probe".to_owned(),
        count => format!("{count} probes"),
    }
}
