//! The key `probe`: how often targets are probed, and for how long.

use std::time::Duration;

use super::raw::RawProbe;
use super::section::Section;
use super::value::{duration, timeout};

/// Shorter intervals would be a burden for the login server.
pub const MIN_INTERVAL: Duration = Duration::from_secs(10);
/// With longer ones the alerts about stale results would come too late.
const MAX_INTERVAL: Duration = Duration::from_secs(3600);
const MAX_CONCURRENCY: u64 = 1024;

/// How often targets are probed, for how long, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeLimits {
    /// At least [`MIN_INTERVAL`].
    pub interval: Duration,
    /// At least 100 ms, at most the interval.
    pub timeout: Duration,
    /// How many probes of all targets run at once.
    pub concurrency: usize,
}

impl Default for ProbeLimits {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            concurrency: 64,
        }
    }
}

impl ProbeLimits {
    pub(super) fn validate(raw: &RawProbe, mut section: Section<'_>) -> Self {
        let mut limits = Self::default();
        if let Some(interval) = section.optional("interval", &raw.interval, interval) {
            limits.interval = interval;
        }
        let longest = limits.interval;
        let within_interval = |text: &str| match timeout(text)? {
            timeout if timeout > longest => {
                Err(format!("{text} is longer than the interval ({longest:?})"))
            }
            timeout => Ok(timeout),
        };
        if let Some(timeout) = section.optional("timeout", &raw.timeout, within_interval) {
            limits.timeout = timeout;
        }
        if let Some(count) = &raw.concurrency {
            if !(1..=MAX_CONCURRENCY).contains(&count.value) {
                let message = format!(
                    "{} is not a number from 1 to {MAX_CONCURRENCY}",
                    count.value
                );
                section.error(count, "concurrency", message);
            }
            limits.concurrency = count.value.clamp(1, MAX_CONCURRENCY) as usize;
        }
        limits
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        interval if interval < MIN_INTERVAL => Err(format!(
            "{text} is too short; the minimum is {MIN_INTERVAL:?}"
        )),
        interval if interval > MAX_INTERVAL => Err(format!(
            "{text} is too long for the alerts about stale results; the maximum is 1h"
        )),
        interval => Ok(interval),
    }
}
