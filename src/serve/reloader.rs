//! The reloader: reads the files again when it is asked to, and puts them in force whole or not at
//! all.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::board::Board;
use super::in_force::{Files, InForce};
use crate::clock::Clock;
use crate::render::metrics::Reload;

/// Who asks for a reload, and wants to know what became of it or not.
pub type Request = Option<oneshot::Sender<Result<(), String>>>;

/// As many may wait; a signal more changes nothing.
pub const WAITING: usize = 8;

/// What a reload replaces.
pub struct Reloader {
    pub files: Files,
    pub board: Arc<Board>,
    pub in_force: watch::Sender<Arc<InForce>>,
    pub outcome: watch::Sender<Reload>,
    pub clock: Clock,
}

impl Reloader {
    /// Answers requests until `stop`.
    pub async fn run(self, mut requests: mpsc::Receiver<Request>, stop: CancellationToken) {
        loop {
            let request = tokio::select! {
                request = requests.recv() => request,
                () = stop.cancelled() => return,
            };
            let Some(answer) = request else { return };
            let outcome = self.reload().await;
            self.outcome.send_replace(match outcome {
                Ok(()) => Reload::Successful,
                Err(_) => Reload::Failed,
            });
            if let Some(answer) = answer {
                // Who asked may have gone.
                let _ = answer.send(outcome);
            }
        }
    }

    async fn reload(&self) -> Result<(), String> {
        let (files, clock) = (self.files.clone(), self.clock);
        let read = tokio::task::spawn_blocking(move || InForce::read(&files, clock)).await;
        let next = match read {
            Ok(Ok(next)) => next,
            Ok(Err(mistakes)) => {
                error!(%mistakes, "the files are not reloaded; what was in force goes on");
                return Err(mistakes.to_string());
            }
            Err(cause) => {
                error!(%cause, "reading the files broke: this is a defect, please report it");
                return Err(cause.to_string());
            }
        };
        if next.config.data_directory != self.in_force.borrow().config.data_directory {
            warn!("another data_directory is used from the next start on");
        }
        self.board.retarget(&next.config.targets);
        let targets = next.config.targets.len();
        self.in_force.send_replace(next);
        info!(targets, "reloaded");
        Ok(())
    }
}
