//! `verify --browser`: opens each target in a browser of this host and compares it with the probe.

use std::sync::Arc;

use anyhow::anyhow;
use tokio_util::sync::CancellationToken;

use super::super::evidence::Recording;
use super::super::status_lines::StatusLines;
use super::super::{ExitStatus, usage_error};
use crate::browser::{self, Browser};
use crate::cli::VerifyArgs;
use crate::clock::Clock;
use crate::config::Target;
use crate::evidence::{BrowserRecord, Content, Picture, TerminalOutcome};
use crate::render::browser as render;
use crate::report::browser::protocol::NotRun;
use crate::report::{BrowserCheck, Expectation, Report};

/// Checks the targets that must be reachable, one after the other, and adds the results to their reports.
/// Returns why a browser was not started.
pub(super) async fn check_all(
    targets: &[Arc<Target>],
    reports: &mut [Report],
    args: &VerifyArgs,
    clock: Clock,
) -> Option<NotRun> {
    let browser = Browser {
        program: args.browser_path.as_deref(),
        timeout: args.browser_timeout,
        // The check ends with this process.
        stop: &CancellationToken::new(),
    };
    let mut lines = StatusLines::on_terminal();
    for (target, report) in targets.iter().zip(reports) {
        if target.expect == Expectation::Unreachable {
            continue;
        }
        if let Some(lines) = &mut lines {
            lines.show(&[format!("{}  opening the page in a browser", target.name)]);
        }
        match browser::check(target, &browser, clock).await {
            Ok(check) => check.add_to(report),
            // It would be the same for the next target.
            Err(why) => return Some(why),
        }
    }
    None
}

/// The records of the browser checks at `terminal`, whose pictures are written.
///
/// # Errors
/// A picture cannot be written.
pub(super) fn records(
    reports: &[Report],
    terminal: &str,
    recording: &Recording,
) -> anyhow::Result<Vec<Content>> {
    let checked = reports
        .iter()
        .filter_map(|report| Some((report, report.browser.as_deref()?)));
    let record = |(report, check): (&Report, &BrowserCheck)| {
        let directory = recording.ledger.directory();
        let png = check.screenshot.as_ref();
        let screenshot = png.map(|png| Picture::store(directory, png));
        let screenshot = screenshot
            .transpose()
            .map_err(|error| anyhow!("NOT recorded: cannot write the picture: {error}"))?;
        Ok(Content::TerminalBrowser(Box::new(BrowserRecord {
            terminal: terminal.to_owned(),
            target: report.target.clone(),
            url: report.url.clone(),
            started: check.started,
            outcome: if check.is_good() {
                TerminalOutcome::Seen
            } else {
                TerminalOutcome::NotSeen
            },
            failure: check.failure.as_ref().map(|failure| failure.code()),
            browser: check.seen.browser.clone(),
            browser_version: check.seen.version.clone(),
            screenshot,
            reference: recording.reference.clone(),
        })))
    };
    checked.map(record).collect()
}

/// A browser that is missing or may not be used is a matter of configuration.
///
/// # Errors
/// Always: what to do.
pub(super) fn not_run(why: &NotRun) -> anyhow::Result<ExitStatus> {
    let message = format!("--browser: {}", render::not_run(why, "--browser-path"));
    Err(match why {
        NotRun::NotStarted { .. } | NotRun::CheckerFailed { .. } => anyhow!(message),
        NotRun::BrowserNotFound { .. }
        | NotRun::BrowserTooOld { .. }
        | NotRun::DebuggingForbidden { .. }
        | NotRun::NoSandbox { .. }
        | NotRun::NoDisplay { .. }
        | NotRun::ProfileNotWritable { .. } => usage_error(message),
    })
}
