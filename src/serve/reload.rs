//! The reloader: reads the files again when it is asked to, and puts them in force whole or not at
//! all. What protects the listener is looked at each second besides, since certificates are replaced
//! by programs that tell nobody.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::active_config::{ActiveConfig, Files};
use super::report_store::ReportStore;
use crate::clock::Clock;
use crate::config::{FileSnapshot, WebConfig};
use crate::render::metrics::Reload;

/// Who asks for a reload, and wants to know what became of it or not.
pub type Request = Option<oneshot::Sender<Result<(), String>>>;

/// As many may wait; a signal more changes nothing.
pub const RELOAD_QUEUE_SIZE: usize = 8;

const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// What a reload replaces.
pub struct Reloader {
    pub files: Files,
    pub store: Arc<ReportStore>,
    pub active: watch::Sender<Arc<ActiveConfig>>,
    pub web: watch::Sender<Arc<WebConfig>>,
    pub outcome: watch::Sender<Reload>,
    pub clock: Clock,
}

impl Reloader {
    /// Answers requests until `stop`.
    pub async fn run(self, mut requests: mpsc::Receiver<Request>, stop: CancellationToken) {
        let mut look = interval(POLL_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = self.web.borrow().files.clone();
        let mut reloads = true;
        loop {
            let request = tokio::select! {
                request = requests.recv() => request,
                _ = look.tick(), if self.files.web.is_some() => {
                    let now = self.look(&seen).await;
                    if now != seen {
                        let read = self.read_web().await;
                        self.tell(reloads && read.is_some());
                        // What it names may be other files now.
                        seen = read.unwrap_or(now);
                    }
                    continue;
                }
                () = stop.cancelled() => return,
            };
            let Some(answer) = request else { return };
            let outcome = self.reload().await;
            if outcome.is_ok() {
                seen = self.web.borrow().files.clone();
            }
            reloads = outcome.is_ok();
            self.tell(reloads);
            if let Some(answer) = answer {
                // Who asked may have gone.
                let _ = answer.send(outcome);
            }
        }
    }

    fn tell(&self, is_good: bool) {
        self.outcome.send_replace(if is_good {
            Reload::Successful
        } else {
            Reload::Failed
        });
    }

    async fn reload(&self) -> Result<(), String> {
        let (files, clock) = (self.files.clone(), self.clock);
        let read = tokio::task::spawn_blocking(move || files.read(clock)).await;
        let (next, web) = match read {
            Ok(Ok(read)) => read,
            Ok(Err(diagnostics)) => {
                error!(%diagnostics, "the files are not reloaded; what was in force goes on");
                return Err(diagnostics.to_string());
            }
            Err(cause) => {
                error!(%cause, "reading the files broke: this is a defect, please report it");
                return Err(cause.to_string());
            }
        };
        if next.config.data_directory != self.active.borrow().config.data_directory {
            warn!("another data_directory is used from the next start on");
        }
        self.store.replace_targets(&next.config.targets);
        let targets = next.config.targets.len();
        self.web.send_replace(web);
        self.active.send_replace(next);
        info!(targets, "reloaded");
        Ok(())
    }

    /// Reads what protects the listener, and says from which files. A certificate may be there before its key: what was in
    /// force goes on until both are.
    async fn read_web(&self) -> Option<Vec<FileSnapshot>> {
        let path = self.files.web.clone();
        let read = tokio::task::spawn_blocking(move || WebConfig::load(path.as_deref())).await;
        match read {
            Ok(Ok(web)) => {
                let files = web.files.clone();
                self.web.send_replace(Arc::new(web));
                info!("the web configuration or its certificates changed, and are in force");
                return Some(files);
            }
            Ok(Err(diagnostics)) => warn!(
                %diagnostics,
                "the web configuration or its certificates changed; what was in force goes on"
            ),
            Err(cause) => error!(%cause, "reading broke: this is a defect, please report it"),
        }
        None
    }

    /// The files that protect the listener, as they are now.
    async fn look(&self, seen: &[FileSnapshot]) -> Vec<FileSnapshot> {
        let paths: Vec<_> = seen.iter().map(|file| file.path.clone()).collect();
        let look = move || paths.into_iter().map(FileSnapshot::take).collect();
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }
}
