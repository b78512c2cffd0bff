//! A module as it is meant: how a target is probed.
//!
//! `reader` builds it from what is written, every mistake noted with its place. Nothing downstream
//! checks a value of these again.

mod proxy;
mod reader;
mod resolver;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use ipnet::IpNet;
use regex::bytes::Regex;
use rustls::pki_types::CertificateDer;

pub use self::proxy::{Credentials, Proxy, ProxyPolicy, ProxyScheme};
pub use self::resolver::{Resolver, Transport};
use crate::report::{AddressFamily, RootSet};

/// How a target is probed.
#[derive(Clone, Debug)]
pub struct ProbeModule {
    pub name: String,
    pub as_written: AsWritten,
    /// Shortens the limit of a probe.
    pub timeout: Option<Duration>,
    /// Asked by themselves, beside the system's.
    pub resolvers: Vec<Resolver>,
    pub system_resolvers: SystemResolvers,
    pub route: Route,
    /// `None` takes both.
    pub family: Option<AddressFamily>,
    pub source_address: Option<IpAddr>,
    pub proxy: ProxyPolicy,
    /// Empty where any address will do.
    pub expected_addresses: Vec<IpNet>,
    pub sinkhole_addresses: Vec<IpNet>,
    pub tls: TlsPolicy,
    pub http: HttpPolicy,
    pub page: PageChecks,
}

impl ProbeModule {
    /// What a probe by this module may take of a limit.
    pub fn limit(&self, at_most: Duration) -> Duration {
        self.timeout.map_or(at_most, |own| own.min(at_most))
    }
}

/// The keys of a module that were written, for people; without what headers say.
#[derive(Clone)]
pub struct AsWritten(pub serde_json::Value);

/// How it was written is no part of what it means.
impl fmt::Debug for AsWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Whether the name servers of the system's configuration are asked by themselves too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SystemResolvers {
    #[default]
    Ask,
    Ignore,
}

/// Whose answer the connection follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// The system's own resolution, hosts file included.
    System,
    Resolver(Resolver),
}

/// What a TLS session must be.
#[derive(Clone, Debug)]
pub struct TlsPolicy {
    /// A chain is good if any of these trusts it.
    pub roots: Vec<RootSet>,
    pub ca_file: Option<CaFile>,
    /// Compared with the common name and organisation of each presented issuer.
    pub expected_issuers: Vec<String>,
    pub accepted_interceptors: Vec<String>,
    pub on_interception: Severity,
    /// `sha256/BASE64` of a public key in the chain.
    pub pins: Vec<String>,
    pub on_pin_mismatch: Severity,
    pub min_version: MinVersion,
}

/// A file of root certificates, read.
#[derive(Clone, Debug)]
pub struct CaFile {
    pub path: PathBuf,
    pub certificates: Vec<CertificateDer<'static>>,
}

/// Whether something is told or fails the probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Severity {
    #[default]
    Warn,
    Fail,
}

/// The oldest TLS version that is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    #[default]
    Tls12,
    Tls13,
}

/// What a response must be.
#[derive(Clone, Debug)]
pub struct HttpPolicy {
    pub valid_status: Vec<u16>,
    pub redirects: Redirects,
    /// Lower case.
    pub allowed_hosts: Vec<String>,
    pub max_redirects: usize,
    /// Bytes, on the wire and decoded.
    pub max_body: usize,
    pub user_agent: HeaderValue,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// Which redirects are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redirects {
    /// A redirect is the answer.
    None,
    /// To the same host, and to the allowed hosts.
    #[default]
    SameHost,
}

/// What the page must be. Without any, the page is not judged.
#[derive(Clone, Debug, Default)]
pub struct PageChecks {
    pub title: Option<String>,
    pub contains: Vec<String>,
    pub not_contains: Vec<String>,
    pub matches: Vec<Regex>,
    pub form_fields: Vec<String>,
    pub block_markers: Vec<String>,
}

impl PageChecks {
    pub fn is_empty(&self) -> bool {
        self.title.is_none()
            && self.contains.is_empty()
            && self.not_contains.is_empty()
            && self.matches.is_empty()
            && self.form_fields.is_empty()
            && self.block_markers.is_empty()
    }
}
