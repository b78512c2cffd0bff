//! The latest check of a target that `serve` ran, whether a browser opened the page or not.

use std::time::Duration;

use jiff::Timestamp;

use super::super::history::ClockStep;
use super::BrowserCheck;
use super::protocol::NotRun;

/// How many intervals a result counts: one check may be late, because browsers run one at a time.
const MAX_INTERVALS: u32 = 2;

/// The latest of the checks that run in intervals.
#[derive(Clone, Debug)]
pub struct BrowserRun {
    pub started: Timestamp,
    /// Since when the checks have had this outcome.
    pub since: Timestamp,
    pub interval: Duration,
    /// The check, or why no browser opened the page.
    pub result: Result<Box<BrowserCheck>, NotRun>,
}

impl BrowserRun {
    /// Why the page was not shown, as a code; `None` if it was shown and its checks hold.
    pub fn failure(&self) -> Option<String> {
        match &self.result {
            Ok(check) => Some(check.failure.as_ref()?.code()),
            Err(why) => Some(why.code().to_owned()),
        }
    }

    /// The check, unless it is too old to be compared with a probe at `now`.
    pub fn check_at(&self, now: Timestamp) -> Option<&BrowserCheck> {
        let age = Duration::try_from(now.duration_since(self.started)).unwrap_or_default();
        let check = self.result.as_ref().ok()?;
        (age <= self.interval * MAX_INTERVALS).then_some(check)
    }

    /// Continues the previous run, if the outcome is the same.
    pub(in crate::report) fn after(mut self, previous: Option<&Self>) -> Self {
        if let Some(previous) = previous
            && previous.failure() == self.failure()
        {
            self.since = previous.since;
        }
        self
    }

    /// Dates the run again, as `TargetHistory::apply` does.
    pub(in crate::report) fn apply(&mut self, step: ClockStep, began: Timestamp) {
        step.apply(began, &mut self.since);
        step.apply(began, &mut self.started);
        if let Ok(check) = &mut self.result {
            check.started = self.started;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Judged;
    use super::super::protocol::Observation;
    use super::*;

    fn run(started: &str, error: Option<&str>) -> BrowserRun {
        let started = started.parse().unwrap();
        let seen = Observation {
            error: error.map(str::to_owned),
            ..Observation::default()
        };
        let judged = Judged {
            is_valid_status: true,
            page: None,
        };
        let check = BrowserCheck::of(started, seen, serde_json::Value::Null, judged);
        BrowserRun {
            started,
            since: started,
            interval: Duration::from_secs(900),
            result: Ok(Box::new(check)),
        }
    }

    #[test]
    fn a_result_counts_for_two_intervals() {
        let run = run("2026-11-24T00:00:00Z", None);
        for (now, counts) in [
            ("2026-11-23T23:59:00Z", true),
            ("2026-11-24T00:30:00Z", true),
            ("2026-11-24T00:30:01Z", false),
        ] {
            assert_eq!(
                run.check_at(now.parse().unwrap()).is_some(),
                counts,
                "{now}"
            );
        }
    }

    #[test]
    fn an_outcome_lasts_until_another_one() {
        let first = run("2026-11-24T00:00:00Z", Some("ERR_FAILED"));
        let same = run("2026-11-24T00:15:00Z", Some("ERR_FAILED")).after(Some(&first));
        assert_eq!(same.since, first.started);
        let other = run("2026-11-24T00:30:00Z", None).after(Some(&same));
        assert_eq!(other.since, other.started);
    }
}
