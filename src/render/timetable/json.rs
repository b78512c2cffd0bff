//! The timetable and its standing as JSON, for scripts.
//!
//! In: both. Out: one document, `schema: 1`. Instants are RFC 3339 in UTC, dates
//! are Hong Kong's; what is not known is left out, never null.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use serde_json::Value;

use crate::timetable::{
    DeadlineStatus, EventStatus, Header, Phase, Recommendation, Statement, Timetable,
    TimetableStatus,
};

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    #[serde(flatten)]
    header: &'a Header,
    ends: Timestamp,
    at: Timestamp,
    today: Date,
    phase: Phase,
    phase_certain: bool,
    historical: bool,
    deadlines: Vec<DeadlineDocument<'a>>,
    events: Vec<EventDocument<'a>>,
}

#[derive(Serialize)]
struct DeadlineDocument<'a> {
    #[serde(flatten)]
    standing: &'a DeadlineStatus,
    due: &'a [Statement],
    #[serde(skip_serializing_if = "Option::is_none")]
    opens_said: Option<&'a Statement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recommended: Option<&'a Recommendation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

#[derive(Serialize)]
struct EventDocument<'a> {
    #[serde(flatten)]
    standing: &'a EventStatus,
    said: &'a Statement,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

/// The standing of this timetable with what the circular says about each date.
pub fn json(timetable: &Timetable, standing: &TimetableStatus) -> Value {
    let deadlines = timetable.deadlines.iter().zip(&standing.deadlines);
    let events = timetable.events.iter().zip(&standing.events);
    serde_json::json!(Document {
        schema: 1,
        header: &timetable.header,
        ends: timetable.ends(),
        at: standing.at,
        today: standing.today,
        phase: standing.phase,
        phase_certain: standing.phase_certain,
        historical: standing.historical,
        deadlines: deadlines
            .map(|(deadline, standing)| DeadlineDocument {
                standing,
                due: &deadline.due,
                opens_said: deadline.opens_said.as_ref(),
                recommended: deadline.recommended.as_ref(),
                note: deadline.note.as_deref(),
            })
            .collect(),
        events: events
            .map(|(event, standing)| EventDocument {
                standing,
                said: &event.said,
                note: event.note.as_deref(),
            })
            .collect(),
    })
}
