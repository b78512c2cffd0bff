//! The two written forms of a holiday table.
//!
//! In: text, our CSV or the official feed's JSON. Out: dates with their names,
//! or an error that names the line (or the feed's event) and what would be
//! right. Which years that covers is left to [`super::Calendar`].

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Deserialize;

use super::CalendarError;
use super::hkt::{date_in, exact_date};
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

fn csv_table(text: &str) -> Result<Holidays, CalendarError> {
    if text.trim().is_empty() {
        return Err(CalendarError::Empty);
    }
    let mut holidays = Holidays::new();
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(csv_problem)?;
    if *header != HEADER[..] {
        let found = header.iter().collect::<Vec<_>>().join(",");
        let problem = format!("the header is `{found}`; it must be `{}`", HEADER.join(","));
        return Err(wrong("line 1", problem));
    }
    for row in reader.records() {
        let row = row.map_err(csv_problem)?;
        let line = row.position().map_or(0, csv::Position::line);
        let place = format!("line {line}");
        let mut fields = row.iter();
        let (Some(written), Some(weekday), Some(name)) =
            (fields.next(), fields.next(), fields.next())
        else {
            return Err(wrong(place, "three fields are needed: date,weekday,name"));
        };
        let date = exact_date(written).ok_or_else(|| {
            let problem =
                format!("`{written}` is not a date; write YYYY-MM-DD, such as 2023-04-05");
            wrong(&place, problem)
        })?;
        let actual = date.strftime("%a").to_string();
        if weekday != actual {
            let problem =
                format!("{date} is a {actual}, not `{weekday}`; correct the date or the weekday");
            return Err(wrong(place, problem));
        }
        insert(&mut holidays, date, name, &place)?;
    }
    Ok(holidays)
}

const HEADER: [&str; 3] = ["date", "weekday", "name"];

fn csv_problem(error: csv::Error) -> CalendarError {
    let line = error.position().map_or(1, csv::Position::line);
    let problem = match error.kind() {
        csv::ErrorKind::UnequalLengths { len, .. } => {
            format!(
                "{len} fields instead of three: date,weekday,name (quote a name that has a comma)"
            )
        }
        _ => error.to_string(),
    };
    wrong(format!("line {line}"), problem)
}

/// The feed as published: only what we read of it.
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
    dtstart: Vec<serde_json::Value>,
    summary: String,
}

fn feed(text: &str) -> Result<Holidays, CalendarError> {
    let feed: Feed = serde_json::from_str(text).map_err(|error| {
        let problem = format!(
            "{error}; the official feed has vcalendar[].vevent[] with dtstart[0] and summary"
        );
        wrong(format!("line {}", error.line()), problem)
    })?;
    let mut holidays = Holidays::new();
    let events = feed
        .vcalendar
        .into_iter()
        .flat_map(|calendar| calendar.vevent);
    for (number, event) in (1..).zip(events) {
        let place = format!("event {number} (`{}`)", event.summary);
        let start = event.dtstart.first();
        let date = start
            .and_then(serde_json::Value::as_str)
            .and_then(|written| date_in(written, "%Y%m%d"))
            .ok_or_else(|| {
                let found = start.map_or_else(|| "empty".to_owned(), ToString::to_string);
                let problem = format!("dtstart is {found}; its first element must be a date YYYYMMDD, such as \"20230405\"");
                wrong(&place, problem)
            })?;
        insert(&mut holidays, date, &event.summary, &place)?;
    }
    Ok(holidays)
}

fn insert(
    holidays: &mut Holidays,
    date: Date,
    name: &str,
    place: &str,
) -> Result<(), CalendarError> {
    if redact::contains_email(name) {
        return Err(wrong(
            place,
            "an e-mail address stands in the holiday's name; take it out",
        ));
    }
    match holidays.insert(date, name.to_owned()) {
        Some(earlier) => {
            let problem =
                format!("{date} is in the table already, as `{earlier}`; keep one of the two");
            Err(wrong(place, problem))
        }
        None => Ok(()),
    }
}

fn wrong(place: impl Into<String>, problem: impl Into<String>) -> CalendarError {
    CalendarError::Entry {
        place: place.into(),
        problem: problem.into(),
    }
}
