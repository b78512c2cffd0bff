//! The values that advice names: addresses, names, resolvers, certificates, as phrases.
//!
//! A value that a report does not have is a placeholder ("this host") or an empty suffix, so that
//! the sentences in `meaning` and `action` read well with and without it.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};

use hyper::StatusCode;
use jiff::Timestamp;
use jiff::tz::Offset;
use url::Url;

use super::super::{
    AddressAttempt, AnsweredBy, DnsFacts, Finding, Handshake, Hop, HttpFacts, LayerName, PageFacts,
    Reason, Report,
};

/// Hong Kong time: UTC+8 all year.
const HONG_KONG: Offset = Offset::constant(8);
/// More items than this are counted, not listed.
const MAX_LISTED: usize = 4;

/// What the advice is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Advised {
    Reason(Reason),
    Finding(Finding),
}

impl Advised {
    fn layer(self) -> Option<LayerName> {
        match self {
            Self::Reason(reason) => Some(reason.layer()),
            Self::Finding(_) => None,
        }
    }

    /// Whether it is about this failure.
    fn selects(self, failure: Option<Reason>) -> bool {
        match self {
            Self::Reason(reason) => failure == Some(reason),
            Self::Finding(Finding::AddressFailed | Finding::ResolverFailed) => failure.is_some(),
            Self::Finding(_) => false,
        }
    }
}

/// Phrases for the sentences of advice. A field that ends in `_suffix` is empty if not seen.
pub(super) struct Values {
    /// `sso.example.com`
    pub name: String,
    /// `sso.example.com port 443`
    pub target: String,
    /// `the resolver udp://10.1.2.3:53`
    pub resolver: String,
    /// `UDP and TCP 53`
    pub resolver_ports: String,
    /// `A or AAAA`
    pub query_types: String,
    /// What the resolver returned: `0.0.0.0`
    pub answers: String,
    /// `10.20.0.5`
    pub source: String,
    /// `203.0.113.20`
    pub destination: String,
    /// `203.0.113.20:443`
    pub endpoint: String,
    /// `TCP 443 from 10.20.0.5 to 203.0.113.20`
    pub connection: String,
    /// Who presented a certificate or sent a response: `the server at 203.0.113.20`
    pub server: String,
    /// `the web proxy http://10.1.1.1:3128`
    pub proxy: String,
    /// `the issuer CN=Example CA`
    pub issuer: String,
    /// `the certificate of CN=sso.example.com`
    pub certificate: String,
    /// `sso.example.com and www.example.com`
    pub certificate_names: String,
    /// ` before 2026-11-20 08:00:00 HKT`
    pub not_before_suffix: String,
    /// ` on 2026-11-20 08:00:00 HKT`
    pub not_after_suffix: String,
    /// The server ended the handshake because it found no parameters in common.
    pub no_common_parameters: bool,
    pub status: Option<StatusCode>,
    /// `https://block.example/`
    pub location: String,
    /// `: 1234 of 5000 bytes arrived`
    pub progress_suffix: String,
    /// ` (title "Blocked")`
    pub title_suffix: String,
    /// ` (title, form_field_2)`
    pub checks_suffix: String,
    /// ` (it offers NTLM, Negotiate)`
    pub auth_suffix: String,
    /// ` (received fatal alert: HandshakeFailure)`
    pub detail_suffix: String,
}

impl Default for Values {
    fn default() -> Self {
        let text = str::to_owned;
        Self {
            name: text("the login server's name"),
            target: text("the login server"),
            resolver: text("the resolver"),
            resolver_ports: text("UDP and TCP 53"),
            query_types: text("address"),
            answers: text("an address"),
            source: text("this host"),
            destination: text("the server's address"),
            endpoint: text("the server"),
            connection: text("the connection from this host to the server"),
            server: text("the server"),
            proxy: text("the web proxy"),
            issuer: text("the issuer"),
            certificate: text("the certificate"),
            certificate_names: text("another name"),
            not_before_suffix: text(" yet"),
            not_after_suffix: String::new(),
            no_common_parameters: false,
            status: None,
            location: text("another page"),
            progress_suffix: String::new(),
            title_suffix: String::new(),
            checks_suffix: String::new(),
            auth_suffix: String::new(),
            detail_suffix: String::new(),
        }
    }
}

