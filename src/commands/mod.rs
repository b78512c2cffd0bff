//! What each command does: read, call, render, and say how it ended.

mod evidence;
mod serve;
mod timetable;
mod verify;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use crate::cli::{Check, DrillArgs, Flags};
use crate::clock::Clock;
use crate::config::{Config, WebConfig, blackbox, duration, read_file};
use crate::drill::{self, Access, Drill};
use crate::evidence::{self as kept, Content, DrillOutcome};
use crate::readiness::Readiness;
use crate::redact::print_error;
use crate::render;
use evidence::Recorder;
pub use evidence::{evidence, record};
pub use serve::{healthcheck, serve};
pub use timetable::timetable;
pub use verify::verify;

/// How a command ended, and its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// 0
    Success,
    /// 1: the answer is no.
    Negative,
    /// 2: usage or configuration.
    UsageError,
    /// 3: a failure of our own.
    InternalError,
}

impl From<ExitStatus> for ExitCode {
    fn from(ending: ExitStatus) -> Self {
        Self::from(match ending {
            ExitStatus::Success => 0,
            ExitStatus::Negative => 1,
            ExitStatus::UsageError => 2,
            ExitStatus::InternalError => 3,
        })
    }
}

/// Reads every file; a mistake in any is told on standard error.
///
/// # Errors
/// The output cannot be written.
pub fn check(flags: &Flags, args: &Check, clock: Clock) -> anyhow::Result<ExitStatus> {
    if let Some(path) = &args.from_blackbox {
        return convert(path);
    }
    let config = configuration(flags);
    let web = WebConfig::load(flags.web_config_file.as_deref());
    if let Err(diagnostics) = &web {
        print_error(diagnostics);
    }
    let source = config.as_ref().and_then(|config| config.readiness.as_ref());
    let readiness = source.map(|source| Readiness::read(&source.path));
    if let (Some(source), Some(Err(error))) = (source, &readiness) {
        print_error(format!("{}: {error}", source.path.display()));
    }
    let (Some(config), Ok(_), Ok(readiness)) = (config, web, readiness.transpose()) else {
        return Ok(ExitStatus::UsageError);
    };
    write_output(
        &render::summary::of(&config, readiness.as_ref(), clock.now()),
        None,
    )?;
    Ok(ExitStatus::Success)
}

/// Modules on standard output, so that they can go into a file; what is left on standard error.
fn convert(path: &Path) -> anyhow::Result<ExitStatus> {
    let converted = read_file(path).and_then(|text| blackbox::convert(&text, path));
    match converted {
        Err(diagnostics) => {
            print_error(diagnostics);
            Ok(ExitStatus::UsageError)
        }
        Ok(converted) => {
            for left in &converted.unsupported {
                print_error(format!("{}: {}: {}", left.module, left.key, left.message));
            }
            write_output(&converted.modules, None)?;
            Ok(ExitStatus::Success)
        }
    }
}

/// Rehearses the alarm.
///
/// # Errors
/// It cannot be recorded.
pub async fn drill(flags: &Flags, args: &DrillArgs, clock: Clock) -> anyhow::Result<ExitStatus> {
    let Some(config) = configuration(flags) else {
        return Ok(ExitStatus::UsageError);
    };
    let (alertmanager, hold) = match (args.alertmanager.parse(), duration(&args.hold)) {
        (Ok(url), Ok(hold)) => (url, hold),
        (Err(error), _) => {
            print_error(format!(
                "--alertmanager: {error}; write for example http://localhost:9093"
            ));
            return Ok(ExitStatus::UsageError);
        }
        (_, Err(message)) => {
            print_error(format!("--hold: {message}"));
            return Ok(ExitStatus::UsageError);
        }
    };
    let recorder = match Recorder::from_args(&args.recording, &config, clock) {
        Ok(recorder) => recorder,
        Err(message) => {
            print_error(&message);
            return Ok(ExitStatus::UsageError);
        }
    };
    let drill = Drill {
        alertmanager,
        severity: args.severity.into_str().to_owned(),
        site: config.site,
        hold,
        access: Access {
            username: args.username.clone(),
            password_file: args.password_file.clone(),
            ca_file: args.ca_file.clone(),
        },
    };
    let run = drill::run(&drill, clock, |step| {
        let _ = writeln!(io::stdout(), "{step}");
    });
    let (ending, outcome) = match run.await {
        Ok(()) => (ExitStatus::Success, DrillOutcome::Good),
        Err(error) => {
            print_error(format!("{error:#}"));
            (ExitStatus::Negative, DrillOutcome::Failed)
        }
    };
    if let Some(recorder) = recorder {
        let url = &drill.alertmanager;
        let content = Content::Drill(kept::Drill {
            severity: drill.severity.clone(),
            alertmanager: url[url::Position::BeforeHost..url::Position::AfterPort].to_owned(),
            outcome,
            reference: recorder.reference.clone(),
        });
        recorder.record(&[content])?;
    }
    Ok(ending)
}

/// The configuration, or its mistakes on standard error.
fn configuration(flags: &Flags) -> Option<Config> {
    Config::load(flags.config_file.as_deref())
        .map_err(|error| print_error(&error))
        .ok()
}

/// Writes text that may hold colours: they stay on a terminal only.
fn write_output(text: &str, file: Option<&Path>) -> anyhow::Result<()> {
    match file {
        Some(path) => {
            let plain = anstream::adapter::strip_str(text).to_string();
            fs::write(path, plain).with_context(|| format!("cannot write {}", path.display()))
        }
        None => match anstream::stdout().write_all(text.as_bytes()) {
            // Whoever reads has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.context("cannot write to standard output"),
        },
    }
}
