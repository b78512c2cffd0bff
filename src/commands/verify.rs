//! `verify`: probes once and prints the result.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use super::evidence::Recording;
use super::{ExitStatus, load_config, usage_error, write_output};
use crate::cli::{Flags, VerifyArgs, VerifyFormat};
use crate::clock::Clock;
use crate::config::{Config, LOGIN_MODULE, Target};
use crate::evidence::{Content, Origin, Verification};
use crate::probe::{Engine, Roots};
use crate::render;
use crate::report::{Report, Role};
use crate::state_file::StateFile;

/// Probes the selected targets once and prints their reports.
///
/// # Errors
/// The arguments or the configuration are invalid, or the result cannot be written or recorded.
pub async fn run(flags: &Flags, args: &VerifyArgs, clock: Clock) -> anyhow::Result<ExitStatus> {
    let config = load_config(flags)?;
    let targets = select_targets(&config, args.target.as_deref()).map_err(usage_error)?;
    let recording = Recording::from_flags(&args.evidence, &config, clock)?;
    let engine = Engine::new(&config.modules, &Roots::load(), config.site.clone(), clock);
    let probes = targets.iter().map(|target| engine.probe(target));
    let probes = stream::iter(probes).buffered(config.probe.concurrency);
    let reports: Vec<Report> = probes.collect().await;
    let directory = config.data_directory.as_deref();
    let state = directory.map(|directory| StateFile::in_directory(directory).load());
    let mut state = state.unwrap_or_default();
    state.forget_after(clock.now());
    let recorded = match &recording {
        None => Ok(Vec::new()),
        Some(recording) => recording.append(&verifications(&reports, recording)),
    };
    let receipts = recorded.as_deref().unwrap_or_default();
    let contacts = &config.contacts;
    let reports: Vec<&Report> = reports.iter().collect();
    let now = clock.now();
    let text = match args.format {
        VerifyFormat::Text => {
            let text = render::text::reports(&reports, contacts, &state);
            match flags.config_file {
                Some(_) => text,
                None => text + render::text::NO_CONFIGURATION,
            }
        }
        VerifyFormat::Json => render::json::reports(&reports, contacts, &state, now)?,
        VerifyFormat::Html => render::html::reports(&reports, contacts, &state, receipts, now),
    };
    // The reports are printed even if they could not be recorded.
    write_output(&text, args.output.as_deref())?;
    recorded?;
    // A failing control does not affect the exit status, unless it was named on the command line.
    let counts = |report: &&&Report| report.role != Role::Control || args.target.is_some();
    let mut counting = reports.iter().filter(counts);
    Ok(if counting.all(|report| report.verdict.is_good()) {
        ExitStatus::Success
    } else {
        ExitStatus::CheckFailed
    })
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
