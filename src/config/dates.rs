//! The keys that speak of time: calendar, timetable, service hours, maintenance.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use serde_saphyr::Spanned;

use super::diagnostic::Diagnostics;
use super::raw::{self, Raw, Text};
use crate::calendar::{Calendar, exact_date};
use crate::evidence::Reference;
use crate::service_hours::{Days, Hours, Maintenance, ServiceHours};
use crate::timetable::{Answers, Timetable};

fn read_beside(
    file: &Text,
    key: &str,
    directory: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<(PathBuf, String)> {
    let path = directory.join(&file.value);
    fs::read_to_string(&path)
        .map_err(|error| {
            diagnostics.at(
                file,
                key,
                format!("cannot read {}: {error}", path.display()),
            )
        })
        .ok()
        .map(|text| (path, text))
}

pub(super) fn calendar(
    raw: &raw::Calendar,
    directory: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<Calendar> {
    let mut dates = |key: &str, list: &[Text]| -> Vec<Date> {
        let mut dates = Vec::with_capacity(list.len());
        for (index, text) in list.iter().enumerate() {
            match date(&text.value) {
                Ok(date) => dates.push(date),
                Err(message) => diagnostics.at(text, format!("calendar.{key}[{index}]"), message),
            }
        }
        dates
    };
    let closed = dates("extra_closed", &raw.extra_closed);
    let open = dates("extra_open", &raw.extra_open);
    let mut calendar = match &raw.file {
        None => Calendar::embedded(),
        Some(file) => {
            let (path, text) = read_beside(file, "calendar.file", directory, diagnostics)?;
            Calendar::parse(&text)
                .map_err(|error| {
                    diagnostics.at(
                        file,
                        "calendar.file",
                        format!("{}: {error}", path.display()),
                    );
                })
                .ok()?
        }
    };
    // Each exception is tried by itself, so that a mistake is told of the line it stands in.
    for (key, list, dates, is_open) in [
        ("extra_closed", &raw.extra_closed, &closed, false),
        ("extra_open", &raw.extra_open, &open, true),
    ] {
        for (index, (text, date)) in list.iter().zip(dates).enumerate() {
            let (closed, open) = if is_open {
                (None, Some(*date))
            } else {
                (Some(*date), None)
            };
            match calendar.clone().with_overrides(closed, open) {
                Ok(with) => calendar = with,
                Err(error) => {
                    diagnostics.at(text, format!("calendar.{key}[{index}]"), error.to_string());
                }
            }
        }
    }
    Some(calendar)
}

pub(super) fn timetable(
    raw: &raw::Timetable,
    directory: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<Timetable> {
    let timetable = match &raw.file {
        None => Timetable::embedded(),
        Some(file) => {
            let (path, text) = read_beside(file, "timetable.file", directory, diagnostics)?;
            Timetable::parse(&text)
                .map_err(|errors| {
                    for error in errors {
                        let message = format!("{}: {error}", path.display());
                        diagnostics.at(file, "timetable.file", message);
                    }
                })
                .ok()?
        }
    };
    let mut answers = Answers::default();
    // Each answer is tried by itself, so that a mistake is told of the line it stands in.
    for (id, done) in &raw.done {
        let mut one = Answers::default();
        one.done.insert(id.clone(), done.value);
        if answered(
            &timetable,
            &one,
            done,
            &format!("timetable.done.{id}"),
            diagnostics,
        ) {
            answers.done.insert(id.clone(), done.value);
        }
    }
    for (id, text) in &raw.actual {
        let key = format!("timetable.actual.{id}");
        match date(&text.value) {
            Err(message) => diagnostics.at(text, key, message),
            Ok(date) => {
                let mut one = Answers::default();
                one.actual.insert(id.clone(), date);
                if answered(&timetable, &one, text, &key, diagnostics) {
                    answers.actual.insert(id.clone(), date);
                }
            }
        }
    }
    for (id, count) in &raw.attendees {
        let mut one = Answers::default();
        one.attendees.insert(id.clone(), count.value);
        if answered(
            &timetable,
            &one,
            count,
            &format!("timetable.attendees.{id}"),
            diagnostics,
        ) {
            answers.attendees.insert(id.clone(), count.value);
        }
    }
    timetable.with_answers(&answers).ok()
}

fn answered<T>(
    timetable: &Timetable,
    answer: &Answers,
    value: &Spanned<T>,
    key: &str,
    diagnostics: &mut Diagnostics,
) -> bool {
    match timetable.clone().with_answers(answer) {
        Ok(_) => true,
        Err(error) => {
            diagnostics.at(value, key, error.to_string());
            false
        }
    }
}

fn date(text: &str) -> Result<Date, String> {
    exact_date(text).ok_or_else(|| format!("{text:?} is not a date; write for example 2023-05-22"))
}

pub(super) fn service_hours(raw: &Raw, diagnostics: &mut Diagnostics) -> ServiceHours {
    let hours = raw.service_hours.as_ref().and_then(|value| {
        hours(&value.value)
            .map_err(|message| diagnostics.at(value, "service_hours", message))
            .ok()
    });
    let windows = raw.maintenance.iter().enumerate();
    let maintenance = windows.filter_map(|(index, one)| maintenance(index, one, diagnostics));
    ServiceHours {
        maintenance: maintenance.collect(),
        hours: hours.unwrap_or_default(),
    }
}

const HOURS_FORMS: &str =
    "write always, or {days: business, from: \"07:00\", to: \"20:00\"} (days: business or every)";

fn hours(value: &serde_json::Value) -> Result<Hours, String> {
    let map = match value {
        serde_json::Value::Null => return Ok(Hours::Always),
        serde_json::Value::String(word) if word == "always" => return Ok(Hours::Always),
        serde_json::Value::Object(map) => map,
        _ => return Err(HOURS_FORMS.to_owned()),
    };
    if let Some(key) = map
        .keys()
        .find(|key| !["days", "from", "to"].contains(&key.as_str()))
    {
        return Err(format!("unknown field `{key}`; {HOURS_FORMS}"));
    }
    let text = |key: &str| {
        map.get(key)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
    };
    let time = |key: &str| {
        text(key)
            .parse::<Time>()
            .map_err(|_| format!("{key} is not a time of day; {HOURS_FORMS}"))
    };
    let days = match text("days") {
        "business" => Days::Business,
        "every" => Days::Every,
        _ => return Err(HOURS_FORMS.to_owned()),
    };
    let (from, to) = (time("from")?, time("to")?);
    if from < to {
        Ok(Hours::Daily { days, from, to })
    } else {
        Err("the hours end before they begin".to_owned())
    }
}

fn maintenance(
    index: usize,
    raw: &raw::Maintenance,
    diagnostics: &mut Diagnostics,
) -> Option<Maintenance> {
    let mut instant = |text: &Text, key: &str| {
        let instant = text.value.parse::<Timestamp>().map_err(|_| {
            let message = format!(
                "{:?} is not an instant with its offset; write for example 2026-12-05T08:00+08:00",
                text.value
            );
            diagnostics.at(text, format!("maintenance[{index}].{key}"), message);
        });
        instant.ok()
    };
    let (from, to) = (instant(&raw.from, "from"), instant(&raw.to, "to"));
    let (from, to) = (from?, to?);
    if to <= from {
        let key = format!("maintenance[{index}].to");
        diagnostics.at(&raw.to, key, "it ends before it begins");
    }
    if let Some(reference) = &raw.reference
        && let Err(message) = Reference::try_from(reference.value.clone())
    {
        diagnostics.at(
            reference,
            format!("maintenance[{index}].reference"),
            message,
        );
    }
    Some(Maintenance {
        from,
        to,
        reference: raw.reference.as_ref().map(|text| text.value.clone()),
    })
}