impl Values {
    /// The values of the hop with failures that `advised` selects, else of the last hop. Of several
    /// addresses and resolvers, those that failed so.
    pub fn of(report: &Report, advised: Advised) -> Self {
        let mut values = Self::default();
        let mut hops = report.hops.iter().rev();
        let failed = hops.find(|hop| !failed_attempts(hop, advised).is_empty());
        let Some(hop) = failed.or(report.hops.last()) else {
            return values;
        };
        values.set_name(hop);
        if report.proxied() && advised.layer() == Some(LayerName::Dns) {
            // The report does not have it.
            values.name = "the web proxy's name".to_owned();
        }
        if let Some(facts) = hop.dns.facts() {
            values.set_resolver(facts, advised);
        }
        values.set_connection(hop, advised);
        if let Some(facts) = hop.proxy.facts() {
            values.proxy = format!("the web proxy {}", facts.proxy);
            values.server = format!("the server behind {}", values.proxy);
            if let Some(attempt) = facts.attempts.iter().find(|one| one.failure.is_some()) {
                values.detail_suffix = suffix(attempt.detail.as_ref());
                let schemes = attempt.auth_schemes.join(", ");
                if !schemes.is_empty() {
                    values.auth_suffix = format!(" (it offers {schemes})");
                }
            }
        }
        if let Some(handshake) = handshake(hop, advised) {
            values.set_certificate(handshake);
        }
        if let Some(facts) = hop.http.facts() {
            values.set_response(facts);
        }
        if let Some(facts) = report.page.facts() {
            values.set_page(facts);
        }
        values
    }

    fn set_name(&mut self, hop: &Hop) {
        self.name.clone_from(&hop.host);
        if let Some(port) = Url::parse(&hop.url)
            .ok()
            .and_then(|url| url.port_or_known_default())
        {
            self.target = format!("{} port {port}", hop.host);
        }
    }

    fn set_resolver(&mut self, facts: &DnsFacts, advised: Advised) {
        match &resolvers(facts, advised)[..] {
            [] => {}
            [one] => self.resolver = format!("the resolver {one}"),
            several => self.resolver = format!("the resolvers {}", listed(several, "and")),
        }
        if let Some(ports) = resolvers(facts, advised).first().and_then(|one| ports(one)) {
            self.resolver_ports = ports;
        }
        let mut types: Vec<&str> = facts.lookups.iter().map(|one| one.record.into()).collect();
        types.sort_unstable();
        types.dedup();
        if !types.is_empty() {
            self.query_types = listed(&types, "or");
        }
        if !facts.resolution.addresses.is_empty() {
            self.answers = listed(&facts.resolution.addresses, "and");
        }
        self.detail_suffix = suffix(facts.resolution.detail.as_ref());
    }

    fn set_connection(&mut self, hop: &Hop, advised: Advised) {
        let attempts = attempts(hop, advised);
        let (Some(tcp), false) = (hop.tcp.facts(), attempts.is_empty()) else {
            return;
        };
        let mut sources: Vec<IpAddr> = attempts.iter().filter_map(|one| one.source).collect();
        sources.dedup();
        if !sources.is_empty() {
            self.source = listed(&sources, "and");
        }
        let addresses: Vec<IpAddr> = attempts.iter().map(|one| one.address).collect();
        let endpoints = addresses.iter().map(|one| SocketAddr::new(*one, tcp.port));
        self.destination = listed(&addresses, "and");
        self.endpoint = listed(&endpoints.collect::<Vec<_>>(), "and");
        self.connection = format!(
            "TCP {} from {} to {}",
            tcp.port, self.source, self.destination
        );
        self.server = format!("the server at {}", self.destination);
    }

    fn set_certificate(&mut self, handshake: &Handshake) {
        self.detail_suffix = suffix(handshake.detail.as_ref());
        self.set_leaf(handshake);
        self.no_common_parameters = matches!(
            handshake.alert.as_deref(),
            Some("handshake_failure" | "insufficient_security")
        );
        if let Some(one) = &handshake.outside_dates {
            let kind = if one.is_root { "the root" } else { "the" };
            self.certificate = format!("{kind} certificate of {}", one.subject);
            self.not_before_suffix = format!(" before {}", instant(one.not_before));
            self.not_after_suffix = format!(" on {}", instant(one.not_after));
        }
    }

    fn set_leaf(&mut self, handshake: &Handshake) {
        if let Some(leaf) = handshake.chain.first() {
            self.issuer = format!("the issuer {}", leaf.issuer);
            self.certificate = format!("the certificate of {}", leaf.subject);
            self.not_before_suffix = format!(" before {}", instant(leaf.not_before));
            self.not_after_suffix = format!(" on {}", instant(leaf.not_after));
            if !leaf.names.is_empty() {
                self.certificate_names = listed(&leaf.names, "and");
            }
        }
    }

    fn set_response(&mut self, facts: &HttpFacts) {
        // Only a certificate proves that it was the server.
        if facts.answered_by != AnsweredBy::Origin {
            self.server = self.server.replace("the server at", "the host at");
        }
        self.status = facts
            .status
            .and_then(|status| StatusCode::from_u16(status).ok());
        if let Some(location) = &facts.location {
            self.location.clone_from(location);
        }
        self.detail_suffix = suffix(facts.detail.as_ref());
        self.title_suffix = titled(facts.title.as_deref());
        self.progress_suffix = match (facts.status, facts.content_length) {
            (None, _) => String::new(),
            (Some(_), Some(all)) => format!(": {} of {all} bytes arrived", facts.body_bytes),
            (Some(_), None) => format!(": {} bytes arrived", facts.body_bytes),
        };
    }

