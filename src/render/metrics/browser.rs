//! The series of browser checks.

use super::definitions::*;
use super::family::Families;
use super::{flag, unix};
use crate::report::TargetStats;

/// Adds the series of a target that a browser opens.
pub(super) fn add(families: &mut Families, name: &str, stats: &TargetStats) {
    let Some(run) = &stats.browser else { return };
    let failure = run.failure();
    families.add(&BROWSER_SUCCESS, &[name], flag(failure.is_none()));
    families.add(&BROWSER_LAST_RUN, &[name], unix(run.started));
    families.add(&BROWSER_INTERVAL, &[name], run.interval.as_secs_f64());
    match &run.result {
        Ok(check) => {
            let load = check.seen.load_ms.map(|load| load as f64 / 1_000.0);
            families.add_optional(&BROWSER_DURATION, &[name], load);
            if let Some(failure) = &check.failure {
                let reason = failure.reason.map_or("", |reason| reason.into_str());
                let error = failure.error.as_deref().unwrap_or_default();
                families.add_info(&BROWSER_FAILURE_INFO, &[name, reason, error]);
            }
        }
        Err(why) => families.add_info(&BROWSER_FAILURE_INFO, &[name, "", why.code()]),
    }
    if let Some(report) = &stats.latest
        && let Some(check) = &report.browser
    {
        let differs = flag(check.differs_from(report));
        families.add(&BROWSER_DIFFERS, &[name], differs);
    }
}
