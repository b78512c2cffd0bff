//! The key `probe_endpoint.allowed_hosts`: what `/probe` may connect to in addition to the targets.
//!
//! A URL is checked twice: as text, before its name is resolved, and by its addresses, before a
//! connection is made.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use url::{Host, Url};

use super::section::Section;
use super::value::network;
use crate::diagnostics::Text;
use crate::report::RejectReason;

/// Hosts, addresses and networks with the allowed ports.
#[derive(Clone, Debug, Default)]
pub struct AllowedHosts {
    /// By the name in lower case, as in a parsed URL.
    names: HashMap<String, Vec<AllowedPort>>,
    networks: Vec<(IpNet, AllowedPort)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AllowedPort {
    Any,
    One(u16),
}

impl AllowedPort {
    fn contains(self, port: u16) -> bool {
        self == Self::Any || self == Self::One(port)
    }
}

impl AllowedHosts {
    pub(super) fn validate(list: &[Text], mut section: Section<'_>) -> Self {
        let mut hosts = Self::default();
        section.list("allowed_hosts", list, |text| hosts.add(text));
        hosts
    }

    /// Adds `host`, `host:port` or `host:*`. The host is a name, an address or a network; an IPv6
    /// address in front of a port is in brackets. Without a port, only 443 is allowed.
    fn add(&mut self, text: &str) -> Result<(), String> {
        self.try_add(text).ok_or_else(|| {
            format!(
                "invalid host {text:?}; use for example login.example.com, login.example.com:8443, \
                 10.1.0.0/16:* or [2001:db8::1]:443"
            )
        })
    }

    fn try_add(&mut self, text: &str) -> Option<()> {
        if let Ok(network) = network(text) {
            self.networks.push((network, AllowedPort::One(443)));
            return Some(());
        }
        let (host, port) = match text.rsplit_once(':') {
            None => (text, AllowedPort::One(443)),
            Some((host, "*")) => (host, AllowedPort::Any),
            Some((host, port)) => (host, AllowedPort::One(port.parse().ok()?)),
        };
        let in_brackets = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        if let Ok(network) = network(in_brackets.unwrap_or(host)) {
            self.networks.push((network, port));
            return Some(());
        }
        match super::value::host(host)? {
            Host::Domain(name) => {
                self.names.entry(name).or_default().push(port);
                Some(())
            }
            _ => None,
        }
    }

    /// Checks the text of `url`.
    ///
    /// # Errors
    /// The scheme, host or port is not allowed, or there are credentials.
    pub fn check(&self, url: &Url) -> Result<(), RejectReason> {
        if url.scheme() != "https" {
            return Err(RejectReason::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RejectReason::Credentials);
        }
        let port = url.port_or_known_default().unwrap_or_default();
        let ports = match url.host() {
            Some(Host::Domain(name)) => self.names.get(name).cloned().unwrap_or_default(),
            Some(Host::Ipv4(address)) => self.ports_of(address.into()).collect(),
            Some(Host::Ipv6(address)) => self.ports_of(address.into()).collect(),
            None => Vec::new(),
        };
        if ports.is_empty() {
            Err(RejectReason::Host)
        } else if ports.iter().any(|allowed| allowed.contains(port)) {
            Ok(())
        } else {
            Err(RejectReason::Port)
        }
    }

    /// The first of `addresses` that must not be connected to on `port`: a loopback, link-local or
    /// multicast address that is not itself listed. Private networks are allowed.
    pub fn forbidden(&self, addresses: &[IpAddr], port: u16) -> Option<IpAddr> {
        let is_listed = |address| self.ports_of(address).any(|allowed| allowed.contains(port));
        let is_forbidden = |address: &IpAddr| is_special(*address) && !is_listed(*address);
        addresses.iter().copied().find(is_forbidden)
    }

    fn ports_of(&self, address: IpAddr) -> impl Iterator<Item = AllowedPort> {
        let address = address.to_canonical();
        self.networks
            .iter()
            .filter(move |(network, _)| network.contains(&address))
            .map(|(_, port)| *port)
    }
}

/// Whether the address means this host, its link or a group, in any form (RFC 6890; for the forms that
/// contain an IPv4 address, RFC 4291 2.5.5 and RFC 6052).
fn is_special(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_special_v4(address),
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unicast_link_local()
                || embedded_v4(address).is_some_and(is_special_v4)
        }
    }
}

fn is_special_v4(address: Ipv4Addr) -> bool {
    address.octets()[0] == 0
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
}

/// The IPv4 address in a compatible (`::a.b.c.d`) or translated (`64:ff9b::a.b.c.d`) address.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(list: &[&str]) -> AllowedHosts {
        let mut hosts = AllowedHosts::default();
        for text in list {
            hosts.add(text).unwrap();
        }
        hosts
    }

    #[test]
    fn hosts_without_a_port_are_allowed_on_port_443_only() {
        let hosts = allowed(&["Login.Example.com", "other.example:8443", "any.example:*"]);
        for (url, expected) in [
            ("https://login.example.com/", Ok(())),
            ("https://LOGIN.example.com:443/x?y", Ok(())),
            ("https://login.example.com:8443/", Err(RejectReason::Port)),
            ("https://login.example.com./", Err(RejectReason::Host)),
            ("https://sub.login.example.com/", Err(RejectReason::Host)),
            ("https://other.example:8443/", Ok(())),
            ("https://other.example/", Err(RejectReason::Port)),
            ("https://any.example:1/", Ok(())),
            ("http://login.example.com/", Err(RejectReason::Scheme)),
            (
                "https://a@login.example.com/",
                Err(RejectReason::Credentials),
            ),
        ] {
            assert_eq!(hosts.check(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn addresses_match_in_every_notation() {
        let hosts = allowed(&["10.1.0.0/16", "[2001:db8::1]:8443", "2001:db8::2"]);
        for (url, expected) in [
            ("https://10.1.2.3/", Ok(())),
            ("https://0x0a010203/", Ok(())),
            ("https://[::ffff:10.1.2.3]/", Ok(())),
            ("https://10.2.2.3/", Err(RejectReason::Host)),
            ("https://2130706433/", Err(RejectReason::Host)),
            ("https://[2001:db8::1]:8443/", Ok(())),
            ("https://[2001:db8::1]/", Err(RejectReason::Port)),
            ("https://[2001:db8::2]/", Ok(())),
        ] {
            assert_eq!(hosts.check(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn loopback_link_local_and_multicast_are_forbidden_unless_listed() {
        let none = allowed(&["login.example.com"]);
        for address in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(none.forbidden(&[address], 443), Some(address));
        }
        for address in [
            "10.1.2.3",
            "192.168.1.1",
            "203.0.113.1",
            "fd00::1",
            "2001:db8::1",
        ] {
            assert_eq!(none.forbidden(&[address.parse().unwrap()], 443), None);
        }
        let listed = allowed(&["127.0.0.1:8443"]);
        let loopback = ["127.0.0.1".parse().unwrap()];
        assert_eq!(listed.forbidden(&loopback, 8443), None);
        assert_eq!(listed.forbidden(&loopback, 443), Some(loopback[0]));
    }

    #[test]
    fn invalid_hosts_are_rejected() {
        for text in [
            "",
            "*.example.com",
            "https://x.example",
            "a:b",
            "x.example:99999",
            "x.example.",
        ] {
            assert!(AllowedHosts::default().add(text).is_err(), "{text}");
        }
    }
}
