//! The keeper: writes the memory down, at once when something happened and otherwise now and then.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::report_store::ReportStore;
use crate::state_file::StateFile;

/// How late the time of the last good probe may be in the file.
const PERIOD: Duration = Duration::from_secs(10);

/// Keeps `board`'s memory in `file` until `stop`, and once more then.
pub async fn run(file: StateFile, store: Arc<ReportStore>, stop: CancellationToken) {
    let mut written = 0;
    let mut failing = false;
    loop {
        let stopped = tokio::select! {
            () = store.persist_now.notified() => false,
            () = tokio::time::sleep(PERIOD) => false,
            () = stop.cancelled() => true,
        };
        let reports = store.reports();
        if reports != written {
            let (file, memory) = (file.clone(), store.memory());
            let saved = tokio::task::spawn_blocking(move || file.save(&memory)).await;
            let error = match saved {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            match (&error, failing) {
                (None, true) => info!("the memory is written again"),
                (Some(error), false) => {
                    warn!(
                        error,
                        "the memory cannot be written; it lasts as long as the process"
                    );
                }
                (None, false) | (Some(_), true) => {}
            }
            failing = error.is_some();
            if !failing {
                written = reports;
            }
        }
        if stopped {
            return;
        }
    }
}
