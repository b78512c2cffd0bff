//! What each command does: parse its arguments, call the library, render, and return an exit status.

mod audit;
mod check;
mod completions;
mod drill;
mod evidence;
mod healthcheck;
mod init;
mod merge;
mod serve;
mod status_lines;
mod timetable;
mod verify;

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use crate::cli::{Cli, Command, Flags};
use crate::clock::Clock;
use crate::config::Config;
use crate::label;
use crate::render::Width;
use crate::replacement::replace;
use crate::serve::Prefix;
use crate::terminal;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    Success = 0,
    /// What the command checks does not hold: a login page is unreachable, evidence was altered.
    CheckFailed = 1,
    UsageError = 2,
    InternalError = 3,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// The error of a command whose arguments or configuration are invalid. Any other error is an
/// internal one.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(String);

fn usage_error(message: impl Display) -> anyhow::Error {
    UsageError(message.to_string()).into()
}

/// Runs the command of the command line, `serve` by default.
///
/// # Errors
/// A [`UsageError`], or an internal error such as output that cannot be written.
pub async fn run(cli: Cli, clock: Clock) -> anyhow::Result<ExitStatus> {
    let flags = &cli.flags;
    if let Some(site) = &flags.site {
        label::check(site).map_err(|error| usage_error(format!("--site: {error}")))?;
    }
    match cli.command.unwrap_or(Command::Serve) {
        // Boxed: its future is much larger than the others.
        Command::Serve => Box::pin(serve::run(flags, clock)).await,
        Command::Verify(args) => verify::run(flags, &args, clock).await,
        Command::Init(args) => init::run(flags, &args, clock).await,
        Command::Timetable(args) => timetable::run(flags, &args, clock),
        Command::Check(args) => check::run(flags, &args, clock),
        Command::Record(args) => evidence::record(flags, &args, clock),
        Command::Evidence(command) => evidence::run(flags, &command, clock).await,
        Command::Drill(args) => drill::run(flags, &args, clock).await,
        Command::Healthcheck => healthcheck::run(flags).await,
        Command::Completions { shell } => completions::run(shell),
    }
}

fn load_config(flags: &Flags) -> anyhow::Result<Config> {
    Config::load(flags.config_file.as_deref(), flags.site.as_deref()).map_err(usage_error)
}

fn route_prefix(flags: &Flags) -> anyhow::Result<Prefix> {
    let external = flags.web_external_url.as_deref();
    Prefix::new(external, flags.web_route_prefix.as_deref()).map_err(usage_error)
}

/// The width of standard output if it is a terminal.
fn output_width() -> Width {
    terminal::output_columns().map_or_else(Width::default, Width::of_terminal)
}

/// Replaces a file atomically, so that a collector never reads a part of it.
fn replace_file(file: &Path, text: &str) -> anyhow::Result<()> {
    // A collector reads only files with the ending of the original.
    let mut new = file.as_os_str().to_owned();
    new.push(format!(".{}.new", std::process::id()));
    let new = PathBuf::from(new);
    let written = fs::write(&new, text).and_then(|()| replace(&new, file));
    written.with_context(|| {
        let _ = fs::remove_file(&new);
        format!("cannot write {}", file.display())
    })
}

fn is_closed_pipe(error: &io::Error) -> bool {
    const ERROR_PIPE_NOT_CONNECTED: i32 = 233;
    error.kind() == io::ErrorKind::BrokenPipe
        || cfg!(windows) && error.raw_os_error() == Some(ERROR_PIPE_NOT_CONNECTED)
}

/// Writes to `file`, or to standard output; colors are kept only on a terminal.
fn write_output(text: &str, file: Option<&Path>) -> anyhow::Result<()> {
    match file {
        Some(path) => {
            let plain = anstream::adapter::strip_str(text).to_string();
            fs::write(path, plain).with_context(|| format!("cannot write {}", path.display()))
        }
        None => match terminal::write_output(text) {
            // The reader, for example `head`, has closed the pipe.
            Err(error) if is_closed_pipe(&error) => Ok(()),
            other => other.context("cannot write to standard output"),
        },
    }
}
