//! Dates, counts and interpretations as text, every date with its weekday in Hong Kong time.

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

/// The last day before an exclusive end: 00:00 belongs to the previous day.
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

/// The interpretation of a deadline's date.
pub(super) fn interpret_deadline(said: &Statement) -> String {
    let words = &said.words;
    match &said.form {
        Form::Before(date) => {
            let eve = day(date.saturating_sub(1.day()));
            format!(
                "\"{words}\" means: done by the end of {eve}; {} is too late.",
                day(*date)
            )
        }
        Form::By(date) | Form::On(date) => {
            format!("\"{words}\" means: until the end of {}.", day(*date))
        }
        form => match form.interval() {
            Some(interval) => format!(
                "\"{words}\" means: a day within {}; the first one counts.",
                days(interval)
            ),
            None => format!("\"{words}\"."),
        },
    }
}

/// The interpretation of an event's date.
pub(super) fn interpret_event(said: &Statement) -> Option<String> {
    let rule = match &said.form {
        Form::Early(_) => "the first ten days of the month",
        Form::Mid(_) => "days 11 to 20 of the month",
        Form::Late(_) => "day 21 to the end of the month",
        Form::Month(_) => "the whole month",
        Form::Range(..) => "from the first day of the first period to the last day of the second",
        Form::Before(_) | Form::By(_) | Form::On(_) | Form::From(_) => return None,
    };
    let days = days(said.form.interval()?);
    Some(format!("\"{}\" means: {rule}, {days}.", said.words))
}

/// The circular's sentences, quoted.
pub(super) fn quoted(sentences: &[String]) -> String {
    let quoted: Vec<String> = sentences
        .iter()
        .map(|sentence| format!("\"{sentence}\""))
        .collect();
    format!("The circular: {}", quoted.join(" "))
}
