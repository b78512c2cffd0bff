//! The values that advice names: addresses, names, resolvers, certificates, as phrases.
//!
//! Each value that a report does not have is a placeholder ("this host") or an empty suffix, so
//! that the sentences in `meaning` and `action` read the same with and without it.

use std::net::IpAddr;

use hyper::StatusCode;
use jiff::Timestamp;
use jiff::tz::Offset;

use super::super::{
    AddressAttempt, AnsweredBy, DnsFacts, Handshake, Hop, HttpFacts, LayerName, PageFacts, Reason,
    Report,
};

/// Hong Kong time: UTC+8 all year.
const HONG_KONG: Offset = Offset::constant(8);
/// More addresses than this are counted, not listed.
const MAX_LISTED: usize = 4;

/// Phrases for the sentences of advice. A field that ends in `_suffix` is empty if not seen, and
/// otherwise begins with what separates it from the sentence.
pub(super) struct Values {
    /// `sso.example.com`
    pub name: String,
    /// `sso.example.com port 443`
    pub target: String,
    /// `the resolver udp://10.1.2.3:53`
    pub resolver: String,
    /// `UDP and TCP 53`
    pub resolver_ports: String,
    /// `A and AAAA`
    pub records: String,
    /// What the resolvers returned: `0.0.0.0`
    pub answers: String,
    /// `10.20.0.5`
    pub source: String,
    /// `203.0.113.20`
    pub destination: String,
    /// `203.0.113.20 port 443`
    pub endpoint: String,
    /// `TCP 443 from 10.20.0.5 to 203.0.113.20`
    pub connection: String,
    /// Who presented a certificate or sent a response: `the server at 203.0.113.20`
    pub server: String,
    /// `the web proxy http://10.1.1.1:3128`
    pub proxy: String,
    /// `the issuer CN=Example CA`
    pub issuer: String,
    /// ` (CN=sso.example.com)`
    pub subject_suffix: String,
    /// ` on 2026-11-20 08:00:00 HKT`
    pub not_after_suffix: String,
    pub not_before_suffix: String,
    /// `sso.example.com, www.example.com`
    pub certificate_names: String,
    /// ` (sha256/BASE64)`
    pub pin_suffix: String,
    /// When the probe started.
    pub time_suffix: String,
    pub status: Option<u16>,
    /// `https://block.example/`
    pub location: String,
    /// `: 1234 bytes of 5000 arrived`
    pub progress_suffix: String,
    /// ` (title "Blocked")`
    pub title_suffix: String,
    /// `: title, form_field_2`
    pub checks_suffix: String,
    /// ` (received fatal alert: HandshakeFailure)`
    pub detail_suffix: String,
    /// ` (it offers NTLM, Negotiate)`
    pub auth_suffix: String,
}

impl Default for Values {
    fn default() -> Self {
        let text = str::to_owned;
        Self {
            name: text("the name"),
            target: text("the login server"),
            resolver: text("the resolver"),
            resolver_ports: text("UDP and TCP 53"),
            records: text("address"),
            answers: text("an address"),
            source: text("this host"),
            destination: text("the server's address"),
            endpoint: text("the server"),
            connection: text("the connection from this host to the server"),
            server: text("the server"),
            proxy: text("the web proxy"),
            issuer: text("the issuer"),
            subject_suffix: String::new(),
            not_after_suffix: String::new(),
            not_before_suffix: String::new(),
            certificate_names: text("another name"),
            pin_suffix: String::new(),
            time_suffix: String::new(),
            status: None,
            location: text("another page"),
            progress_suffix: String::new(),
            title_suffix: String::new(),
            checks_suffix: String::new(),
            detail_suffix: String::new(),
            auth_suffix: String::new(),
        }
    }
}

