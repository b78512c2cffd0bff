//! `drill`: sends a test alert to Alertmanager and records the result.

use std::cell::RefCell;
use std::time::Duration;

use super::evidence::Recording;
use super::status_lines::StatusLines;
use super::{ExitStatus, load_config};
use crate::cli::{DrillArgs, Flags};
use crate::clock::{Clock, Stopwatch};
use crate::drill::{self, DrillOptions};
use crate::evidence::{Content, Drill, DrillOutcome};
use crate::redact::print_error;
use crate::terminal;

/// Runs the drill. A failure is an exit status and is recorded too.
///
/// # Errors
/// The arguments or the configuration are invalid, or the result cannot be recorded.
pub async fn run(flags: &Flags, args: &DrillArgs, clock: Clock) -> anyhow::Result<ExitStatus> {
    let config = load_config(flags)?;
    let options = DrillOptions {
        alertmanager: args.alertmanager.clone(),
        severity: args.severity.into_str(),
        site: config.site.clone(),
        hold: args.hold,
        username: args.username.clone(),
        password_file: args.password_file.clone(),
        ca_file: args.ca_file.clone(),
    };
    let recording = Recording::from_flags(&args.evidence, &config, clock)?;
    let lines = RefCell::new(StatusLines::on_terminal());
    let drill = drill::run(&options, clock, |step| {
        if let Some(lines) = &mut *lines.borrow_mut() {
            lines.clear();
        }
        let _ = terminal::write_output(&format!("{step}\n"));
    });
    let result = tokio::select! {
        result = drill => result,
        result = show_waiting(&lines) => result,
    };
    drop(lines);
    let (status, outcome) = match result {
        Ok(()) => (ExitStatus::Success, DrillOutcome::Good),
        Err(error) => {
            print_error(format!("{error:#}"));
            (ExitStatus::CheckFailed, DrillOutcome::Failed)
        }
    };
    if let Some(recording) = recording {
        let url = &options.alertmanager;
        let content = Content::Drill(Drill {
            severity: options.severity.to_owned(),
            alertmanager: url[url::Position::BeforeHost..url::Position::AfterPort].to_owned(),
            outcome,
            reference: recording.reference.clone(),
        });
        recording.append(&[content])?;
    }
    Ok(status)
}

/// Shows how long the drill has been running, until it is dropped.
async fn show_waiting(lines: &RefCell<Option<StatusLines>>) -> anyhow::Result<()> {
    let watch = Stopwatch::start();
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        if let Some(lines) = &mut *lines.borrow_mut() {
            lines.show(&[format!("waiting    {} s so far", watch.elapsed().as_secs())]);
        }
    }
}
