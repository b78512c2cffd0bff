//! Outages, from the transitions of a target: one outage may have several reasons.

use jiff::Timestamp;
use serde::Serialize;

use super::{Fact, State, Transition};
use crate::report::Reason;

/// A time in which every probe failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outage {
    pub start: Timestamp,
    /// Absent while it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<End>,
    /// In their order; one after the other they differ.
    pub reasons: Vec<Reason>,
}

/// What ended an outage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum End {
    /// A successful probe, and the facts that were not those of the failing one.
    Success { changed: Vec<Fact> },
    /// The next probe after a time without probes was successful. `end` is the last failing probe that
    /// is known.
    NotWatched,
}

/// The outages in `transitions`, the oldest first.
pub(super) fn outages<'a>(transitions: impl IntoIterator<Item = &'a Transition>) -> Vec<Outage> {
    let mut outages: Vec<Outage> = Vec::new();
    let mut gap = None;
    for transition in transitions {
        let current = outages.last_mut().filter(|outage| outage.end.is_none());
        match (transition.state(), current) {
            (State::Failed(reason), Some(current)) => {
                if current.reasons.last() != Some(&reason) {
                    current.reasons.push(reason);
                }
            }
            (State::Failed(reason), None) => outages.push(Outage {
                start: transition.at,
                end: None,
                ended_by: None,
                reasons: vec![reason],
            }),
            (State::Good, Some(current)) => {
                current.end = Some(gap.unwrap_or(transition.at));
                current.ended_by = Some(match gap {
                    Some(_) => End::NotWatched,
                    None => End::Success {
                        changed: transition.changed.clone(),
                    },
                });
            }
            (State::Good | State::NotWatched, _) => {}
        }
        gap = transition.not_watched.then_some(transition.at);
    }
    outages
}

/// When all of several paths were failing: the outages that they have in common, each with the reasons
/// of the path that failed last.
pub fn common(paths: &[Vec<Outage>]) -> Vec<Outage> {
    let Some((first, others)) = paths.split_first() else {
        return Vec::new();
    };
    others.iter().fold(first.clone(), |common, path| {
        let pairs = common
            .iter()
            .flat_map(|one| path.iter().filter_map(|other| intersection(one, other)));
        pairs.collect()
    })
}

fn intersection(one: &Outage, other: &Outage) -> Option<Outage> {
    let later = if one.start >= other.start { one } else { other };
    let first_end = match (one.end, other.end) {
        (Some(a), Some(b)) if b < a => other,
        (None, Some(_)) => other,
        _ => one,
    };
    if first_end.end.is_some_and(|end| end <= later.start) {
        return None;
    }
    Some(Outage {
        start: later.start,
        end: first_end.end,
        ended_by: first_end.ended_by.clone(),
        reasons: later.reasons.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn of(transitions: &[(i64, State)]) -> Vec<Outage> {
        let transitions: Vec<_> = transitions
            .iter()
            .map(|(second, state)| Transition::new(at(*second), *state))
            .collect();
        outages(&transitions)
    }

    #[test]
    fn one_outage_has_all_its_reasons() {
        let outages = of(&[
            (0, State::Good),
            (10, State::Failed(Reason::HttpStatus)),
            (20, State::Failed(Reason::TlsExpired)),
            (25, State::NotWatched),
            (50, State::Failed(Reason::TlsExpired)),
            (60, State::Good),
            (70, State::Failed(Reason::TcpRefused)),
        ]);
        assert_eq!(outages.len(), 2);
        assert_eq!((outages[0].start, outages[0].end), (at(10), Some(at(60))));
        assert_eq!(outages[0].reasons, [Reason::HttpStatus, Reason::TlsExpired]);
        assert_eq!((outages[1].start, outages[1].end), (at(70), None));
    }

    #[test]
    fn outage_that_ends_while_nobody_probes_ends_with_the_last_known_failure() {
        let outages = of(&[
            (0, State::Failed(Reason::TcpRefused)),
            (30, State::NotWatched),
            (900, State::Good),
        ]);
        assert_eq!(outages[0].end, Some(at(30)));
        assert_eq!(outages[0].ended_by, Some(End::NotWatched));
    }

    #[test]
    fn paths_are_out_together_only_while_each_of_them_fails() {
        let failed = State::Failed(Reason::TcpRefused);
        let week = of(&[(0, failed)]);
        let short = of(&[(500, failed), (600, State::Good), (700, failed)]);
        let both = common(&[week.clone(), short]);
        assert_eq!(both.len(), 2);
        assert_eq!((both[0].start, both[0].end), (at(500), Some(at(600))));
        assert_eq!((both[1].start, both[1].end), (at(700), None));
        assert_eq!(common(&[week, of(&[(0, State::Good)])]), []);
    }
}