impl Values {
    /// What the last hop of `report` shows; of several addresses, those that failed with `reason`.
    pub fn of(report: &Report, reason: Option<Reason>) -> Self {
        let mut values = Self::default();
        let Some(hop) = report.hops.last() else {
            return values;
        };
        let layer = reason.map(Reason::layer);
        values.time_suffix = format!(" ({})", instant(report.started));
        values.set_name(hop, report.proxied() && layer == Some(LayerName::Dns));
        if let Some(facts) = hop.dns.facts() {
            values.set_resolver(facts, reason);
        }
        values.set_connection(hop, reason);
        if let Some(facts) = hop.proxy.facts() {
            values.proxy = format!("the web proxy {}", facts.proxy);
            values.server = format!("the server behind {}", values.proxy);
            let attempt = facts.attempts.iter().find(|one| one.failure.is_some());
            if let Some(attempt) = attempt {
                values.detail_suffix = suffix(attempt.detail.as_deref());
                if !attempt.auth_schemes.is_empty() {
                    values.auth_suffix =
                        format!(" (it offers {})", attempt.auth_schemes.join(", "));
                }
            }
        }
        if let Some(handshake) = handshake(hop, reason) {
            values.set_certificate(handshake);
        }
        if let Some(facts) = hop.http.facts() {
            values.set_response(facts, report.proxied());
        }
        if let Some(facts) = report.page.facts() {
            values.set_page(facts);
        }
        values
    }

    /// Where the name is the proxy's, a report does not have it.
    fn set_name(&mut self, hop: &Hop, of_proxy: bool) {
        if of_proxy {
            self.name = "the web proxy's name".to_owned();
            return;
        }
        self.name.clone_from(&hop.host);
        let url = url::Url::parse(&hop.url).ok();
        if let Some(port) = url.and_then(|url| url.port_or_known_default()) {
            self.target = format!("{} port {port}", hop.host);
        }
    }

    fn set_resolver(&mut self, facts: &DnsFacts, reason: Option<Reason>) {
        let resolvers = failed_resolvers(facts, reason);
        if let Some(first) = resolvers.first() {
            let noun = if resolvers.len() == 1 {
                "resolver"
            } else {
                "resolvers"
            };
            self.resolver = format!("the {noun} {}", listed(&resolvers));
            self.resolver_ports = ports_of(first).unwrap_or(self.resolver_ports.clone());
        }
        let mut records: Vec<&str> = facts.lookups.iter().map(|one| one.record.into()).collect();
        records.sort_unstable();
        records.dedup();
        if !records.is_empty() {
            self.records = listed(&records);
        }
        if !facts.resolution.addresses.is_empty() {
            self.answers = listed(&facts.resolution.addresses);
        }
        self.detail_suffix = suffix(facts.resolution.detail.as_deref());
    }

    fn set_connection(&mut self, hop: &Hop, reason: Option<Reason>) {
        let attempts = attempts(hop, reason);
        let mut sources: Vec<IpAddr> = attempts.iter().filter_map(|one| one.source).collect();
        sources.dedup();
        if !sources.is_empty() {
            self.source = listed(&sources);
        }
        let addresses: Vec<IpAddr> = attempts.iter().map(|one| one.address).collect();
        if let (Some(tcp), false) = (hop.tcp.facts(), addresses.is_empty()) {
            let port = tcp.port;
            self.destination = listed(&addresses);
            self.endpoint = format!("{} port {port}", self.destination);
            self.connection = format!("TCP {port} from {} to {}", self.source, self.destination);
            self.server = format!("the server at {}", self.destination);
        }
    }

    fn set_certificate(&mut self, handshake: &Handshake) {
        self.detail_suffix = suffix(handshake.detail.as_deref());
        let Some(leaf) = handshake.chain.first() else {
            return;
        };
        self.issuer = format!("the issuer {}", leaf.issuer);
        self.subject_suffix = suffix(Some(&leaf.subject));
        self.not_before_suffix = format!(" on {}", instant(leaf.not_before));
        self.not_after_suffix = format!(" on {}", instant(leaf.not_after));
        self.pin_suffix = suffix(Some(&leaf.pin));
        if !leaf.names.is_empty() {
            self.certificate_names = listed(&leaf.names);
        }
    }

    fn set_response(&mut self, facts: &HttpFacts, proxied: bool) {
        self.status = facts.status;
        // Only a certificate proves that it was the server.
        if facts.answered_by != AnsweredBy::Origin && !proxied {
            self.server = self.server.replace("the server at", "the host at");
        }
        if let Some(location) = &facts.location {
            self.location.clone_from(location);
        }
        self.detail_suffix = suffix(facts.detail.as_deref());
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
        if !failed.is_empty() {
            self.checks_suffix = format!(": {}", failed.join(", "));
        }
    }

