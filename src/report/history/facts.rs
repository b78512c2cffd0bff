//! The facts of a probe that are compared with the last successful one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::report::{Certificate, Report};

/// Hong Kong time: UTC+8 all year.
const HONG_KONG: Offset = Offset::constant(8);

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
    /// The certificate itself, of the same issuer and with the same key.
    Certificate,
    /// That the connection uses.
    Addresses,
}

impl Fact {
    /// The label in text and HTML.
    pub fn title(self) -> &'static str {
        match self {
            Self::Issuer => "certificate issuer",
            Self::Key => "certificate key",
            Self::Certificate => "certificate",
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

/// The facts of the report's first hop that are compared.
pub(super) fn facts(report: &Report) -> BTreeMap<Fact, String> {
    let mut facts = BTreeMap::new();
    let Some(hop) = report.hops.first() else {
        return facts;
    };
    let handshake = hop.tls.facts().and_then(|tls| tls.representative());
    if let Some(leaf) = handshake.and_then(|handshake| handshake.chain.first()) {
        facts.insert(Fact::Issuer, leaf.issuer.clone());
        facts.insert(Fact::Key, leaf.pin.clone());
        facts.insert(Fact::Certificate, certificate(leaf));
    }
    let resolution = hop.dns.facts().map(|dns| &dns.resolution.addresses);
    let addresses: BTreeSet<&IpAddr> = resolution.into_iter().flatten().collect();
    if !addresses.is_empty() {
        let list: Vec<String> = addresses.into_iter().map(IpAddr::to_string).collect();
        facts.insert(Fact::Addresses, list.join(", "));
    }
    facts
}

/// `valid 2026-09-29 to 2026-12-03, sha256 2f8a09c1b4d7e650`
fn certificate(leaf: &Certificate) -> String {
    let date = |at: Timestamp| HONG_KONG.to_datetime(at).date();
    let (from, until) = (date(leaf.not_before), date(leaf.not_after));
    let fingerprint: String = leaf.fingerprint_sha256.chars().take(16).collect();
    format!("valid {from} to {until}, sha256 {fingerprint}")
}

/// What differs from the facts of the last success: (fact, before, now). A new issuer or key always
/// comes with a new certificate, which is then not repeated.
pub(super) fn differences(
    good: &BTreeMap<Fact, String>,
    now: &BTreeMap<Fact, String>,
) -> Vec<(Fact, String, String)> {
    let different = now.iter().filter_map(|(fact, now)| {
        let before = good.get(fact).filter(|before| *before != now)?;
        Some((*fact, before.clone(), now.clone()))
    });
    let mut different: Vec<_> = different.collect();
    if different
        .iter()
        .any(|(fact, ..)| matches!(fact, Fact::Issuer | Fact::Key))
    {
        different.retain(|(fact, ..)| *fact != Fact::Certificate);
    }
    different
}
