//! The keys about dates and times: `calendar`, `timetable`, `service_hours`, `maintenance`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Time;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use super::raw::{RawCalendar, RawConfig, RawMaintenance, RawTimetable};
use super::section::Section;
use crate::calendar::{Calendar, parse_date};
use crate::diagnostics::Text;
use crate::input_file::InputFile;
use crate::label;
use crate::service_hours::{Days, Hours, Maintenance, ServiceHours};
use crate::timetable::{OverrideKey, Overrides, Timetable};

pub(super) fn calendar(raw: &RawCalendar, mut section: Section<'_>) -> Option<Calendar> {
    let mut calendar = match &raw.file {
        None => Some(Calendar::embedded()),
        Some(file) => section
            .read_file("file", file, InputFile::Calendar)
            .and_then(|(path, text)| {
                section.parse("file", file, |_| {
                    Calendar::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
                })
            }),
    };
    // One date at a time, so that an error is reported at its own position.
    for (key, list) in [
        ("extra_closed", &raw.extra_closed),
        ("extra_open", &raw.extra_open),
    ] {
        section.list(key, list, |text| {
            let date = parse_date(text)?;
            let (closed, open) = match key {
                "extra_closed" => (Some(date), None),
                _ => (None, Some(date)),
            };
            if let Some(known) = &mut calendar {
                let with = known.clone().with_overrides(closed, open);
                *known = with.map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(())
        });
    }
    calendar
}

pub(super) fn timetable(raw: &RawTimetable, mut section: Section<'_>) -> Option<Timetable> {
    let timetable = match &raw.file {
        None => Timetable::embedded(),
        Some(file) => {
            let (path, text) = section.read_file("file", file, InputFile::Timetable)?;
            Timetable::parse(&text, &path)
                .map_err(|diagnostics| section.include(diagnostics))
                .ok()?
        }
    };
    let mut actual = BTreeMap::new();
    for (id, text) in raw.actual.iter() {
        let date = section.parse(&format!("actual.{id}"), text, parse_date);
        actual.extend(date.map(|date| (id.clone(), date)));
    }
    let overrides = Overrides {
        done: values(&raw.done),
        actual,
        attendees: values(&raw.attendees),
    };
    let errors = match timetable.with_overrides(&overrides) {
        Ok(timetable) => return Some(timetable),
        Err(errors) => errors,
    };
    for error in errors {
        let id = &error.id;
        let location = match error.key {
            OverrideKey::Done => raw.done.get(id).map(|value| value.referenced),
            OverrideKey::Actual => raw.actual.get(id).map(|value| value.referenced),
            OverrideKey::Attendees => raw.attendees.get(id).map(|value| value.referenced),
        };
        let key = format!("{}.{id}", error.key.into_str());
        section.error_at(location, &key, error.message);
    }
    None
}

fn values<T: Copy>(raw: &BTreeMap<String, Spanned<T>>) -> BTreeMap<String, T> {
    let values = raw.iter().map(|(id, value)| (id.clone(), value.value));
    values.collect()
}

pub(super) fn service_hours(raw: &RawConfig, section: &mut Section<'_>) -> ServiceHours {
    let hours = raw.service_hours.as_ref().and_then(|value| {
        hours(&value.value)
            .map_err(|message| section.error(value, "service_hours", message))
            .ok()
    });
    let windows = raw.maintenance.iter().enumerate();
    let maintenance = windows.filter_map(|(index, window)| {
        maintenance(window, section.below(&format!("maintenance[{index}]")))
    });
    ServiceHours {
        maintenance: maintenance.collect(),
        hours: hours.unwrap_or_default(),
    }
}

fn hours(value: &Value) -> Result<Hours, String> {
    const FORMS: &str = "use always, or {days: business, from: \"07:00\", to: \"20:00\"} (days: \
                         business or every)";
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Daily {
        days: Days,
        from: String,
        to: String,
    }
    match value {
        Value::Null => return Ok(Hours::Always),
        Value::String(word) if word == "always" => return Ok(Hours::Always),
        Value::Object(_) => {}
        _ => return Err(format!("invalid service hours; {FORMS}")),
    }
    let Daily { days, from, to } =
        Daily::deserialize(value).map_err(|error| format!("{error}; {FORMS}"))?;
    let time = |text: &str| {
        text.parse::<Time>()
            .map_err(|_| format!("invalid time {text:?}; {FORMS}"))
    };
    match (time(&from)?, time(&to)?) {
        (start, end) if start >= end => Err(format!("the hours end at {to}, before they begin")),
        (from, to) => Ok(Hours::Daily { days, from, to }),
    }
}

fn maintenance(raw: &RawMaintenance, mut section: Section<'_>) -> Option<Maintenance> {
    let mut instant = |key: &str, text: &Text| {
        section.parse(key, text, |text| {
            text.parse::<Timestamp>().map_err(|_| {
                format!("invalid time {text:?}; add the offset, for example 2026-12-05T08:00+08:00")
            })
        })
    };
    let (from, to) = (instant("from", &raw.from), instant("to", &raw.to));
    section.optional("reference", &raw.reference, label::check_reference);
    let (from, to) = (from?, to?);
    if to <= from {
        section.error(&raw.to, "to", "the maintenance ends before it begins");
    }
    Some(Maintenance {
        from,
        to,
        reference: raw.reference.as_ref().map(|text| text.value.clone()),
    })
}
