//! Findings: what the operator should know although the login may work, from the facts of the
//! layers.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::bounded;
use crate::config::{ProbeModule, TlsPolicy};
use crate::report::{
    DnsFacts, Finding, Found, Handshake, Hop, HttpFacts, Interception, Reason, RootSet, TcpFacts,
    TlsFacts,
};

/// One-time codes are valid for about as long.
const MAX_SKEW_SECONDS: f64 = 30.0;

/// The findings of a probe, each kind once.
pub(super) fn of(hops: &[Hop], module: &ProbeModule, platform_is_empty: bool) -> Vec<Found> {
    let mut list = List(Vec::new());
    for hop in hops {
        let tls = hop.tls.facts();
        if let Some(facts) = tls {
            for handshake in &facts.handshakes {
                list.handshake(handshake, &module.tls);
            }
        }
        if let Some(facts) = hop.tcp.facts() {
            list.failed_addresses(facts, tls);
        }
        if let Some(facts) = hop.dns.facts() {
            list.resolvers(facts);
            list.unexpected_addresses(facts);
        }
        if let Some(facts) = hop.http.facts() {
            list.clock_skew(facts);
            if let Some(why) = facts.repeated {
                let detail = format!("{}: {}", hop.host, why.into_str());
                list.add(Finding::RequestRepeated, &detail);
            }
        }
    }
    if platform_is_empty && module.tls.roots.contains(&RootSet::Platform) {
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

    fn handshake(&mut self, handshake: &Handshake, policy: &TlsPolicy) {
        let leaf = handshake.chain.first();
        let issued_by = format!(
            "issued by {}",
            leaf.map_or("an unknown issuer", |leaf| &leaf.issuer)
        );
        if handshake.interception == Interception::Suspected
            && handshake.failure != Some(Reason::TlsIntercepted)
        {
            self.add(Finding::Intercepted, &issued_by);
        }
        if handshake.pin_matched == Some(false) && handshake.failure != Some(Reason::TlsPinMismatch)
        {
            let pin = leaf.map_or("none", |leaf| &leaf.pin);
            self.add(Finding::PinMismatch, &format!("the leaf's key is {pin}"));
        }
        let fetched = handshake.fetched.iter().map(|one| &one.certificate);
        let all = handshake.chain.iter().chain(fetched);
        let mut issuer_names = all.flat_map(|one| &one.issuer_names);
        if !policy.expected_issuers.is_empty()
            && leaf.is_some()
            && handshake.interception != Interception::Accepted
            && !issuer_names.any(|name| policy.expected_issuers.contains(name))
        {
            self.add(Finding::UnexpectedIssuer, &issued_by);
        }
        for one in &handshake.fetched {
            let (subject, url) = (&one.certificate.subject, &one.url);
            let detail = format!("the server did not send {subject}; fetched from {url}");
            self.add(Finding::IncompleteChain, &detail);
        }
        for certificate in &handshake.chain {
            if let Some(weakness) = &certificate.weakness {
                let detail = format!("{} has {weakness}", certificate.subject);
                self.add(Finding::CertificateWeak, &detail);
            }
        }
    }

    /// Addresses that fail while another works.
    fn failed_addresses(&mut self, tcp: &TcpFacts, tls: Option<&TlsFacts>) {
        let handshakes = tls.map_or(&[][..], |facts| &facts.handshakes);
        let in_handshake = |address: IpAddr| {
            let mut handshakes = handshakes.iter();
            handshakes.find(|one| one.address == address)?.failure
        };
        // An address family that this host does not have is no fault.
        let tried = tcp.addresses.iter().filter(|one| !one.not_tried);
        let failures = tried.clone().filter_map(|one| {
            let failure = one.failure.or_else(|| in_handshake(one.address))?;
            Some(format!("{}: {failure}", one.address))
        });
        let failures: Vec<String> = failures.collect();
        if failures.len() < tried.count() {
            for detail in failures {
                self.add(Finding::AddressFailed, &detail);
            }
        }
    }

    /// Resolvers without a usable answer, and differences among those that answered.
    fn resolvers(&mut self, facts: &DnsFacts) {
        if !facts.resolution.addresses.is_empty() {
            for lookup in &facts.lookups {
                if let Some(reason) = lookup.failure
                    // Not the resolver's failure.
                    && reason != Reason::DnsLocal
                {
                    let detail = format!("{}: {reason}", lookup.resolver);
                    self.add(Finding::ResolverFailed, &detail);
                }
            }
        }
        if facts.resolvers_agree() == Some(false) {
            let answers = facts.answers_by_resolver().into_iter();
            let answers = answers.filter_map(|(resolver, answer)| {
                Some(format!("{} from {resolver}", listed(&answer?)))
            });
            let answers: Vec<String> = answers.collect();
            self.add(Finding::ResolversDisagree, &answers.join("; "));
        }
    }

    fn unexpected_addresses(&mut self, facts: &DnsFacts) {
        let resolution = &facts.resolution;
        let used = (
            resolution.expected,
            &resolution.addresses,
            &resolution.route,
        );
        let lookups = facts.lookups.iter();
        let lookups = lookups.map(|lookup| (lookup.expected, &lookup.answers, &lookup.resolver));
        for (expected, addresses, source) in std::iter::once(used).chain(lookups) {
            if expected == Some(false) {
                let addresses = listed(&addresses.iter().copied().collect());
                let detail = format!("{addresses} from {source}");
                self.add(Finding::UnexpectedAddress, &detail);
            }
        }
    }

    fn clock_skew(&mut self, facts: &HttpFacts) {
        if let Some(skew) = facts.clock_skew_seconds
            && skew.abs() > MAX_SKEW_SECONDS
        {
            let direction = if skew < 0.0 { "behind" } else { "ahead of" };
            let seconds = skew.abs();
            let detail = format!("the server's clock is {seconds:.0} s {direction} this host's");
            self.add(Finding::ClockSkew, &detail);
        }
    }
}

fn listed(addresses: &BTreeSet<IpAddr>) -> String {
    if addresses.is_empty() {
        return "nothing".to_owned();
    }
    let addresses: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
    addresses.join(", ")
}
