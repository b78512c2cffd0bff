//! The timetable's file as it is written (YAML), and what is meant by it.
//!
//! In: the file's text. Out: a [`Timetable`] in which every date is real, every
//! id unique and every reference kept, or the mistakes, each with its line, its
//! key and what would be right. Unknown keys are mistakes. Who the firm is and
//! what it has done is left to [`super::Answers`].

mod deadline;
mod event;
mod statement;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::entry::{Event, Phase, Status};
use super::error::TimetableError;
use super::form::Interval;
use super::value::{date, enquiry, id, label, optional, text};
use super::{Header, Timetable, short_hash};

type Read<T> = Result<T, TimetableError>;
pub(super) type Text = Spanned<String>;

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
    recommended: Option<RawRecommended>,
    impact: Option<Text>,
    note: Option<Text>,
    alert_until: RawUntil,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRecommended {
    before_start_of: Text,
    words: Text,
    sentences: Vec<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawUntil {
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

/// Mistakes as they are found: reading goes on, so that all are told at once.
#[derive(Default)]
struct Diagnostics(Vec<TimetableError>);

impl Diagnostics {
    fn keep<T>(&mut self, read: Read<T>) -> Option<T> {
        read.map_err(|diagnostic| self.0.push(diagnostic)).ok()
    }
}

impl RawTimetable {
    /// The timetable, or what is wrong in its header and in each of its entries: of one entry the first
    /// mistake.
    pub(super) fn validate(self, written: &str) -> Result<Timetable, Vec<TimetableError>> {
        let mut diagnostics = Diagnostics::default();
        let header = self.header(short_hash(written), &mut diagnostics);
        self.check_duplicates(&mut diagnostics);
        let events = self.events(&mut diagnostics);
        let mut deadlines = Vec::new();
        if let Some(header) = &header {
            // What refers to an entry that cannot be read waits until that can.
            let known = |of: &Text| events.iter().any(|event| event.id == of.value);
            let is_waiting = |deadline: &&RawDeadline| {
                let mut refers = deadline.refers_to();
                refers.any(|of| !known(of) && self.ids().any(|id| id.value == of.value))
            };
            for written in &self.deadlines {
                if !is_waiting(&written) {
                    deadlines.extend(diagnostics.keep(written.validate(header.issued, &events)));
                }
            }
        }
        match header {
            Some(header) if diagnostics.0.is_empty() => Ok(Timetable {
                header,
                deadlines,
                events,
                written: written.into(),
            }),
            _ => {
                diagnostics
                    .0
                    .sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
                Err(diagnostics.0)
            }
        }
    }

    fn header(&self, hash: String, diagnostics: &mut Diagnostics) -> Option<Header> {
        let reference = diagnostics.keep(label(&self.reference, "reference"));
        let issuer = diagnostics.keep(label(&self.issuer, "issuer"));
        let issued = diagnostics.keep(date(&self.issued, "issued"));
        let subject = diagnostics.keep(text(&self.subject, "subject"));
        let supersedes = diagnostics.keep(optional(self.supersedes.as_ref(), "supersedes", label));
        let asked = diagnostics.keep(optional(self.enquiry.as_ref(), "enquiry", enquiry));
        let note = self.language_note.as_ref();
        let language_note = diagnostics.keep(optional(note, "language_note", text));
        Some(Header {
            reference: reference?,
            issuer: issuer?,
            issued: issued?,
            status: self.status,
            subject: subject?,
            supersedes: supersedes?,
            enquiry: asked?,
            language_note: language_note?,
            phase_at_issue: self.phase_at_issue,
            hash,
        })
    }

    /// Appointments, milestones and starts of phases, as far as they can be read.
    fn events(&self, diagnostics: &mut Diagnostics) -> Vec<Event> {
        let mut events = Vec::new();
        for written in &self.events {
            events.extend(diagnostics.keep(written.validate()));
        }
        for written in &self.milestones {
            events.extend(diagnostics.keep(written.validate()));
        }
        let mut phase = (self.phase_at_issue, None::<Interval>);
        for written in &self.phases {
            let Some(event) = diagnostics.keep(written.validate()) else {
                continue;
            };
            let follows = written.begins.value > phase.0
                && phase
                    .1
                    .is_none_or(|earlier| event.announced.start >= earlier.end);
            if !follows {
                let key = format!("phases.{}.begins", event.id);
                let problem = "phases must follow one another: preparation, parallel_run, sole_2fa, \
                               each later than the one before and after `phase_at_issue`";
                let diagnostic = TimetableError::at(&written.begins, key, problem);
                diagnostics.0.push(diagnostic);
            }
            phase = (written.begins.value, Some(event.announced));
            events.push(event);
        }
        events
    }

    /// Every id, in the file's order.
    fn ids(&self) -> impl Iterator<Item = &Text> {
        let deadlines = self.deadlines.iter().map(|entry| &entry.id);
        let events = self.events.iter().map(|entry| &entry.id);
        let milestones = self.milestones.iter().map(|entry| &entry.id);
        let phases = self.phases.iter().map(|entry| &entry.id);
        deadlines.chain(events).chain(milestones).chain(phases)
    }

    /// Ids are of the allowed characters and each is given once.
    fn check_duplicates(&self, diagnostics: &mut Diagnostics) {
        let mut lines: BTreeMap<&str, u64> = BTreeMap::new();
        for entry in self.ids() {
            if diagnostics.keep(id(entry)).is_none() {
                continue;
            }
            if let Some(line) = lines.insert(&entry.value, entry.referenced.line()) {
                let problem = format!(
                    "`{}` is the id of line {line} already; ids must be unique",
                    entry.value
                );
                diagnostics.0.push(TimetableError::at(entry, "id", problem));
            }
        }
    }
}

impl RawDeadline {
    /// The events that it hangs on.
    fn refers_to(&self) -> impl Iterator<Item = &Text> {
        let until = match &self.alert_until {
            RawUntil::EndOf(of) => Some(of),
            RawUntil::On(_) => None,
        };
        let recommended = self.recommended.as_ref();
        until
            .into_iter()
            .chain(recommended.map(|written| &written.before_start_of))
    }
}
