//! Validates a deadline: it must be due after it opens, and its alerts must not end earlier.

use jiff::civil::Date;

use super::value::{Read, date, label, optional, sentences, text};
use super::{RawAlertEnd, RawDeadline, RawRecommendation};
use crate::calendar::{day_end, midnight};
use crate::diagnostics::{Diagnostic, Text};
use crate::timetable::entry::{Deadline, Event, Recommendation};
use crate::timetable::form::Interval;

impl RawDeadline {
    /// The events that the deadline refers to.
    pub(super) fn referenced_events(&self) -> impl Iterator<Item = &Text> {
        let alert_end = match &self.alert_until {
            RawAlertEnd::EndOf(event) => Some(event),
            RawAlertEnd::On(_) => None,
        };
        let recommended = self.recommended.as_ref();
        alert_end
            .into_iter()
            .chain(recommended.map(|raw| &raw.before_start_of))
    }

    pub(super) fn validate(&self, issued: Date, events: &[Event]) -> Read<Deadline> {
        let mut opens = midnight(issued);
        let mut opens_said = None;
        if let Some(raw) = &self.opens {
            let said = raw.validate("opens")?;
            let interval = said.form.interval();
            opens = interval
                .ok_or_else(|| raw.unfit("opens", "from or on"))?
                .start;
            opens_said = Some(said);
        }
        let mut due = Vec::new();
        let mut bounds: Option<Interval> = None;
        for raw in &self.due {
            let said = raw.validate("due")?;
            let interval = said.form.due();
            let interval = interval.ok_or_else(|| raw.unfit("due", "before, by or on"))?;
            bounds = Some(bounds.map_or(interval, |so_far| Interval {
                start: so_far.start.min(interval.start),
                end: so_far.end.max(interval.end),
            }));
            due.push(said);
        }
        let Some(bounds) = bounds else {
            let message = "the list is empty; state at least once when it is due";
            return Err(Diagnostic::at(&self.id, "due", message));
        };
        if bounds.start <= opens {
            let message = "it is due before it opens; correct `due`, `opens` or `issued`";
            return Err(Diagnostic::at(&self.id, "due", message));
        }
        let key = "alert_until";
        let (alert_until, alert_until_end_of, raw) = match &self.alert_until {
            RawAlertEnd::EndOf(id) => {
                let event = find(events, id, key)?;
                (event.announced.end, Some(id.value.clone()), id)
            }
            RawAlertEnd::On(day) => (day_end(date(day, key)?), None, day),
        };
        if alert_until < bounds.end {
            let message = "alerts would end before the deadline; use a later day or event";
            return Err(Diagnostic::at(raw, key, message));
        }
        let recommended = self.recommended.as_ref().map(|raw| raw.validate(events));
        Ok(Deadline {
            id: self.id.value.clone(),
            title: label(&self.title, "title")?,
            status: self.status,
            opens,
            opens_said,
            strict: bounds.start,
            outer: bounds.end,
            due,
            recommended: recommended.transpose()?,
            impact: optional(&self.impact, "impact", text)?,
            note: optional(&self.note, "note", text)?,
            alert_until,
            alert_until_end_of,
            done: false,
        })
    }
}

impl RawRecommendation {
    fn validate(&self, events: &[Event]) -> Read<Recommendation> {
        let recommendation = || {
            let event = find(events, &self.before_start_of, "before_start_of")?;
            Ok(Recommendation {
                before: event.announced.start,
                before_start_of: event.id.clone(),
                words: text(&self.words, "words")?,
                sentences: sentences(&self.sentences, &self.words)?,
            })
        };
        recommendation().map_err(|error: Diagnostic| error.below("recommended"))
    }
}

fn find<'a>(events: &'a [Event], id: &Text, key: &str) -> Read<&'a Event> {
    let event = events.iter().find(|event| event.id == id.value);
    event.ok_or_else(|| {
        let known: Vec<_> = events.iter().map(|event| event.id.as_str()).collect();
        let message = format!(
            "unknown event {:?}; known events: {}",
            id.value,
            known.join(", ")
        );
        Diagnostic::at(id, key, message)
    })
}
