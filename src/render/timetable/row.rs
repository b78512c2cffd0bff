//! One row of the timetable: a deadline or an event, its date and how it stands.
//!
//! In: the entry, its standing, how much to explain. Out: a date for the left
//! column and paragraphs for the right one; the page lays them out.

use jiff::Timestamp;

use super::Explain;
use super::words::{business_days, clock, day, days, due_reading, event_reading, last_day, quoted};
use crate::calendar::date_at;
use crate::timetable::{
    Appointment, Deadline, DeadlineState, DeadlineStatus, Event, EventKind, EventState,
    EventStatus, Precision, Status, Timetable, TimetableStatus,
};

/// One line of the timetable, with its place in time.
pub(super) enum Row<'a> {
    Deadline(&'a Deadline, &'a DeadlineStatus),
    Event(&'a Event, &'a EventStatus),
}

pub(super) fn rows<'a>(timetable: &'a Timetable, standing: &'a TimetableStatus) -> Vec<Row<'a>> {
    let deadlines = timetable.deadlines.iter().zip(&standing.deadlines);
    let events = timetable.events.iter().zip(&standing.events);
    let mut rows: Vec<Row<'_>> = deadlines
        .map(|(deadline, standing)| Row::Deadline(deadline, standing))
        .chain(events.map(|(event, standing)| Row::Event(event, standing)))
        .collect();
    rows.sort_by_key(Row::at);
    rows
}

impl Row<'_> {
    pub(super) fn at(&self) -> Timestamp {
        match self {
            Self::Deadline(_, standing) => standing.strict,
            Self::Event(_, standing) => standing.start,
        }
    }

    /// The date for the left column, and paragraphs for the right one.
    pub(super) fn told(&self, explain: Explain, at: &TimetableStatus) -> (String, Vec<String>) {
        match self {
            Self::Deadline(deadline, standing) => {
                let last = standing
                    .last_day_to_act
                    .unwrap_or(last_day(standing.strict));
                let left = format!("by {}", day(last));
                (left, deadline_told(deadline, standing, explain, at))
            }
            Self::Event(event, standing) => {
                let left = match event.kind {
                    EventKind::Appointment(_) => {
                        let start = day(date_at(standing.start));
                        format!("{start}, {}-{}", clock(standing.start), clock(standing.end))
                    }
                    EventKind::Milestone { .. } | EventKind::PhaseStart { .. } => {
                        days(event.interval())
                    }
                };
                (left, event_told(event, standing, explain, at))
            }
        }
    }
}

fn deadline_told(
    deadline: &Deadline,
    standing: &DeadlineStatus,
    explain: Explain,
    at: &TimetableStatus,
) -> Vec<String> {
    let mut told = vec![
        deadline.title.clone(),
        format!("{}.", time_left(standing, at)),
    ];
    if deadline.strict != deadline.outer {
        let said: Vec<String> = deadline
            .due
            .iter()
            .map(|said| format!("\"{}\"", said.words))
            .collect();
        told.push(format!(
            "The circular says {}: to the end of {}, or of {}. The earlier one counts.",
            said.join(" and also "),
            day(last_day(deadline.strict)),
            day(last_day(deadline.outer)),
        ));
    }
    if let Some(recommended) = &deadline.recommended {
        let before = day(date_at(recommended.before));
        told.push(format!(
            "It also recommends it \"{}\": before {before}.",
            recommended.words
        ));
    }
    let unmet = !matches!(standing.state, DeadlineState::Done) && !at.historical;
    if let Some(impact) = deadline.impact.as_ref().filter(|_| unmet) {
        told.push(format!("If missed: \"{impact}\""));
    }
    if explain == Explain::WithSentences {
        if let Some(opens) = &deadline.opens_said {
            told.push(quoted(&opens.sentences));
            told.push(format!(
                "\"{}\": open from {}.",
                opens.words,
                day(date_at(deadline.opens))
            ));
        }
        for said in &deadline.due {
            told.push(quoted(&said.sentences));
            told.push(due_reading(said));
        }
        told.extend(
            deadline
                .recommended
                .as_ref()
                .map(|recommended| quoted(&recommended.sentences)),
        );
        told.extend(deadline.note.clone());
    }
    told
}

