//! Helpers for tasks: blocking work on the blocking pool, polling, and the log line for bugs.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::error;

/// Runs `work` on the blocking pool. `None` if it panicked, which is logged.
pub async fn run_blocking<T: Send + 'static>(
    task: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let result = tokio::task::spawn_blocking(work).await;
    result.map_err(|error| log_bug(task, error)).ok()
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
