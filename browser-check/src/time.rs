//! The only module that reads the clock.

use std::time::{Duration, Instant};

/// A limit that several steps share.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    started: Instant,
    total: Duration,
}

impl Deadline {
    #[expect(
        clippy::disallowed_methods,
        reason = "the only module that reads clocks"
    )]
    pub fn after(total: Duration) -> Self {
        Self {
            started: Instant::now(),
            total,
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub fn remaining(&self) -> Duration {
        self.total.saturating_sub(self.elapsed())
    }

    pub fn is_over(&self) -> bool {
        self.remaining().is_zero()
    }

    /// What remains, but not more than `step`.
    pub fn at_most(&self, step: Duration) -> Self {
        Self::after(self.remaining().min(step))
    }
}
