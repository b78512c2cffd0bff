//! `check`: validates every configuration file, or converts one of blackbox_exporter.

use std::path::Path;

use super::{ExitStatus, output_width, usage_error, write_output};
use crate::cli::{CheckArgs, Flags};
use crate::clock::Clock;
use crate::config::{Config, WebConfig, blackbox, read_file};
use crate::input_file::InputFile;
use crate::ownership;
use crate::readiness::Readiness;
use crate::redact::print_error;
use crate::render;

/// Prints a summary of the configuration.
///
/// # Errors
/// The errors of all files, or the output cannot be written.
pub fn run(flags: &Flags, args: &CheckArgs, clock: Clock) -> anyhow::Result<ExitStatus> {
    if let Some(path) = &args.from_blackbox {
        return convert(path);
    }
    let mut errors = Vec::new();
    let config = Config::load(flags.config_file.as_deref(), flags.site.as_deref())
        .map_err(|error| errors.push(error.to_string()))
        .ok();
    let web = WebConfig::load(flags.web_config_file.as_deref())
        .map_err(|error| errors.push(error.to_string()))
        .unwrap_or_default();
    let source = config.as_ref().and_then(|config| config.readiness.as_ref());
    let readiness = source.and_then(|source| {
        Readiness::read(&source.path)
            .map_err(|error| errors.push(format!("{}: {error}", source.path.display())))
            .ok()
    });
    match config {
        Some(config) if errors.is_empty() => {
            let summary = render::summary::of(
                &config,
                &web,
                readiness.as_ref(),
                clock.now(),
                output_width(),
            );
            let directory = config.data_directory.as_deref();
            let directory = directory.map(|directory| {
                let access = ownership::access(directory);
                render::summary::data_directory(directory, access.as_ref())
            });
            write_output(&(summary + &directory.unwrap_or_default()), None)?;
            Ok(ExitStatus::Success)
        }
        _ => Err(usage_error(errors.join("\n"))),
    }
}

/// Prints the converted modules to standard output, and unsupported keys to standard error.
fn convert(path: &Path) -> anyhow::Result<ExitStatus> {
    let converted = read_file(path, InputFile::Config)
        .and_then(|text| blackbox::convert(&text, path))
        .map_err(usage_error)?;
    for key in &converted.unsupported {
        print_error(format!("{}: {}: {}", key.module, key.key, key.message));
    }
    write_output(&converted.modules, None)?;
    Ok(ExitStatus::Success)
}
