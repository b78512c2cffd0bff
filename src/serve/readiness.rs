//! Follows the readiness file: whoever keeps it replaces it when they like. What cannot be read
//! leaves the last good data, whose age shows.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::active_config::ActiveConfig;
use crate::config::FileSnapshot;
use crate::readiness::{Readiness, Source};
use crate::render::metrics::ReadinessState;

const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Reads the file that is in force whenever it changed, until `stop`.
pub async fn run(
    active: watch::Receiver<Arc<ActiveConfig>>,
    readiness_state: watch::Sender<ReadinessState>,
    stop: CancellationToken,
) {
    let mut look = interval(POLL_INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen: Option<FileSnapshot> = None;
    loop {
        tokio::select! {
            _ = look.tick() => {}
            () = stop.cancelled() => return,
        }
        let source = active.borrow().config.readiness.clone();
        let Some(source) = source else {
            if seen.take().is_some() {
                readiness_state.send_replace(ReadinessState::default());
            }
            continue;
        };
        let (path, before) = (source.path.clone(), seen.clone());
        let read = tokio::task::spawn_blocking(move || {
            let now = FileSnapshot::take(path);
            (before.as_ref() != Some(&now)).then(|| (Readiness::read(&now.path), now))
        });
        match read.await {
            Ok(None) => {}
            Ok(Some((read, now))) => {
                let moved = seen.as_ref().is_some_and(|seen| seen.path != now.path);
                tell(&readiness_state, &source, read, moved);
                seen = Some(now);
            }
            Err(cause) => error!(%cause, "reading broke: this is a defect, please report it"),
        }
    }
}

fn tell(
    readiness_state: &watch::Sender<ReadinessState>,
    source: &Source,
    read: Result<Readiness, crate::readiness::ReadinessError>,
    moved: bool,
) {
    let path = source.path.display();
    match read {
        Ok(readiness) => {
            info!(%path, "the readiness file is read");
            readiness_state.send_replace(ReadinessState {
                readiness: Some(readiness),
                is_readable: true,
            });
        }
        Err(cause) => {
            warn!(%path, %cause, "the readiness file cannot be used; the last good data stays");
            readiness_state.send_modify(|readiness_state| {
                readiness_state.is_readable = false;
                if moved {
                    readiness_state.readiness = None;
                }
            });
        }
    }
}