pub(super) fn time_left(deadline: &DeadlineStatus, at: &TimetableStatus) -> String {
    match (deadline.state, deadline.business_days_left) {
        (DeadlineState::Done, _) => "Done".to_owned(),
        (DeadlineState::NotOpen, _) => {
            format!("Not open yet; it opens {}", day(date_at(deadline.opens)))
        }
        (DeadlineState::Open, None) => {
            "Open; business days are not counted, for the calendar has no such year".to_owned()
        }
        (DeadlineState::Open, Some(0)) => "Open, but no business day is left".to_owned(),
        (DeadlineState::Open, Some(1)) if deadline.last_day_to_act == Some(at.today) => {
            "Open; today is the last day".to_owned()
        }
        (DeadlineState::Open, Some(left)) => format!("Open; {} left", business_days(left)),
        (DeadlineState::Disputed, _) => {
            "Late by the stricter reading, in time by the other; treat it as late".to_owned()
        }
        (DeadlineState::Passed, _) => "Passed; not recorded as done".to_owned(),
    }
}

fn event_told(
    event: &Event,
    standing: &EventStatus,
    explain: Explain,
    at: &TimetableStatus,
) -> Vec<String> {
    let mut told = vec![
        event.title.clone(),
        format!("{}.", event_state(event, standing, at)),
    ];
    if let EventKind::Appointment(appointment) = &event.kind {
        told.push(format!("{}.", particulars(appointment)));
    }
    if explain == Explain::WithSentences {
        told.push(quoted(&event.said.sentences));
        told.extend(event_reading(&event.said));
        told.extend(event.note.clone());
    }
    told
}

fn particulars(appointment: &Appointment) -> String {
    let doors = appointment
        .doors
        .map(|doors| format!("doors {}", clock(doors)));
    let at_most = appointment
        .attendees_at_most
        .map(|most| format!("at most {most} people of one firm"));
    let sent = appointment
        .attendees
        .map(|sent| format!("{sent} of yours entered"));
    let parts = [
        appointment.language.clone(),
        appointment.place.clone(),
        doors,
        at_most,
        sent,
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn event_state(event: &Event, standing: &EventStatus, at: &TimetableStatus) -> String {
    let state = match (standing.state, &event.kind) {
        (EventState::Upcoming, _) if date_at(standing.start) == at.today => "Today".to_owned(),
        (EventState::Upcoming, _) => match standing.business_days_left {
            Some(left) => format!("{} to go", business_days(left)),
            None => "To come; business days are not counted, for the calendar has no such year"
                .to_owned(),
        },
        (EventState::UnderWay, EventKind::Appointment(_)) => "Now".to_owned(),
        (EventState::UnderWay, _) if standing.precision == Precision::Day => "Today".to_owned(),
        (EventState::UnderWay, EventKind::Milestone { awaited_from }) => {
            format!("To be expected from {awaited_from} any day")
        }
        (EventState::UnderWay, EventKind::PhaseStart { .. }) => {
            "May begin any day; assumed to have begun".to_owned()
        }
        (EventState::Past, EventKind::PhaseStart { .. }) => "Begun".to_owned(),
        (EventState::Past, EventKind::Appointment(_)) => "Over".to_owned(),
        (EventState::Past, EventKind::Milestone { .. }) if event.actual.is_some() => {
            "Happened".to_owned()
        }
        (EventState::Past, EventKind::Milestone { .. }) => "Its time is over".to_owned(),
    };
    match (event.actual, standing.status) {
        (Some(_), _) => format!(
            "{state}; the actual day, where the circular said \"{}\"",
            event.said.words
        ),
        (None, Status::Tentative) => format!("{state}; tentative: \"{}\"", event.said.words),
        (None, Status::Confirmed) => state,
    }
}
