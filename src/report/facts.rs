//! What each layer saw. Plain values: bounded, serialisable, kept whether the layer failed or not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use strum::IntoStaticStr;

use super::{Reason, seconds};

/// What the name servers said.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DnsFacts {
    /// The answer that the connection follows.
    pub resolution: Resolution,
    /// Each name server by itself; empty on a hop whose name was asked before.
    pub lookups: Vec<Lookup>,
}

impl DnsFacts {
    /// The answer of each resolver over the records asked, as a set; `None` for one that failed.
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

    /// Whether the resolvers that answered give the same set; `None` with fewer than two of them.
    pub fn resolvers_agree(&self) -> Option<bool> {
        let sets: Vec<_> = self.answers_by_resolver().into_values().flatten().collect();
        let (first, rest) = sets.split_first()?;
        (!rest.is_empty()).then(|| rest.iter().all(|set| set == first))
    }
}

/// The resolution that the connection follows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Resolution {
    /// `system`, or the resolver in the form `udp://10.1.2.3:53`.
    pub route: String,
    /// In the order in which they are tried; bounded.
    pub addresses: Vec<IpAddr>,
    /// Whether each address lies in the expected ranges; absent where none are configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<bool>,
    /// What went wrong, in the resolver's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The type of record that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, IntoStaticStr)]
#[strum(serialize_all = "UPPERCASE", const_into_str)]
pub enum QueryType {
    A,
    #[serde(rename = "AAAA")]
    Aaaa,
}

/// One question to one name server: one packet, no retry, no cache.
#[derive(Clone, Debug, Serialize)]
pub struct Lookup {
    /// `udp://10.1.2.3:53` and the like.
    pub resolver: String,
    pub record: QueryType,
    #[serde(rename = "duration_seconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// The response code in the field's words (`NOERROR`, `NXDOMAIN`); absent without an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rcode: Option<String>,
    pub answers: Vec<IpAddr>,
    /// Whether each answer lies in the expected ranges; absent where none are configured, and
    /// without an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<bool>,
    /// The aliases on the way, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cnames: Vec<String>,
    /// The smallest time to live among the answers, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ttl: Option<u32>,
    /// The server says that it validated the answer (the AD flag).
    pub authenticated: bool,
    /// The answer came over TCP because the one over UDP was cut.
    pub truncated: bool,
    /// The encrypted session it was asked over, whatever the verdict on it; absent over UDP and TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Box<Handshake>>,
    /// What went wrong, where the failure does not say it already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Reason>,
}

impl Lookup {
    /// A lookup without an answer yet.
    pub fn new(resolver: String, record: QueryType) -> Self {
        Self {
            resolver,
            record,
            duration: Duration::ZERO,
            rcode: None,
            answers: Vec::new(),
            expected: None,
            cnames: Vec::new(),
            min_ttl: None,
            authenticated: false,
            truncated: false,
            session: None,
            detail: None,
            failure: None,
        }
    }
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum AddressFamily {
    #[serde(rename = "4")]
    #[strum(serialize = "4")]
    V4,
    #[serde(rename = "6")]
    #[strum(serialize = "6")]
    V6,
}

impl AddressFamily {
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }
}

/// The connections to every address.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TcpFacts {
    pub port: u16,
    pub addresses: Vec<AddressAttempt>,
    /// Addresses in the answer beyond the bound, which were left alone.
    #[serde(skip_serializing_if = "is_zero")]
    pub addresses_skipped: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// One connection.
#[derive(Clone, Debug, Serialize)]
pub struct AddressAttempt {
    pub address: IpAddr,
    /// The address of this host that the system connects from, before any translation on the way;
    /// absent where there is no route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    #[serde(rename = "duration_seconds", serialize_with = "seconds")]
    pub duration: Duration,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Reason>,
}

/// The tunnels through a web proxy, one on each of its addresses that connected.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ProxyFacts {
    /// The proxy as configured, without credentials. It resolves the target's name.
    pub proxy: String,
    pub attempts: Vec<ProxyAttempt>,
}

/// One tunnel.
#[derive(Clone, Debug, Serialize)]
pub struct ProxyAttempt {
    pub address: IpAddr,
    #[serde(rename = "duration_seconds", serialize_with = "seconds")]
    pub duration: Duration,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Reason>,
    /// What the proxy answered instead of a tunnel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What went wrong, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How the proxy would have one prove oneself: Basic, NTLM, Negotiate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub auth_schemes: Vec<String>,
}

/// The handshakes on every connected address.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TlsFacts {
    pub handshakes: Vec<Handshake>,
    /// The address that the request was sent to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<IpAddr>,
}

impl TlsFacts {
    /// The handshake to speak of: the chosen one, else the first that saw a certificate.
    pub fn representative(&self) -> Option<&Handshake> {
        self.handshakes
            .iter()
            .find(|one| self.chosen == Some(one.address))
            .or_else(|| self.handshakes.iter().find(|one| !one.chain.is_empty()))
            .or_else(|| self.handshakes.first())
    }
}

