//! What a timetable consists of: deadlines, which a firm must meet, and events,
//! which happen (appointments, milestones awaited, starts of phases).
//!
//! In: what the circular says, already read. Out: plain fields. How an entry
//! stands at an instant is left to [`super::Standing`].

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::form::{Form, Interval, Precision};
use crate::calendar::{day_end, midnight};

/// A dated statement of the circular: its words, and the form we read in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    pub form: Form,
    /// The circular's exact words for the date.
    pub words: String,
    /// The circular's exact sentences.
    pub sentences: Vec<String>,
}

/// A duty of the firm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadline {
    pub id: String,
    pub title: String,
    pub status: Status,
    /// When the duty can first be done: where the circular says nothing, its issue.
    pub opens: Timestamp,
    pub opens_said: Option<Statement>,
    /// Due by the earliest reading of what the circular says: this one counts.
    pub strict: Timestamp,
    /// Due by the latest reading; equal to `strict` where there is one reading.
    pub outer: Timestamp,
    /// Everything that the circular says about when it is due; never empty.
    pub due: Vec<Statement>,
    pub recommended: Option<Recommendation>,
    /// What the circular says follows when the deadline is missed.
    pub impact: Option<String>,
    pub note: Option<String>,
    /// When alerts about it fall silent, done or not.
    pub alert_until: Timestamp,
    pub(super) alert_until_end_of: Option<String>,
    /// As the firm answered; evidence may be laid over it the same way.
    pub done: bool,
}

/// A second, softer date for the same duty: before an event starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recommendation {
    pub before_start_of: String,
    /// The start of that event.
    pub before: Timestamp,
    pub words: String,
    pub sentences: Vec<String>,
}

/// Something that happens at a time which others set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub id: String,
    pub title: String,
    pub kind: EventKind,
    pub said: Statement,
    pub note: Option<String>,
    /// As the circular announced it.
    pub announced: Interval,
    pub(super) announced_status: Status,
    /// The day on which it really happened or will, by the firm's answer.
    pub actual: Option<Date>,
}

#[derive(Clone, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum EventKind {
    Appointment(Appointment),
    Milestone { awaited_from: String },
    PhaseStart { begins: Phase },
}

/// What people attend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appointment {
    pub doors: Option<Timestamp>,
    pub place: Option<String>,
    pub language: Option<String>,
    /// At most so many from one firm.
    pub attendees_at_most: Option<u32>,
    /// How many the firm sends, by its answer.
    pub attendees: Option<u32>,
}

/// Whether a date may still move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Status {
    Tentative,
    Confirmed,
}

/// The stages of the change, in their order.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr,
)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Phase {
    #[serde(rename = "preparation")]
    Preparation,
    #[serde(rename = "parallel_run")]
    ParallelRun,
    #[serde(rename = "sole_2fa")]
    #[strum(serialize = "sole_2fa")]
    Sole2fa,
}

impl Event {
    /// When it happens: the actual day where it is known, else as announced.
    pub fn interval(&self) -> Interval {
        self.actual.map_or(self.announced, |day| Interval {
            start: midnight(day),
            end: day_end(day),
        })
    }

    /// How exactly that is known.
    pub fn precision(&self) -> Precision {
        match (&self.kind, self.actual) {
            (_, Some(_)) => Precision::Day,
            (EventKind::Appointment(_), None) => Precision::Minute,
            (_, None) => self.said.form.precision(),
        }
    }

    /// Whether that may still move: an actual day no longer does.
    pub fn status(&self) -> Status {
        match self.actual {
            Some(_) => Status::Confirmed,
            None => self.announced_status,
        }
    }
}

impl Phase {
    /// All phases, for a state set.
    pub const ALL: [Self; 3] = [Self::Preparation, Self::ParallelRun, Self::Sole2fa];
}
