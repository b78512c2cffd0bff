//! The status of a timetable at an instant: one serializable value, which metrics, the status page and
//! the `timetable` command render. The thresholds of alerts are in the alert rules.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;
use strum::IntoStaticStr;

use super::entry::{Deadline, Event, EventKind, Phase, Status};
use super::form::Precision;
use super::{Appointment, Timetable};
use crate::calendar::{Calendar, date_at};

/// The status of all deadlines and events at an instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimetableStatus {
    pub at: Timestamp,
    /// The date in Hong Kong at that instant.
    pub today: Date,
    /// A phase begins at its earliest start, or on its actual day.
    pub phase: Phase,
    /// False between the earliest and the latest instant of a tentative start whose actual day is not
    /// known; the later phase is then assumed.
    pub phase_certain: bool,
    /// Whether all dates are past.
    pub historical: bool,
    /// In the timetable's order.
    pub deadlines: Vec<DeadlineStatus>,
    /// In the timetable's order.
    pub events: Vec<EventStatus>,
}

/// The status of a deadline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadlineStatus {
    pub id: String,
    pub title: String,
    pub state: DeadlineState,
    pub done: bool,
    pub status: Status,
    pub opens: Timestamp,
    /// When it is due by the earliest interpretation, which counts.
    pub strict: Timestamp,
    /// When it is due by the latest interpretation.
    pub outer: Timestamp,
    /// The start of the event before which the circular recommends to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recommended_before: Option<Timestamp>,
    pub alert_until: Timestamp,
    /// The last business day before `strict`. A deadline on a holiday does not move to a later day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_day_to_act: Option<Date>,
    /// Business days from today to the last day to act, both included; 0 once that is past, `None` if
    /// today or the deadline is outside the calendar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_days_left: Option<u32>,
    /// Business days from the day on which it opens to the last day to act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impact: Option<String>,
}

/// The status of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventStatus {
    pub id: String,
    pub title: String,
    pub kind: &'static str,
    pub state: EventState,
    pub start: Timestamp,
    /// Exclusive.
    pub end: Timestamp,
    pub precision: Precision,
    pub status: Status,
    /// Business days from today to the day before it starts, both included; 0 from the day of its start
    /// on, `None` outside the calendar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_days_left: Option<u32>,
    /// Its business days, first and last included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attendees: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum DeadlineState {
    NotOpen,
    Open,
    /// Past by the strict interpretation, but not by the outer one.
    Disputed,
    Passed,
    /// Marked as done, at any time.
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum EventState {
    Upcoming,
    /// Within its interval: happening, or expected any day.
    InProgress,
    Past,
}

impl Timetable {
    /// The status at an instant, with business days of `calendar`.
    pub fn status_at(&self, at: Timestamp, calendar: &Calendar) -> TimetableStatus {
        let today = date_at(at);
        let begun = self
            .phase_starts()
            .filter(|(event, _)| event.interval().start <= at);
        let deadlines = self.deadlines.iter();
        let events = self.events.iter();
        let is_uncertain =
            |event: &Event| event.status() == Status::Tentative && event.interval().contains(at);
        TimetableStatus {
            at,
            today,
            phase: begun
                .last()
                .map_or(self.header.phase_at_issue, |(_, phase)| phase),
            phase_certain: !self.phase_starts().any(|(event, _)| is_uncertain(event)),
            historical: self.ends() <= at,
            deadlines: deadlines
                .map(|deadline| deadline.status_at(at, calendar))
                .collect(),
            events: events.map(|event| event.status_at(at, calendar)).collect(),
        }
    }
}

impl Deadline {
    fn status_at(&self, at: Timestamp, calendar: &Calendar) -> DeadlineStatus {
        let due_date = date_at(self.strict);
        DeadlineStatus {
            id: self.id.clone(),
            title: self.title.clone(),
            state: self.state(at),
            done: self.done,
            status: self.status,
            opens: self.opens,
            strict: self.strict,
            outer: self.outer,
            recommended_before: self.recommended.as_ref().map(|it| it.before),
            alert_until: self.alert_until,
            last_day_to_act: calendar.last_business_day_before(due_date),
            business_days_left: business_days_before(due_date, date_at(at), calendar),
            business_days: business_days_before(due_date, date_at(self.opens), calendar),
            impact: self.impact.clone(),
        }
    }

    fn state(&self, at: Timestamp) -> DeadlineState {
        if self.done {
            DeadlineState::Done
        } else if at < self.opens {
            DeadlineState::NotOpen
        } else if at < self.strict {
            DeadlineState::Open
        } else if at < self.outer {
            DeadlineState::Disputed
        } else {
            DeadlineState::Passed
        }
    }
}

impl Event {
    fn status_at(&self, at: Timestamp, calendar: &Calendar) -> EventStatus {
        let interval = self.interval();
        let first = date_at(interval.start);
        let last = interval.end.saturating_sub(1.nanosecond());
        let last = date_at(last.unwrap_or(interval.end));
        EventStatus {
            id: self.id.clone(),
            title: self.title.clone(),
            kind: self.kind.into_str(),
            state: if at < interval.start {
                EventState::Upcoming
            } else if at < interval.end {
                EventState::InProgress
            } else {
                EventState::Past
            },
            start: interval.start,
            end: interval.end,
            precision: self.precision(),
            status: self.status(),
            business_days_left: business_days_before(first, date_at(at), calendar),
            business_days: calendar.business_days(first, last),
            actual: self.actual,
            attendees: match &self.kind {
                EventKind::Appointment(Appointment { attendees, .. }) => *attendees,
                EventKind::Milestone { .. } | EventKind::PhaseStart { .. } => None,
            },
        }
    }
}

/// Business days from `today` to the day before `date`, both included: the days that remain to act.
fn business_days_before(date: Date, today: Date, calendar: &Calendar) -> Option<u32> {
    calendar.business_days(today, date.yesterday().ok()?)
}
