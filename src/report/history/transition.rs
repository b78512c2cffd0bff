//! A change of the state of a target: good, failed for a reason, not watched.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Fact;
use crate::report::Reason;

/// A change of the state of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    pub at: Timestamp,
    /// Absent for a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Reason>,
    /// Nothing probed the target from `at` until the next transition.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_watched: bool,
    /// Of a recovery: the facts that are not those of the last failing probe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Fact>,
}

/// The state of a target between two transitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Good,
    Failed(Reason),
    /// Nothing probed the target.
    NotWatched,
}

impl Transition {
    pub fn new(at: Timestamp, state: State) -> Self {
        Self {
            at,
            failure: match state {
                State::Failed(reason) => Some(reason),
                State::Good | State::NotWatched => None,
            },
            not_watched: state == State::NotWatched,
            changed: Vec::new(),
        }
    }

    pub fn state(&self) -> State {
        match (self.not_watched, self.failure) {
            (true, _) => State::NotWatched,
            (false, None) => State::Good,
            (false, Some(reason)) => State::Failed(reason),
        }
    }
}
