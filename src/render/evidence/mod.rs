//! Evidence as a list, as the result of a check, and as a report in HTML, JSON or CSV.
//!
//! The descriptions of a record come from this file only, so that all formats agree.

mod browser_checks;
mod csv;
mod html;
mod json;
mod merged;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use maud::{Markup, html};

use super::page::{BAD, GOOD, Page, instant};
use crate::config::Target;
use crate::evidence::{
    Audit, ChainedRecord, Content, DrillOutcome, LayerSeen, LayerState, OutageEnd, Outcome,
    TerminalOutcome, Verification,
};

pub use csv::csv;
pub use html::html;
pub use json::json;
pub use merged::{Merged, SiteEvidence};

/// The selected records and their context.
pub struct Selected<'a> {
    /// All records, selected or not.
    pub audit: &'a Audit,
    pub records: Vec<&'a ChainedRecord>,
    pub from: Option<Date>,
    pub to: Option<Date>,
    pub of: Option<&'a str>,
    /// From the configuration.
    pub targets: &'a [Arc<Target>],
    pub terminals: &'a [String],
    pub site: Option<&'a str>,
    /// Pictures of automatic checks, as PNG in base64, by their SHA-256.
    pub pictures: BTreeMap<String, String>,
    pub generated: Timestamp,
}

