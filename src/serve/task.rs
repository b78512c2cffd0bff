//! Helpers for tasks: work on the blocking pool, also work on files that may never end; polling; and
//! the log line for bugs.

use std::fmt::Display;
use std::time::Duration;

use thiserror::Error;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tracing::error;

use crate::input_file::InputFile;

/// Runs `work` on the blocking pool. `None` if it panicked, which is logged.
pub async fn run_blocking<T: Send + 'static>(
    task: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let result = tokio::task::spawn_blocking(work).await;
    result.map_err(|error| log_bug(task, error)).ok()
}

/// Repeated work on a file that may never end. At most one runs: it is not started again before it has
/// ended, and waiting for it has a timeout.
pub struct FileTask<T> {
    file: InputFile,
    running: Option<JoinHandle<T>>,
}

/// Why work on a file has no result.
#[derive(Debug, Error)]
pub enum FileTaskError {
    #[error("no answer from the file system within {} s; check the disk or the network mount", TIMEOUT.as_secs())]
    TimedOut,
    #[error("internal error (bug), please report it")]
    Bug,
}

/// For one wait; longer than another writer's lock is waited for.
const TIMEOUT: Duration = Duration::from_secs(8);

impl<T: Send + 'static> FileTask<T> {
    pub fn new(file: InputFile) -> Self {
        Self {
            file,
            running: None,
        }
    }

    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub fn start(&mut self, work: impl FnOnce() -> T + Send + 'static) {
        self.running = Some(tokio::task::spawn_blocking(work));
    }

    /// The result of the running work. After a timeout it goes on running, and can be waited for again.
    ///
    /// # Errors
    /// It did not end within the timeout, which counts as a failed read; or it panicked.
    pub async fn wait(&mut self) -> Result<T, FileTaskError> {
        let Some(running) = &mut self.running else {
            return Err(FileTaskError::Bug);
        };
        let Ok(result) = timeout(TIMEOUT, running).await else {
            self.file.count_failure();
            return Err(FileTaskError::TimedOut);
        };
        self.running = None;
        result.map_err(|error| {
            log_bug(self.file.into_str(), error);
            FileTaskError::Bug
        })
    }
}

pub fn log_bug(task: &str, error: impl Display) {
    error!(task, %error, "internal error (bug), please report it");
}

/// Ticks at once and then every `period`; a tick that was missed delays the ones that follow.
pub fn poll_interval(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
