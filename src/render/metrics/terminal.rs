//! The metrics of one check at a terminal, as a file for the textfile collector of node_exporter or
//! windows_exporter. No name is one of `/metrics`, so that no alert rule takes the terminal for an exporter.

use jiff::Timestamp;
use jiff::civil::{Time, time};

use super::family::{Families, MetricDesc, MetricType, SeriesWriter, metrics};
use super::{Format, flag, unix};
use crate::calendar::{Calendar, date_at, instant};
use crate::report::browser::protocol::NotRun;
use crate::report::{BrowserCheck, Report};

/// When somebody should know that a terminal was not checked.
const DUE: Time = time(9, 0, 0, 0);

metrics! {
    /// In the order of the documentation.
    pub static TERMINAL_DEFINITIONS = "ccass2fa_";
    CHECK_TIME = Gauge("terminal_check_timestamp_seconds", ["terminal"], "When the check ended that wrote this file; an old value means that the scheduled task does not run.");
    CHECK_DUE = Gauge("terminal_check_due_timestamp_seconds", ["terminal"], "Until when the next check must have run: 09:00 in Hong Kong on the next business day; absent outside the calendar.");
    SUCCESS = Gauge("terminal_check_success", ["terminal", "target", "by"], "1 if the login page was reached; by is probe or browser.");
    DURATION = Gauge("terminal_check_duration_seconds", ["terminal", "target", "by"], "How long the probe took, or the browser until it had loaded the page.");
    FAILURE_INFO = Gauge("terminal_check_failure_info", ["terminal", "target", "by", "reason", "error"], "1 if the check failed: the reason, and the browser's own error. The reason is empty if none fits that error.");
    DIFFERS = Gauge("terminal_browser_differs_from_probe", ["terminal", "target"], "1 if the browser shows the page and the probe does not reach it, or the reverse.");
    BROWSER_INFO = Gauge("terminal_browser_info", ["terminal", "browser", "browser_version"], "The browser of the check.");
    CERTIFICATE_END = Gauge("terminal_certificate_not_after_timestamp_seconds", ["terminal", "target", "by"], "End of the server's certificate.");
}

/// A check at a terminal.
pub struct TerminalMetrics<'a> {
    pub terminal: &'a str,
    pub ended: Timestamp,
    pub calendar: &'a Calendar,
    /// Why no browser opened the targets that have no browser check.
    pub not_run: Option<&'a NotRun>,
}

/// The file of a check of these targets.
pub fn textfile(reports: &[&Report], check: &TerminalMetrics<'_>) -> String {
    let mut families = Families::new(Format::Text);
    let series = &mut families.writer_with("terminal", check.terminal);
    series.add(&CHECK_TIME, &[], unix(check.ended));
    let next = check
        .calendar
        .next_business_day_after(date_at(check.ended))
        .map(|date| unix(instant(date, DUE)));
    series.add_optional(&CHECK_DUE, &[], next);
    for report in reports {
        let labels = [report.target.as_str(), "probe"];
        let reason = report.verdict.reason().map(|reason| reason.into_str());
        series.add(&SUCCESS, &labels, flag(reason.is_none()));
        series.add(&DURATION, &labels, report.duration.as_secs_f64());
        if let Some(reason) = reason {
            series.add_info(&FAILURE_INFO, &[&labels[..], &[reason, ""]].concat());
        }
        let end = report
            .certificate()
            .map(|certificate| unix(certificate.not_after));
        series.add_optional(&CERTIFICATE_END, &labels, end);
        match (&report.browser, check.not_run) {
            (Some(check), _) => browser(series, report, check),
            (None, Some(why)) => {
                let labels = [report.target.as_str(), "browser"];
                series.add(&SUCCESS, &labels, 0.0);
                series.add_info(&FAILURE_INFO, &[&labels[..], &["", why.code()]].concat());
            }
            (None, None) => {}
        }
    }
    // The same for every target.
    if let Some(check) = reports.iter().find_map(|report| report.browser.as_ref()) {
        let seen = &check.seen;
        series.add_info(&BROWSER_INFO, &[&seen.browser, &seen.version]);
    }
    families.into_texts().collect()
}

fn browser(series: &mut SeriesWriter<'_>, report: &Report, check: &BrowserCheck) {
    let target = report.target.as_str();
    let labels = [target, "browser"];
    series.add(&SUCCESS, &labels, flag(check.is_good()));
    let seen = &check.seen;
    let load = seen.load_ms.map(|load| load as f64 / 1_000.0);
    series.add_optional(&DURATION, &labels, load);
    if let Some(failure) = &check.failure {
        let reason = failure.reason.map_or("", |reason| reason.into_str());
        let error = failure.error.as_deref().unwrap_or_default();
        series.add_info(&FAILURE_INFO, &[&labels[..], &[reason, error]].concat());
    }
    let end = seen
        .certificate
        .as_ref()
        .map(|certificate| certificate.valid_to as f64);
    series.add_optional(&CERTIFICATE_END, &labels, end);
    let differs = flag(check.differs_from(report));
    series.add(&DIFFERS, &[target], differs);
}
