//! The active configuration and its reload, which replaces it as a whole or not at all.
//!
//! A reload is requested by SIGHUP or `POST /-/reload`. The web configuration and its certificates
//! are also polled, because the programs that renew certificates do not notify the exporter.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::single_flight::SingleFlight;
use super::state::{ActiveConfig, ServiceState};
use super::task::{poll_interval, run_blocking};
use crate::clock::Clock;
use crate::config::{Config, ConfigError, FileSnapshot, WebConfig};
use crate::probe::{Engine, Roots};

/// Where to send the result of the reload, if the caller wants it.
pub type ReloadRequest = Option<oneshot::Sender<Result<(), String>>>;

/// Further requests are dropped: a queued one reads the same files.
const QUEUE_SIZE: usize = 8;
const POLL_INTERVAL: Duration = Duration::from_secs(1);

pub fn reload_channel() -> (mpsc::Sender<ReloadRequest>, mpsc::Receiver<ReloadRequest>) {
    mpsc::channel(QUEUE_SIZE)
}

/// The files and the site of the command line; files that these name are read with them.
#[derive(Clone, Debug, Default)]
pub struct Files {
    pub config: Option<PathBuf>,
    pub web: Option<PathBuf>,
    /// Instead of the configuration's site.
    pub site: Option<String>,
}

impl Files {
    /// Reads every file, including the root certificates of this host.
    ///
    /// # Errors
    /// A file cannot be read or is invalid.
    pub fn read(&self, clock: Clock) -> Result<(Arc<ActiveConfig>, Arc<WebConfig>), ConfigError> {
        let config = Config::load(self.config.as_deref(), self.site.as_deref())?;
        let web = WebConfig::load(self.web.as_deref())?;
        let engine = Engine::new(&config.modules, &Roots::load(), config.site.clone(), clock);
        let active = ActiveConfig {
            config,
            loaded_at: clock.now(),
            single_flight: SingleFlight::new(engine),
        };
        Ok((Arc::new(active), Arc::new(web)))
    }
}

pub struct Reloader {
    pub files: Files,
    pub state: Arc<ServiceState>,
}

impl Reloader {
    /// Handles requests until `stop`.
    pub async fn run(self, requests: mpsc::Receiver<ReloadRequest>, stop: CancellationToken) {
        // A reload that waits for a file does not delay the stop.
        let _: Option<()> = stop.run_until_cancelled(self.handle(requests)).await;
    }

    async fn handle(self, mut requests: mpsc::Receiver<ReloadRequest>) {
        let mut ticks = poll_interval(POLL_INTERVAL);
        let mut web_files = self.state.web.borrow().files.clone();
        let mut last_reload_succeeded = true;
        loop {
            tokio::select! {
                request = requests.recv() => {
                    let Some(reply) = request else { return };
                    let result = self.reload().await;
                    last_reload_succeeded = result.is_ok();
                    if last_reload_succeeded {
                        web_files.clone_from(&self.state.web.borrow().files);
                    }
                    self.state.is_reload_successful.send_replace(last_reload_succeeded);
                    if let Some(reply) = reply {
                        // The client may have disconnected.
                        let _ = reply.send(result);
                    }
                }
                _ = ticks.tick(), if self.files.web.is_some() => {
                    let current = snapshot(&web_files).await;
                    if current != web_files {
                        let reloaded = self.reload_web().await;
                        self.state.is_reload_successful.send_replace(last_reload_succeeded && reloaded.is_some());
                        // A new configuration may name other files.
                        web_files = reloaded.unwrap_or(current);
                    }
                }
            }
        }
    }

    async fn reload(&self) -> Result<(), String> {
        let (files, clock) = (self.files.clone(), self.state.clock);
        let result = run_blocking("reload", move || files.read(clock)).await;
        let result = result.ok_or("internal error (bug), see the log")?;
        let (active, web) = result.map_err(|error| {
            error!(%error, "configuration reload failed, keeping the active configuration");
            error.without_file_content()
        })?;
        if active.config.data_directory != self.state.active.borrow().config.data_directory {
            warn!("data_directory changed, restart to use the new one");
        }
        self.state.reports.replace_targets(&active.config.targets);
        let targets = active.config.targets.len();
        self.state.web.send_replace(web);
        self.state.active.send_replace(active);
        info!(targets, "configuration reloaded");
        Ok(())
    }

    /// Reloads the web configuration alone and returns the files that were read. During a renewal
    /// the certificate may be new while its key is still old: the active configuration then stays
    /// until both match.
    async fn reload_web(&self) -> Option<Vec<FileSnapshot>> {
        let path = self.files.web.clone();
        match run_blocking("reload", move || WebConfig::load(path.as_deref())).await? {
            Ok(web) => {
                let files = web.files.clone();
                self.state.web.send_replace(Arc::new(web));
                info!("web configuration reloaded");
                Some(files)
            }
            Err(error) => {
                warn!(%error, "web configuration reload failed, keeping the active one");
                None
            }
        }
    }
}

async fn snapshot(files: &[FileSnapshot]) -> Vec<FileSnapshot> {
    let files = files.to_vec();
    let work = move || files.into_iter().map(FileSnapshot::retake).collect();
    run_blocking("reload", work).await.unwrap_or_default()
}
