//! The history of a target: the facts of its last successful probe, its transitions and outages, the
//! report of each transition to a failure, minutes and hours of results. Bounded, and saved across
//! restarts.

mod addresses;
mod certificates;
mod clock_step;
mod facts;
mod outage;
mod timeline;
mod transition;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Report, TargetStats};
pub use addresses::AddressResult;
pub use certificates::SeenCertificate;
pub use clock_step::ClockStep;
pub use facts::{Change, Fact, LastSuccess};
pub use outage::{End, Outage, common};
pub use timeline::{Availability, DAY_SECONDS, Hour, LAYERS, Minute, Scope, Timeline};
pub use transition::{State, Transition};
pub use watch::Watch;

const MAX_TRANSITIONS: usize = 200;
const MAX_FAILURES: usize = 5;

/// The histories of all targets, by name.
#[derive(Clone, Debug, Default)]
pub struct SavedState {
    pub targets: BTreeMap<String, Arc<TargetHistory>>,
}

/// A target's counters since the process started, and its history.
#[derive(Clone, Debug)]
pub struct TargetState {
    pub stats: TargetStats,
    pub history: Arc<TargetHistory>,
}

/// The history of one target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetHistory {
    /// What was probed. The history does not apply to another URL.
    pub url: String,
    /// Absent before the first successful probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good: Option<LastSuccess>,
    /// When the newest probe started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_probe: Option<Timestamp>,
    /// What differs from the last successful probe, and since when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// The newest last: it is the current state.
    pub transitions: VecDeque<Transition>,
    /// The report of each transition to a failure, the newest last.
    pub failures: VecDeque<Box<RawValue>>,
    /// The server certificates that were seen, the newest last.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub certificates: VecDeque<SeenCertificate>,
    /// The latest result of each address of the last hour, the newest last.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub addresses: VecDeque<AddressResult>,
    #[serde(default)]
    pub timeline: Timeline,
    /// Steps of the clock, the newest last.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub clock_steps: VecDeque<ClockStep>,
}

/// Whether a report changed something that must be saved soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Only the time of the last success, and the time line.
    TimestampOnly,
    /// A transition or a fact.
    StateChanged,
}

