//! `serve` and `healthcheck`: the exporter as a service, and the question whether it is alive.

use std::io;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::ExitStatus;
use crate::cli::Flags;
use crate::clock::Clock;
use crate::config::{ClientCertificate, WebConfig};
use crate::evidence::Ledger;
use crate::redact::print_error;
use crate::serve::{self as service, Files, Prefix, ReloadRequest, Service};
use crate::state_file::StateFile;

/// Serves until SIGTERM or Ctrl-C.
///
/// # Errors
/// Signals cannot be waited for, or a listen address cannot be bound.
pub async fn serve(flags: &Flags, clock: Clock) -> anyhow::Result<ExitStatus> {
    let prefix = match prefix(flags) {
        Ok(prefix) => prefix,
        Err(message) => {
            print_error(&message);
            return Ok(ExitStatus::UsageError);
        }
    };
    let files = Files {
        config: flags.config_file.clone(),
        web: flags.web_config_file.clone(),
    };
    let (active, web) = match files.read(clock) {
        Ok(read) => read,
        Err(diagnostics) => {
            print_error(&diagnostics);
            return Ok(ExitStatus::UsageError);
        }
    };
    let stop = CancellationToken::new();
    let reloads = service::reloads();
    let signals = handle_signals(stop.clone(), reloads.0.clone());
    tokio::spawn(signals.context("cannot wait for signals")?);
    let config = &active.config;
    let memory = config.data_directory.as_deref().map(|directory| {
        StateFile::open(directory).unwrap_or_else(|cause| {
            // What answers whether the login works is not to end with a disk.
            error!(
                data_directory = %directory.display(),
                %cause,
                "cannot write into the data_directory: nothing is remembered or recorded until that is \
                 mended; probing goes on"
            );
            StateFile::beside(directory)
        })
    });
    let evidence = config
        .data_directory
        .as_deref()
        .map(|directory| Ledger::in_directory(directory, config.site.as_deref(), clock));
    let mut listeners = Vec::new();
    for address in &flags.web_listen_address {
        let listener = service::bind(address).await;
        let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
        info!(address = %listener.local_addr()?, "listening");
        listeners.push(listener);
    }
    let targets = active.config.targets.len();
    info!(version = env!("CARGO_PKG_VERSION"), targets, "started");
    notify_service_manager(State::Ready);
    let service = Service {
        files,
        active,
        web,
        listeners,
        prefix,
        memory,
        evidence,
        clock,
        stop,
    };
    service::run(service, reloads).await;
    info!("stopped");
    Ok(ExitStatus::Success)
}

/// What a service manager is told.
enum State {
    Ready,
    Stopping,
}

/// Where systemd waits for it (`Type=notify`); elsewhere nobody listens.
#[cfg(unix)]
fn notify_service_manager(state: State) {
    let state = match state {
        State::Ready => sd_notify::NotifyState::Ready,
        State::Stopping => sd_notify::NotifyState::Stopping,
    };
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}

#[cfg(windows)]
fn notify_service_manager(_state: State) {}

fn prefix(flags: &Flags) -> Result<Prefix, String> {
    let external = flags.web_external_url.as_deref();
    Prefix::new(external, flags.web_route_prefix.as_deref())
}

/// Cancels `stop` on SIGTERM or Ctrl-C, and asks for a reload on SIGHUP. It listens from the call on,
/// so that no signal is lost between the start and the first line of the log.
#[cfg(unix)]
fn handle_signals(
    stop: CancellationToken,
    reload: mpsc::Sender<ReloadRequest>,
) -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = hangup.recv() => {
                    // Where several wait already, one of them reads what this one would.
                    let _ = reload.try_send(None);
                }
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        notify_service_manager(State::Stopping);
        stop.cancel();
    })
}

#[cfg(windows)]
fn handle_signals(
    stop: CancellationToken,
    _reload: mpsc::Sender<ReloadRequest>,
) -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
        notify_service_manager(State::Stopping);
        stop.cancel();
    })
}

/// Asks the first listen address on this host, as the same flags would make it listen. A listener
/// that wants a password answers by asking for it, which is a sign of life; one that wants a
/// certificate is only connected to.
///
/// # Errors
/// The question cannot be put at all.
pub async fn healthcheck(flags: &Flags) -> anyhow::Result<ExitStatus> {
    let (prefix, web) = match (
        prefix(flags),
        WebConfig::load(flags.web_config_file.as_deref()),
    ) {
        (Ok(prefix), Ok(web)) => (prefix, web),
        (Err(message), _) => {
            print_error(&message);
            return Ok(ExitStatus::UsageError);
        }
        (_, Err(diagnostics)) => {
            print_error(&diagnostics);
            return Ok(ExitStatus::UsageError);
        }
    };
    let address = flags.web_listen_address.first().map_or("", String::as_str);
    let authority = match address.rsplit_once(':') {
        Some(("" | "0.0.0.0" | "[::]", port)) => format!("localhost:{port}"),
        Some(_) | None => address.to_owned(),
    };
    let answered = match &web.tls {
        Some(tls) if tls.client_certificate == ClientCertificate::Required => {
            let connected = tokio::net::TcpStream::connect(&authority);
            match tokio::time::timeout(HEALTH_LIMIT, connected).await {
                Ok(connected) => connected.map(drop).map_err(anyhow::Error::from),
                Err(elapsed) => Err(elapsed.into()),
            }
        }
        tls => {
            let scheme = if tls.is_some() { "https" } else { "http" };
            let path = prefix.path("/-/healthy");
            request_health(&format!("{scheme}://{authority}{path}")).await
        }
    };
    match answered {
        Ok(()) => Ok(ExitStatus::Success),
        Err(error) => {
            print_error(format!("{error:#}"));
            Ok(ExitStatus::Negative)
        }
    }
}

const HEALTH_LIMIT: Duration = Duration::from_secs(5);

async fn request_health(url: &str) -> anyhow::Result<()> {
    let client = reqwest::Client::builder()
        .timeout(HEALTH_LIMIT)
        .no_proxy()
        // Nothing secret is sent, and the certificate names the host as others call it.
        .tls_danger_accept_invalid_certs(true)
        .build()?;
    let answer = client.get(url).send().await?;
    if answer.status() != reqwest::StatusCode::UNAUTHORIZED {
        answer.error_for_status()?;
    }
    Ok(())
}
