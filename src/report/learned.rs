//! What one probe learned about a target, for a first configuration to expect. Only what the probe
//! can vouch for: no issuer of a session that was inspected, no page that may be a block page.

use std::net::IpAddr;

use jiff::Timestamp;

use super::{Finding, PageFacts, Report};

/// More addresses than anybody confirms by hand.
const MAX_ADDRESSES: usize = 16;

/// The facts to expect.
#[derive(Debug)]
pub struct Learned<'a> {
    pub at: Timestamp,
    /// The name servers that were queried one by one.
    pub resolvers: Vec<&'a str>,
    /// Empty through a proxy, which resolves the name itself.
    pub addresses: Vec<IpAddr>,
    /// Absent if no trusted certificate was seen, or one of a TLS inspection.
    pub issuer: Option<Issuer<'a>>,
    pub page: Option<&'a PageFacts>,
}

#[derive(Debug)]
pub struct Issuer<'a> {
    /// The organization if there is one, which changes less often than a common name.
    pub name: &'a str,
    pub distinguished_name: &'a str,
}

impl<'a> Learned<'a> {
    pub fn of(report: &'a Report) -> Self {
        let dns = report.hops.first().and_then(|hop| hop.dns.facts());
        let mut resolvers: Vec<&str> = Vec::new();
        for lookup in dns.into_iter().flat_map(|facts| &facts.lookups) {
            if !resolvers.contains(&lookup.resolver.as_str()) {
                resolvers.push(&lookup.resolver);
            }
        }
        let is_proxied = report.proxied();
        let direct = dns.filter(|_| !is_proxied);
        let addresses = direct.map_or(&[][..], |facts| &facts.resolution.addresses);
        let is_good = report.verdict.is_good();
        Self {
            at: report.started,
            resolvers,
            addresses: addresses.iter().copied().take(MAX_ADDRESSES).collect(),
            issuer: issuer(report),
            page: report.page.facts().filter(|_| is_good),
        }
    }
}

fn issuer(report: &Report) -> Option<Issuer<'_>> {
    let tls = report.hops.first()?.tls.ran()?;
    let is_inspected = report.has(Finding::Intercepted) || report.has(Finding::UnexpectedIssuer);
    if tls.failure.is_some() || is_inspected {
        return None;
    }
    let leaf = report.certificate()?;
    let mut names = leaf.issuer_names.iter();
    let is_organization = |name: &&String| leaf.issuer.contains(&format!("O={name}"));
    let organization = names.clone().find(is_organization);
    Some(Issuer {
        name: organization.or(names.next())?,
        distinguished_name: &leaf.issuer,
    })
}
