//! `ccass-2fa-lab`: runs the lab until Ctrl-C, for rehearsals by hand.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use ccass_2fa_lab::{Control, Lab};
use clap::Parser;

/// A loopback world that misbehaves in each way the exporter can name.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where ca.pem, config.yml and control.url are written [default: a temporary directory]
    #[arg(long)]
    directory: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let lab = match Arguments::parse().directory {
        Some(directory) => {
            std::fs::create_dir_all(&directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
            Lab::start_in(&directory).await
        }
        None => Lab::start().await,
    }
    .context("the lab does not start")?;
    let lab = Arc::new(lab);
    let control = Control::start(Arc::clone(&lab))
        .await
        .context("the control endpoint does not start")?;
    let switches = format!("http://{}", control.addr());
    let config = lab.directory().join("config.yml");
    std::fs::write(&config, lab.config()).context("cannot write config.yml")?;
    std::fs::write(lab.directory().join("control.url"), format!("{switches}\n"))
        .context("cannot write control.url")?;

    let stopped = stopped().context("cannot wait for Ctrl-C")?;
    println!("login page   {}", lab.url());
    println!("name server  {}", lab.name_server.addr());
    println!("roots        {}", lab.ca_file().display());
    println!("control      {switches}");
    println!();
    println!(
        "Probe it:    ccass-2fa-exporter verify --config.file {}",
        config.display()
    );
    println!(
        "Watch it:    ccass-2fa-exporter --config.file {}",
        config.display()
    );
    println!("Faults:      curl {switches}/");
    println!("Break it:    curl -X PUT {switches}/faults/dns-nxdomain");
    println!("Heal it:     curl -X DELETE {switches}/faults");
    println!("Ctrl-C stops the lab.");
    stopped.await;
    Ok(())
}

/// Waits for Ctrl-C, or for SIGTERM where there is such a thing; listens from the call on.
#[cfg(unix)]
fn stopped() -> io::Result<impl Future<Output = ()>> {
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
fn stopped() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}
