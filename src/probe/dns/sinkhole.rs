//! Addresses that a DNS filter returns in place of the server's.

use std::net::IpAddr;

use crate::config::{ProbeModule, Route};

/// Recognizes addresses that cannot be the server: unspecified, loopback, or configured.
pub(super) struct SinkholeFilter {
    /// The resolver is configured and on loopback itself, as in tests.
    pub loopback_allowed: bool,
    pub host: String,
    pub sinkholes: Vec<ipnet::IpNet>,
}

impl SinkholeFilter {
    /// For answers of the module's `route`.
    pub fn of_route(module: &ProbeModule, host: &str) -> Self {
        let loopback_allowed = match &module.route {
            Route::System => false,
            Route::Resolver(resolver) => resolver.address.ip().is_loopback(),
        };
        Self {
            loopback_allowed,
            host: host.to_owned(),
            sinkholes: module.sinkhole_addresses.clone(),
        }
    }

    /// Whether there are addresses and each is a sinkhole.
    pub fn matches_all(&self, addresses: &[IpAddr]) -> bool {
        !addresses.is_empty() && addresses.iter().all(|address| self.matches(*address))
    }

    pub fn matches(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let unexpected_loopback =
            address.is_loopback() && !self.loopback_allowed && self.host != "localhost";
        let configured = self
            .sinkholes
            .iter()
            .any(|network| network.contains(&address));
        address.is_unspecified() || unexpected_loopback || configured
    }
}
