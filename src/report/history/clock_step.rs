//! Steps of the host's clock. What this process recorded before a step is dated again, by the new clock:
//! durations stay as they were measured, and the time since an event is right.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{TargetHistory, push};

const MAX_STEPS: usize = 20;

/// A step: the same moment by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockStep {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl ClockStep {
    /// Negative if the clock was set back.
    pub fn length(self) -> SignedDuration {
        self.to.duration_since(self.from)
    }

    /// Moves a time between `began` and the step; returns whether it is one.
    pub fn apply(self, began: Timestamp, at: &mut Timestamp) -> bool {
        let is_own = (began..=self.from).contains(at);
        if is_own {
            *at = at.checked_add(self.length()).unwrap_or(*at);
        }
        is_own
    }
}

impl TargetHistory {
    /// Dates again what was recorded since `began`, when the process started by the old clock. What
    /// earlier processes recorded stays: their clock is unknown.
    pub fn apply(&mut self, step: ClockStep, began: Timestamp) {
        if let Some(good) = &mut self.last_good {
            step.apply(began, &mut good.at);
        }
        if let Some(probe) = &mut self.last_probe {
            step.apply(began, probe);
        }
        for change in &mut self.changes {
            step.apply(began, &mut change.since);
        }
        for transition in self.transitions.iter_mut().rev() {
            if !step.apply(began, &mut transition.at) {
                break;
            }
        }
        for certificate in &mut self.certificates {
            step.apply(began, &mut certificate.first_seen);
            step.apply(began, &mut certificate.last_seen);
        }
        for address in &mut self.addresses {
            step.apply(began, &mut address.at);
        }
        self.timeline.apply(step, began);
        push(&mut self.clock_steps, MAX_STEPS, step);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::Reason;
    use crate::report::history::{Scope, Watch};

    const WATCH: Watch = Watch {
        max_gap: Duration::from_secs(100),
        in_service_hours: true,
    };
    const YEAR: i64 = 365 * 24 * 3_600;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn observe(history: &mut TargetHistory, second: i64, failure: Option<Reason>) {
        history.observe(&crate::report::example(at(second), failure), WATCH);
    }

    #[test]
    fn outage_during_which_the_clock_is_set_lasts_as_long_as_it_did() {
        for length in [YEAR, -YEAR] {
            let start = 2 * YEAR;
            let mut history = TargetHistory::of("https://sso.lab.test/");
            // An earlier process.
            observe(&mut history, start - 300, None);
            let began = at(start);
            observe(&mut history, start, None);
            observe(&mut history, start + 60, Some(Reason::TcpRefused));
            let step = ClockStep {
                from: at(start + 80),
                to: at(start + 80 + length),
            };
            history.apply(step, began);
            assert_eq!(history.failing_since(), Some(at(start + 60 + length)));
            observe(&mut history, start + 120 + length, None);
            let outages = history.outages();
            assert_eq!(outages.len(), 1, "{outages:?}");
            assert_eq!(outages[0].start, at(start + 60 + length));
            assert_eq!(outages[0].end, Some(at(start + 120 + length)));
            assert_eq!(history.transitions[0].at, at(start - 300));
            assert_eq!(history.clock_steps, [step]);
            let watched = history.timeline.availability(at(0), Scope::Always);
            assert_eq!((watched.good, watched.failed), (60, 60), "{length}");
        }
    }

    #[test]
    fn clock_that_is_set_and_set_back_leaves_the_history_as_it_was() {
        let start = 2 * YEAR;
        let mut history = TargetHistory::of("https://sso.lab.test/");
        observe(&mut history, start, None);
        observe(&mut history, start + 60, Some(Reason::TcpRefused));
        let before = serde_json::to_value(&history).unwrap();
        let (right, wrong) = (at(start + 61), at(start + 61 - YEAR));
        let step = ClockStep {
            from: right,
            to: wrong,
        };
        history.apply(step, at(start));
        assert_ne!(serde_json::to_value(&history).unwrap(), before);
        let back = ClockStep {
            from: wrong,
            to: right,
        };
        history.apply(back, at(start - YEAR));
        history.clock_steps.clear();
        assert_eq!(serde_json::to_value(&history).unwrap(), before);
    }
}
