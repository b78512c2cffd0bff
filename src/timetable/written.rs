//! The timetable's file as it is written (YAML), and what is meant by it.
//!
//! In: the file's text. Out: a [`Timetable`] in which every date is real, every
//! id unique and every reference kept, or the first mistake with its line, its
//! key and what would be right. Unknown keys are mistakes. Who the firm is and
//! what it has done is left to [`super::Answers`].

mod deadline;
mod event;
mod statement;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::entry::{Phase, Status};
use super::error::TimetableError;
use super::form::Interval;
use super::value::{date, enquiry, id, label, optional, text};
use super::{Header, Timetable};

type Read<T> = Result<T, TimetableError>;
pub(super) type Text = Spanned<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimetableWritten {
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
    deadlines: Vec<DeadlineWritten>,
    #[serde(default)]
    events: Vec<AppointmentWritten>,
    #[serde(default)]
    milestones: Vec<MilestoneWritten>,
    #[serde(default)]
    phases: Vec<PhaseWritten>,
}

fn preparation() -> Phase {
    Phase::Preparation
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeadlineWritten {
    id: Text,
    title: Text,
    status: Status,
    opens: Option<StatementWritten>,
    due: Vec<StatementWritten>,
    recommended: Option<RecommendedWritten>,
    impact: Option<Text>,
    note: Option<Text>,
    alert_until: UntilWritten,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecommendedWritten {
    before_start_of: Text,
    words: Text,
    sentences: Vec<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum UntilWritten {
    EndOf(Text),
    On(Text),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppointmentWritten {
    id: Text,
    title: Text,
    status: Status,
    said: StatementWritten,
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
struct MilestoneWritten {
    id: Text,
    title: Text,
    awaited_from: Text,
    status: Status,
    said: StatementWritten,
    note: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PhaseWritten {
    id: Text,
    title: Text,
    begins: Spanned<Phase>,
    status: Status,
    said: StatementWritten,
    note: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatementWritten {
    form: FormWritten,
    words: Text,
    sentences: Vec<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum FormWritten {
    Before(Text),
    By(Text),
    On(Text),
    From(Text),
    Early(Text),
    Mid(Text),
    Late(Text),
    Month(Text),
    Range {
        from: Box<FormWritten>,
        to: Box<FormWritten>,
    },
}

impl TimetableWritten {
    pub(super) fn meant(self, hash: String) -> Read<Timetable> {
        let issued = date(&self.issued, "issued")?;
        let header = Header {
            reference: label(&self.reference, "reference")?,
            issuer: label(&self.issuer, "issuer")?,
            issued,
            status: self.status,
            subject: text(&self.subject, "subject")?,
            supersedes: optional(self.supersedes.as_ref(), "supersedes", label)?,
            enquiry: optional(self.enquiry.as_ref(), "enquiry", enquiry)?,
            language_note: optional(self.language_note.as_ref(), "language_note", text)?,
            phase_at_issue: self.phase_at_issue,
            hash,
        };
        unique(&self)?;
        let mut events = Vec::new();
        for written in &self.events {
            events.push(written.meant()?);
        }
        for written in &self.milestones {
            events.push(written.meant()?);
        }
        let mut phase = (header.phase_at_issue, None::<Interval>);
        for written in &self.phases {
            let event = written.meant()?;
            if written.begins.value <= phase.0
                || phase
                    .1
                    .is_some_and(|earlier| event.announced.start < earlier.end)
            {
                let key = format!("phases.{}.begins", event.id);
                let problem = "phases must follow one another: preparation, parallel_run, sole_2fa, \
                               each later than the one before and after `phase_at_issue`";
                return Err(TimetableError::at(&written.begins, key, problem));
            }
            phase = (written.begins.value, Some(event.announced));
            events.push(event);
        }
        let mut deadlines = Vec::new();
        for written in &self.deadlines {
            deadlines.push(written.meant(issued, &events)?);
        }
        Ok(Timetable {
            header,
            deadlines,
            events,
        })
    }

    /// Every id, in the file's order.
    fn ids(&self) -> impl Iterator<Item = &Text> {
        let deadlines = self.deadlines.iter().map(|entry| &entry.id);
        let events = self.events.iter().map(|entry| &entry.id);
        let milestones = self.milestones.iter().map(|entry| &entry.id);
        let phases = self.phases.iter().map(|entry| &entry.id);
        deadlines.chain(events).chain(milestones).chain(phases)
    }
}

/// Ids are of the allowed characters and each is given once.
fn unique(written: &TimetableWritten) -> Read<()> {
    let mut lines: BTreeMap<&str, u64> = BTreeMap::new();
    for entry in written.ids() {
        id(entry)?;
        if let Some(line) = lines.insert(&entry.value, entry.referenced.line()) {
            let problem = format!(
                "`{}` is the id of line {line} already; ids must be unique",
                entry.value
            );
            return Err(TimetableError::at(entry, "id", problem));
        }
    }
    Ok(())
}
