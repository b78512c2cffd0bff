//! Validates appointments, milestones and starts of phases.

use super::value::{Read, label, optional, text, time};
use super::{RawAppointment, RawMilestone, RawPhase};
use crate::calendar::instant;
use crate::diagnostics::Diagnostic;
use crate::timetable::entry::{Appointment, Event, EventKind};
use crate::timetable::form::{Form, Interval};

impl RawAppointment {
    pub(super) fn validate(&self) -> Read<Event> {
        let said = self.said.validate("said")?;
        let Form::On(day) = said.form else {
            return Err(self.said.unfit("said", "on"));
        };
        let starts = time(&self.starts, "starts")?;
        let ends = time(&self.ends, "ends")?;
        if ends <= starts {
            let message = format!(
                "{} is not later than the start, {}",
                self.ends.value, self.starts.value
            );
            return Err(Diagnostic::at(&self.ends, "ends", message));
        }
        let doors = optional(&self.doors, "doors", time)?;
        Ok(Event {
            id: self.id.value.clone(),
            title: label(&self.title, "title")?,
            kind: EventKind::Appointment(Appointment {
                doors: doors.map(|time| instant(day, time)),
                place: optional(&self.place, "place", text)?,
                language: optional(&self.language, "language", label)?,
                attendees_at_most: self.attendees_at_most,
                attendees: None,
            }),
            said,
            note: optional(&self.note, "note", text)?,
            announced: Interval {
                start: instant(day, starts),
                end: instant(day, ends),
            },
            announced_status: self.status,
            actual: None,
        })
    }
}

impl RawMilestone {
    pub(super) fn validate(&self) -> Read<Event> {
        let (said, announced) = self.said.event()?;
        Ok(Event {
            id: self.id.value.clone(),
            title: label(&self.title, "title")?,
            kind: EventKind::Milestone {
                awaited_from: label(&self.awaited_from, "awaited_from")?,
            },
            said,
            note: optional(&self.note, "note", text)?,
            announced,
            announced_status: self.status,
            actual: None,
        })
    }
}

impl RawPhase {
    pub(super) fn validate(&self) -> Read<Event> {
        let (said, announced) = self.said.event()?;
        Ok(Event {
            id: self.id.value.clone(),
            title: label(&self.title, "title")?,
            kind: EventKind::PhaseStart {
                begins: self.begins.value,
            },
            said,
            note: optional(&self.note, "note", text)?,
            announced,
            announced_status: self.status,
            actual: None,
        })
    }
}
