//! The history of a target: the facts of its last successful probe, its transitions, and the report
//! of each transition to a failure. Bounded, and saved across restarts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use strum::IntoStaticStr;

use super::{Reason, Report, TargetStats};

const MAX_TRANSITIONS: usize = 50;
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
    /// What differs from the last successful probe, and since when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// The newest last: it is the current state.
    pub transitions: VecDeque<Transition>,
    /// The report of each transition to a failure, the newest last.
    pub failures: VecDeque<Box<RawValue>>,
}

/// The facts of a successful probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSuccess {
    pub at: Timestamp,
    #[serde(flatten)]
    pub facts: BTreeMap<Fact, String>,
}

/// A fact that is compared with the last successful probe.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Fact {
    /// Of the certificate.
    Issuer,
    /// The certificate's public key, as a pin.
    Key,
    /// That the connection uses.
    Addresses,
}

impl Fact {
    /// The label in text and HTML.
    pub fn title(self) -> &'static str {
        match self {
            Self::Issuer => "certificate issuer",
            Self::Key => "certificate key",
            Self::Addresses => "addresses",
        }
    }
}

/// A fact that differs from the last successful probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub fact: Fact,
    pub before: String,
    pub now: String,
    /// When a probe first found it.
    pub since: Timestamp,
}

/// A change between success and failure, or of the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    pub at: Timestamp,
    /// Absent for a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Reason>,
}

/// Whether a report changed something that must be saved soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Only the time of the last success.
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
            changes: Vec::new(),
            transitions: VecDeque::new(),
            failures: VecDeque::new(),
        }
    }

    /// Forgets what is dated after `now`: the clock was wrong when it was written, and a time of a
    /// success that lies ahead would look recent until then.
    pub fn forget_after(&mut self, now: Timestamp) {
        self.last_good = self.last_good.take().filter(|good| good.at <= now);
        self.changes.retain(|change| change.since <= now);
        self.transitions.retain(|transition| transition.at <= now);
    }

    /// Adds a report.
    pub fn observe(&mut self, report: &Report) -> ChangeKind {
        let changed = self.observe_facts(report);
        let failure = report.verdict.reason();
        if self
            .transitions
            .back()
            .is_some_and(|last| last.failure == failure)
        {
            return changed;
        }
        let transition = Transition {
            at: report.started,
            failure,
        };
        push(&mut self.transitions, MAX_TRANSITIONS, transition);
        if failure.is_some()
            && let Ok(raw) = serde_json::value::to_raw_value(report)
        {
            push(&mut self.failures, MAX_FAILURES, raw);
        }
        ChangeKind::StateChanged
    }

    /// Compares with the last success, or replaces it. A fact that a failing probe did not reach is
    /// not compared.
    fn observe_facts(&mut self, report: &Report) -> ChangeKind {
        let facts = facts(report);
        let is_same = if report.verdict.is_good() {
            let is_same = self
                .last_good
                .as_ref()
                .is_some_and(|good| good.facts == facts);
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
        if is_same {
            ChangeKind::TimestampOnly
        } else {
            ChangeKind::StateChanged
        }
    }

    fn differences(&self, at: Timestamp, facts: &BTreeMap<Fact, String>) -> Vec<Change> {
        let Some(good) = &self.last_good else {
            return Vec::new();
        };
        let change = |(fact, now): (&Fact, &String)| {
            let before = good.facts.get(fact).filter(|before| *before != now)?;
            let mut known = self.changes.iter();
            let known = known.find(|one| one.fact == *fact && one.now == *now);
            Some(Change {
                fact: *fact,
                before: before.clone(),
                now: now.clone(),
                since: known.map_or(at, |one| one.since),
            })
        };
        facts.iter().filter_map(change).collect()
    }

    /// What differs in `report` from the last successful probe.
    pub fn diff(&self, report: &Report) -> Vec<Change> {
        self.differences(report.started, &facts(report))
    }

    /// The current state; `None` before the first probe.
    pub fn state(&self) -> Option<&Transition> {
        self.transitions.back()
    }

    /// Since when the target has been failing, for any reason; `None` while it succeeds.
    pub fn failing_since(&self) -> Option<Timestamp> {
        let failing = self.transitions.iter().rev();
        let mut failing = failing.take_while(|one| one.failure.is_some());
        let newest = failing.next()?;
        Some(failing.last().unwrap_or(newest).at)
    }
}

impl SavedState {
    /// Forgets every time after `now`, as [`TargetHistory::forget_after`] does.
    pub fn forget_after(&mut self, now: Timestamp) {
        for history in self.targets.values_mut() {
            Arc::make_mut(history).forget_after(now);
        }
    }

    /// The history of the target, if it still has this URL.
    pub fn of(&self, target: &str, url: &str) -> Option<&Arc<TargetHistory>> {
        self.targets.get(target).filter(|one| one.url == url)
    }
}

/// The facts of the report's first hop that are compared.
fn facts(report: &Report) -> BTreeMap<Fact, String> {
    let mut facts = BTreeMap::new();
    let Some(hop) = report.hops.first() else {
        return facts;
    };
    let handshake = hop.tls.facts().and_then(|tls| tls.representative());
    if let Some(leaf) = handshake.and_then(|handshake| handshake.chain.first()) {
        facts.insert(Fact::Issuer, leaf.issuer.clone());
        facts.insert(Fact::Key, leaf.pin.clone());
    }
    let resolution = hop.dns.facts().map(|dns| &dns.resolution.addresses);
    let addresses: BTreeSet<&IpAddr> = resolution.into_iter().flatten().collect();
    if !addresses.is_empty() {
        let list: Vec<String> = addresses.into_iter().map(IpAddr::to_string).collect();
        facts.insert(Fact::Addresses, list.join(", "));
    }
    facts
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

    fn report(second: i64, failure: Option<Reason>) -> Report {
        crate::report::example(Timestamp::from_second(second).unwrap(), failure)
    }

    #[test]
    fn history_of_a_flapping_target_is_bounded() {
        let mut history = TargetHistory::of("https://sso.lab.test/");
        // As in a file that was edited by hand.
        let transition = |second| Transition {
            at: Timestamp::from_second(second).unwrap(),
            failure: None,
        };
        history.transitions = (0..500).map(transition).collect();
        for second in 0..1_000 {
            let failure = (second % 2 == 0).then_some(Reason::TcpRefused);
            assert_eq!(
                history.observe(&report(second, failure)),
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
        history.observe(&report(1, Some(Reason::TcpRefused)));
        history.observe(&report(20, None));
        let at = |second| Timestamp::from_second(second).unwrap();
        history.forget_after(at(20));
        assert_eq!(history.last_good.as_ref().unwrap().at, at(20));
        history.forget_after(at(19));
        assert_eq!(history.last_good, None);
        assert_eq!(history.state().unwrap().at, at(1));
    }

    #[test]
    fn an_outage_begins_with_its_first_failure() {
        let mut history = TargetHistory::of("https://sso.lab.test/");
        history.observe(&report(1, None));
        assert_eq!(history.failing_since(), None);
        for (second, reason) in [(2, Reason::DnsTimedOut), (3, Reason::TcpRefused)] {
            history.observe(&report(second, Some(reason)));
        }
        assert_eq!(
            history.observe(&report(4, Some(Reason::TcpRefused))),
            ChangeKind::TimestampOnly
        );
        assert_eq!(history.failing_since().unwrap().as_second(), 2);
        assert_eq!(history.last_good.unwrap().at.as_second(), 1);
    }
}
