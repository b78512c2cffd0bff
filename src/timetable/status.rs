//! How a timetable stands at an instant.
//!
//! In: a timetable, an instant, a calendar. Out: one serialisable value from
//! which metrics, the status page and `timetable` are rendered. It decides
//! nothing about alerts: their thresholds are rules elsewhere.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;
use strum::IntoStaticStr;

use super::entry::{Deadline, Event, EventKind, Phase, Status};
use super::form::Precision;
use super::{Appointment, Timetable};
use crate::calendar::{Calendar, date_at};

/// Deadlines and events as they stand `at` an instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimetableStatus {
    pub at: Timestamp,
    /// The date in Hong Kong at that instant.
    pub today: Date,
    /// The later phase from its earliest start, or from its actual day.
    pub phase: Phase,
    /// False between a tentative start's earliest and latest instant, unless the
    /// actual day is known: then the later, graver phase is assumed.
    pub phase_certain: bool,
    /// Whether every date of the timetable is past.
    pub historical: bool,
    /// In the timetable's order.
    pub deadlines: Vec<DeadlineStatus>,
    /// In the timetable's order.
    pub events: Vec<EventStatus>,
}

/// One deadline's standing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadlineStatus {
    pub id: String,
    pub title: String,
    pub state: DeadlineState,
    pub done: bool,
    pub status: Status,
    pub opens: Timestamp,
    /// The bound that counts; due by the earliest reading.
    pub strict: Timestamp,
    /// Due by the latest reading.
    pub outer: Timestamp,
    /// Start of the event before which the circular recommends it to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recommended_before: Option<Timestamp>,
    pub alert_until: Timestamp,
    /// The last business day before the strict bound. A deadline on a holiday
    /// never rolls forward; the last day to act rolls back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_day_to_act: Option<Date>,
    /// Business days from today to the last day to act, both included; 0 once
    /// that is past, absent where today or the bound is outside the calendar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_days_left: Option<u32>,
    /// Business days from the day it opens to the last day to act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impact: Option<String>,
}

/// One event's standing.
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
    /// Business days from today to the day before it starts, both included; 0
    /// from the day of its start on, absent outside the calendar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_days_left: Option<u32>,
    /// Business days that it touches, first and last included.
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
    /// Past by the strict reading, not yet by the outer one.
    Disputed,
    Passed,
    /// The firm has done it, whatever the time.
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum EventState {
    Upcoming,
    /// Within its interval: happening, or to be expected any day.
    UnderWay,
    Past,
}

impl Timetable {
    /// The standing at an instant, business days counted by this calendar.
    pub fn standing(&self, at: Timestamp, calendar: &Calendar) -> TimetableStatus {
        let today = date_at(at);
        let begun = self
            .phase_starts()
            .filter(|(event, _)| event.interval().start <= at);
        let deadlines = self.deadlines.iter();
        let events = self.events.iter();
        TimetableStatus {
            at,
            today,
            phase: begun
                .last()
                .map_or(self.header.phase_at_issue, |(_, phase)| phase),
            phase_certain: !self.phase_starts().any(|(event, _)| {
                event.status() == Status::Tentative && event.interval().contains(at)
            }),
            historical: self.ends() <= at,
            deadlines: deadlines
                .map(|deadline| deadline.standing(at, calendar))
                .collect(),
            events: events.map(|event| event.standing(at, calendar)).collect(),
        }
    }
}

impl Deadline {
    fn standing(&self, at: Timestamp, calendar: &Calendar) -> DeadlineStatus {
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
            recommended_before: self
                .recommended
                .as_ref()
                .map(|recommended| recommended.before),
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
    fn standing(&self, at: Timestamp, calendar: &Calendar) -> EventStatus {
        let interval = self.interval();
        let first = date_at(interval.start);
        let last = date_at(
            interval
                .end
                .saturating_sub(1.nanosecond())
                .unwrap_or(interval.end),
        );
        EventStatus {
            id: self.id.clone(),
            title: self.title.clone(),
            kind: self.kind.into_str(),
            state: if at < interval.start {
                EventState::Upcoming
            } else if at < interval.end {
                EventState::UnderWay
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

/// Business days from `today` up to, not including, a date: the days on which a
/// firm can still act before it.
fn business_days_before(date: Date, today: Date, calendar: &Calendar) -> Option<u32> {
    calendar.business_days(today, date.yesterday().ok()?)
}
