//! `verify`: one probe now, for a person.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use super::evidence::Recorder;
use super::{ExitStatus, configuration, write_output};
use crate::cli::{Flags, Verify, VerifyFormat};
use crate::clock::Clock;
use crate::config::{Config, LOGIN_MODULE, Target};
use crate::evidence::{Content, Origin, Verification};
use crate::probe::{Engine, Roots};
use crate::redact::print_error;
use crate::render;
use crate::report::{Report, Role};
use crate::state_file::StateFile;

/// Probes once and tells.
///
/// # Errors
/// The output cannot be written, or the outcome not recorded.
pub async fn verify(flags: &Flags, args: &Verify, clock: Clock) -> anyhow::Result<ExitStatus> {
    let Some(config) = configuration(flags) else {
        return Ok(ExitStatus::UsageError);
    };
    let targets = match select_targets(&config, args.target.as_deref()) {
        Ok(targets) => targets,
        Err(message) => {
            print_error(&message);
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
    let roots = Roots::load();
    let engine = Engine::new(&config.modules, &roots, config.site.clone(), clock);
    let reports = probe_all(&engine, &targets, config.probe.concurrency).await;
    let memory = config.data_directory.as_deref();
    let memory = memory.map(|directory| StateFile::beside(directory).load());
    let memory = memory.unwrap_or_default();
    let recorded = match &recorder {
        None => Ok(Vec::new()),
        Some(recorder) => recorder.record(&verifications(&reports, recorder)),
    };
    let receipts = recorded.as_deref().unwrap_or_default();
    let contacts = &config.contacts;
    let told: Vec<&Report> = reports.iter().collect();
    let now = clock.now();
    let text = match args.format {
        VerifyFormat::Text => render::text::reports(&told, contacts, &memory),
        VerifyFormat::Json => render::json::reports(&told, contacts, &memory, now)?,
        VerifyFormat::Html => render::html::reports(&told, contacts, &memory, receipts, now),
    };
    write_output(&text, args.output.as_deref())?;
    // What was seen is told, whether it could be recorded or not.
    recorded?;
    // A control that fails is no answer to whether the login works, unless it was asked for.
    let decides = |report: &&Report| report.role == Role::Login || args.target.is_some();
    let mut deciding = reports.iter().filter(decides);
    Ok(if deciding.all(|report| report.verdict.is_good()) {
        ExitStatus::Success
    } else {
        ExitStatus::Negative
    })
}

fn verifications(reports: &[Report], recorder: &Recorder) -> Vec<Content> {
    let verification = |report| {
        let reference = recorder.reference.clone();
        let verification = Verification::of(report, Origin::Verify, reference);
        Content::Verification(Box::new(verification))
    };
    reports.iter().map(verification).collect()
}

/// The targets that the argument means.
fn select_targets(config: &Config, argument: Option<&str>) -> Result<Vec<Arc<Target>>, String> {
    let Some(argument) = argument else {
        return if !config.targets.is_empty() {
            Ok(config.targets.to_vec())
        } else {
            Err("no target is configured; name an https address".to_owned())
        };
    };
    if let Some(target) = config.targets.named(argument) {
        return Ok(vec![Arc::clone(target)]);
    }
    let names: Vec<_> = config
        .targets
        .iter()
        .map(|target| target.name.as_str())
        .collect();
    let unknown = || {
        format!(
            "{argument:?} is neither a configured target ({}) nor an https address",
            names.join(", ")
        )
    };
    let module = config
        .modules
        .get(LOGIN_MODULE)
        .filter(|_| argument.contains("://"));
    let module = module.ok_or_else(unknown)?;
    let target = Target::ad_hoc(argument, Arc::clone(module), config.probe.timeout)?;
    Ok(vec![Arc::new(target)])
}

/// In the order of the targets, so many at a time.
async fn probe_all(engine: &Engine, targets: &[Arc<Target>], concurrency: usize) -> Vec<Report> {
    let probes = targets.iter().map(|target| engine.probe(target));
    stream::iter(probes).buffered(concurrency).collect().await
}
