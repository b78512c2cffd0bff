//! The facts of the dns layer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;
use strum::IntoStaticStr;

use super::Handshake;
use crate::report::{Reason, seconds};

/// The answers of the name servers.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DnsFacts {
    /// What the connection uses.
    pub resolution: Resolution,
    /// Each name server by itself; empty on a hop whose name was queried before.
    pub lookups: Vec<Lookup>,
}

impl DnsFacts {
    /// The addresses from each resolver over all queries; `None` for a resolver that failed.
    pub fn answers_by_resolver(&self) -> BTreeMap<&str, Option<BTreeSet<IpAddr>>> {
        let mut by_resolver = BTreeMap::new();
        for lookup in &self.lookups {
            let answer = by_resolver
                .entry(lookup.resolver.as_str())
                .or_insert_with(|| Some(BTreeSet::new()));
            match (answer.as_mut(), lookup.failure) {
                (Some(set), None) => set.extend(lookup.answers.iter().copied()),
                _ => *answer = None,
            }
        }
        by_resolver
    }

    /// Whether the resolvers that answered return the same addresses; `None` with fewer than two.
    pub fn resolvers_agree(&self) -> Option<bool> {
        let sets: Vec<_> = self.answers_by_resolver().into_values().flatten().collect();
        let (first, rest) = sets.split_first()?;
        (!rest.is_empty()).then(|| rest.iter().all(|set| set == first))
    }
}

/// The resolution that the connection uses.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Resolution {
    /// `system`, or the resolver in the form `udp://10.1.2.3:53`.
    pub route: String,
    /// In the order in which they are tried; bounded.
    pub addresses: Vec<IpAddr>,
    /// Whether each address is in the expected ranges; absent if none are configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<bool>,
    /// The error, in the resolver's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The type of record that a query asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, IntoStaticStr)]
#[serde(rename_all = "UPPERCASE")]
#[strum(serialize_all = "UPPERCASE", const_into_str)]
pub enum QueryType {
    #[default]
    A,
    Aaaa,
}

/// One query to one name server: one packet, no retry, no cache.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Lookup {
    /// `udp://10.1.2.3:53` and the like.
    pub resolver: String,
    pub record: QueryType,
    #[serde(rename = "duration_seconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// The response code (`NOERROR`, `NXDOMAIN`); absent without an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rcode: Option<String>,
    pub answers: Vec<IpAddr>,
    /// Whether each address is in the expected ranges; absent if none are configured, and without
    /// an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<bool>,
    /// The aliases that lead to the addresses, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cnames: Vec<String>,
    /// The smallest time to live among the addresses, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ttl: Option<u32>,
    /// The server says that it validated the answer (the AD flag).
    pub authenticated: bool,
    /// The answer came over TCP because the one over UDP was truncated (the TC flag).
    pub truncated: bool,
    /// The session with an encrypted name server, also if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Box<Handshake>>,
    /// What the failure does not say already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Reason>,
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    /// Lookups of up to four resolvers, each with up to three of four addresses, or failed.
    fn lookups() -> impl Strategy<Value = Vec<Lookup>> {
        let lookup = (0..4_u8, btree_set(0..4_u8, 0..3), prop::bool::weighted(0.2));
        let lookup = lookup.prop_map(|(resolver, answers, failed)| Lookup {
            resolver: format!("udp://192.0.2.{resolver}:53"),
            answers: answers
                .into_iter()
                .map(|last| Ipv4Addr::new(203, 0, 113, last).into())
                .collect(),
            failure: failed.then_some(Reason::DnsServfail),
            ..Lookup::default()
        });
        vec(lookup, 0..8)
    }

    fn facts(lookups: Vec<Lookup>) -> DnsFacts {
        DnsFacts {
            lookups,
            ..DnsFacts::default()
        }
    }

    proptest! {
        #[test]
        fn resolvers_agree_if_no_two_that_answered_differ(lookups in lookups()) {
            let answer = |resolver: &str| {
                let own: Vec<_> = lookups.iter().filter(|one| one.resolver == resolver).collect();
                let is_whole = !own.is_empty() && own.iter().all(|one| one.failure.is_none());
                let all = own.iter().flat_map(|one| one.answers.iter().copied());
                is_whole.then(|| all.collect::<BTreeSet<IpAddr>>())
            };
            let names = (0..4).map(|number| format!("udp://192.0.2.{number}:53"));
            let answers: Vec<_> = names.filter_map(|name| answer(&name)).collect();
            let differ = answers.iter().any(|one| answers.iter().any(|other| one != other));
            prop_assert_eq!(
                facts(lookups.clone()).resolvers_agree(),
                (answers.len() > 1).then_some(!differ)
            );
        }

        #[test]
        fn agreement_depends_neither_on_the_order_nor_on_repetition(
            lookups in lookups(),
            turn in 0..8_usize,
        ) {
            let agreement = facts(lookups.clone()).resolvers_agree();
            let mut turned = lookups.clone();
            turned.rotate_left(turn.min(lookups.len()));
            turned.reverse();
            prop_assert_eq!(facts(turned).resolvers_agree(), agreement);
            prop_assert_eq!(facts([&lookups[..], &lookups].concat()).resolvers_agree(), agreement);
        }
    }
}
