//! Single values of the timetable's file: ids, labels, texts, dates and times.
//!
//! An error has the value's position, and its key relative to the entry. The limits of lengths are
//! generous; they keep labels of metrics and lines of a terminal usable.

use jiff::civil::{Date, Time};

use crate::calendar::parse_date;
use crate::diagnostics::{Diagnostic, Text};
use crate::label::is_name;
use crate::redact;

pub(super) type Read<T> = Result<T, Diagnostic>;

const MAX_LABEL: usize = 120;
const MAX_TEXT: usize = 2000;

/// The result of an entry, with the path to the entry in front of its key.
pub(super) fn below<T>(list: &str, id: &Text, read: Read<T>) -> Read<T> {
    read.map_err(|error| error.below(&format!("{list}.{}", id.value)))
}

/// An id, which becomes a label of metrics and a key of the configuration.
pub(super) fn id(raw: &Text) -> Read<()> {
    if is_name(&raw.value, "_") && !raw.value.contains(|c: char| c.is_ascii_uppercase()) {
        return Ok(());
    }
    let message = format!("invalid id {:?}; use 1 to 64 of a-z, 0-9 and _", raw.value);
    Err(Diagnostic::at(raw, "id", message))
}

/// A short line, for a label or a heading.
pub(super) fn label(raw: &Text, key: &str) -> Read<String> {
    without_email(raw, key, MAX_LABEL)
}

pub(super) fn text(raw: &Text, key: &str) -> Read<String> {
    without_email(raw, key, MAX_TEXT)
}

/// The contact for questions, which may contain the e-mail address of the clearing house.
pub(super) fn enquiry(raw: &Text, key: &str) -> Read<String> {
    line(raw, key, MAX_TEXT)
}

/// The circular's sentences, at least one.
pub(super) fn sentences(raw: &[Text], words: &Text) -> Read<Vec<String>> {
    if raw.is_empty() {
        let message = "the list is empty; quote the circular's sentence";
        return Err(Diagnostic::at(words, "sentences", message));
    }
    raw.iter()
        .map(|sentence| text(sentence, "sentences"))
        .collect()
}

fn without_email(raw: &Text, key: &str, max: usize) -> Read<String> {
    if redact::contains_email(&raw.value) {
        let message =
            "remove the e-mail address; only `enquiry` may contain that of the clearing house";
        return Err(Diagnostic::at(raw, key, message));
    }
    line(raw, key, max)
}

fn line(raw: &Text, key: &str, max: usize) -> Read<String> {
    let value = raw.value.trim();
    let length = value.chars().count();
    let message = if length == 0 {
        "the value is empty; add it, or remove the key if it is optional".to_owned()
    } else if length > max {
        format!("{length} characters are too many; the maximum is {max}")
    } else if value.chars().any(char::is_control) {
        "remove line breaks, tabs and other control characters".to_owned()
    } else {
        return Ok(value.to_owned());
    };
    Err(Diagnostic::at(raw, key, message))
}

/// A date `YYYY-MM-DD` of the years 2000 to 2199.
pub(super) fn date(raw: &Text, key: &str) -> Read<Date> {
    parse_date(&raw.value)
        .and_then(plausible)
        .map_err(|message| Diagnostic::at(raw, key, message))
}

/// A month `YYYY-MM`, as its first day.
pub(super) fn month(raw: &Text, key: &str) -> Read<Date> {
    parse_date(&format!("{}-01", raw.value))
        .and_then(plausible)
        .map_err(|_| {
            let message = format!(
                "invalid month {:?}; use YYYY-MM, such as 2023-05",
                raw.value
            );
            Diagnostic::at(raw, key, message)
        })
}

fn plausible(date: Date) -> Result<Date, String> {
    match date.year() {
        2000..2200 => Ok(date),
        year => Err(format!(
            "the year {year} is not plausible; use 2000 to 2199"
        )),
    }
}

/// A time of day `HH:MM`, Hong Kong time.
pub(super) fn time(raw: &Text, key: &str) -> Read<Time> {
    Time::strptime("%H:%M", &raw.value)
        .ok()
        .filter(|time| time.strftime("%H:%M").to_string() == raw.value)
        .ok_or_else(|| {
            let message = format!(
                "invalid time {:?}; use \"HH:MM\" in quotes, such as \"16:30\"",
                raw.value
            );
            Diagnostic::at(raw, key, message)
        })
}

/// A value that may be absent.
pub(super) fn optional<T>(
    raw: &Option<Text>,
    key: &str,
    read: impl Fn(&Text, &str) -> Read<T>,
) -> Read<Option<T>> {
    raw.as_ref().map(|raw| read(raw, key)).transpose()
}
