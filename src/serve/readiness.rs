//! Polls the readiness file and reads it when it changes. If the file is invalid, the last valid
//! counts stay, with their age.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::state::ServiceState;
use super::task::{poll_interval, run_blocking};
use crate::config::FileSnapshot;
use crate::input_file::InputFile;
use crate::readiness::{Readiness, ReadinessError, ReadinessState};

const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Follows the file of the active configuration until `stop`.
pub async fn run(state: &ServiceState, stop: CancellationToken) {
    let mut ticks = poll_interval(POLL_INTERVAL);
    let mut last: Option<FileSnapshot> = None;
    // What was logged; a file that cannot be opened or read is tried again at every poll.
    let mut unreadable: Option<String> = None;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let source = state.active.borrow().config.readiness.clone();
        let Some(path) = source.map(|source| source.path) else {
            unreadable = None;
            if last.take().is_some() {
                state.readiness.send_replace(ReadinessState::default());
            }
            continue;
        };
        let previous = last.clone().filter(|_| unreadable.is_none());
        let read = run_blocking("readiness", move || {
            let current = FileSnapshot::take(InputFile::Readiness, path);
            (previous.as_ref() != Some(&current)).then(|| (Readiness::read(&current.path), current))
        });
        let Some(read) = stop.run_until_cancelled(read).await else {
            return;
        };
        if let Some(Some((result, current))) = read {
            let error = match &result {
                Err(ReadinessError::Unreadable(error)) => Some(error.to_string()),
                _ => None,
            };
            let is_other_file = last.is_some_and(|last| last.path != current.path);
            if error.is_none() || error != unreadable || is_other_file {
                update(&state.readiness, result, &current, is_other_file);
            }
            unreadable = error;
            last = Some(current);
        }
    }
}

fn update(
    state: &watch::Sender<ReadinessState>,
    result: Result<Readiness, ReadinessError>,
    file: &FileSnapshot,
    is_other_file: bool,
) {
    let path = file.path.display();
    match result {
        Ok(readiness) => {
            info!(%path, "readiness file loaded");
            state.send_replace(ReadinessState {
                readiness: Some(readiness),
                is_readable: true,
                error: None,
            });
        }
        Err(error) => {
            warn!(%path, %error, "cannot load the readiness file, keeping the last valid counts");
            state.send_modify(|state| {
                state.is_readable = false;
                state.error = Some(error.to_string());
                if is_other_file {
                    state.readiness = None;
                }
            });
        }
    }
}
