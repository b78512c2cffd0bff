//! `make bench`: what the exporter costs, beside blackbox_exporter and beside a barest client of its
//! own libraries.
//!
//! In: the release binaries. Out: one table, on standard output, as JSON and in the document. It
//! measures in a network of its own, and so wants root. Figures are ratios of turns in one run, or
//! sizes; none depends on how fast the machine is, except the few that are times by their nature.
//! Every answer is checked: an answer that is not whole ends the run.
//!
//! * `world`: the servers that are asked
//! * `contenders`, `process`: who is measured, and what a process has spent
//! * `rows`: a file for each kind of figure; `samples`, `figures`: what came out, and how it is written
//! * `floor` is a program of its own

#![allow(
    clippy::disallowed_methods,
    reason = "it stands outside the program and has a clock of its own"
)]

mod contenders;
mod figures;
mod machine;
mod process;
mod rows;
mod samples;
mod world;

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use contenders::Programs;
use figures::Figures;
use rows::Part;
use world::World;

/// Measures the exporter side by side with blackbox_exporter.
#[derive(Parser)]
struct Arguments {
    /// Only these parts of the run
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Where the figures are written as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// The document between whose marks the tables are written
    #[arg(long)]
    document: Option<PathBuf>,
    /// It has its own network already
    #[arg(long, hide = true)]
    inside: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if !arguments.inside {
        return Err(enter());
    }
    tokio::select! {
        ended = measure(&arguments) => ended.map(|()| ExitCode::SUCCESS),
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(130)),
    }
}

/// Goes on as this program in namespaces of its own; whatever it starts there ends with it.
fn enter() -> anyhow::Error {
    let failed = std::env::current_exe().map(|here| {
        std::process::Command::new("unshare")
            .args(["--net", "--mount", "--mount-proc", "--pid", "--fork"])
            .arg("--kill-child")
            .arg(here)
            .arg("--inside")
            .args(std::env::args_os().skip(1))
            .exec()
    });
    let cause = failed.unwrap_or_else(|error| error);
    anyhow::Error::new(cause).context("it needs unshare, and root")
}

async fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    let programs = Programs::find()?;
    let world = World::start().await?;
    let mut figures = Figures {
        machine: machine::described(&programs).await?,
        ..Figures::default()
    };
    for part in Part::ALL {
        if arguments.parts.is_empty() || arguments.parts.contains(&part) {
            part.measure(&world, &programs, &mut figures).await?;
        }
    }
    println!("{}", figures.tables());
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_string_pretty(&figures)? + "\n")?;
    }
    if let Some(path) = &arguments.document {
        figures.write(path)?;
    }
    Ok(())
}