impl TargetHistory {
    /// An empty history.
    pub fn of(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            last_good: None,
            last_probe: None,
            changes: Vec::new(),
            transitions: VecDeque::new(),
            failures: VecDeque::new(),
            certificates: VecDeque::new(),
            addresses: VecDeque::new(),
            timeline: Timeline::default(),
            clock_steps: VecDeque::new(),
        }
    }

    /// The history as version 1 of the state file has it, with the fields that are new in version 2.
    pub(crate) fn migrated(mut self) -> Self {
        let newest = self.transitions.back().map(|transition| transition.at);
        let good = self.last_good.as_ref().map(|good| good.at);
        self.last_probe = self.last_probe.or(newest.max(good));
        self
    }

    /// Forgets what is dated after `now`: the clock was wrong when it was written, and a time of a
    /// success that lies ahead would look recent until then.
    pub fn forget_after(&mut self, now: Timestamp) {
        self.last_good = self.last_good.take().filter(|good| good.at <= now);
        self.last_probe = self.last_probe.filter(|at| *at <= now);
        self.changes.retain(|change| change.since <= now);
        self.transitions.retain(|transition| transition.at <= now);
        self.certificates.retain(|one| one.last_seen <= now);
        self.addresses.retain(|one| one.at <= now);
        self.timeline.forget_after(now);
    }

    /// Adds a report.
    pub fn observe(&mut self, report: &Report, watch: Watch) -> ChangeKind {
        let was_failing = self.state().is_some_and(|state| state.failure.is_some());
        let previous = self.last_probe.map(|at| (at, was_failing));
        self.timeline.observe(report, previous, watch);
        self.observe_gap(report.started, watch);
        self.last_probe = Some(report.started);
        self.observe_certificate(report);
        self.observe_address(report);
        let (changed, recovered) = self.observe_facts(report);
        let state = report.verdict.reason().map_or(State::Good, State::Failed);
        let last = self.transitions.back().map(Transition::state);
        if last == Some(state) {
            return changed;
        }
        let mut transition = Transition::new(report.started, state);
        if matches!(last, Some(State::Failed(_))) && state == State::Good {
            transition.changed = recovered;
        }
        push(&mut self.transitions, MAX_TRANSITIONS, transition);
        if matches!(state, State::Failed(_))
            && let Ok(raw) = serde_json::value::to_raw_value(report)
        {
            push(&mut self.failures, MAX_FAILURES, raw);
        }
        ChangeKind::StateChanged
    }

    /// Records that nothing probed the target since its last probe, if that is too long ago.
    fn observe_gap(&mut self, now: Timestamp, watch: Watch) {
        let Some(last) = self.last_probe else {
            return;
        };
        let gap = Duration::try_from(now.duration_since(last)).unwrap_or_default();
        if gap > watch.max_gap {
            let gap = Transition::new(last, State::NotWatched);
            push(&mut self.transitions, MAX_TRANSITIONS, gap);
        }
    }

    /// Compares with the last success, or replaces it; also returns which facts are not those of the
    /// previous probe. A fact that a failing probe did not reach is not compared.
    fn observe_facts(&mut self, report: &Report) -> (ChangeKind, Vec<Fact>) {
        let facts = facts::facts(report);
        let mut recovered = Vec::new();
        let is_same = if report.verdict.is_good() {
            let good = self.last_good.as_ref().map(|good| &good.facts);
            let is_same = good == Some(&facts);
            if let Some(good) = good {
                let mut failing = good.clone();
                let changes = self.changes.iter();
                failing.extend(changes.map(|change| (change.fact, change.now.clone())));
                let differences = facts::differences(&failing, &facts).into_iter();
                recovered = differences.map(|(fact, ..)| fact).collect();
            }
            self.changes.clear();
            self.last_good = Some(LastSuccess {
                at: report.started,
                facts,
            });
            is_same
        } else {
            let changes = self.differences(report.started, &facts);
            let is_same = changes == self.changes;
            self.changes = changes;
            is_same
        };
        let kind = if is_same {
            ChangeKind::TimestampOnly
        } else {
            ChangeKind::StateChanged
        };
        (kind, recovered)
    }

    fn differences(&self, at: Timestamp, facts: &BTreeMap<Fact, String>) -> Vec<Change> {
        let Some(good) = &self.last_good else {
            return Vec::new();
        };
        let differences = facts::differences(&good.facts, facts).into_iter();
        let change = |(fact, before, now): (Fact, String, String)| {
            let mut known = self.changes.iter();
            let known = known.find(|one| one.fact == fact && one.now == now);
            Change {
                since: known.map_or(at, |one| one.since),
                fact,
                before,
                now,
            }
        };
        differences.map(change).collect()
    }

    /// What differs in `report` from the last successful probe.
    pub fn diff(&self, report: &Report) -> Vec<Change> {
        self.differences(report.started, &facts::facts(report))
    }

    /// The current state; `None` before the first probe.
    pub fn state(&self) -> Option<&Transition> {
        self.transitions.back()
    }

    /// Since when the target has been failing, for whatever reasons; `None` while it is good.
    pub fn failing_since(&self) -> Option<Timestamp> {
        self.since(|state| matches!(state, State::Failed(_)))
    }

    /// Since when the target has been good; `None` while it is failing.
    pub fn good_since(&self) -> Option<Timestamp> {
        self.since(|state| state == State::Good)
    }

    /// The first of the newest transitions that are all `wanted`. Time in which nothing probed does not
    /// interrupt them.
    fn since(&self, wanted: impl Fn(State) -> bool) -> Option<Timestamp> {
        let newest = self.transitions.iter().rev();
        let newest = newest.take_while(|one| one.not_watched || wanted(one.state()));
        newest
            .filter(|one| !one.not_watched)
            .last()
            .map(|one| one.at)
    }

    /// The outages, the oldest first.
    pub fn outages(&self) -> Vec<Outage> {
        outage::outages(&self.transitions)
    }
}

impl SavedState {
    /// Forgets every time after `now`, as [`TargetHistory::forget_after`] does.
    pub fn forget_after(&mut self, now: Timestamp) {
        for history in self.targets.values_mut() {
            Arc::make_mut(history).forget_after(now);
        }
    }

    /// Whether a probe is dated after `now`.
    pub fn is_ahead_of(&self, now: Timestamp) -> bool {
        let mut histories = self.targets.values();
        histories.any(|history| history.last_probe > Some(now))
    }

