//! One row of the timetable: the date and description of a deadline or an event.

use jiff::Timestamp;

use super::Explain;
use super::words::{
    business_days, clock, day, days, interpret_deadline, interpret_event, last_day, quoted,
};
use crate::calendar::date_at;
use crate::timetable::{
    Appointment, Deadline, DeadlineState, DeadlineStatus, Event, EventKind, EventState,
    EventStatus, Precision, Status, Timetable, TimetableStatus,
};

/// A deadline or event with its status.
pub(super) enum Row<'a> {
    Deadline(&'a Deadline, &'a DeadlineStatus),
    Event(&'a Event, &'a EventStatus),
}

pub(super) fn rows<'a>(timetable: &'a Timetable, status: &'a TimetableStatus) -> Vec<Row<'a>> {
    let deadlines = timetable.deadlines.iter().zip(&status.deadlines);
    let events = timetable.events.iter().zip(&status.events);
    let mut rows: Vec<Row<'_>> = deadlines
        .map(|(deadline, status)| Row::Deadline(deadline, status))
        .chain(events.map(|(event, status)| Row::Event(event, status)))
        .collect();
    rows.sort_by_key(Row::at);
    rows
}

impl Row<'_> {
    pub(super) fn at(&self) -> Timestamp {
        match self {
            Self::Deadline(_, status) => status.strict,
            Self::Event(_, status) => status.start,
        }
    }

    /// The date for the left column and paragraphs for the right one.
    pub(super) fn describe(&self, explain: Explain, at: &TimetableStatus) -> (String, Vec<String>) {
        match self {
            Self::Deadline(deadline, status) => {
                let last = status.last_day_to_act.unwrap_or(last_day(status.strict));
                let left = format!("by {}", day(last));
                (left, describe_deadline(deadline, status, explain, at))
            }
            Self::Event(event, status) => {
                let left = match event.kind {
                    EventKind::Appointment(_) => {
                        let start = day(date_at(status.start));
                        format!("{start}, {}-{}", clock(status.start), clock(status.end))
                    }
                    EventKind::Milestone { .. } | EventKind::PhaseStart { .. } => {
                        days(event.interval())
                    }
                };
                (left, describe_event(event, status, explain, at))
            }
        }
    }
}

fn describe_deadline(
    deadline: &Deadline,
    status: &DeadlineStatus,
    explain: Explain,
    at: &TimetableStatus,
) -> Vec<String> {
    let mut paragraphs = vec![
        deadline.title.clone(),
        format!("{}.", time_left(status, at)),
    ];
    if deadline.strict != deadline.outer {
        let statements: Vec<String> = deadline
            .due
            .iter()
            .map(|said| format!("\"{}\"", said.words))
            .collect();
        paragraphs.push(format!(
            "The circular says {}: until the end of {}, or of {}. The earlier date counts.",
            statements.join(" and also "),
            day(last_day(deadline.strict)),
            day(last_day(deadline.outer)),
        ));
    }
    if let Some(recommended) = &deadline.recommended {
        let before = day(date_at(recommended.before));
        paragraphs.push(format!(
            "It recommends \"{}\": before {before}.",
            recommended.words
        ));
    }
    let unmet = !matches!(status.state, DeadlineState::Done) && !at.historical;
    if let Some(impact) = deadline.impact.as_ref().filter(|_| unmet) {
        paragraphs.push(format!("If missed: \"{impact}\""));
    }
    if explain == Explain::WithSentences {
        if let Some(opens) = &deadline.opens_said {
            paragraphs.push(quoted(&opens.sentences));
            paragraphs.push(format!(
                "\"{}\": open from {}.",
                opens.words,
                day(date_at(deadline.opens))
            ));
        }
        for said in &deadline.due {
            paragraphs.push(quoted(&said.sentences));
            paragraphs.push(interpret_deadline(said));
        }
        paragraphs.extend(
            deadline
                .recommended
                .as_ref()
                .map(|recommended| quoted(&recommended.sentences)),
        );
        paragraphs.extend(deadline.note.clone());
    }
    paragraphs
}

