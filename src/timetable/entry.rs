//! The entries of a timetable: deadlines, which a firm must meet, and events (appointments, milestones,
//! starts of phases).

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::form::{Form, Interval, Precision};
use crate::calendar::{day_end, midnight};

/// A dated statement of the circular, quoted, and the form in which it is interpreted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    pub form: Form,
    /// The exact words for the date.
    pub words: String,
    /// The exact sentences.
    pub sentences: Vec<String>,
}

/// A date by which the firm must have done something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadline {
    pub id: String,
    pub title: String,
    pub status: Status,
    /// From when on it can be done; by default, from the circular's issue.
    pub opens: Timestamp,
    pub opens_said: Option<Statement>,
    /// When it is due by the earliest interpretation, which counts.
    pub strict: Timestamp,
    /// When it is due by the latest interpretation; equal to `strict` if there is only one.
    pub outer: Timestamp,
    /// All statements about when it is due; never empty.
    pub due: Vec<Statement>,
    pub recommended: Option<Recommendation>,
    /// The consequence of missing it, according to the circular.
    pub impact: Option<String>,
    pub note: Option<String>,
    /// When its alerts end, whether it is done or not.
    pub alert_until: Timestamp,
    /// The event at whose end the alerts end.
    pub(super) alert_until_end_of: Option<String>,
    /// Set by the firm or by evidence.
    pub done: bool,
}

/// A recommended date for a deadline: before an event starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recommendation {
    pub before_start_of: String,
    /// The start of that event.
    pub before: Timestamp,
    pub words: String,
    pub sentences: Vec<String>,
}

/// Something that happens at a time set by others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub id: String,
    pub title: String,
    pub kind: EventKind,
    pub said: Statement,
    pub note: Option<String>,
    /// According to the circular.
    pub announced: Interval,
    pub(super) announced_status: Status,
    /// The actual day, set by the firm.
    pub actual: Option<Date>,
}

#[derive(Clone, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum EventKind {
    Appointment(Appointment),
    Milestone { awaited_from: String },
    PhaseStart { begins: Phase },
}

/// An event that people attend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appointment {
    /// When the doors open.
    pub doors: Option<Timestamp>,
    pub place: Option<String>,
    pub language: Option<String>,
    /// The maximum of one firm.
    pub attendees_at_most: Option<u32>,
    /// How many the firm sends, set by the firm.
    pub attendees: Option<u32>,
}

/// Whether a date can still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Status {
    Tentative,
    Confirmed,
}

/// The phases of the change, in order.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Phase {
    Preparation,
    ParallelRun,
    #[serde(rename = "sole_2fa")]
    #[strum(serialize = "sole_2fa")]
    Sole2fa,
}

impl Event {
    /// When it happens: the actual day if it is known, otherwise as announced.
    pub fn interval(&self) -> Interval {
        self.actual.map_or(self.announced, |day| Interval {
            start: midnight(day),
            end: day_end(day),
        })
    }

    /// The precision of [`Self::interval`].
    pub fn precision(&self) -> Precision {
        match (&self.kind, self.actual) {
            (_, Some(_)) => Precision::Day,
            (EventKind::Appointment(_), None) => Precision::Minute,
            (_, None) => self.said.form.precision(),
        }
    }

    /// Whether the interval can still change; an actual day cannot.
    pub fn status(&self) -> Status {
        self.actual
            .map_or(self.announced_status, |_| Status::Confirmed)
    }
}

impl Phase {
    pub const ALL: [Self; 3] = [Self::Preparation, Self::ParallelRun, Self::Sole2fa];
}
