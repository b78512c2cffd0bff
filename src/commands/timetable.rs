//! `timetable`: prints the circular's dates and their status.

use jiff::Timestamp;

use super::{ExitStatus, load_config, usage_error, write_output};
use crate::cli::{Flags, TimetableArgs, TimetableFormat};
use crate::clock::Clock;
use crate::config::Config;
use crate::evidence::{EvidenceState, Ledger};
use crate::redact::print_error;
use crate::render;
use crate::render::timetable::Explain;
use crate::timetable::{Timetable, TimetableStatus};

/// Prints the timetable.
///
/// # Errors
/// The arguments or the configuration are invalid, or the output cannot be written.
pub fn run(flags: &Flags, args: &TimetableArgs, clock: Clock) -> anyhow::Result<ExitStatus> {
    let config = load_config(flags)?;
    let at = args.at.unwrap_or_else(|| clock.now());
    let timetable = with_evidence(&config, at, clock);
    let status = timetable.status_at(at, &config.calendar);
    let text = match args.format {
        TimetableFormat::Text => {
            let explain = if args.explain {
                Explain::WithSentences
            } else {
                Explain::DatesOnly
            };
            render::timetable::text(&timetable, &status, explain)
        }
        TimetableFormat::Json => format!("{:#}\n", render::timetable::json(&timetable, &status)),
        TimetableFormat::Yaml => timetable.source().to_owned(),
        TimetableFormat::Ics => render::timetable::ics(&timetable, &status, &config.calendar),
        TimetableFormat::Alertmanager => {
            let years = years(&args.year, &status, &config)?;
            render::timetable::alertmanager(&config.calendar, &years)
        }
    };
    write_output(&text, None)?;
    Ok(ExitStatus::Success)
}

/// The configured timetable, with what the evidence shows as done at `at`.
fn with_evidence(config: &Config, at: Timestamp, clock: Clock) -> Timetable {
    let Some(directory) = &config.data_directory else {
        return config.timetable.clone();
    };
    let ledger = Ledger::in_directory(directory, config.site.as_deref(), clock);
    match EvidenceState::at(&ledger, at) {
        Ok(state) => state.with_evidence(&config.timetable, &config.targets, &config.terminals),
        Err(error) => {
            print_error(format!("cannot read the evidence, ignoring it: {error}"));
            config.timetable.clone()
        }
    }
}

/// The requested years, by default this year and the next as far as the calendar has them.
fn years(requested: &[i16], status: &TimetableStatus, config: &Config) -> anyhow::Result<Vec<i16>> {
    let known = config.calendar.years();
    if requested.is_empty() {
        let this = status.today.year();
        return Ok([this, this + 1]
            .into_iter()
            .filter(|year| known.contains(year))
            .collect());
    }
    match requested.iter().find(|year| !known.contains(year)) {
        None => Ok(requested.to_vec()),
        Some(year) => Err(usage_error(format!(
            "--year: the calendar has no holidays of {year}, only of {} to {}",
            known.start(),
            known.end()
        ))),
    }
}
