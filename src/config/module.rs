//! The key `modules`: how a target is probed.
//!
//! Each submodule holds the types of one part, and validates it. Nothing downstream checks these values
//! again.

mod environment_proxies;
mod http;
mod page;
mod proxy;
mod proxy_policy;
mod resolver;
mod tls;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value;

pub use self::http::{HttpPolicy, Redirects};
pub use self::page::PageChecks;
pub use self::proxy::{Credentials, Proxy, ProxyScheme};
pub use self::proxy_policy::ProxyPolicy;
pub use self::resolver::{Resolver, Transport};
pub use self::tls::{CaFile, FetchIntermediates, MinVersion, PolicyAction, TlsPolicy};
use super::raw::RawModule;
use super::section::Section;
use super::value::{network, timeout};
use crate::diagnostics::Diagnostics;
use crate::report::AddressFamily;

/// How a target is probed.
#[derive(Clone, Debug)]
pub struct ProbeModule {
    pub name: String,
    pub as_written: AsWritten,
    /// Shortens the timeout of a probe.
    pub timeout: Option<Duration>,
    /// Queried separately, in addition to the system's.
    pub resolvers: Vec<Resolver>,
    pub system_resolvers: SystemResolvers,
    pub route: Route,
    /// `None` uses both.
    pub family: Option<AddressFamily>,
    pub source_address: Option<IpAddr>,
    pub proxy: ProxyPolicy,
    /// Empty if any address is expected.
    pub expected_addresses: Vec<IpNet>,
    pub sinkhole_addresses: Vec<IpNet>,
    pub tls: TlsPolicy,
    pub http: HttpPolicy,
    pub page: PageChecks,
}

/// The configured keys of a module, for display; without the values of HTTP headers.
#[derive(Clone)]
pub struct AsWritten(pub Value);

impl fmt::Debug for AsWritten {
    /// Always the same: two modules with the same meaning are equal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Whether the name servers of the system's configuration are also queried separately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SystemResolvers {
    #[default]
    Ask,
    Ignore,
}

/// Which resolution supplies the addresses to connect to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Route {
    /// The system's, including the hosts file.
    #[default]
    System,
    Resolver(Resolver),
}

impl ProbeModule {
    /// The shorter of `timeout` and the module's own.
    pub fn timeout_within(&self, timeout: Duration) -> Duration {
        self.timeout.map_or(timeout, |own| own.min(timeout))
    }

    pub(super) fn validate(name: &str, raw: &RawModule, mut section: Section<'_>) -> Self {
        let section = &mut section;
        check_addresses_and_proxy(raw, section);
        let ask = [
            ("ask", SystemResolvers::Ask),
            ("ignore", SystemResolvers::Ignore),
        ];
        let families = [
            ("any", None),
            ("4", Some(AddressFamily::V4)),
            ("6", Some(AddressFamily::V6)),
        ];
        let (expected, sinkholes) = (&raw.expected_addresses, &raw.sinkhole_addresses);
        Self {
            name: name.to_owned(),
            as_written: AsWritten(as_written(raw)),
            timeout: section.optional("timeout", &raw.timeout, timeout),
            resolvers: section.list("resolvers", &raw.resolvers, Resolver::parse),
            system_resolvers: section.choice("system_resolvers", &raw.system_resolvers, &ask),
            route: section
                .optional("route", &raw.route, route)
                .unwrap_or_default(),
            family: section.choice("ip_family", &raw.ip_family, &families),
            source_address: section.optional("source_address", &raw.source_address, ip_address),
            proxy: ProxyPolicy::validate(raw, section),
            expected_addresses: section.list("expected_addresses", expected, network),
            sinkhole_addresses: section.list("sinkhole_addresses", sinkholes, network),
            tls: TlsPolicy::validate(&raw.tls, section.below("tls")),
            http: HttpPolicy::validate(&raw.http, section.below("http")),
            page: PageChecks::validate(&raw.page, section.below("page")),
        }
    }

    /// The module that exists without any configuration.
    pub(super) fn built_in(name: &str) -> Self {
        let file = Path::new("built-in");
        let mut diagnostics = Diagnostics::new(file, "");
        let section = Section::of_file(file, &mut diagnostics);
        Self::validate(name, &RawModule::default(), section)
    }
}

/// A proxy resolves the target's name, so that its addresses are not known here.
fn check_addresses_and_proxy(raw: &RawModule, section: &mut Section<'_>) {
    if let (Some(first), Some(proxy)) = (raw.expected_addresses.first(), &raw.proxy)
        && proxy.value != "none"
    {
        let message = "cannot be checked through a proxy, which resolves the name itself; \
                       remove expected_addresses or proxy";
        section.error(first, "expected_addresses", message);
    }
}

/// The keys that are set, with the value of every HTTP header hidden: it may be a secret.
fn as_written(raw: &RawModule) -> Value {
    let mut value = serde_json::to_value(raw).unwrap_or_default();
    if let Some(Value::Object(headers)) = value.pointer_mut("/http/headers") {
        for (_, value) in headers.iter_mut() {
            *value = Value::from("<hidden>");
        }
    }
    remove_empty(&mut value);
    value
}

fn remove_empty(value: &mut Value) {
    if let Value::Object(map) = value {
        map.values_mut().for_each(remove_empty);
        map.retain(|_, value| match value {
            Value::Null => false,
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        });
    }
}

fn route(text: &str) -> Result<Route, String> {
    match text {
        "system" => Ok(Route::System),
        other => Resolver::parse(other)
            .map(Route::Resolver)
            .map_err(|error| format!("{error}, or system")),
    }
}

fn ip_address(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| format!("invalid IP address {text:?}; use an address of this host"))
}
