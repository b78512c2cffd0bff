//! `make bench`: CPU, memory and latency of the exporter, directory blackbox_exporter and a baseline client.
//!
//! Reads the release binaries; prints tables and writes them as JSON and into the document. It needs
//! root for its network namespace. Figures are ratios of turns in one run, or sizes, so that they do not
//! depend on the machine's speed. Every response is checked; an incomplete one ends the run.
//!
//! * `network`: the servers that are probed
//! * `programs`, `process`: the programs that are measured, and the resources they used
//! * `rows`: one file per kind of figure; `samples`, `figures`: the results and their tables
//! * `baseline` is a separate program

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark outside the exporter reads the system clock"
)]

mod figures;
mod machine;
mod network;
mod process;
mod programs;
mod rows;
mod samples;

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use figures::Figures;
use network::BenchNetwork;
use programs::Programs;
use rows::Part;

/// Measures the exporter side by side with blackbox_exporter.
#[derive(Parser)]
struct Arguments {
    /// Only these parts of the run
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Where the figures are written as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// The document between kind marks the tables are written
    #[arg(long)]
    document: Option<PathBuf>,
    /// Already inside the network namespace
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

/// Re-executes itself in new namespaces; whatever it starts there ends with it.
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
    anyhow::Error::new(cause).context("the benchmark needs root and unshare")
}

async fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    let programs = Programs::find()?;
    let network = BenchNetwork::start().await?;
    let mut figures = Figures {
        machine: machine::described(&programs).await?,
        ..Figures::default()
    };
    for part in Part::ALL {
        if arguments.parts.is_empty() || arguments.parts.contains(&part) {
            part.measure(&network, &programs, &mut figures).await?;
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
