//! Parses the command line, starts the runtime and converts the result into an exit code.

use std::process::ExitCode;

use anyhow::Context;
use ccass_2fa_exporter::cli::{Cli, Flags, LogFormat};
use ccass_2fa_exporter::clock::Clock;
use ccass_2fa_exporter::commands::{self, ExitStatus, UsageError};
use ccass_2fa_exporter::redact::{RedactingStderr, print_error};
use clap::Parser;
use tokio::runtime::Builder;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::prelude::*;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            print_error(error.render().to_string().trim_end());
            return ExitStatus::UsageError.into();
        }
        Err(help) => {
            let _ = help.print();
            return ExitStatus::Success.into();
        }
    };
    anstream::ColorChoice::from(cli.flags.color).write_global();
    init_logging(&cli.flags);
    let status = run(cli).unwrap_or_else(|error| {
        print_error(format!("{error:#}"));
        if error.is::<UsageError>() {
            ExitStatus::UsageError
        } else {
            ExitStatus::InternalError
        }
    });
    status.into()
}

fn run(cli: Cli) -> anyhow::Result<ExitStatus> {
    // A probe mostly waits: on a second thread each probe would pay for wake-ups. Long computations,
    // such as a scrape of many targets, run on the blocking pool. A debug build is several times
    // slower and needs a second thread.
    let mut builder = if cfg!(debug_assertions) {
        Builder::new_multi_thread()
    } else {
        Builder::new_current_thread()
    };
    let runtime = builder.worker_threads(2).enable_all().build();
    let runtime = runtime.context("cannot start the async runtime")?;
    #[cfg(unix)]
    runtime.block_on(async { survive_file_size_limit() })?;
    // Where the first thread for files cannot start, tokio would panic: another one is tried out before, and leaves
    // its stack to it.
    let thread = std::thread::Builder::new().spawn(|| ()).context(
        "cannot start a thread, raise the limit of threads (TasksMax, or pids of the container) or of memory",
    )?;
    let _ = thread.join();
    runtime.spawn_blocking(|| ());
    let result = runtime.block_on(commands::run(cli, Clock::System));
    // Do not wait for blocking tasks: their shutdown timeouts have passed.
    runtime.shutdown_background();
    result
}

/// Lets a write beyond the limit of file sizes (`ulimit -f`, `LimitFSIZE`) fail, as on a full disk, instead of ending
/// the process by a signal.
#[cfg(unix)]
fn survive_file_size_limit() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = signal(SignalKind::from_raw(libc::SIGXFSZ)).context("cannot handle SIGXFSZ")?;
    // The handler stays.
    drop(signals);
    Ok(())
}

fn init_logging(flags: &Flags) {
    let level = flags.log_level;
    // Libraries log every packet at lower levels.
    let filter = tracing_subscriber::filter::Targets::new()
        .with_target("ccass_2fa_exporter", level)
        .with_default(level.min(LevelFilter::ERROR));
    let layer = match flags.log_format {
        LogFormat::Logfmt => tracing_logfmt::builder()
            .with_target(false)
            .layer()
            .with_writer(|| RedactingStderr)
            .boxed(),
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .with_writer(|| RedactingStderr)
            .boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .init();
}
