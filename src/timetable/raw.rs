//! The timetable's file before validation, and its validation.
//!
//! In a valid timetable every date exists, every id is unique and every referenced event exists. Unknown
//! keys are errors. The submodules validate one kind of entry each.

mod deadline;
mod event;
mod statement;
mod value;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use self::value::{below, date, enquiry, id, label, optional, text};
use super::entry::{Event, Phase, Status};
use super::form::Interval;
use super::{Header, Timetable};
use crate::diagnostics::{Diagnostic, Diagnostics, Text};
use crate::hex::sha256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTimetable {
    reference: Text,
    issuer: Text,
    issued: Text,
    status: Status,
    subject: Text,
    supersedes: Option<Text>,
    enquiry: Option<Text>,
    language_note: Option<Text>,
    #[serde(default = "preparation")]
    phase_at_issue: Phase,
    #[serde(default)]
    deadlines: Vec<RawDeadline>,
    #[serde(default)]
    events: Vec<RawAppointment>,
    #[serde(default)]
    milestones: Vec<RawMilestone>,
    #[serde(default)]
    phases: Vec<RawPhase>,
}

fn preparation() -> Phase {
    Phase::Preparation
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDeadline {
    id: Text,
    title: Text,
    status: Status,
    opens: Option<RawStatement>,
    due: Vec<RawStatement>,
    recommended: Option<RawRecommendation>,
    impact: Option<Text>,
    note: Option<Text>,
    alert_until: RawAlertEnd,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRecommendation {
    before_start_of: Text,
    words: Text,
    sentences: Vec<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawAlertEnd {
    EndOf(Text),
    On(Text),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAppointment {
    id: Text,
    title: Text,
    status: Status,
    said: RawStatement,
    doors: Option<Text>,
    starts: Text,
    ends: Text,
    place: Option<Text>,
    language: Option<Text>,
    attendees_at_most: Option<u32>,
    note: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMilestone {
    id: Text,
    title: Text,
    awaited_from: Text,
    status: Status,
    said: RawStatement,
    note: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPhase {
    id: Text,
    title: Text,
    begins: Spanned<Phase>,
    status: Status,
    said: RawStatement,
    note: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStatement {
    form: RawForm,
    words: Text,
    sentences: Vec<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawForm {
    Before(Text),
    By(Text),
    On(Text),
    From(Text),
    Early(Text),
    Mid(Text),
    Late(Text),
    Month(Text),
    Range {
        from: Box<RawForm>,
        to: Box<RawForm>,
    },
}

impl RawTimetable {
    /// Reports every error of the header, and the first one of each entry.
    pub(super) fn validate(self, source: &str, diagnostics: &mut Diagnostics) -> Option<Timetable> {
        let header = self.header(source, diagnostics);
        self.check_ids(diagnostics);
        let events = self.events(diagnostics);
        let header = header?;
        let mut deadlines = Vec::new();
        for raw in &self.deadlines {
            // An event that is itself invalid is reported once, not for each deadline.
            let is_invalid = |id: &Text| {
                let exists = self.ids().any(|known| known.value == id.value);
                exists && !events.iter().any(|event| event.id == id.value)
            };
            if !raw.referenced_events().any(is_invalid) {
                let deadline = raw.validate(header.issued, &events);
                deadlines.extend(diagnostics.ok(below("deadlines", &raw.id, deadline)));
            }
        }
        Some(Timetable {
            header,
            deadlines,
            events,
            source: source.into(),
        })
    }

    fn header(&self, source: &str, diagnostics: &mut Diagnostics) -> Option<Header> {
        let reference = diagnostics.ok(label(&self.reference, "reference"));
        let issuer = diagnostics.ok(label(&self.issuer, "issuer"));
        let issued = diagnostics.ok(date(&self.issued, "issued"));
        let subject = diagnostics.ok(text(&self.subject, "subject"));
        let supersedes = diagnostics.ok(optional(&self.supersedes, "supersedes", label));
        let enquiry = diagnostics.ok(optional(&self.enquiry, "enquiry", enquiry));
        let language_note = diagnostics.ok(optional(&self.language_note, "language_note", text));
        Some(Header {
            reference: reference?,
            issuer: issuer?,
            issued: issued?,
            status: self.status,
            subject: subject?,
            supersedes: supersedes?,
            enquiry: enquiry?,
            language_note: language_note?,
            phase_at_issue: self.phase_at_issue,
            hash: sha256(source.as_bytes()).chars().take(12).collect(),
        })
    }

    /// The valid events: appointments, milestones and starts of phases.
    fn events(&self, diagnostics: &mut Diagnostics) -> Vec<Event> {
        let mut events = Vec::new();
        for raw in &self.events {
            events.extend(diagnostics.ok(below("events", &raw.id, raw.validate())));
        }
        for raw in &self.milestones {
            events.extend(diagnostics.ok(below("milestones", &raw.id, raw.validate())));
        }
        let mut earlier = (self.phase_at_issue, None::<Interval>);
        for raw in &self.phases {
            let Some(event) = diagnostics.ok(below("phases", &raw.id, raw.validate())) else {
                continue;
            };
            let (phase, interval) = earlier;
            let starts_after = |earlier: Interval| event.announced.start >= earlier.end;
            if raw.begins.value <= phase || !interval.is_none_or(starts_after) {
                let message = "the phases must be in order: preparation, parallel_run, sole_2fa, each \
                               later than the one before and after `phase_at_issue`";
                let key = format!("phases.{}.begins", event.id);
                diagnostics.push(Diagnostic::at(&raw.begins, key, message));
            }
            earlier = (raw.begins.value, Some(event.announced));
            events.push(event);
        }
        events
    }

    /// Every id, in the order of the file.
    fn ids(&self) -> impl Iterator<Item = &Text> {
        let deadlines = self.deadlines.iter().map(|entry| &entry.id);
        let events = self.events.iter().map(|entry| &entry.id);
        let milestones = self.milestones.iter().map(|entry| &entry.id);
        let phases = self.phases.iter().map(|entry| &entry.id);
        deadlines.chain(events).chain(milestones).chain(phases)
    }

    fn check_ids(&self, diagnostics: &mut Diagnostics) {
        let mut lines: BTreeMap<&str, u64> = BTreeMap::new();
        for entry in self.ids() {
            if diagnostics.ok(id(entry)).is_none() {
                continue;
            }
            if let Some(line) = lines.insert(&entry.value, entry.referenced.line()) {
                let message = format!(
                    "duplicate id `{}`, first on line {line}; choose another",
                    entry.value
                );
                diagnostics.push(Diagnostic::at(entry, "id", message));
            }
        }
    }
}
