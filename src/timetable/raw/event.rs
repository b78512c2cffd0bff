//! Appointments, milestones and starts of phases as written, and as meant.
//!
//! In: one of the three. Out: an [`Event`] with its interval.

use jiff::civil::Time;

use super::{RawAppointment, RawMilestone, RawPhase, Read, Text};
use crate::calendar::instant;
use crate::timetable::entry::{Appointment, Event, EventKind, Statement, Status};
use crate::timetable::error::TimetableError;
use crate::timetable::form::{Form, Interval};
use crate::timetable::value::{label, optional, text, time};

impl RawAppointment {
    pub(super) fn validate(&self) -> Read<Event> {
        let key = format!("events.{}", self.id.value);
        let said = self.said.validate(&format!("{key}.said"))?;
        let Form::On(day) = said.form else {
            return Err(self.said.unfit(&key, "said", "on"));
        };
        let starts = time(&self.starts, &format!("{key}.starts"))?;
        let ends = time(&self.ends, &format!("{key}.ends"))?;
        if ends <= starts {
            let problem = format!(
                "it ends at {}, which is not after {}",
                self.ends.value, self.starts.value
            );
            return Err(TimetableError::at(
                &self.ends,
                format!("{key}.ends"),
                problem,
            ));
        }
        let doors: Option<Time> = optional(self.doors.as_ref(), &format!("{key}.doors"), time)?;
        let announced = Interval {
            start: instant(day, starts),
            end: instant(day, ends),
        };
        let kind = EventKind::Appointment(Appointment {
            doors: doors.map(|time| instant(day, time)),
            place: optional(self.place.as_ref(), &format!("{key}.place"), text)?,
            language: optional(self.language.as_ref(), &format!("{key}.language"), label)?,
            attendees_at_most: self.attendees_at_most,
            attendees: None,
        });
        Entry::new(&key, &self.id, &self.title, &self.note).event(
            kind,
            self.status,
            said,
            announced,
        )
    }
}

impl RawMilestone {
    pub(super) fn validate(&self) -> Read<Event> {
        let key = format!("milestones.{}", self.id.value);
        let (said, announced) = self.said.happening(&key)?;
        let kind = EventKind::Milestone {
            awaited_from: label(&self.awaited_from, &format!("{key}.awaited_from"))?,
        };
        Entry::new(&key, &self.id, &self.title, &self.note).event(
            kind,
            self.status,
            said,
            announced,
        )
    }
}

impl RawPhase {
    pub(super) fn validate(&self) -> Read<Event> {
        let key = format!("phases.{}", self.id.value);
        let (said, announced) = self.said.happening(&key)?;
        let kind = EventKind::PhaseStart {
            begins: self.begins.value,
        };
        Entry::new(&key, &self.id, &self.title, &self.note).event(
            kind,
            self.status,
            said,
            announced,
        )
    }
}

/// What every event has, as written.
struct Entry<'a> {
    key: &'a str,
    id: &'a Text,
    title: &'a Text,
    note: Option<&'a Text>,
}

impl<'a> Entry<'a> {
    fn new(key: &'a str, id: &'a Text, title: &'a Text, note: &'a Option<Text>) -> Self {
        let note = note.as_ref();
        Self {
            key,
            id,
            title,
            note,
        }
    }

    fn event(
        self,
        kind: EventKind,
        status: Status,
        said: Statement,
        announced: Interval,
    ) -> Read<Event> {
        Ok(Event {
            id: self.id.value.clone(),
            title: label(self.title, &format!("{}.title", self.key))?,
            kind,
            said,
            note: optional(self.note, &format!("{}.note", self.key), text)?,
            announced,
            announced_status: status,
            actual: None,
        })
    }
}
