//! What is remembered of a target beyond its latest report: the facts of its last good probe, its
//! transitions, and the reports in which it began to fail. Bounded, and kept across restarts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use strum::IntoStaticStr;

use super::{Reason, Report, TargetStats, Verdict};

/// What is kept of a target.
const MAX_TRANSITIONS: usize = 50;
const MAX_FAILURES: usize = 5;

/// The memory of every target, by its name.
#[derive(Clone, Debug, Default)]
pub struct SavedState {
    pub targets: BTreeMap<String, Arc<TargetHistory>>,
}

/// What is known of a target: what was counted since the start, and what is remembered from before
/// it too.
#[derive(Clone, Debug)]
pub struct TargetState {
    pub stats: TargetStats,
    pub history: Arc<TargetHistory>,
}

/// The memory of one target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetHistory {
    /// What was probed; of another address nothing here is true.
    pub url: String,
    /// Absent until there was a good probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good: Option<LastSuccess>,
    /// What differs from the last good probe, since when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// The newest last; the last is the state that holds.
    pub transitions: VecDeque<Transition>,
    /// The report of each transition to a failure, the newest last.
    pub failures: VecDeque<Box<RawValue>>,
}

/// The facts of a good probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSuccess {
    pub at: Timestamp,
    #[serde(flatten)]
    pub facts: BTreeMap<Fact, String>,
}

/// What is compared with the last good probe.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Fact {
    /// Of the certificate.
    Issuer,
    /// Its public key, as a pin.
    Key,
    /// That the connection follows.
    Addresses,
}

impl Fact {
    /// For a person.
    pub fn words(self) -> &'static str {
        match self {
            Self::Issuer => "issuer of the certificate",
            Self::Key => "key of the certificate",
            Self::Addresses => "addresses",
        }
    }
}

/// A fact that is not as it was when the target was last good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub fact: Fact,
    pub before: String,
    pub now: String,
    /// The probe that first saw it.
    pub since: Timestamp,
}

/// From when on a target is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    pub at: Timestamp,
    /// Absent while it is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Reason>,
}

/// Whether something happened that must not be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// As before: only the time of the last good probe went on.
    TimestampOnly,
    /// A transition, or a fact that changed.
    StateChanged,
}

impl TargetHistory {
    /// Nothing yet.
    pub fn of(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            last_good: None,
            changes: Vec::new(),
            transitions: VecDeque::new(),
            failures: VecDeque::new(),
        }
    }

    /// Takes a report in.
    pub fn observe(&mut self, report: &Report) -> ChangeKind {
        let facts = facts(report);
        let changed = match report.verdict {
            Verdict::Good { .. } => self.observe_success(report, facts),
            Verdict::Failed { .. } => self.compare(report, &facts),
        };
        let failure = report.verdict.reason();
        let same = |last: &Transition| last.failure == failure;
        if self.transitions.back().is_some_and(same) {
            return changed;
        }
        push(
            &mut self.transitions,
            MAX_TRANSITIONS,
            Transition {
                at: report.started,
                failure,
            },
        );
        if failure.is_some()
            && let Ok(text) = serde_json::to_string(report)
            && let Ok(raw) = RawValue::from_string(text)
        {
            push(&mut self.failures, MAX_FAILURES, raw);
        }
        ChangeKind::StateChanged
    }

    fn observe_success(&mut self, report: &Report, facts: BTreeMap<Fact, String>) -> ChangeKind {
        let same = self
            .last_good
            .as_ref()
            .is_some_and(|good| good.facts == facts);
        self.changes.clear();
        self.last_good = Some(LastSuccess {
            at: report.started,
            facts,
        });
        if same {
            ChangeKind::TimestampOnly
        } else {
            ChangeKind::StateChanged
        }
    }

    /// A fact that a failing probe did not come to is not compared.
    fn compare(&mut self, report: &Report, facts: &BTreeMap<Fact, String>) -> ChangeKind {
        let changes = self.differences(report.started, facts);
        let same = changes == self.changes;
        self.changes = changes;
        if same {
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
            let known = self
                .changes
                .iter()
                .find(|one| one.fact == *fact && one.now == *now);
            Some(Change {
                fact: *fact,
                before: before.clone(),
                now: now.clone(),
                since: known.map_or(at, |one| one.since),
            })
        };
        facts.iter().filter_map(change).collect()
    }

    /// What differs in `report` from the last good probe.
    pub fn diff(&self, report: &Report) -> Vec<Change> {
        self.differences(report.started, &facts(report))
    }

    /// The state that holds; `None` before the first probe.
    pub fn state(&self) -> Option<&Transition> {
        self.transitions.back()
    }

    /// Since when it has been failing, whatever the reasons were; `None` while it is good.
    pub fn failing_since(&self) -> Option<Timestamp> {
        let failing = self.transitions.iter().rev();
        let mut failing = failing.take_while(|one| one.failure.is_some());
        let newest = failing.next()?;
        Some(failing.last().unwrap_or(newest).at)
    }
}

impl SavedState {
    /// What is remembered of the target, if that is still what is probed.
    pub fn of(&self, target: &str, url: &str) -> Option<&Arc<TargetHistory>> {
        self.targets.get(target).filter(|one| one.url == url)
    }
}

/// What a report shows of the facts that are compared: those of its first hop.
fn facts(report: &Report) -> BTreeMap<Fact, String> {
    let mut facts = BTreeMap::new();
    let Some(hop) = report.hops.first() else {
        return facts;
    };
    let representative = hop.tls.facts().and_then(|tls| tls.representative());
    if let Some(leaf) = representative.and_then(|handshake| handshake.chain.first()) {
        facts.insert(Fact::Issuer, leaf.issuer.clone());
        facts.insert(Fact::Key, leaf.pin.clone());
    }
    let addresses: BTreeSet<IpAddr> = hop
        .dns
        .facts()
        .into_iter()
        .flat_map(|dns| dns.resolution.addresses.iter().copied())
        .collect();
    if !addresses.is_empty() {
        let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        facts.insert(Fact::Addresses, list.join(", "));
    }
    facts
}

fn push<T>(list: &mut VecDeque<T>, most: usize, one: T) {
    // What was read from a file may be longer.
    while list.len() >= most {
        list.pop_front();
    }
    list.push_back(one);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(second: i64, failure: Option<Reason>) -> Report {
        crate::report::example(Timestamp::from_second(second).unwrap(), failure)
    }

    #[test]
    fn a_target_that_never_stays_as_it_is_does_not_make_the_memory_grow() {
        let mut history = TargetHistory::of("https://sso.lab.test/");
        // As a file that somebody has edited may be.
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
    fn an_outage_lasts_from_its_first_failure_whatever_the_reasons_after_it() {
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