/// One TLS handshake with what the server presented, whatever the verdict.
#[derive(Clone, Debug, Serialize)]
pub struct Handshake {
    pub address: IpAddr,
    #[serde(rename = "duration_seconds", serialize_with = "seconds")]
    pub duration: Duration,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Reason>,
    /// What went wrong, in the words of the TLS library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_exchange: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn: Option<String>,
    /// As presented, the leaf first; bounded. Reports that show the same certificate share it.
    pub chain: Vec<Arc<Certificate>>,
    /// The verdict of each set of roots on the presented chain; empty where none was presented.
    pub trust: Vec<Trust>,
    /// An OCSP response came with the certificate (it is not verified).
    pub ocsp_stapled: bool,
    /// Whether one of the configured pins is in the chain; absent where none is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin_matched: Option<bool>,
    pub interception: Interception,
    /// Only the second handshake, with a small ClientHello, got an answer.
    pub large_hello_dropped: bool,
}

/// Whether something between here and the server seems to sign in its place: a listed root of this
/// host's trusts the chain and the public web does not, or no issuer is one of those expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Interception {
    #[default]
    None,
    /// It is one of the configuration's `accepted_interceptors`.
    Accepted,
    Suspected,
}

/// A set of trust anchors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum RootSet {
    /// What this host trusts.
    Platform,
    /// The public web's roots.
    PublicWeb,
    /// The configured `ca_file`.
    CaFile,
}

/// What one set of roots says of a chain. The name is judged apart.
#[derive(Clone, Debug, Serialize)]
pub struct Trust {
    pub roots: RootSet,
    pub trusted: bool,
    /// When the first certificate on the way up to the root ends, the root included where its dates
    /// are known; only where the chain is trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Reason>,
}

/// What a certificate says of itself. Strings are bounded and free of control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    pub subject: String,
    pub issuer: String,
    /// The same two as RFC 2253 writes them, in the order that Go's libraries give them.
    pub subject_rfc2253: String,
    pub issuer_rfc2253: String,
    /// The common name and organisation of the issuer, which expectations are compared with.
    pub issuer_names: Vec<String>,
    /// Lower-case hexadecimal.
    pub serial: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// DNS names and addresses it is valid for; bounded.
    pub names: Vec<String>,
    /// SHA-256 of the certificate, lower-case hexadecimal.
    pub fingerprint_sha256: String,
    /// `sha256/BASE64` of the public key.
    pub pin: String,
    /// The public key, for example `RSA 2048` or `ECDSA P-256`.
    pub key: String,
    pub signature: String,
    /// A key or a signature below today's floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weakness: Option<String>,
}

/// Who gave an answer, as far as the session shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum AnsweredBy {
    /// A server whose certificate is trusted, with no sign of inspection.
    Origin,
    /// Something whose certificate shows that it stands between us and the server.
    Interceptor,
    /// The web proxy that the request went through.
    Proxy,
    /// Nothing proves who it was.
    #[default]
    Unknown,
}

/// One response.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HttpFacts {
    pub answered_by: AnsweredBy,
    /// Absent where no response came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(
        rename = "first_byte_seconds",
        serialize_with = "optional_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub first_byte: Option<Duration>,
    #[serde(
        rename = "transfer_seconds",
        serialize_with = "optional_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub transfer: Option<Duration>,
    /// The body as it came over the wire, in bytes.
    pub body_bytes: u64,
    /// The same decoded; absent where it did not come whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoded_bytes: Option<u64>,
    /// The length that the response announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Where a redirect led, whether it was followed or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The server's clock minus this host's, in seconds, from the `Date` header (whole seconds).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_skew_seconds: Option<f64>,
    /// How long the server asked to be left alone.
    #[serde(
        rename = "retry_after_seconds",
        serialize_with = "optional_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub retry_after: Option<Duration>,
    /// The title of a page that came with a status that is not the expected one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What went wrong, in the words of the HTTP library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

fn optional_seconds<S: serde::Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => seconds(duration, serializer),
        None => serializer.serialize_none(),
    }
}

/// What the page is, and which of the configured checks it passes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PageFacts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Names of the form fields present; bounded.
    pub form_fields: Vec<String>,
    /// The decoded body, in bytes.
    pub bytes: usize,
    /// SHA-256 of the decoded body, lower-case hexadecimal.
    pub sha256: String,
    /// Empty where the page is not configured.
    pub checks: Vec<PageCheck>,
}

impl PageFacts {
    /// The names of the checks that the page does not pass.
    pub fn failed_checks(&self) -> impl Iterator<Item = &str> {
        let failed = self.checks.iter().filter(|check| !check.passed);
        failed.map(|check| check.check.as_str())
    }
}

/// One configured check, by a name that does not tell the pattern.
#[derive(Clone, Debug, Serialize)]
pub struct PageCheck {
    /// `title`, `contains_1`, `form_field_2` and the like.
    pub check: String,
    pub passed: bool,
}
