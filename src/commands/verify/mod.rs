//! `verify`: probes once and prints the result. `live` shows the layers meanwhile, `watch` repeats,
//! `browser` opens the targets in a browser of this host, too.

mod browser;
mod live;
mod watch;

use std::sync::Arc;

use jiff::Timestamp;

use super::evidence::{Recording, check_terminal};
use super::{ExitStatus, load_config, output_width, replace_file, usage_error, write_output};
use crate::cli::{Flags, VerifyArgs, VerifyFormat};
use crate::clock::Clock;
use crate::config::{Config, LOGIN_MODULE, Target};
use crate::evidence::{Content, Origin, Receipt, Verification};
use crate::label;
use crate::probe::{Engine, Roots};
use crate::render::metrics::{TerminalMetrics, textfile};
use crate::render::{self, Width};
use crate::report::browser::protocol::NotRun;
use crate::report::{Report, Role};
use crate::state_file::StateFile;

/// Probes the selected targets once and prints their reports.
///
/// # Errors
/// The arguments or the configuration are invalid, or the result cannot be written or recorded.
pub async fn run(flags: &Flags, args: &VerifyArgs, clock: Clock) -> anyhow::Result<ExitStatus> {
    let config = load_config(flags)?;
    let selected = Selected {
        targets: select_targets(&config, args.target.as_deref()).map_err(usage_error)?,
        is_named: args.target.is_some(),
    };
    let recording = Recording::from_flags(&args.evidence, &config, clock)?;
    check_terminal_flag(args, &config)?;
    let engine = Engine::new(&config.modules, &Roots::load(), config.site.clone(), clock);
    if args.watch {
        return watch::run(&config, &engine, &selected, clock).await;
    }
    let concurrency = config.probe.concurrency;
    let mut reports = live::probe(&engine, &selected.targets, concurrency).await;
    let not_run = if args.browser {
        browser::check_all(&selected.targets, &mut reports, args, clock).await
    } else {
        None
    };
    let recorded = match &recording {
        None => Ok(Vec::new()),
        Some(recording) => {
            let mut contents = verifications(&reports, recording);
            if let (Some(terminal), true) = (&args.terminal, args.browser) {
                contents.extend(browser::records(&reports, terminal, recording)?);
            }
            recording.append(&contents)
        }
    };
    let receipts = recorded.as_deref().unwrap_or_default();
    let reports: Vec<&Report> = reports.iter().collect();
    let mut counting = reports.iter().filter(|report| selected.counts(report.role));
    let is_good = counting.all(|report| match &report.browser {
        Some(check) => check.is_good(),
        None => report.verdict.is_good(),
    });
    // The reports are printed even if they could not be recorded.
    if args.quiet {
        write_output(&render::text::one_line(&reports, is_good), None)?;
    } else {
        let run = Run {
            config: &config,
            receipts,
            not_run: not_run.as_ref(),
            ended: clock.now(),
        };
        let mut text = format(args, &run, &reports)?;
        if flags.config_file.is_none() && args.format == VerifyFormat::Text {
            text += render::text::NO_CONFIGURATION;
        }
        match (args.format, &args.output) {
            (VerifyFormat::Prometheus, Some(file)) => replace_file(file, &text)?,
            (_, output) => write_output(&text, output.as_deref())?,
        }
    }
    recorded?;
    if let Some(why) = not_run {
        return browser::not_run(&why);
    }
    Ok(if is_good {
        ExitStatus::Success
    } else {
        ExitStatus::CheckFailed
    })
}

/// The reports in the format of the command line, compared with the saved state.
fn format(args: &VerifyArgs, run: &Run<'_>, reports: &[&Report]) -> anyhow::Result<String> {
    let (config, now) = (run.config, run.ended);
    let directory = config.data_directory.as_deref();
    let state = directory.map(|directory| StateFile::in_directory(directory).load());
    let mut state = state.unwrap_or_default();
    state.forget_after(now);
    let contacts = &config.contacts;
    Ok(match args.format {
        VerifyFormat::Text => {
            let width = match args.output {
                Some(_) => Width::default(),
                None => output_width(),
            };
            render::text::reports(reports, contacts, &state, width)
        }
        VerifyFormat::Json => render::json::reports(reports, contacts, &state, now)?,
        VerifyFormat::Html => render::html::reports(reports, contacts, &state, run.receipts, now),
        VerifyFormat::Prometheus => {
            let host = gethostname::gethostname();
            let host = host.to_string_lossy();
            let terminal = TerminalMetrics {
                terminal: args.terminal.as_deref().unwrap_or(&host),
                ended: now,
                calendar: &config.calendar,
                not_run: run.not_run,
            };
            textfile(reports, &terminal)
        }
    })
}

/// What the output needs in addition to the reports.
struct Run<'a> {
    config: &'a Config,
    receipts: &'a [Receipt],
    not_run: Option<&'a NotRun>,
    ended: Timestamp,
}

/// # Errors
/// `--terminal` has nothing to name, or an invalid name.
fn check_terminal_flag(args: &VerifyArgs, config: &Config) -> anyhow::Result<()> {
    let Some(terminal) = &args.terminal else {
        return Ok(());
    };
    let is_recorded = args.browser && args.evidence.record;
    if is_recorded {
        check_terminal(config, terminal)
    } else if args.format == VerifyFormat::Prometheus {
        label::check(terminal).map_err(|error| usage_error(format!("--terminal: {error}")))
    } else {
        Err(usage_error(
            "--terminal: add --browser --record to record a check of the terminal, or --format prometheus",
        ))
    }
}

/// The targets to probe.
struct Selected {
    targets: Vec<Arc<Target>>,
    /// Whether the command line names it.
    is_named: bool,
}

impl Selected {
    /// A failing control does not affect the exit status, unless it was named on the command line.
    fn counts(&self, role: Role) -> bool {
        role != Role::Control || self.is_named
    }
}

fn verifications(reports: &[Report], recording: &Recording) -> Vec<Content> {
    let verification = |report| {
        let reference = recording.reference.clone();
        let verification = Verification::of(report, Origin::Verify, reference);
        Content::Verification(Box::new(verification))
    };
    reports.iter().map(verification).collect()
}

/// The target with that name, or an ad hoc target for a URL; all configured ones by default.
fn select_targets(config: &Config, argument: Option<&str>) -> Result<Vec<Arc<Target>>, String> {
    let targets = &config.targets;
    let Some(argument) = argument else {
        return if targets.is_empty() {
            Err("no target is configured; name an https URL".to_owned())
        } else {
            Ok(targets.to_vec())
        };
    };
    if let Some(target) = targets.named(argument) {
        return Ok(vec![Arc::clone(target)]);
    }
    let module = config.modules.get(LOGIN_MODULE);
    let Some(module) = module.filter(|_| argument.contains("://")) else {
        let unknown = targets.unknown(argument);
        return Err(format!(
            "{unknown}; to probe another server, write its https URL"
        ));
    };
    let target = Target::ad_hoc(argument, Arc::clone(module), config.probe.timeout)?;
    Ok(vec![Arc::new(target)])
}
