//! What a person should know although the login may work, drawn from what the layers saw.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::bounded;
use crate::config::{ProbeModule, TlsPolicy};
use crate::report::{
    DnsFacts, Finding, Found, Handshake, Hop, HttpFacts, Interception, Reason, RootSet, TcpFacts,
    TlsFacts,
};

/// Beyond this the clocks disagree: one-time codes are valid for about as long.
const MAX_SKEW_SECONDS: f64 = 30.0;

/// The findings of a probe, each once.
pub(super) fn of(hops: &[Hop], module: &ProbeModule, platform_is_empty: bool) -> Vec<Found> {
    let mut list = List(Vec::new());
    for hop in hops {
        if let Some(facts) = hop.tls.facts() {
            certificates(facts, &module.tls, &mut list);
        }
        if let (Some(tcp), tls) = (hop.tcp.facts(), hop.tls.facts()) {
            addresses(tcp, tls, &mut list);
        }
        if let Some(facts) = hop.dns.facts() {
            resolvers(facts, &mut list);
            unexpected(facts, &mut list);
        }
        if let Some(facts) = hop.http.facts() {
            clock(facts, &mut list);
        }
    }
    let relies_on_platform = module.tls.roots.contains(&RootSet::Platform);
    if platform_is_empty && relies_on_platform {
        list.add(
            Finding::PlatformRootsMissing,
            "this host has no root certificates",
        );
    }
    list.0.sort_by_key(|found| found.finding);
    list.0
}

struct List(Vec<Found>);

impl List {
    /// Adds a finding; a second one of its kind adds its detail to the first.
    fn add(&mut self, finding: Finding, detail: &str) {
        match self.0.iter_mut().find(|found| found.finding == finding) {
            None => self.0.push(Found {
                finding,
                detail: bounded(detail),
            }),
            Some(found) if found.detail.contains(detail) => {}
            Some(found) => found.detail = bounded(&format!("{}; {detail}", found.detail)),
        }
    }
}

fn certificates(facts: &TlsFacts, policy: &TlsPolicy, list: &mut List) {
    for handshake in &facts.handshakes {
        if handshake.interception == Interception::Suspected
            && handshake.failure != Some(Reason::TlsIntercepted)
        {
            list.add(
                Finding::Intercepted,
                &format!("issued by {}", leaf_issuer(handshake)),
            );
        }
        if handshake.pin_matched == Some(false) && handshake.failure != Some(Reason::TlsPinMismatch)
        {
            let pin = handshake
                .chain
                .first()
                .map_or("none", |leaf| leaf.pin.as_str());
            list.add(Finding::PinMismatch, &format!("the leaf's key is {pin}"));
        }
        let expected = policy.expected_issuers.is_empty()
            || handshake.chain.is_empty()
            || handshake.interception == Interception::Accepted
            || handshake.chain.iter().any(|one| {
                one.issuer_names
                    .iter()
                    .any(|name| policy.expected_issuers.contains(name))
            });
        if !expected {
            list.add(
                Finding::UnexpectedIssuer,
                &format!("issued by {}", leaf_issuer(handshake)),
            );
        }
        for certificate in &handshake.chain {
            if let Some(weakness) = &certificate.weakness {
                list.add(
                    Finding::CertificateWeak,
                    &format!("{} has {weakness}", certificate.subject),
                );
            }
        }
    }
}

fn leaf_issuer(handshake: &Handshake) -> &str {
    handshake
        .chain
        .first()
        .map_or("nobody", |leaf| leaf.issuer.as_str())
}

/// An address that does not work while another does.
fn addresses(tcp: &TcpFacts, tls: Option<&TlsFacts>, list: &mut List) {
    let handshake_failure = |address: IpAddr| {
        tls.and_then(|facts| facts.handshakes.iter().find(|one| one.address == address))
            .and_then(|one| one.failure)
    };
    let outcomes: Vec<(IpAddr, Option<Reason>)> = tcp
        .addresses
        .iter()
        .map(|one| {
            (
                one.address,
                one.failure.or_else(|| handshake_failure(one.address)),
            )
        })
        .collect();
    if outcomes.iter().all(|(_, failure)| failure.is_some()) {
        return;
    }
    for (address, failure) in outcomes {
        if let Some(reason) = failure {
            list.add(Finding::AddressFailed, &format!("{address}: {reason}"));
        }
    }
}

/// A resolver without a usable answer, and resolvers that differ among those that answered.
fn resolvers(facts: &DnsFacts, list: &mut List) {
    if !facts.resolution.addresses.is_empty() {
        for lookup in &facts.lookups {
            if let Some(reason) = lookup.failure {
                list.add(
                    Finding::ResolverFailed,
                    &format!("{}: {reason}", lookup.resolver),
                );
            }
        }
    }
    if facts.resolvers_agree() == Some(false) {
        let told: Vec<_> = facts
            .answers_by_resolver()
            .into_iter()
            .filter_map(|(resolver, answer)| {
                Some(format!("{} from {resolver}", addresses_text(&answer?)))
            })
            .collect();
        list.add(Finding::ResolversDisagree, &told.join("; "));
    }
}

fn addresses_text(set: &BTreeSet<IpAddr>) -> String {
    if set.is_empty() {
        return "nothing".to_owned();
    }
    set.iter()
        .map(IpAddr::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn unexpected(facts: &DnsFacts, list: &mut List) {
    let followed = (
        facts.resolution.expected,
        &facts.resolution.addresses,
        &facts.resolution.route,
    );
    let asked = facts
        .lookups
        .iter()
        .map(|lookup| (lookup.expected, &lookup.answers, &lookup.resolver));
    for (expected, addresses, source) in std::iter::once(followed).chain(asked) {
        if expected == Some(false) {
            let set = addresses.iter().copied().collect();
            list.add(
                Finding::UnexpectedAddress,
                &format!("{} from {source}", addresses_text(&set)),
            );
        }
    }
}

fn clock(facts: &HttpFacts, list: &mut List) {
    if let Some(skew) = facts.clock_skew_seconds
        && skew.abs() > MAX_SKEW_SECONDS
    {
        let whose = if skew < 0.0 { "behind" } else { "ahead of" };
        list.add(
            Finding::ClockSkew,
            &format!(
                "the server's clock is {:.0} s {whose} this host's",
                skew.abs()
            ),
        );
    }
}
