//! `ccass-2fa-lab`: runs the lab until Ctrl-C, for manual tests.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use ccass_2fa_lab::{Control, Lab};
use clap::Parser;

/// Servers on loopback that provoke every reason with which the exporter can fail.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Directory for ca.pem, config.yml and control.url [default: a temporary directory]
    #[arg(long)]
    directory: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let lab = match Arguments::parse().directory {
        Some(directory) => {
            std::fs::create_dir_all(&directory)
                .with_context(|| format!("cannot create {}", directory.display()))?;
            Lab::start_in(&directory).await
        }
        None => Lab::start().await,
    }
    .context("the lab does not start")?;
    let lab = Arc::new(lab);
    let control = Control::start(Arc::clone(&lab))
        .await
        .context("the control endpoint does not start")?;
    let control_url = format!("http://{}", control.addr());
    let config = lab.directory().join("config.yml");
    std::fs::write(&config, lab.config()).context("cannot write config.yml")?;
    std::fs::write(
        lab.directory().join("control.url"),
        format!("{control_url}\n"),
    )
    .context("cannot write control.url")?;

    let stop = stop_signal().context("cannot wait for Ctrl-C")?;
    println!("login page   {}", lab.url());
    println!("name server  {}", lab.name_server.addr());
    println!("roots        {}", lab.ca_file().display());
    println!("control      {control_url}");
    println!();
    println!(
        "Probe it:    ccass-2fa-exporter verify --config.file {}",
        config.display()
    );
    println!(
        "Watch it:    ccass-2fa-exporter --config.file {}",
        config.display()
    );
    println!("Faults:      curl {control_url}/");
    println!("Break it:    curl -X PUT {control_url}/faults/dns-nxdomain");
    println!("Heal it:     curl -X DELETE {control_url}/faults");
    println!("Ctrl-C stops the lab.");
    stop.await;
    Ok(())
}

/// Completes on Ctrl-C or, on Unix, SIGTERM; signals are caught from the call on.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(windows)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}