    /// `503 Service Unavailable`
    pub fn status_line(&self) -> Option<String> {
        let status = StatusCode::from_u16(self.status?).ok()?;
        Some(match status.canonical_reason() {
            Some(phrase) => format!("{} {phrase}", status.as_u16()),
            None => format!("status {}", status.as_u16()),
        })
    }
}

/// The connection attempts that failed with `reason`, in whichever layer; else the one that carried
/// the request, else all of them.
pub(super) fn attempts(hop: &Hop, reason: Option<Reason>) -> Vec<&AddressAttempt> {
    let Some(tcp) = hop.tcp.facts() else {
        return Vec::new();
    };
    let of = |addresses: Vec<IpAddr>| -> Vec<&AddressAttempt> {
        let attempts = tcp.addresses.iter();
        attempts
            .filter(|one| addresses.contains(&one.address))
            .collect()
    };
    let failed = |address: IpAddr, failure: Option<Reason>| {
        (failure.is_some() && failure == reason).then_some(address)
    };
    let in_tcp = tcp
        .addresses
        .iter()
        .filter_map(|one| failed(one.address, one.failure));
    let proxy = hop.proxy.facts().map_or(&[][..], |facts| &facts.attempts);
    let in_proxy = proxy
        .iter()
        .filter_map(|one| failed(one.address, one.failure));
    let tls = hop.tls.facts();
    let handshakes = tls.map_or(&[][..], |facts| &facts.handshakes);
    let in_tls = handshakes
        .iter()
        .filter_map(|one| failed(one.address, one.failure));
    let all_failed: Vec<IpAddr> = in_tcp.chain(in_proxy).chain(in_tls).collect();
    if !all_failed.is_empty() {
        return of(all_failed);
    }
    let connected = tcp.addresses.iter().find(|one| one.failure.is_none());
    let chosen = tls
        .and_then(|facts| facts.chosen)
        .or(connected.map(|one| one.address));
    match chosen {
        Some(chosen) => of(vec![chosen]),
        None => tcp.addresses.iter().collect(),
    }
}

/// The handshake that failed with `reason`, else the representative one.
pub(super) fn handshake(hop: &Hop, reason: Option<Reason>) -> Option<&Handshake> {
    let tls = hop.tls.facts()?;
    let failed = |one: &&Handshake| one.failure.is_some() && one.failure == reason;
    tls.handshakes
        .iter()
        .find(failed)
        .or_else(|| tls.representative())
}

/// The resolvers that failed with `reason`, else that which the connection relies on, else all.
pub(super) fn failed_resolvers(facts: &DnsFacts, reason: Option<Reason>) -> Vec<&str> {
    let resolvers = |failed: bool| {
        let lookups = facts.lookups.iter();
        let lookups =
            lookups.filter(move |one| !failed || one.failure.is_some() && one.failure == reason);
        let mut resolvers: Vec<&str> = lookups.map(|one| one.resolver.as_str()).collect();
        resolvers.dedup();
        resolvers
    };
    let failed = resolvers(true);
    let route = facts.resolution.route.as_str();
    match route {
        "" | "system" if failed.is_empty() => resolvers(false),
        "" | "system" => failed,
        route => vec![route],
    }
}

/// What a firewall must allow for `udp://10.1.2.3:53`.
fn ports_of(resolver: &str) -> Option<String> {
    let url = url::Url::parse(resolver).ok()?;
    let (protocols, port) = match url.scheme() {
        "udp" => ("UDP and TCP", 53),
        "tcp" => ("TCP", 53),
        "tls" => ("TCP", 853),
        _ => ("TCP", 443),
    };
    Some(format!("{protocols} {}", url.port().unwrap_or(port)))
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
pub(super) fn listed<T: ToString>(items: &[T]) -> String {
    let mut words: Vec<String> = items.iter().take(MAX_LISTED).map(T::to_string).collect();
    if items.len() > MAX_LISTED {
        words.truncate(MAX_LISTED - 1);
        words.push(format!("{} more", items.len() + 1 - MAX_LISTED));
    }
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => words.join(""),
    }
}

fn suffix(text: Option<&str>) -> String {
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
