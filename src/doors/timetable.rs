//! `timetable`: the circular's dates.

use jiff::Timestamp;
use jiff::civil::Date;

use super::{Ending, configuration, put};
use crate::calendar::midnight;
use crate::cli::{Flags, TimetableArgs, TimetableFormat};
use crate::clock::Clock;
use crate::config::Config;
use crate::render;
use crate::render::timetable::Explain;
use crate::timetable::Standing;

/// Shows the circular's dates.
///
/// # Errors
/// The output cannot be written.
pub fn timetable(flags: &Flags, args: &TimetableArgs, clock: Clock) -> anyhow::Result<Ending> {
    let Some(config) = configuration(flags) else {
        return Ok(Ending::Mistaken);
    };
    let at = match args.at.as_deref().map(instant) {
        None => clock.now(),
        Some(Ok(at)) => at,
        Some(Err(message)) => {
            eprintln!("--at: {message}");
            return Ok(Ending::Mistaken);
        }
    };
    let standing = config.timetable.standing(at, &config.calendar);
    let text = match args.format {
        TimetableFormat::Text => {
            let explain = match args.explain {
                true => Explain::WithSentences,
                false => Explain::DatesOnly,
            };
            render::timetable::text(&config.timetable, &standing, explain)
        }
        TimetableFormat::Json => {
            let value = render::timetable::json(&config.timetable, &standing);
            format!("{value:#}\n")
        }
        TimetableFormat::Ics => {
            render::timetable::ics(&config.timetable, &standing, &config.calendar)
        }
        TimetableFormat::Alertmanager => match years(&args.year, &standing, &config) {
            Ok(years) => render::timetable::alertmanager(&config.calendar, &years),
            Err(message) => {
                eprintln!("--year: {message}");
                return Ok(Ending::Mistaken);
            }
        },
    };
    put(&text, None)?;
    Ok(Ending::Good)
}

/// The years asked for; without any, this one and the next, as far as the calendar goes.
fn years(asked: &[i16], standing: &Standing, config: &Config) -> Result<Vec<i16>, String> {
    let known = config.calendar.years();
    let outside = asked.iter().find(|year| !known.contains(year));
    match (outside, asked.is_empty()) {
        (Some(year), _) => Err(format!(
            "the calendar has no holidays of {year}; it goes from {} to {}",
            known.start(),
            known.end()
        )),
        (None, false) => Ok(asked.to_vec()),
        (None, true) => {
            let this = standing.today.year();
            Ok([this, this + 1]
                .into_iter()
                .filter(|year| known.contains(year))
                .collect())
        }
    }
}

/// A date means its first instant in Hong Kong.
fn instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    text.parse::<Date>().map(midnight).map_err(|_| {
        format!(
            "{text:?} is neither a date (2023-04-27) nor an instant (2023-04-27T08:05:00+08:00)"
        )
    })
}