    fn set_page(&mut self, facts: &PageFacts) {
        self.title_suffix = titled(facts.title.as_deref());
        let failed: Vec<&str> = facts.failed_checks().collect();
        self.checks_suffix = suffix((!failed.is_empty()).then(|| failed.join(", ")).as_ref());
    }
}

/// The connection attempts that failed in the selected way, in whichever layer; else the one that
/// carried the request, else all of them.
pub(super) fn attempts(hop: &Hop, advised: Advised) -> Vec<&AddressAttempt> {
    let failed = failed_attempts(hop, advised);
    let all = || {
        hop.tcp
            .facts()
            .into_iter()
            .flat_map(|facts| &facts.addresses)
    };
    let chosen = hop.tls.facts().and_then(|facts| facts.chosen);
    let carried = all().find(|one| match chosen {
        Some(chosen) => one.address == chosen,
        None => one.failure.is_none(),
    });
    match (failed.is_empty(), carried) {
        (false, _) => failed,
        (true, Some(carried)) => vec![carried],
        (true, None) => all().collect(),
    }
}

fn failed_attempts(hop: &Hop, advised: Advised) -> Vec<&AddressAttempt> {
    let tunnels = hop.proxy.facts().map_or(&[][..], |facts| &facts.attempts);
    let handshakes = hop.tls.facts().map_or(&[][..], |facts| &facts.handshakes);
    let tunnels = tunnels.iter().map(|one| (one.address, one.failure));
    let handshakes = handshakes.iter().map(|one| (one.address, one.failure));
    let later: Vec<_> = tunnels.chain(handshakes).collect();
    let failed = |one: &&AddressAttempt| {
        let later = later.iter().filter(|(address, _)| *address == one.address);
        let mut failures = std::iter::once(one.failure).chain(later.map(|(_, failure)| *failure));
        failures.any(|failure| advised.selects(failure))
    };
    let all = hop
        .tcp
        .facts()
        .into_iter()
        .flat_map(|facts| &facts.addresses);
    all.filter(failed).collect()
}

/// The handshake that failed in the selected way, else the representative one.
pub(super) fn handshake(hop: &Hop, advised: Advised) -> Option<&Handshake> {
    let tls = hop.tls.facts()?;
    let mut handshakes = tls.handshakes.iter();
    let failed = handshakes.find(|one| advised.selects(one.failure));
    failed.or_else(|| tls.representative())
}

/// The resolver that the connection relies on. On the system's route, those that failed in the
/// selected way, else all.
fn resolvers(facts: &DnsFacts, advised: Advised) -> Vec<&str> {
    let is_system = facts.resolution.route == "system";
    if !is_system && advised != Advised::Finding(Finding::ResolverFailed) {
        return vec![&facts.resolution.route];
    }
    let some_failed = facts.lookups.iter().any(|one| advised.selects(one.failure));
    let lookups = facts.lookups.iter();
    let lookups = lookups.filter(|one| !some_failed || advised.selects(one.failure));
    let mut resolvers: Vec<&str> = lookups.map(|one| one.resolver.as_str()).collect();
    resolvers.dedup();
    resolvers
}

/// What a firewall must allow for `udp://10.1.2.3:53`.
fn ports(resolver: &str) -> Option<String> {
    let url = Url::parse(resolver).ok()?;
    let protocols = if url.scheme() == "udp" {
        "UDP and TCP"
    } else {
        "TCP"
    };
    Some(format!("{protocols} {}", url.port_or_known_default()?))
}

/// `2026-11-24 08:45:22 HKT`
pub fn instant(at: Timestamp) -> String {
    let local = HONG_KONG.to_datetime(at);
    local.strftime("%Y-%m-%d %H:%M:%S HKT").to_string()
}

/// `2026-11-24`, in Hong Kong.
pub fn date(at: Timestamp) -> String {
    HONG_KONG.to_datetime(at).strftime("%Y-%m-%d").to_string()
}

/// `a`, `a and b`, `a, b and c`, `a, b, c and 7 more`.
fn listed<T: Display>(items: &[T], conjunction: &str) -> String {
    let mut words: Vec<String> = items.iter().take(MAX_LISTED).map(T::to_string).collect();
    if items.len() > MAX_LISTED {
        words.truncate(MAX_LISTED - 1);
        words.push(format!("{} more", items.len() + 1 - MAX_LISTED));
    }
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => {
            format!("{} {conjunction} {last}", rest.join(", "))
        }
        _ => words.concat(),
    }
}

fn suffix(text: Option<&String>) -> String {
    text.map_or_else(String::new, |text| format!(" ({text})"))
}

fn titled(title: Option<&str>) -> String {
    title.map_or_else(String::new, |title| format!(" (title {title:?})"))
}

/// With an upper-case first letter.
pub(super) fn capitalized(mut sentence: String) -> String {
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    sentence
}
