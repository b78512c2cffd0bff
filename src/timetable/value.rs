//! Single values of the timetable's file: ids, labels, texts, dates and times.
//!
//! In: a value with its place in the file. Out: the value as a type, or an error
//! at that place. Bounds are generous; they keep a file from making a metric's
//! label or a terminal's line do what nobody meant.

use jiff::civil::{Date, Time};

use super::error::TimetableError;
use super::raw::Text;
use crate::calendar::exact_date;
use crate::redact;

type Read<T> = Result<T, TimetableError>;

/// An id: it becomes a metric's label and a configuration key.
pub(super) fn id(written: &Text) -> Read<()> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if (1..=64).contains(&written.value.len()) && written.value.chars().all(allowed) {
        return Ok(());
    }
    let problem = format!(
        "`{}` is not an id; use 1 to 64 of a-z, 0-9 and _",
        written.value.escape_debug()
    );
    Err(TimetableError::at(written, "id", problem))
}

/// A short text of one line, fit for a metric's label or a heading.
pub(super) fn label(written: &Text, key: &str) -> Read<String> {
    bounded(written, key, 120)
}

pub(super) fn text(written: &Text, key: &str) -> Read<String> {
    bounded(written, key, 2000)
}

/// Whom to ask: the clearing house's own address may stand in it, and nobody else's anywhere.
pub(super) fn enquiry(written: &Text, key: &str) -> Read<String> {
    within(written, key, 2000)
}

fn bounded(written: &Text, key: &str, longest: usize) -> Read<String> {
    if redact::contains_email(&written.value) {
        let problem =
            "an e-mail address stands in it; only `enquiry` may hold one, the clearing house's";
        return Err(TimetableError::at(written, key, problem));
    }
    within(written, key, longest)
}

fn within(written: &Text, key: &str, longest: usize) -> Read<String> {
    let value = written.value.trim();
    let length = value.chars().count();
    let problem = if length == 0 {
        "it is empty; write the text, or leave an optional key out".to_owned()
    } else if length > longest {
        format!("{length} characters are too many; at most {longest}")
    } else if value.chars().any(char::is_control) {
        "it has a line break, tab or other control character; write it as one line".to_owned()
    } else {
        return Ok(value.to_owned());
    };
    Err(TimetableError::at(written, key, problem))
}

/// A date `YYYY-MM-DD` of the years 2000 to 2199.
pub(super) fn date(written: &Text, key: &str) -> Read<Date> {
    exact_date(&written.value)
        .filter(|date| plausible(*date))
        .ok_or_else(|| {
            let problem = format!(
                "`{}` is not a date; write YYYY-MM-DD, such as 2023-04-28",
                written.value.escape_debug()
            );
            TimetableError::at(written, key, problem)
        })
}

/// A month `YYYY-MM`, as its first day.
pub(super) fn month(written: &Text, key: &str) -> Read<Date> {
    let day = exact_date(&format!("{}-01", written.value));
    day.filter(|day| plausible(*day)).ok_or_else(|| {
        let problem = format!(
            "`{}` is not a month; write YYYY-MM, such as 2023-05",
            written.value.escape_debug()
        );
        TimetableError::at(written, key, problem)
    })
}

fn plausible(date: Date) -> bool {
    (2000..2200).contains(&date.year())
}

/// A time of day `HH:MM`, Hong Kong time.
pub(super) fn time(written: &Text, key: &str) -> Read<Time> {
    let time = Time::strptime("%H:%M", &written.value).ok();
    time.filter(|time| time.strftime("%H:%M").to_string() == written.value)
        .ok_or_else(|| {
            let problem = format!(
                "`{}` is not a time; write \"HH:MM\" in quotes, such as \"16:30\"",
                written.value.escape_debug()
            );
            TimetableError::at(written, key, problem)
        })
}

/// Reads a value that may be left out.
pub(super) fn optional<T>(
    written: Option<&Text>,
    key: &str,
    read: impl Fn(&Text, &str) -> Read<T>,
) -> Read<Option<T>> {
    written.map(|written| read(written, key)).transpose()
}
