//! The only module that reads the system's clocks.
//!
//! [`Clock`] returns the civil time and can be fixed, so that any day can be replayed. [`Stopwatch`] and
//! [`TimeLimit`] use the monotonic clock.

use std::time::Duration;

use jiff::Timestamp;

/// The source of the civil time.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    System,
    /// Always the same instant.
    Fixed(Timestamp),
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the only module that reads clocks"
    )]
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
    #[expect(
        clippy::disallowed_methods,
        reason = "the only module that reads clocks"
    )]
    pub fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The timeout of a probe, which all its layers share.
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

    /// The time for one step: `share`, or the remaining time if that is shorter.
    pub fn at_most(&self, share: Duration) -> Duration {
        self.remaining().min(share)
    }
}

/// The current monotonic instant, for schedules.
#[expect(
    clippy::disallowed_methods,
    reason = "the only module that reads clocks"
)]
pub fn monotonic_now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
