//! `timetable`: the circular's dates.

use jiff::Timestamp;

use super::{ExitStatus, configuration, write_output};
use crate::calendar::{midnight, parse_date};
use crate::cli::{Flags, TimetableArgs, TimetableFormat};
use crate::clock::Clock;
use crate::config::Config;
use crate::evidence::{self, Ledger};
use crate::redact::print_error;
use crate::render;
use crate::render::timetable::Explain;
use crate::timetable::{Timetable, TimetableStatus};

/// Shows the circular's dates.
///
/// # Errors
/// The output cannot be written.
pub fn timetable(flags: &Flags, args: &TimetableArgs, clock: Clock) -> anyhow::Result<ExitStatus> {
    let Some(config) = configuration(flags) else {
        return Ok(ExitStatus::UsageError);
    };
    let at = match args.at.as_deref().map(instant) {
        None => clock.now(),
        Some(Ok(at)) => at,
        Some(Err(message)) => {
            print_error(format!("--at: {message}"));
            return Ok(ExitStatus::UsageError);
        }
    };
    let dates = with_evidence(&config, at, clock);
    let standing = dates.status_at(at, &config.calendar);
    let text = match args.format {
        TimetableFormat::Text => {
            let explain = if args.explain {
                Explain::WithSentences
            } else {
                Explain::DatesOnly
            };
            render::timetable::text(&dates, &standing, explain)
        }
        TimetableFormat::Json => {
            let value = render::timetable::json(&dates, &standing);
            format!("{value:#}\n")
        }
        TimetableFormat::Yaml => dates.source().to_owned(),
        TimetableFormat::Ics => render::timetable::ics(&dates, &standing, &config.calendar),
        TimetableFormat::Alertmanager => match years(&args.year, &standing, &config) {
            Ok(years) => render::timetable::alertmanager(&config.calendar, &years),
            Err(message) => {
                print_error(format!("--year: {message}"));
                return Ok(ExitStatus::UsageError);
            }
        },
    };
    write_output(&text, None)?;
    Ok(ExitStatus::Success)
}

/// The timetable with what the evidence shows to be done by then.
fn with_evidence(config: &Config, at: Timestamp, clock: Clock) -> Timetable {
    let Some(directory) = &config.data_directory else {
        return config.timetable.clone();
    };
    let ledger = Ledger::in_directory(directory, config.site.as_deref(), clock);
    match evidence::EvidenceState::at(&ledger, at) {
        Ok(standing) => {
            standing.with_evidence(&config.timetable, &config.targets, &config.terminals)
        }
        Err(cause) => {
            print_error(format!("the evidence is left out: {cause}"));
            config.timetable.clone()
        }
    }
}

/// The years asked for; without any, this one and the next, as far as the calendar goes.
fn years(asked: &[i16], standing: &TimetableStatus, config: &Config) -> Result<Vec<i16>, String> {
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
    parse_date(text).map(midnight).map_err(|_| {
        format!(
            "{text:?} is neither a date (2023-04-27) nor an instant (2023-04-27T08:05:00+08:00)"
        )
    })
}