pub(super) fn time_left(deadline: &DeadlineStatus, at: &TimetableStatus) -> String {
    match (deadline.state, deadline.business_days_left) {
        (DeadlineState::Done, _) => "Done".to_owned(),
        (DeadlineState::NotOpen, _) => {
            format!("Not open yet; opens {}", day(date_at(deadline.opens)))
        }
        (DeadlineState::Open, None) => {
            "Open; business days are unknown, the calendar does not contain that year".to_owned()
        }
        (DeadlineState::Open, Some(0)) => "Open, but no business day is left".to_owned(),
        (DeadlineState::Open, Some(1)) if deadline.last_day_to_act == Some(at.today) => {
            "Open; today is the last day".to_owned()
        }
        (DeadlineState::Open, Some(left)) => format!("Open; {} left", business_days(left)),
        (DeadlineState::Disputed, _) => {
            "Late by the stricter interpretation, in time by the other; treat it as late".to_owned()
        }
        (DeadlineState::Passed, _) => "Passed; not recorded as done".to_owned(),
    }
}

fn describe_event(
    event: &Event,
    status: &EventStatus,
    explain: Explain,
    at: &TimetableStatus,
) -> Vec<String> {
    let mut paragraphs = vec![
        event.title.clone(),
        format!("{}.", event_state(event, status, at)),
    ];
    if let EventKind::Appointment(appointment) = &event.kind {
        paragraphs.push(format!("{}.", appointment_details(appointment)));
    }
    if explain == Explain::WithSentences {
        paragraphs.push(quoted(&event.said.sentences));
        paragraphs.extend(interpret_event(&event.said));
        paragraphs.extend(event.note.clone());
    }
    paragraphs
}

fn appointment_details(appointment: &Appointment) -> String {
    let doors = appointment
        .doors
        .map(|doors| format!("doors {}", clock(doors)));
    let at_most = appointment
        .attendees_at_most
        .map(|most| format!("at most {most} people per firm"));
    let sent = appointment
        .attendees
        .map(|sent| format!("{sent} of your firm registered"));
    let parts = [
        appointment.language.clone(),
        appointment.place.clone(),
        doors,
        at_most,
        sent,
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn event_state(event: &Event, status: &EventStatus, at: &TimetableStatus) -> String {
    let state = match (status.state, &event.kind) {
        (EventState::Upcoming, _) if date_at(status.start) == at.today => "Today".to_owned(),
        (EventState::Upcoming, _) => match status.business_days_left {
            Some(left) => format!("{} to go", business_days(left)),
            None => "Upcoming; business days are unknown, the calendar does not contain that year"
                .to_owned(),
        },
        (EventState::InProgress, EventKind::Appointment(_)) => "Now".to_owned(),
        (EventState::InProgress, _) if status.precision == Precision::Day => "Today".to_owned(),
        (EventState::InProgress, EventKind::Milestone { awaited_from }) => {
            format!("Expected from {awaited_from} any day")
        }
        (EventState::InProgress, EventKind::PhaseStart { .. }) => {
            "May begin any day; assumed to have begun".to_owned()
        }
        (EventState::Past, EventKind::PhaseStart { .. }) => "Begun".to_owned(),
        (EventState::Past, EventKind::Appointment(_)) => "Over".to_owned(),
        (EventState::Past, EventKind::Milestone { .. }) if event.actual.is_some() => {
            "Happened".to_owned()
        }
        (EventState::Past, EventKind::Milestone { .. }) => "Its period is over".to_owned(),
    };
    match (event.actual, status.status) {
        (Some(_), _) => format!(
            "{state}; actual date, the circular said \"{}\"",
            event.said.words
        ),
        (None, Status::Tentative) => format!("{state}; tentative: \"{}\"", event.said.words),
        (None, Status::Confirmed) => state,
    }
}
