//! The series of browser checks.

use super::definitions::*;
use super::family::SeriesWriter;
use super::{flag, unix};
use crate::report::TargetStats;

/// Adds the series of a target that a browser opens.
pub(super) fn add(series: &mut SeriesWriter<'_>, stats: &TargetStats) {
    let Some(run) = &stats.browser else { return };
    let failure = run.failure();
    series.add(&BROWSER_SUCCESS, &[], flag(failure.is_none()));
    series.add(&BROWSER_LAST_RUN, &[], unix(run.started));
    series.add(&BROWSER_INTERVAL, &[], run.interval.as_secs_f64());
    match &run.result {
        Ok(check) => {
            let load = check.seen.load_ms.map(|load| load as f64 / 1_000.0);
            series.add_optional(&BROWSER_DURATION, &[], load);
            if let Some(failure) = &check.failure {
                let reason = failure.reason.map_or("", |reason| reason.into_str());
                let error = failure.error.as_deref().unwrap_or_default();
                series.add_info(&BROWSER_FAILURE_INFO, &[reason, error]);
            }
        }
        Err(why) => series.add_info(&BROWSER_FAILURE_INFO, &["", why.code()]),
    }
    if let Some(report) = &stats.latest
        && let Some(check) = &report.browser
    {
        let differs = flag(check.differs_from(report));
        series.add(&BROWSER_DIFFERS, &[], differs);
    }
}
