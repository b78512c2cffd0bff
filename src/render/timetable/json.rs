//! The timetable and its status as JSON, for scripts: one document, `schema: 1`. Instants are RFC 3339
//! in UTC, dates are those of Hong Kong; unknown values are absent, never null.

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
    status: &'a DeadlineStatus,
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
    status: &'a EventStatus,
    said: &'a Statement,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

/// The status of this timetable with the circular's sentences about each date.
pub fn json(timetable: &Timetable, status: &TimetableStatus) -> Value {
    let deadlines = timetable.deadlines.iter().zip(&status.deadlines);
    let events = timetable.events.iter().zip(&status.events);
    serde_json::json!(Document {
        schema: 1,
        header: &timetable.header,
        ends: timetable.ends(),
        at: status.at,
        today: status.today,
        phase: status.phase,
        phase_certain: status.phase_certain,
        historical: status.historical,
        deadlines: deadlines
            .map(|(deadline, status)| DeadlineDocument {
                status,
                due: &deadline.due,
                opens_said: deadline.opens_said.as_ref(),
                recommended: deadline.recommended.as_ref(),
                note: deadline.note.as_deref(),
            })
            .collect(),
        events: events
            .map(|(event, status)| EventDocument {
                status,
                said: &event.said,
                note: event.note.as_deref(),
            })
            .collect(),
    })
}
