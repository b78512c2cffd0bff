//! What a firm answers to a timetable: what it has done, the days on which
//! things really happened, how many people it sends.
//!
//! In: ids with values, from the configuration's `timetable:` key. Out: the
//! timetable with them. What counts as evidence that something is done is left
//! to the caller, who may lay a second set of answers over the first.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Deserialize;
use thiserror::Error;

use super::Timetable;
use super::entry::{Event, EventKind, Phase};
use crate::calendar::date_at;

/// The keys `done`, `actual` and `attendees` of the configuration's `timetable:`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answers {
    /// Deadline id: whether the firm has done it.
    pub done: BTreeMap<String, bool>,
    /// Milestone's or phase start's id: the day, Hong Kong time.
    pub actual: BTreeMap<String, Date>,
    /// Appointment's id: how many the firm sends.
    pub attendees: BTreeMap<String, u32>,
}

/// Why answers do not fit the timetable. Each begins with the key to correct.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AnswersError {
    #[error("timetable.{key}.{id}: there is no such {what} in the timetable; known: {known}")]
    Unknown {
        key: &'static str,
        id: String,
        what: &'static str,
        known: String,
    },
    #[error(
        "timetable.attendees.{id}: {attendees} attendees are too many; the circular allows at most {at_most} of one firm"
    )]
    TooManyAttendees {
        id: String,
        attendees: u32,
        at_most: u32,
    },
    #[error(
        "timetable.actual: `{id}` (from {start}) would not begin after `{earlier}` (from {earlier_start}), the phase before it; correct one date or give both"
    )]
    PhasesOutOfOrder {
        id: String,
        start: Date,
        earlier: String,
        earlier_start: Date,
    },
}

impl Timetable {
    /// The timetable with a firm's answers; those given before stay where these are silent.
    ///
    /// # Errors
    /// An id that is not in the timetable, or not of the kind that takes the
    /// answer; more attendees than the circular allows; phases out of order.
    pub fn with_answers(mut self, answers: &Answers) -> Result<Self, AnswersError> {
        for (id, done) in &answers.done {
            let known = self.deadlines.iter().map(|deadline| deadline.id.as_str());
            let unknown = unknown("done", id, "deadline", known);
            let deadline = self
                .deadlines
                .iter_mut()
                .find(|deadline| deadline.id == *id);
            deadline.ok_or(unknown)?.done = *done;
        }
        for (id, attendees) in &answers.attendees {
            let is_appointment = |kind: &EventKind| matches!(kind, EventKind::Appointment(_));
            let known = self.ids_of(is_appointment);
            let unknown = unknown("attendees", id, "event with attendees", known);
            let event = self.events.iter_mut().find(|event| event.id == *id);
            let Some(EventKind::Appointment(appointment)) = event.map(|event| &mut event.kind)
            else {
                return Err(unknown);
            };
            if let Some(at_most) = appointment.attendees_at_most
                && *attendees > at_most
            {
                return Err(AnswersError::TooManyAttendees {
                    id: id.clone(),
                    attendees: *attendees,
                    at_most,
                });
            }
            appointment.attendees = Some(*attendees);
        }
        for (id, actual) in &answers.actual {
            let takes_actual = |kind: &EventKind| !matches!(kind, EventKind::Appointment(_));
            let known = self.ids_of(takes_actual);
            let unknown = unknown("actual", id, "milestone or phase", known);
            let event = self.events.iter_mut().find(|event| event.id == *id);
            let event = event
                .filter(|event| takes_actual(&event.kind))
                .ok_or(unknown)?;
            event.actual = Some(*actual);
        }
        self.require_phases_in_order()?;
        self.follow_events();
        Ok(self)
    }

    fn ids_of(&self, takes: impl Fn(&EventKind) -> bool) -> impl Iterator<Item = &str> {
        let events = self.events.iter().filter(move |event| takes(&event.kind));
        events.map(|event| event.id.as_str())
    }

    fn require_phases_in_order(&self) -> Result<(), AnswersError> {
        let mut earlier: Option<&Event> = None;
        for (event, _) in self.phase_starts() {
            if let Some(earlier) = earlier
                && event.interval().start <= earlier.interval().start
            {
                return Err(AnswersError::PhasesOutOfOrder {
                    id: event.id.clone(),
                    start: date_at(event.interval().start),
                    earlier: earlier.id.clone(),
                    earlier_start: date_at(earlier.interval().start),
                });
            }
            earlier = Some(event);
        }
        Ok(())
    }

    pub(super) fn phase_starts(&self) -> impl Iterator<Item = (&Event, Phase)> {
        self.events.iter().filter_map(|event| match event.kind {
            EventKind::PhaseStart { begins } => Some((event, begins)),
            EventKind::Appointment(_) | EventKind::Milestone { .. } => None,
        })
    }

    /// Dates that hang on an event follow its actual day. Alerts never end
    /// earlier for it than the circular let expect.
    fn follow_events(&mut self) {
        let events = &self.events;
        let find = |id: &str| events.iter().find(|event| event.id == id);
        for deadline in &mut self.deadlines {
            if let Some(event) = deadline.alert_until_end_of.as_deref().and_then(find) {
                deadline.alert_until = event.interval().end.max(event.announced.end);
            }
            if let Some(recommended) = &mut deadline.recommended
                && let Some(event) = find(&recommended.before_start_of)
            {
                recommended.before = event.interval().start;
            }
        }
    }
}

fn unknown<'a>(
    key: &'static str,
    id: &str,
    what: &'static str,
    known: impl Iterator<Item = &'a str>,
) -> AnswersError {
    AnswersError::Unknown {
        key,
        id: id.to_owned(),
        what,
        known: known.collect::<Vec<_>>().join(", "),
    }
}
