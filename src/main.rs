//! The door of the program: reads the command line, starts a runtime, and turns the end into an
//! exit code.

use std::process::ExitCode;

use ccass_2fa_exporter::cli::{Cli, Command, Flags, LogFormat, LogLevel};
use ccass_2fa_exporter::clock::Clock;
use ccass_2fa_exporter::commands::{self, ExitStatus};
use ccass_2fa_exporter::redact::{RedactingStderr, print_error};
use clap::Parser;
use tokio::runtime::Builder;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::prelude::*;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(mistake) if mistake.use_stderr() => {
            print_error(mistake.render().to_string().trim_end());
            return ExitStatus::UsageError.into();
        }
        Err(help) => {
            let _ = help.print();
            return ExitStatus::Success.into();
        }
    };
    log_to_standard_error(&cli.flags);
    // A probe is mostly waiting: a second thread would cost each of them its wake-ups. What takes long,
    // as a scrape of many targets does, leaves this one (serve/routes.rs). Built for debugging, all takes
    // several times as long, and one is not enough.
    let mut builder = if cfg!(debug_assertions) {
        Builder::new_multi_thread()
    } else {
        Builder::new_current_thread()
    };
    let runtime = match builder.worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            print_error(format!("cannot start: {error}"));
            return ExitStatus::InternalError.into();
        }
    };
    let ending = runtime.block_on(run(cli));
    // What is still under way has had its time.
    runtime.shutdown_background();
    match ending {
        Ok(ending) => ending.into(),
        Err(error) => {
            print_error(format!("{error:#}"));
            ExitStatus::InternalError.into()
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitStatus> {
    let flags = &cli.flags;
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => commands::serve(flags, Clock::System).await,
        Command::Verify(verify) => commands::verify(flags, &verify, Clock::System).await,
        Command::Timetable(timetable) => commands::timetable(flags, &timetable, Clock::System),
        Command::Check(check) => commands::check(flags, &check, Clock::System),
        Command::Record(record) => commands::record(flags, &record, Clock::System),
        Command::Evidence(evidence) => commands::evidence(flags, &evidence, Clock::System),
        Command::Drill(drill) => commands::drill(flags, &drill, Clock::System).await,
        Command::Healthcheck => commands::healthcheck(flags).await,
    }
}

fn log_to_standard_error(flags: &Flags) {
    let level = match flags.log_level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    // The libraries below speak of every packet.
    let ours = tracing_subscriber::filter::Targets::new()
        .with_target("ccass_2fa_exporter", level)
        .with_default(level.min(LevelFilter::ERROR));
    let registry = tracing_subscriber::registry().with(ours);
    match flags.log_format {
        LogFormat::Logfmt => registry
            .with(
                tracing_logfmt::builder()
                    .with_target(false)
                    .layer()
                    .with_writer(|| RedactingStderr),
            )
            .init(),
        LogFormat::Json => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .with_writer(|| RedactingStderr),
            )
            .init(),
    }
}
