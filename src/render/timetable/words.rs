//! Dates, counts and readings in words.
//!
//! In: instants, counts and the circular's date forms. Out: pieces of English
//! sentences; every date with its weekday, in Hong Kong time.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use crate::calendar::{HKT, date_at};
use crate::timetable::{Form, Interval, Statement};

pub(super) fn day(date: Date) -> String {
    date.strftime("%a %-d %b %Y").to_string()
}

pub(super) fn clock(at: Timestamp) -> String {
    HKT.to_datetime(at).strftime("%H:%M").to_string()
}

/// The day that is over at an instant, or just being lived: a bound at 00:00
/// belongs to the day before it.
pub(super) fn last_day(end: Timestamp) -> Date {
    date_at(end.saturating_sub(1.nanosecond()).unwrap_or(end))
}

/// From the first to the last day of an interval.
pub(super) fn days(interval: Interval) -> String {
    let (first, last) = (date_at(interval.start), last_day(interval.end));
    if first == last {
        return day(first);
    }
    let from = if first.year() == last.year() {
        first.strftime("%a %-d %b").to_string()
    } else {
        day(first)
    };
    format!("{from} - {}", day(last))
}

pub(super) fn business_days(count: u32) -> String {
    match count {
        1 => "1 business day".to_owned(),
        _ => format!("{count} business days"),
    }
}

/// How a date of a duty is read.
pub(super) fn due_reading(said: &Statement) -> String {
    let words = &said.words;
    match &said.form {
        Form::Before(date) => {
            let eve = day(date.saturating_sub(1.day()));
            format!(
                "We read \"{words}\" as: done when {eve} ends; {} is too late.",
                day(*date)
            )
        }
        Form::By(date) | Form::On(date) => {
            format!(
                "We read \"{words}\" as: {} still counts, to its end.",
                day(*date)
            )
        }
        form => match form.interval() {
            Some(interval) => format!(
                "We read \"{words}\" as: some day of {}; the first of them counts.",
                days(interval)
            ),
            None => format!("\"{words}\"."),
        },
    }
}

/// How a date of something that happens is read.
pub(super) fn event_reading(said: &Statement) -> Option<String> {
    let rule = match &said.form {
        Form::Early(_) => "the first ten days of the month",
        Form::Mid(_) => "days 11 to 20 of the month",
        Form::Late(_) => "day 21 to the end of the month",
        Form::Month(_) => "the whole month",
        Form::Range(..) => "from the first day of the one to the last day of the other",
        Form::Before(_) | Form::By(_) | Form::On(_) | Form::From(_) => return None,
    };
    let days = days(said.form.interval()?);
    Some(format!("We read \"{}\" as: {rule}, {days}.", said.words))
}

/// The circular's sentences, quoted.
pub(super) fn quoted(sentences: &[String]) -> String {
    let quoted: Vec<String> = sentences
        .iter()
        .map(|sentence| format!("\"{sentence}\""))
        .collect();
    format!("The circular: {}", quoted.join(" "))
}