    /// The history of the target, if it still has this URL.
    pub fn of(&self, target: &str, url: &str) -> Option<&Arc<TargetHistory>> {
        self.targets.get(target).filter(|one| one.url == url)
    }
}

/// Adds an item and drops the oldest beyond `max_items`.
fn push<T>(list: &mut VecDeque<T>, max_items: usize, item: T) {
    // The list may come from a file and be longer.
    while list.len() >= max_items {
        list.pop_front();
    }
    list.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Reason;

    const WATCH: Watch = Watch {
        max_gap: Duration::from_secs(100),
        in_service_hours: true,
    };

    fn report(second: i64, failure: Option<Reason>) -> Report {
        crate::report::example(Timestamp::from_second(second).unwrap(), failure)
    }

    #[test]
    fn history_of_a_flapping_target_is_bounded() {
        let mut history = TargetHistory::of("https://sso.lab.test/");
        // As in a file that was edited by hand.
        let transition =
            |second| Transition::new(Timestamp::from_second(second).unwrap(), State::Good);
        history.transitions = (0..500).map(transition).collect();
        for second in 0..1_000 {
            let failure = (second % 2 == 0).then_some(Reason::TcpRefused);
            assert_eq!(
                history.observe(&report(second, failure), WATCH),
                ChangeKind::StateChanged
            );
        }
        assert_eq!(history.transitions.len(), MAX_TRANSITIONS);
        assert_eq!(history.failures.len(), MAX_FAILURES);
        assert_eq!(history.state().unwrap().at.as_second(), 999);
    }

    #[test]
    fn times_ahead_of_the_clock_are_forgotten() {
        let mut history = TargetHistory::of("https://sso.lab.test/");
        history.observe(&report(1, Some(Reason::TcpRefused)), WATCH);
        history.observe(&report(90, None), WATCH);
        let at = |second| Timestamp::from_second(second).unwrap();
        history.forget_after(at(90));
        assert_eq!(history.last_good.as_ref().unwrap().at, at(90));
        history.forget_after(at(59));
        assert_eq!(history.last_good, None);
        assert_eq!(history.state().unwrap().at, at(1));
        assert_eq!(history.timeline.minutes.len(), 1);
    }

    #[test]
    fn an_outage_begins_with_its_first_failure() {
        let mut history = TargetHistory::of("https://sso.lab.test/");
        history.observe(&report(1, None), WATCH);
        assert_eq!(history.failing_since(), None);
        for (second, reason) in [(2, Reason::DnsTimedOut), (3, Reason::TcpRefused)] {
            history.observe(&report(second, Some(reason)), WATCH);
        }
        assert_eq!(
            history.observe(&report(4, Some(Reason::TcpRefused)), WATCH),
            ChangeKind::TimestampOnly
        );
        assert_eq!(history.failing_since().unwrap().as_second(), 2);
        assert_eq!(history.good_since(), None);
        assert_eq!(history.last_good.unwrap().at.as_second(), 1);
    }

    #[test]
    fn time_without_probes_is_neither_good_nor_an_outage() {
        let mut history = TargetHistory::of("https://sso.lab.test/");
        history.observe(&report(0, None), WATCH);
        history.observe(&report(100, None), WATCH);
        history.observe(&report(201, None), WATCH);
        let states: Vec<_> = history.transitions.iter().map(Transition::state).collect();
        assert_eq!(states, [State::Good, State::NotWatched, State::Good]);
        assert_eq!(history.transitions[1].at.as_second(), 100);
        assert_eq!(history.good_since().unwrap().as_second(), 0);
        let availability = history
            .timeline
            .availability(Timestamp::UNIX_EPOCH, Scope::Always);
        assert_eq!((availability.good, availability.failed), (100, 0));
    }

    #[test]
    fn ninety_days_at_an_interval_of_a_minute_take_less_than_200_kilobytes() {
        let mut history = TargetHistory::of("https://sso.lab.test/");
        for minute in 0..90 * 24 * 60 {
            let failure = (minute % 7 == 0).then_some(Reason::TcpNetworkUnreachable);
            history.observe(&report(1_800_000_000 + minute * 60, failure), WATCH);
        }
        let text = serde_json::to_vec(&history).unwrap();
        assert!(text.len() < 200_000, "{} bytes", text.len());
        assert_eq!(
            serde_json::from_slice::<TargetHistory>(&text)
                .unwrap()
                .timeline,
            history.timeline
        );
    }
}
