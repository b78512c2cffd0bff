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
