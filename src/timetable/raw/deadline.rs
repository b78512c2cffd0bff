//! A deadline as written, and as meant: its bounds, and when alerts about it end.
//!
//! In: the deadline, when the circular was issued, the events that it may refer
//! to. Out: a [`Deadline`] that is due after it opens.

use jiff::civil::Date;

use super::statement::sentences;
use super::{RawDeadline, RawRecommended, RawUntil, Read, Text};
use crate::calendar::{day_end, midnight};
use crate::timetable::entry::{Deadline, Event, Recommendation};
use crate::timetable::error::TimetableError;
use crate::timetable::form::Interval;
use crate::timetable::value::{date, label, optional, text};

impl RawDeadline {
    pub(super) fn validate(&self, issued: Date, events: &[Event]) -> Read<Deadline> {
        let id = self.id.value.clone();
        let key = format!("deadlines.{id}");
        let opens_said = match &self.opens {
            Some(said) => Some(said.validate(&format!("{key}.opens"))?),
            None => None,
        };
        let opens = match (&opens_said, &self.opens) {
            (Some(said), Some(written)) => {
                said.form
                    .interval()
                    .ok_or_else(|| written.unfit(&key, "opens", "from or on"))?
                    .start
            }
            _ => midnight(issued),
        };
        let mut due = Vec::new();
        let mut bounds: Option<Interval> = None;
        for written in &self.due {
            let said = written.validate(&format!("{key}.due"))?;
            let reading = said
                .form
                .due()
                .ok_or_else(|| written.unfit(&key, "due", "before, by or on"))?;
            bounds = Some(bounds.map_or(reading, |so_far| Interval {
                start: so_far.start.min(reading.start),
                end: so_far.end.max(reading.end),
            }));
            due.push(said);
        }
        let Some(bounds) = bounds else {
            return Err(TimetableError::at(
                &self.id,
                format!("{key}.due"),
                "say at least once when it is due",
            ));
        };
        if bounds.start <= opens {
            let problem = "it is due before it opens; correct `due`, `opens` or `issued`";
            return Err(TimetableError::at(&self.id, format!("{key}.due"), problem));
        }
        let until_key = format!("{key}.alert_until");
        let (alert_until, alert_until_end_of, until) = match &self.alert_until {
            RawUntil::EndOf(of) => {
                let end = event(events, of, &until_key)?.announced.end;
                (end, Some(of.value.clone()), of)
            }
            RawUntil::On(day) => (day_end(date(day, &until_key)?), None, day),
        };
        if alert_until < bounds.end {
            let problem = "alerts would end before the deadline does; name a later day or event";
            return Err(TimetableError::at(until, until_key, problem));
        }
        Ok(Deadline {
            title: label(&self.title, &format!("{key}.title"))?,
            status: self.status,
            opens,
            opens_said,
            strict: bounds.start,
            outer: bounds.end,
            due,
            recommended: match &self.recommended {
                Some(written) => Some(written.validate(&format!("{key}.recommended"), events)?),
                None => None,
            },
            impact: optional(self.impact.as_ref(), &format!("{key}.impact"), text)?,
            note: optional(self.note.as_ref(), &format!("{key}.note"), text)?,
            alert_until,
            alert_until_end_of,
            done: false,
            id,
        })
    }
}

impl RawRecommended {
    pub(super) fn validate(&self, key: &str, events: &[Event]) -> Read<Recommendation> {
        Ok(Recommendation {
            before: event(
                events,
                &self.before_start_of,
                &format!("{key}.before_start_of"),
            )?
            .announced
            .start,
            before_start_of: self.before_start_of.value.clone(),
            words: text(&self.words, &format!("{key}.words"))?,
            sentences: sentences(&self.sentences, &self.words, key)?,
        })
    }
}

fn event<'a>(events: &'a [Event], of: &Text, key: &str) -> Read<&'a Event> {
    events
        .iter()
        .find(|event| event.id == of.value)
        .ok_or_else(|| {
            let known: Vec<_> = events.iter().map(|event| event.id.as_str()).collect();
            let problem = format!(
                "no event is called `{}`; known: {}",
                of.value,
                known.join(", ")
            );
            TimetableError::at(of, key, problem)
        })
}
