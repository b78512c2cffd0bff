//! `completions`: prints a completion script, generated from the command line's definition.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{ExitStatus, write_output};
use crate::cli::Cli;

/// # Errors
/// The script cannot be written.
pub fn run(shell: Shell) -> anyhow::Result<ExitStatus> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    write_output(&String::from_utf8_lossy(&script), None)?;
    Ok(ExitStatus::Success)
}
