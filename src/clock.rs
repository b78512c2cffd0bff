//! The only place that asks the system for the time.
//!
//! [`Clock`] gives the civil time and can be set, so that any day can be replayed; [`Stopwatch`]
//! and [`TimeLimit`] measure by the monotonic clock.

use std::time::Duration;

use jiff::Timestamp;

/// Where the civil time comes from.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    System,
    /// It is always this instant.
    Fixed(Timestamp),
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Fixed(instant) => *instant,
        }
    }
}

/// Measures how long something takes.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(tokio::time::Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The one limit that a whole probe shares.
#[derive(Clone, Copy, Debug)]
pub struct TimeLimit {
    started: Stopwatch,
    total: Duration,
}

impl TimeLimit {
    pub fn starting_now(total: Duration) -> Self {
        Self {
            started: Stopwatch::start(),
            total,
        }
    }

    pub fn total(&self) -> Duration {
        self.total
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub fn remaining(&self) -> Duration {
        self.total.saturating_sub(self.elapsed())
    }

    /// What may be spent on a part: at most `share`, and never more than what is left.
    pub fn at_most(&self, share: Duration) -> Duration {
        self.remaining().min(share)
    }
}

/// A monotonic instant of the next tick, for schedules.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn monotonic_now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
