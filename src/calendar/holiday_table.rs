//! Parses the two forms of a holiday table: CSV, and the JSON of the official feed.
//!
//! An error names the line of the CSV file or the event of the feed. Which years the table covers is
//! checked by [`super::Calendar`].

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Deserialize;
use serde_json::Value;

use super::CalendarError;
use super::hong_kong_time::{parse_date, parse_exactly};
use crate::redact;

type Holidays = BTreeMap<Date, String>;

pub(super) fn parse(text: &str) -> Result<Holidays, CalendarError> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with(['{', '[']) {
        feed(text)
    } else {
        csv_table(text)
    }
}

const HEADER: [&str; 3] = ["date", "weekday", "name"];

fn csv_table(text: &str) -> Result<Holidays, CalendarError> {
    if text.trim().is_empty() {
        return Err(CalendarError::Empty);
    }
    let mut holidays = Holidays::new();
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(csv_error)?;
    if *header != HEADER[..] {
        let found = header.iter().collect::<Vec<_>>().join(",");
        let message = format!("the header is `{found}`; it must be `{}`", HEADER.join(","));
        return Err(entry_error("line 1", message));
    }
    for row in reader.records() {
        let row = row.map_err(csv_error)?;
        let line = row.position().map_or(0, csv::Position::line);
        let position = format!("line {line}");
        let (date, weekday, name): (&str, &str, &str) = row.deserialize(None).map_err(csv_error)?;
        let date = parse_date(date).map_err(|message| entry_error(&position, message))?;
        let actual = date.strftime("%a").to_string();
        if weekday != actual {
            let message =
                format!("{date} is a {actual}, not `{weekday}`; correct the date or the weekday");
            return Err(entry_error(position, message));
        }
        insert(&mut holidays, date, name, &position)?;
    }
    Ok(holidays)
}

fn csv_error(error: csv::Error) -> CalendarError {
    let line = error.position().map_or(1, csv::Position::line);
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths { len, .. } => format!(
            "{len} fields instead of three: date,weekday,name (quote a name that has a comma)"
        ),
        _ => error.to_string(),
    };
    entry_error(format!("line {line}"), message)
}

/// The used part of the official feed.
#[derive(Deserialize)]
struct Feed {
    vcalendar: Vec<FeedCalendar>,
}

#[derive(Deserialize)]
struct FeedCalendar {
    vevent: Vec<FeedEvent>,
}

#[derive(Deserialize)]
struct FeedEvent {
    dtstart: Vec<Value>,
    summary: String,
}

fn feed(text: &str) -> Result<Holidays, CalendarError> {
    let feed: Feed = serde_json::from_str(text).map_err(|error| {
        let message = format!(
            "{error}; the official feed has vcalendar[].vevent[] with dtstart[0] and summary"
        );
        entry_error(format!("line {}", error.line()), message)
    })?;
    let mut holidays = Holidays::new();
    let calendars = feed.vcalendar.into_iter();
    for (number, event) in (1..).zip(calendars.flat_map(|calendar| calendar.vevent)) {
        let position = format!("event {number} (`{}`)", event.summary);
        let start = event.dtstart.first();
        let date = start
            .and_then(Value::as_str)
            .and_then(|text| parse_exactly(text, "%Y%m%d"))
            .ok_or_else(|| {
                let found = start.map_or_else(|| "empty".to_owned(), Value::to_string);
                let message = format!(
                    "dtstart is {found}; its first element must be a date YYYYMMDD, such as \
                     \"20230405\""
                );
                entry_error(&position, message)
            })?;
        insert(&mut holidays, date, &event.summary, &position)?;
    }
    Ok(holidays)
}

fn insert(
    holidays: &mut Holidays,
    date: Date,
    name: &str,
    position: &str,
) -> Result<(), CalendarError> {
    if redact::contains_email(name) {
        let message = "the name of the holiday contains an e-mail address; remove it";
        return Err(entry_error(position, message));
    }
    if let Some(earlier) = holidays.insert(date, name.to_owned()) {
        let message = format!("duplicate date {date}, already used for `{earlier}`; remove one");
        return Err(entry_error(position, message));
    }
    Ok(())
}

fn entry_error(position: impl Into<String>, message: impl Into<String>) -> CalendarError {
    CalendarError::Entry {
        position: position.into(),
        message: message.into(),
    }
}
