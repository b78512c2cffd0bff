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

/// Mistakes as they are found: reading goes on, so that all are told at once.
#[derive(Default)]
struct Mistakes(Vec<TimetableError>);

impl Mistakes {
    fn keep<T>(&mut self, read: Read<T>) -> Option<T> {
        read.map_err(|mistake| self.0.push(mistake)).ok()
    }
}

impl TimetableWritten {
    /// The timetable, or what is wrong in its header and in each of its entries: of one entry the first
    /// mistake.
    pub(super) fn meant(self, written: &str) -> Result<Timetable, Vec<TimetableError>> {
        let mut mistakes = Mistakes::default();
        let header = self.header(short_hash(written), &mut mistakes);
        self.refuse_twins(&mut mistakes);
        let events = self.events(&mut mistakes);
        let mut deadlines = Vec::new();
        if let Some(header) = &header {
            // What refers to an entry that cannot be read waits until that can.
            let known = |of: &Text| events.iter().any(|event| event.id == of.value);
            let is_waiting = |deadline: &&DeadlineWritten| {
                let mut refers = deadline.refers_to();
                refers.any(|of| !known(of) && self.ids().any(|id| id.value == of.value))
            };
            for written in &self.deadlines {
                if !is_waiting(&written) {
                    deadlines.extend(mistakes.keep(written.meant(header.issued, &events)));
                }
            }
        }
        match header {
            Some(header) if mistakes.0.is_empty() => Ok(Timetable {
                header,
                deadlines,
                events,
                written: written.into(),
            }),
            _ => {
                mistakes
                    .0
                    .sort_by_key(|mistake| (mistake.line, mistake.column));
                Err(mistakes.0)
            }
        }
    }

    fn header(&self, hash: String, mistakes: &mut Mistakes) -> Option<Header> {
        let reference = mistakes.keep(label(&self.reference, "reference"));
        let issuer = mistakes.keep(label(&self.issuer, "issuer"));
        let issued = mistakes.keep(date(&self.issued, "issued"));
        let subject = mistakes.keep(text(&self.subject, "subject"));
        let supersedes = mistakes.keep(optional(self.supersedes.as_ref(), "supersedes", label));
        let asked = mistakes.keep(optional(self.enquiry.as_ref(), "enquiry", enquiry));
        let note = self.language_note.as_ref();
        let language_note = mistakes.keep(optional(note, "language_note", text));
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
    fn events(&self, mistakes: &mut Mistakes) -> Vec<Event> {
        let mut events = Vec::new();
        for written in &self.events {
            events.extend(mistakes.keep(written.meant()));
        }
        for written in &self.milestones {
            events.extend(mistakes.keep(written.meant()));
        }
        let mut phase = (self.phase_at_issue, None::<Interval>);
        for written in &self.phases {
            let Some(event) = mistakes.keep(written.meant()) else {
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
                let mistake = TimetableError::at(&written.begins, key, problem);
                mistakes.0.push(mistake);
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
    fn refuse_twins(&self, mistakes: &mut Mistakes) {
        let mut lines: BTreeMap<&str, u64> = BTreeMap::new();
        for entry in self.ids() {
            if mistakes.keep(id(entry)).is_none() {
                continue;
            }
            if let Some(line) = lines.insert(&entry.value, entry.referenced.line()) {
                let problem = format!(
                    "`{}` is the id of line {line} already; ids must be unique",
                    entry.value
                );
                mistakes.0.push(TimetableError::at(entry, "id", problem));
            }
        }
    }
}

impl DeadlineWritten {
    /// The events that it hangs on.
    fn refers_to(&self) -> impl Iterator<Item = &Text> {
        let until = match &self.alert_until {
            UntilWritten::EndOf(of) => Some(of),
            UntilWritten::On(_) => None,
        };
        let recommended = self.recommended.as_ref();
        until
            .into_iter()
            .chain(recommended.map(|written| &written.before_start_of))
    }
}
