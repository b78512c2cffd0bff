//! Results over time: each minute of the last day, each hour of the last ninety days.
//!
//! In: reports, and how long nothing may have been probed between two of them. Out: seconds in which
//! the target was good or failing, and durations by layer. Time without probes counts as neither.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ClockStep, Watch, push};
use crate::report::{LayerName, Reason, Report};

const MAX_MINUTES: usize = 24 * 60;
const MAX_HOURS: usize = 90 * 24;
pub const DAY_SECONDS: i64 = 24 * 3_600;
/// The layers whose durations are kept.
pub const LAYERS: [LayerName; 5] = [
    LayerName::Dns,
    LayerName::Tcp,
    LayerName::Proxy,
    LayerName::Tls,
    LayerName::Http,
];

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// Only minutes with a probe, the newest last.
    pub minutes: VecDeque<Minute>,
    /// Only hours with a probe, the newest last.
    pub hours: VecDeque<Hour>,
}

/// The newest probe of a minute, or the newest failing one. Saved as an array, to be small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "SavedMinute", from = "SavedMinute")]
pub struct Minute {
    /// Minutes since 1970.
    pub number: i64,
    pub failure: Option<Reason>,
    /// Of each of [`LAYERS`], in tenths of a millisecond; 0 if not reached.
    pub layers: [u32; LAYERS.len()],
    /// The whole probe, in tenths of a millisecond.
    pub total: u32,
}

/// An hour. Saved as an array, to be small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "SavedHour", from = "SavedHour")]
pub struct Hour {
    /// Hours since 1970.
    pub number: i64,
    /// At any time, and in service hours.
    pub always: Availability,
    pub in_service_hours: Availability,
    /// The newest failure.
    pub failure: Option<Reason>,
    /// The number of successful probes, and the sum of their durations in tenths of a millisecond.
    pub successes: u32,
    pub total: u64,
}

type SavedMinute = (i64, Option<Reason>, [u32; LAYERS.len()], u32);
type SavedHour = (i64, u32, u32, u32, u32, Option<Reason>, u32, u64);

/// Seconds in which a target was good or failing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Availability {
    #[serde(rename = "good_seconds")]
    pub good: u32,
    #[serde(rename = "failed_seconds")]
    pub failed: u32,
}

/// Which time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Always,
    ServiceHours,
}

impl Timeline {
    /// Adds a report; the time since the previous probe, which may have failed, counts as its result was.
    pub(super) fn observe(
        &mut self,
        report: &Report,
        previous: Option<(Timestamp, bool)>,
        watch: Watch,
    ) {
        if let Some((previous, has_failed)) = previous {
            self.count(previous, report.started, has_failed, watch);
        }
        self.add_minute(report);
        let hour = self.hour(report.started.as_second().div_euclid(3_600));
        match report.verdict.reason() {
            Some(reason) => hour.failure = Some(reason),
            None => {
                hour.successes = hour.successes.saturating_add(1);
                hour.total = hour
                    .total
                    .saturating_add(u64::from(tenths(report.duration)));
            }
        }
    }

    pub(super) fn forget_after(&mut self, now: Timestamp) {
        let now = now.as_second();
        self.minutes
            .retain(|minute| minute.number <= now.div_euclid(60));
        self.hours
            .retain(|hour| hour.number <= now.div_euclid(3_600));
    }

    /// Moves what was recorded since `began`. Older minutes that the clock is to reach again are dropped;
    /// older hours stay, for the availability.
    pub(super) fn apply(&mut self, step: ClockStep, began: Timestamp) {
        let seconds = step.length().as_secs();
        let minute = |at: Timestamp| at.as_second().div_euclid(60);
        let hour = |at: Timestamp| at.as_second().div_euclid(3_600);
        let own = minute(began)..=minute(step.from);
        let minutes = self.minutes.iter_mut().rev();
        let mut next = minute(step.to);
        let mut moved = 0;
        for one in minutes.take_while(|one| own.contains(&one.number)) {
            one.number += (seconds + 30).div_euclid(60);
            next = next.min(one.number);
            moved += 1;
        }
        let older = self.minutes.len() - moved;
        let mut index = 0..;
        self.minutes
            .retain(|one| index.next() >= Some(older) || one.number < next);
        let own = hour(began)..=hour(step.from);
        let hours = self.hours.iter_mut().rev();
        for one in hours.take_while(|one| own.contains(&one.number)) {
            one.number += (seconds + 1_800).div_euclid(3_600);
        }
    }

    fn add_minute(&mut self, report: &Report) {
        let minute = Minute {
            number: report.started.as_second().div_euclid(60),
            failure: report.verdict.reason(),
            layers: LAYERS.map(|layer| {
                let outcome = report.layer(layer);
                outcome.map_or(0, |outcome| tenths(outcome.duration).max(1))
            }),
            total: tenths(report.duration),
        };
        match self.minutes.back_mut() {
            Some(newest) if newest.number >= minute.number => {
                if minute.failure.is_some() || newest.failure.is_none() {
                    *newest = Minute {
                        number: newest.number,
                        ..minute
                    };
                }
            }
            _ => push(&mut self.minutes, MAX_MINUTES, minute),
        }
    }

