//! The timetable for a calendar program: Outlook, Apple's, Google's (RFC 5545).
//!
//! A deadline is an entry on the last day on which it can be met, an appointment has its hours, an
//! expected event spans the days on which it can happen. The identifiers never change, so that a later
//! file replaces the entries of an earlier one.

use chrono::TimeDelta;
use icalendar::{
    Alarm, Calendar as Document, Component, Event as Entry, EventLike, EventStatus, Property,
};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use super::Explain;
use super::row::{Row, rows};
use crate::calendar::{Calendar, HKT, date_at};
use crate::timetable::{EventKind, Status, Timetable, TimetableStatus};

/// Business days before a deadline with a reminder, as in the alert rules.
const DEADLINE_NOTICES: [u32; 3] = [15, 5, 1];
const APPOINTMENT_NOTICES: [u32; 2] = [5, 1];
/// Time of reminders in Hong Kong, in minutes of the day.
const MORNING: i64 = 9 * 60;

/// The dates of this timetable, including reported changes.
pub fn ics(timetable: &Timetable, status: &TimetableStatus, calendar: &Calendar) -> String {
    let mut document = Document::empty();
    let header = &timetable.header;
    for (name, value) in [
        ("VERSION", "2.0"),
        ("PRODID", "-//ccass-2fa-exporter//timetable//EN"),
        ("CALSCALE", "GREGORIAN"),
        ("METHOD", "PUBLISH"),
    ] {
        document.append_property(Property::new(name, value));
    }
    let name = format!("{} {}", header.issuer, header.reference);
    document.append_property(Property::new("X-WR-CALNAME", escaped(&name)));
    for row in rows(timetable, status) {
        document.push(entry(&row, timetable, status, calendar));
    }
    document.to_string()
}

fn entry(row: &Row<'_>, timetable: &Timetable, at: &TimetableStatus, calendar: &Calendar) -> Entry {
    let (_, paragraphs) = row.describe(Explain::WithSentences, at);
    let mut paragraphs = paragraphs.into_iter();
    let title = paragraphs.next().unwrap_or_default();
    // The remaining time would be wrong soon after the import.
    paragraphs.next();
    let description: Vec<String> = paragraphs.collect();
    let mut entry = Entry::with_uid(&uid(row, timetable));
    entry.description(&description.join("\n"));
    let stamp = utc(at.at);
    // A later file has a larger number, so that it replaces the earlier one.
    let sequence = u32::try_from(at.at.as_second() / 60).unwrap_or_default();
    entry.sequence(sequence);
    entry.add_property("DTSTAMP", &stamp);
    entry.add_property("LAST-MODIFIED", &stamp);
    let status = match row {
        Row::Deadline(_, status) => status.status,
        Row::Event(_, status) => status.status,
    };
    entry.status(match status {
        Status::Tentative => EventStatus::Tentative,
        Status::Confirmed => EventStatus::Confirmed,
    });
    match row {
        Row::Deadline(_, deadline) => {
            let day = deadline
                .last_day_to_act
                .unwrap_or_else(|| super::words::last_day(deadline.strict));
            let word = if deadline.done { "Done" } else { "Deadline" };
            entry.summary(&format!("{word}: {title}"));
            days(&mut entry, day, day);
            if !deadline.done {
                for notice in DEADLINE_NOTICES {
                    remind(&mut entry, day, notice, MORNING, calendar);
                }
            }
        }
        Row::Event(event, status) => {
            entry.summary(&title);
            match &event.kind {
                EventKind::Appointment(appointment) => {
                    entry.add_property("DTSTART", utc(status.start));
                    entry.add_property("DTEND", utc(status.end));
                    if let Some(place) = &appointment.place {
                        entry.location(place);
                    }
                    let day = date_at(status.start);
                    let start = HKT.to_datetime(status.start);
                    let minute = i64::from(start.hour()) * 60 + i64::from(start.minute());
                    for notice in APPOINTMENT_NOTICES {
                        remind(&mut entry, day, notice, MORNING - minute, calendar);
                    }
                }
                EventKind::Milestone { .. } | EventKind::PhaseStart { .. } => {
                    days(
                        &mut entry,
                        date_at(status.start),
                        super::words::last_day(status.end),
                    );
                }
            }
        }
    }
    entry.done()
}

/// Whole days from the first to the last, shown as free time.
fn days(entry: &mut Entry, first: Date, last: Date) {
    let date = |name: &str, date: Date| {
        let text = date.strftime("%Y%m%d").to_string();
        Property::new(name, text)
            .add_parameter("VALUE", "DATE")
            .done()
    };
    entry.append_property(date("DTSTART", first));
    // Exclusive.
    entry.append_property(date("DTEND", last.saturating_add(1.day())));
    entry.add_property("TRANSP", "TRANSPARENT");
}

/// A reminder `business_days` business days before `day`, at the given minute of the day; none outside the
/// calendar.
fn remind(entry: &mut Entry, day: Date, notice: u32, minutes: i64, calendar: &Calendar) {
    let Some(on) = before(day, notice, calendar) else {
        return;
    };
    let minutes = minutes - 24 * 60 * i64::from((day - on).get_days());
    let Some(offset) = TimeDelta::try_minutes(minutes) else {
        return;
    };
    let title = entry.get_summary().unwrap_or_default().to_owned();
    let mut alarm = Alarm::display(&title, offset);
    // In days: some programs do not accept a million seconds.
    let before = -minutes;
    let (days, hours, minutes) = (before / 1440, before / 60 % 24, before % 60);
    alarm.append_property(Property::new(
        "TRIGGER",
        format!("-P{days}DT{hours}H{minutes}M"),
    ));
    // Otherwise the library generates a new value each time.
    let id = entry.get_uid().unwrap_or_default();
    alarm.add_property("UID", format!("{notice}.{id}"));
    if let Some(stamp) = entry.property_value("DTSTAMP").map(str::to_owned) {
        alarm.add_property("DTSTAMP", stamp);
    }
    entry.alarm(alarm);
}

/// The day that is `business_days` business days before `day`.
fn before(day: Date, business_days: u32, calendar: &Calendar) -> Option<Date> {
    let mut day = day;
    for _ in 0..business_days {
        day = calendar.last_business_day_before(day)?;
    }
    Some(day)
}

/// `email_registration_users.CD-OES-CCASS-013-2023@ccass-2fa-exporter`
fn uid(row: &Row<'_>, timetable: &Timetable) -> String {
    let id = match row {
        Row::Deadline(deadline, _) => &deadline.id,
        Row::Event(event, _) => &event.id,
    };
    let reference = timetable.header.reference.replace('/', "-");
    format!("{id}.{reference}@ccass-2fa-exporter")
}

fn utc(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// RFC 5545, 3.3.11, for what the library takes as it is.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace(';', "\\;")
        .replace(',', "\\,")
}
