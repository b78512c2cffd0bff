//! The series of the readiness file.

use super::definitions::*;
use super::family::SeriesWriter;
use super::{Snapshot, flag, unix};
use crate::readiness::{Email, Kind, Source};

/// Adds the counts; every state is present, also with 0.
pub(super) fn add(series: &mut SeriesWriter<'_>, exposition: &Snapshot<'_>, source: &Source) {
    let readiness_state = exposition.readiness_state;
    series.add(&READINESS_MAX_AGE, &[], source.max_age.as_secs_f64());
    let readable = flag(readiness_state.is_readable);
    series.add(&READINESS_READABLE, &[], readable);
    let Some(readiness) = &readiness_state.readiness else {
        return;
    };
    let accounts = &readiness.accounts;
    for kind in Kind::ALL {
        for email in Email::ALL {
            let count = accounts.count(kind, email) as f64;
            series.add(&ACCOUNTS, &[kind.into_str(), email.into_str()], count);
        }
        let after_launch = accounts.created_after_launch(kind) as f64;
        series.add(&ACCOUNTS_AFTER_LAUNCH, &[kind.into_str()], after_launch);
    }
    series.add(&ACCOUNTS_UPDATED, &[], unix(readiness.updated));
    let config = exposition.config;
    let is_done = |id: &str| config.timetable.is_done(id);
    let contradictions = accounts.contradictions(&source.expected_total, is_done);
    series.add(&READINESS_CONTRADICTIONS, &[], contradictions.len() as f64);
}