    /// Adds the time between two probes to the hours, unless it is too long.
    fn count(&mut self, from: Timestamp, to: Timestamp, has_failed: bool, watch: Watch) {
        let (mut from, to) = (from.as_second(), to.as_second());
        if to <= from || Duration::from_secs((to - from).unsigned_abs()) > watch.max_gap {
            return;
        }
        // At most as many hours as are kept.
        from = from.max(to - DAY_SECONDS * 90);
        while from < to {
            let number = from.div_euclid(3_600);
            let until = to.min((number + 1) * 3_600);
            let seconds = u32::try_from(until - from).unwrap_or_default();
            let hour = self.hour(number);
            hour.always.add(seconds, has_failed);
            if watch.in_service_hours {
                hour.in_service_hours.add(seconds, has_failed);
            }
            from = until;
        }
    }

    /// The hour with this number; the newest one if the clock was set back.
    #[expect(
        clippy::indexing_slicing,
        reason = "the list has just got an hour if it was empty"
    )]
    fn hour(&mut self, number: i64) -> &mut Hour {
        if self
            .hours
            .back()
            .is_none_or(|newest| newest.number < number)
        {
            push(&mut self.hours, MAX_HOURS, Hour::empty(number));
        }
        let known = self.hours.iter().rposition(|hour| hour.number == number);
        let newest = self.hours.len().saturating_sub(1);
        &mut self.hours[known.unwrap_or(newest)]
    }

    /// The time since `from`, by whole hours.
    pub fn availability(&self, from: Timestamp, scope: Scope) -> Availability {
        let first = from.as_second().div_euclid(3_600);
        let hours = self.hours.iter().filter(|hour| hour.number >= first);
        hours.fold(Availability::default(), |sum, hour| {
            sum.plus(hour.scope(scope))
        })
    }

    /// The median of the hourly means of successful probes, in tenths of a millisecond.
    pub fn usual_duration(&self, from: Timestamp) -> Option<Duration> {
        let first = from.as_second().div_euclid(3_600);
        let hours = self.hours.iter().filter(|hour| hour.number >= first);
        let mut means: Vec<u64> = hours
            .filter_map(|hour| hour.total.checked_div(u64::from(hour.successes)))
            .collect();
        means.sort_unstable();
        let median = means.get(means.len() / 2)?;
        Some(Duration::from_micros(median * 100))
    }
}

impl Hour {
    fn empty(number: i64) -> Self {
        Self {
            number,
            always: Availability::default(),
            in_service_hours: Availability::default(),
            failure: None,
            successes: 0,
            total: 0,
        }
    }

    pub fn scope(&self, scope: Scope) -> Availability {
        match scope {
            Scope::Always => self.always,
            Scope::ServiceHours => self.in_service_hours,
        }
    }
}

impl Availability {
    fn add(&mut self, seconds: u32, has_failed: bool) {
        let sum = if has_failed {
            &mut self.failed
        } else {
            &mut self.good
        };
        *sum = sum.saturating_add(seconds);
    }

    pub fn plus(self, other: Self) -> Self {
        Self {
            good: self.good.saturating_add(other.good),
            failed: self.failed.saturating_add(other.failed),
        }
    }

    /// The good share of the time that was watched; `None` if none was.
    pub fn share(self) -> Option<f64> {
        let all = f64::from(self.good) + f64::from(self.failed);
        (all > 0.0).then(|| f64::from(self.good) / all)
    }
}

fn tenths(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros() / 100).unwrap_or(u32::MAX)
}

impl From<Minute> for SavedMinute {
    fn from(minute: Minute) -> Self {
        (minute.number, minute.failure, minute.layers, minute.total)
    }
}

impl From<SavedMinute> for Minute {
    fn from((number, failure, layers, total): SavedMinute) -> Self {
        Self {
            number,
            failure,
            layers,
            total,
        }
    }
}

impl From<Hour> for SavedHour {
    fn from(hour: Hour) -> Self {
        let (always, service) = (hour.always, hour.in_service_hours);
        (
            hour.number,
            always.good,
            always.failed,
            service.good,
            service.failed,
            hour.failure,
            hour.successes,
            hour.total,
        )
    }
}

impl From<SavedHour> for Hour {
    fn from(saved: SavedHour) -> Self {
        let (number, good, failed, service_good, service_failed, failure, successes, total) = saved;
        Self {
            number,
            always: Availability { good, failed },
            in_service_hours: Availability {
                good: service_good,
                failed: service_failed,
            },
            failure,
            successes,
            total,
        }
    }
}
