//! `serve`: reads the configuration, binds the listeners, and runs the service until a signal.

use std::io;
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{ExitStatus, route_prefix, usage_error};
use crate::cli::Flags;
use crate::clock::Clock;
use crate::data_directory::{self, Claim, Lock, Recording};
use crate::evidence::Ledger;
use crate::ownership;
use crate::report::history::SavedState;
use crate::serve::{self, Files, ReloadRequest, Service};
use crate::state_file::StateFile;

/// Serves until SIGTERM or Ctrl-C.
///
/// # Errors
/// The flags or the configuration are invalid, signals cannot be handled, or a listen address cannot
/// be bound.
pub async fn run(flags: &Flags, clock: Clock) -> anyhow::Result<ExitStatus> {
    let prefix = route_prefix(flags)?;
    let files = Files {
        config: flags.config_file.clone(),
        web: flags.web_config_file.clone(),
        site: flags.site.clone(),
    };
    let stop = CancellationToken::new();
    let (reload, reload_requests) = serve::reload_channel();
    let signals = handle_signals(stop.clone(), reload.clone());
    tokio::spawn(signals.context("cannot handle signals")?);
    let read = {
        let files = files.clone();
        move || files.read(clock)
    };
    let Some(read) = until_stop(&stop, read).await else {
        return Ok(ExitStatus::Success);
    };
    let (active, web) = read?.map_err(usage_error)?;
    if let Some(tls) = web.tls.as_ref().filter(|tls| tls.not_after < clock.now()) {
        warn!(not_after = %tls.not_after, "the listener's certificate has expired, clients reject it");
    }
    let config = &active.config;
    let mut listeners = Vec::new();
    for address in &flags.web_listen_address {
        let listener = serve::bind(address).await;
        let listener = listener.with_context(|| {
            format!("cannot listen on {address}, choose another with --web.listen-address")
        })?;
        info!(address = %listener.local_addr()?, "listening");
        listeners.push(listener);
    }
    let directory = config.data_directory.clone();
    let open = move || {
        directory
            .as_deref()
            .map(|directory| SavedData::open(directory, clock.now()))
            .unwrap_or_default()
    };
    let Some(data) = until_stop(&stop, open).await else {
        return Ok(ExitStatus::Success);
    };
    let data = data?;
    let directory = config.data_directory.as_deref();
    let directory =
        directory.filter(|_| data.recording.is_some_and(|recording| recording.evidence));
    let ledger = directory.map(|path| Ledger::in_directory(path, config.site.as_deref(), clock));
    let targets = config.targets.len();
    info!(version = env!("CARGO_PKG_VERSION"), targets, "started");
    notify_systemd(SystemdState::Ready);
    serve::run(Service {
        files,
        active,
        web,
        listeners,
        prefix,
        saved: data.saved,
        state_file: data.state_file,
        ledger,
        recording: data.recording,
        clock,
        reload,
        reload_requests,
        stop,
    })
    .await;
    drop(data.lock);
    info!("stopped");
    Ok(ExitStatus::Success)
}

/// What `work` returns; `None` if the stop comes first, since a file may never answer.
async fn until_stop<T: Send + 'static>(
    stop: &CancellationToken,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<anyhow::Result<T>> {
    let work = stop.run_until_cancelled(spawn_blocking(work)).await?;
    Some(work.context("internal error (bug) at the start"))
}

/// What the data directory contains, and what of it this process may replace. A full, missing or dead
/// disk must not stop the probes.
#[derive(Default)]
struct SavedData {
    saved: SavedState,
    state_file: Option<StateFile>,
    /// Absent without a data directory.
    recording: Option<Recording>,
    lock: Option<Lock>,
}

impl SavedData {
    fn open(directory: &Path, now: Timestamp) -> Self {
        let file = StateFile::in_directory(directory);
        let lock = match data_directory::claim(directory) {
            Ok(Claim::Exclusive(lock)) => Some(lock),
            Ok(Claim::Taken) => {
                error!(
                    directory = %directory.display(),
                    "another exporter uses data_directory, state and evidence are not saved; give each \
                     exporter a directory of its own, or stop the other one and restart this one"
                );
                return Self {
                    saved: file.load(),
                    recording: Some(Recording::default()),
                    ..Self::default()
                };
            }
            Err(error) => {
                let error = format!("{error}{}", ownership::advice(directory, &error));
                error!(%error, "data_directory is not writable, state and evidence are not saved");
                None
            }
        };
        let loaded = file.load_or_quarantine(now).inspect_err(|error| {
            error!(
                file = %file.path().display(),
                %error,
                "cannot read the state file, starting without history; the file is left as it is, and \
                 history is not saved until it can be read and the exporter is restarted"
            );
        });
        let recording = Recording {
            history: loaded.is_ok(),
            evidence: true,
        };
        Self {
            state_file: loaded.is_ok().then_some(file),
            saved: loaded.unwrap_or_default(),
            recording: Some(recording),
            lock,
        }
    }
}

enum SystemdState {
    Ready,
    Stopping,
}

/// Notifies systemd (`Type=notify`); does nothing under other service managers.
#[cfg(unix)]
fn notify_systemd(state: SystemdState) {
    let state = match state {
        SystemdState::Ready => sd_notify::NotifyState::Ready,
        SystemdState::Stopping => sd_notify::NotifyState::Stopping,
    };
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!(%error, "cannot notify systemd");
    }
}

#[cfg(windows)]
fn notify_systemd(_state: SystemdState) {}

/// Cancels `stop` on SIGTERM or Ctrl-C, and requests a reload on SIGHUP. The handlers are installed
/// before the returned future runs, so that no signal during startup is lost.
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
                    // If the queue is full, a queued request will read the same files.
                    let _ = reload.try_send(None);
                }
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        notify_systemd(SystemdState::Stopping);
        stop.cancel();
    })
}

/// Cancels `stop` on Ctrl-C and Ctrl-Break, and when the console is closed, the user logs off or the system shuts
/// down; Windows then waits some seconds for this process. A reload is requested by `/-/reload`.
#[cfg(windows)]
fn handle_signals(
    stop: CancellationToken,
    _reload: mpsc::Sender<ReloadRequest>,
) -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};
    let (mut interrupt, mut interrupt_too) = (ctrl_c()?, ctrl_break()?);
    let (mut close, mut logoff, mut shutdown) = (ctrl_close()?, ctrl_logoff()?, ctrl_shutdown()?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = interrupt_too.recv() => {}
            _ = close.recv() => {}
            _ = logoff.recv() => {}
            _ = shutdown.recv() => {}
        }
        notify_systemd(SystemdState::Stopping);
        stop.cancel();
    })
}