impl Selected<'_> {
    /// `all records`, or the selection.
    pub fn selection(&self) -> String {
        let parts = [
            self.from.map(|day| format!("from {day}")),
            self.to.map(|day| format!("to {day}")),
            self.of.map(|name| format!("of {name}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() {
            "all records".to_owned()
        } else {
            format!("records {}", parts.join(" "))
        }
    }

    /// The targets and terminals of all records, each once.
    pub fn subjects(&self) -> Vec<&str> {
        let subjects = self.audit.records.iter();
        let subjects = subjects.filter_map(|record| record.content.subject());
        subjects.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The intact records; altered ones prove nothing.
    fn intact(&self) -> impl Iterator<Item = &ChainedRecord> {
        let is_intact = |record: &&ChainedRecord| !self.audit.is_altered(record);
        self.records.iter().copied().filter(is_intact)
    }

    /// The checks of each terminal, newest first: configured terminals, then any other.
    fn terminal_checks(&self) -> Vec<(&str, Vec<&ChainedRecord>)> {
        let mut list: Vec<(&str, Vec<&ChainedRecord>)> = self
            .terminals
            .iter()
            .filter(|name| self.of.is_none_or(|of| of == name.as_str()))
            .map(|name| (name.as_str(), Vec::new()))
            .collect();
        for record in self.intact() {
            let Content::Terminal(check) = &record.content else {
                continue;
            };
            match list.iter_mut().find(|(name, _)| *name == check.terminal) {
                Some((_, checks)) => checks.insert(0, record),
                None => list.push((&check.terminal, vec![record])),
            }
        }
        list
    }

    /// Each target with its latest full pass: configured login targets, then any other with a recorded
    /// probe.
    fn passes(&self) -> Vec<(&str, &str, Option<&ChainedRecord>)> {
        let logins = self.targets.iter().filter(|target| target.is_login());
        let mut list: Vec<(&str, &str, Option<&ChainedRecord>)> = logins
            .filter(|target| self.of.is_none_or(|of| of == target.name))
            .map(|target| (target.name.as_str(), target.url.as_str(), None))
            .collect();
        for record in self.intact() {
            let Content::Verification(it) = &record.content else {
                continue;
            };
            let pass = (it.outcome == Outcome::FullPass).then_some(record);
            let same = |one: &&mut (&str, &str, Option<&ChainedRecord>)| {
                one.0 == it.target && one.1 == it.url
            };
            match list.iter_mut().find(same) {
                Some(entry) => entry.2 = pass.or(entry.2),
                None => list.push((&it.target, &it.url, pass)),
            }
        }
        list
    }

    /// What is missing for a verified connection: targets without a full pass, terminals whose latest check
    /// did not see the page.
    fn missing(&self) -> Vec<String> {
        let passes = self
            .passes()
            .into_iter()
            .filter(|(_, _, pass)| pass.is_none());
        let passes = passes.map(|(target, ..)| format!("a full pass of {target}"));
        let terminals = self.terminal_checks().into_iter();
        let terminals = terminals
            .filter(|(_, checks)| !is_seen(checks))
            .map(|(terminal, _)| format!("the login page at terminal {terminal}"));
        passes.chain(terminals).collect()
    }
}

/// Whether the newest check, the first one, saw the page.
fn is_seen(checks: &[&ChainedRecord]) -> bool {
    let newest = checks.first().map(|newest| &newest.content);
    matches!(newest, Some(Content::Terminal(check)) if check.outcome == TerminalOutcome::Seen)
}

/// One line per record, oldest first.
pub fn list(selected: &Selected<'_>) -> String {
    let mut page = Page::default();
    for record in &selected.records {
        page.line(&format!(
            "{:>6}  {}  {}{}",
            record.number,
            instant(record.recorded),
            if selected.audit.is_altered(record) {
                "ALTERED: "
            } else {
                ""
            },
            describe(record)
        ));
    }
    page.line(&format!(
        "{} of {}; newest {}",
        count(selected.records.len(), "record"),
        selected.audit.records.len(),
        head(selected.audit)
    ));
    page.text
}

/// The result of a check.
pub fn check(audit: &Audit) -> String {
    let mut page = Page::default();
    for fault in &audit.faults {
        page.line(&format!("{BAD}{fault}{BAD:#}"));
    }
    for place in &audit.backward {
        page.line(&place.to_string());
    }
    if let Some(number) = audit.head_found_at {
        let later = audit.head.number - number;
        page.line(&format!(
            "The given hash is that of record {number}; {} followed.",
            count(usize::try_from(later).unwrap_or(usize::MAX), "record")
        ));
    }
    let files = match audit.files.as_slice() {
        [] => "no file".to_owned(),
        files => files.join(", "),
    };
    page.line(&format!(
        "{} in {files}; newest {}",
        count(audit.records.len(), "record"),
        head(audit)
    ));
    match audit.faults.len() {
        0 if audit.records.is_empty() => page.line("There is no record."),
        0 => page.line(&format!("{GOOD}Every record is intact.{GOOD:#}")),
        faults => page.line(&format!("{BAD}{}.{BAD:#}", count(faults, "fault"))),
    }
    page.text
}

fn head(audit: &Audit) -> String {
    match audit.head.number {
        0 => "none".to_owned(),
        number => format!("{number}, hash {}", audit.head.hash),
    }
}

fn count(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => match noun.strip_suffix('y') {
            Some(stem) => format!("{count} {stem}ies"),
            None => format!("{count} {noun}s"),
        },
    }
}

/// A record in one line.
fn describe(record: &ChainedRecord) -> String {
    let mut text = match &record.content {
        Content::Verification(it) => format!("verification of {}: {}", it.target, outcome(it)),
        Content::Terminal(it) => format!(
            "terminal {}: login page {}",
            it.terminal,
            terminal_outcome(it.outcome)
        ),
        Content::TerminalBrowser(it) => format!(
            "terminal {}, automatic check in {} {}: login page {}{}",
            it.terminal,
            it.browser,
            it.browser_version,
            terminal_outcome(it.outcome),
            it.failure
                .as_ref()
                .map_or_else(String::new, |code| format!(", {code}"))
        ),
        Content::OutageBegan(it) => format!(
            "outage of {} since {}: failed at {}, {}",
            it.target,
            instant(it.since),
            it.failure.layer.into_str(),
            it.failure.reason
        ),
        Content::OutageEnded(it) => {
            format!(
                "outage of {} ended: {} to {}",
                it.outage.target,
                instant(it.outage.since),
                instant(it.until)
            ) + &lasted(it)
        }
        Content::ClockStepped(it) => format!(
            "the host's clock was set {} by {}: {} became {}",
            if it.to < it.from { "back" } else { "forward" },
            minutes((it.length().as_secs_f64().round() as i64).abs()),
            instant(it.from),
            instant(it.to)
        ),
        Content::Drill(it) => format!(
            "drill, severity {}, at {}: {}",
            it.severity,
            it.alertmanager,
            drill(it.outcome)
        ),
        Content::Repair(it) => format!(
            "a partial line of {} bytes was moved from {} to {}",
            it.torn_bytes, it.file, it.aside
        ),
        Content::Unknown(kind) => format!("{kind}, unknown to this version"),
    };
    if let Some(reference) = reference(&record.content) {
        text.push_str(&format!(" ({reference})"));
    }
    text
}

/// `, lasted 20 s` if the clock was set meanwhile.
fn lasted(end: &OutageEnd) -> String {
    let by_clock = end.until.as_second() - end.outage.since.as_second();
    match end.duration_seconds {
        Some(seconds) if seconds != by_clock => {
            format!(
                ", lasted {} (the clock was set meanwhile)",
                minutes(seconds)
            )
        }
        _ => String::new(),
    }
}

fn minutes(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

fn outcome(verification: &Verification) -> String {
    match (verification.outcome, &verification.failure) {
        (Outcome::FullPass, _) => "full pass".to_owned(),
        (Outcome::PageUnchecked, _) => "reached, page not checked".to_owned(),
        (Outcome::Closed, _) => "closed as expected".to_owned(),
        (Outcome::Failed, Some(failure)) => {
            format!("failed at {}, {}", failure.layer.into_str(), failure.reason)
        }
        (Outcome::Failed, None) => "failed".to_owned(),
    }
}

/// State and duration: `good, 0.9 ms`.
fn layer(seen: &LayerSeen) -> String {
    let mut text = seen.state.title().to_owned();
    if let Some(reason) = seen.reason {
        text.push_str(&format!(": {reason}"));
    }
    let took = seen
        .duration_seconds
        .filter(|_| matches!(seen.state, LayerState::Good | LayerState::Failed))
        .and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok());
    if let Some(took) = took {
        text.push_str(&format!(", {}", super::page::format_duration(took)));
    }
    text
}

/// `3 of 4 passed, not title`; empty without checks.
fn checks(verification: &Verification) -> String {
    let failing: Vec<&str> = verification
        .checks
        .iter()
        .filter(|one| !one.passed)
        .map(|one| one.check.as_str())
        .collect();
    let all = verification.checks.len();
    match (all, failing.is_empty()) {
        (0, _) => String::new(),
        (_, true) => format!("{all} of {all} passed"),
        (_, false) => format!(
            "{} of {all} passed, not {}",
            all - failing.len(),
            failing.join(", ")
        ),
    }
}

fn altered() -> Markup {
    html! { span.state.bad { "altered: proves nothing" } }
}

fn terminal_outcome(outcome: TerminalOutcome) -> &'static str {
    match outcome {
        TerminalOutcome::Seen => "seen",
        TerminalOutcome::NotSeen => "NOT seen",
    }
}

fn drill(outcome: DrillOutcome) -> &'static str {
    match outcome {
        DrillOutcome::Good => "accepted, shown, resolved",
        DrillOutcome::Failed => "FAILED",
    }
}

fn reference(content: &Content) -> Option<String> {
    let reference = match content {
        Content::Verification(it) => it.reference.as_ref(),
        Content::Terminal(it) => it.reference.as_ref(),
        Content::TerminalBrowser(it) => it.reference.as_ref(),
        Content::Drill(it) => it.reference.as_ref(),
        Content::OutageBegan(_)
        | Content::OutageEnded(_)
        | Content::ClockStepped(_)
        | Content::Repair(_)
        | Content::Unknown(_) => None,
    };
    reference.map(ToString::to_string)
}

fn addresses(list: &[std::net::IpAddr]) -> String {
    let list: Vec<String> = list.iter().map(ToString::to_string).collect();
    list.join(" ")
}
