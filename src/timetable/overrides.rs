//! A firm's overrides: which deadlines are done, the actual days of events, and how many people attend.
//!
//! They come from the key `timetable` of the configuration, and from evidence of a verification.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Deserialize;
use strum::IntoStaticStr;
use thiserror::Error;

use super::entry::{Event, EventKind};
use super::{Phase, Timetable};
use crate::calendar::date_at;

/// Overrides by the id of a deadline or an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overrides {
    /// Whether the firm has met a deadline.
    pub done: BTreeMap<String, bool>,
    /// The actual day of a milestone or of the start of a phase, Hong Kong time.
    pub actual: BTreeMap<String, Date>,
    /// How many people the firm sends to an appointment.
    pub attendees: BTreeMap<String, u32>,
}

/// An override that does not fit the timetable.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("timetable.{}.{id}: {message}", key.into_str())]
pub struct OverrideError {
    pub key: OverrideKey,
    pub id: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// The keys of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum OverrideKey {
    Done,
    Actual,
    Attendees,
}

impl Timetable {
    /// The timetable with a firm's overrides; earlier ones stay unless they are replaced.
    ///
    /// # Errors
    /// An id does not exist or has the wrong kind, there are more attendees than the circular allows, or
    /// the phases are not in order.
    pub fn with_overrides(mut self, overrides: &Overrides) -> Result<Self, Vec<OverrideError>> {
        let mut errors = Vec::new();
        let mut check = |key, id: &String, result: Result<(), String>| {
            let id = id.clone();
            errors.extend(
                result
                    .err()
                    .map(|message| OverrideError { key, id, message }),
            );
        };
        for (id, done) in &overrides.done {
            check(OverrideKey::Done, id, self.set_done(id, *done));
        }
        for (id, attendees) in &overrides.attendees {
            check(
                OverrideKey::Attendees,
                id,
                self.set_attendees(id, *attendees),
            );
        }
        for (id, actual) in &overrides.actual {
            check(OverrideKey::Actual, id, self.set_actual(id, *actual));
        }
        errors.extend(self.phase_out_of_order(overrides));
        if !errors.is_empty() {
            return Err(errors);
        }
        self.update_dependent_dates();
        Ok(self)
    }

    fn set_done(&mut self, id: &str, done: bool) -> Result<(), String> {
        let mut deadlines = self.deadlines.iter_mut();
        match deadlines.find(|deadline| deadline.id == id) {
            Some(deadline) => {
                deadline.done = done;
                Ok(())
            }
            None => {
                let known = self.deadlines.iter().map(|deadline| deadline.id.as_str());
                Err(format!(
                    "unknown deadline; known deadlines: {}",
                    join(known)
                ))
            }
        }
    }

    fn set_attendees(&mut self, id: &str, attendees: u32) -> Result<(), String> {
        let event = self.events.iter_mut().find(|event| event.id == id);
        let Some(EventKind::Appointment(appointment)) = event.map(|event| &mut event.kind) else {
            let known = self.ids_of(|kind| matches!(kind, EventKind::Appointment(_)));
            return Err(format!("unknown appointment; known appointments: {known}"));
        };
        match appointment.attendees_at_most {
            Some(max) if attendees > max => Err(format!(
                "{attendees} attendees are too many; the circular allows at most {max} of one firm"
            )),
            _ => {
                appointment.attendees = Some(attendees);
                Ok(())
            }
        }
    }

    fn set_actual(&mut self, id: &str, actual: Date) -> Result<(), String> {
        let has_actual = |kind: &EventKind| !matches!(kind, EventKind::Appointment(_));
        let mut events = self.events.iter_mut();
        match events.find(|event| event.id == id && has_actual(&event.kind)) {
            Some(event) => {
                event.actual = Some(actual);
                Ok(())
            }
            None => Err(format!(
                "unknown milestone or phase; known ones: {}",
                self.ids_of(has_actual)
            )),
        }
    }

    fn ids_of(&self, is_kind: impl Fn(&EventKind) -> bool) -> String {
        let events = self.events.iter().filter(|event| is_kind(&event.kind));
        join(events.map(|event| event.id.as_str()))
    }

    /// The first phase that does not start after the one before it.
    fn phase_out_of_order(&self, overrides: &Overrides) -> Option<OverrideError> {
        let starts: Vec<(&Event, Phase)> = self.phase_starts().collect();
        let start = |event: &Event| event.interval().start;
        let (earlier, later) = starts.windows(2).find_map(|pair| match pair {
            [(earlier, _), (later, _)] if start(later) <= start(earlier) => Some((earlier, later)),
            _ => None,
        })?;
        let is_overridden = |event: &&Event| overrides.actual.contains_key(&event.id);
        let event = Some(*later).filter(is_overridden).unwrap_or(earlier);
        let message = format!(
            "`{}` (from {}) must start after `{}` (from {}), the phase before it; correct one date, or \
             set both",
            later.id,
            date_at(start(later)),
            earlier.id,
            date_at(start(earlier)),
        );
        Some(OverrideError {
            key: OverrideKey::Actual,
            id: event.id.clone(),
            message,
        })
    }

    /// Moves the dates that depend on an event to its actual day. Alerts never end earlier than with
    /// the announced day.
    fn update_dependent_dates(&mut self) {
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

fn join<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    ids.collect::<Vec<_>>().join(", ")
}
