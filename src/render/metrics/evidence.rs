//! The series of the evidence.

use super::definitions::*;
use super::family::SeriesWriter;
use super::{Snapshot, unix};
use crate::evidence::TerminalOutcome;

/// Adds record count, latest full passes and terminals.
pub(super) fn add(series: &mut SeriesWriter<'_>, exposition: &Snapshot<'_>) {
    let evidence = exposition.evidence;
    let errors = evidence.write_errors.map(|errors| errors as f64);
    series.add_optional(&EVIDENCE_ERRORS, &[], errors);
    let Some(status) = &evidence.state else {
        return;
    };
    let head = &status.head;
    series.add(&EVIDENCE_RECORDS, &[], head.number as f64);
    series.add(&EVIDENCE_FAULTS, &[], status.faults as f64);
    series.add_info(&EVIDENCE_HEAD_INFO, &[&head.hash, &head.number.to_string()]);
    let config = exposition.config;
    for target in config.targets.iter() {
        let pass = status.last_pass(target).map(unix);
        series.add_optional(&VERIFICATION_LAST_PASS, &[&target.name], pass);
    }
    series.add(&TERMINALS_EXPECTED, &[], config.terminals.len() as f64);
    for outcome in TerminalOutcome::ALL {
        let count = status.count_terminals(&config.terminals, outcome, &config.timetable);
        series.add(&TERMINALS_CHECKED, &[outcome.into_str()], count as f64);
        let count = status.count_browser_checks(&config.terminals, outcome, &config.timetable);
        let label = format!("browser-{}", outcome.into_str());
        series.add_optional(
            &TERMINALS_CHECKED,
            &[&label],
            count.map(|count| count as f64),
        );
    }
}
