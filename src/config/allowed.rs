//! Where `/probe` may go beside the configured targets.
//!
//! An address is judged twice: by its text, before anything is asked, and by the addresses that its
//! name has, before anything is connected to.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use url::{Host, Url};

use crate::report::RejectReason;

/// `probe_endpoint.allowed_hosts`.
#[derive(Clone, Debug, Default)]
pub struct AllowedHosts {
    /// By the name in lower case, as a URL has it.
    names: HashMap<String, Vec<AllowedPort>>,
    networks: Vec<(IpNet, AllowedPort)>,
}

enum AllowedHost {
    Name(String),
    Network(IpNet),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AllowedPort {
    Any,
    One(u16),
}

impl AllowedPort {
    fn admits(self, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::One(one) => one == port,
        }
    }
}

impl AllowedHosts {
    /// Adds `host`, `host:port` or `host:*`, where the host is a name, an address or a network; an
    /// IPv6 one stands in brackets where a port follows. Without a port it is https's.
    pub(super) fn add(&mut self, text: &str) -> Result<(), String> {
        match parse(text)? {
            (AllowedHost::Name(name), port) => self.names.entry(name).or_default().push(port),
            (AllowedHost::Network(network), port) => self.networks.push((network, port)),
        }
        Ok(())
    }

    /// Judges `url` by its text.
    ///
    /// # Errors
    /// Why it is not probed.
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
        match ports.iter().any(|allowed| allowed.admits(port)) {
            true => Ok(()),
            false if ports.is_empty() => Err(RejectReason::Host),
            false => Err(RejectReason::Port),
        }
    }

    fn ports_of(&self, address: IpAddr) -> impl Iterator<Item = AllowedPort> {
        let address = address.to_canonical();
        let of_it = self
            .networks
            .iter()
            .filter(move |(network, _)| network.contains(&address));
        of_it.map(|(_, port)| *port)
    }

    /// The first of `addresses` that may not be connected to on `port`: loopback, link-local and
    /// multicast ones, unless they themselves are listed. A firm's private networks are fine.
    pub fn forbidden(&self, addresses: &[IpAddr], port: u16) -> Option<IpAddr> {
        let listed = |address: &IpAddr| self.ports_of(*address).any(|one| one.admits(port));
        let forbidden = |address: &&IpAddr| is_special(**address) && !listed(address);
        addresses.iter().find(forbidden).copied()
    }
}

fn parse(text: &str) -> Result<(AllowedHost, AllowedPort), String> {
    let wrong = || {
        format!(
            "{text:?} is not a host; write for example login.example.com, login.example.com:8443, \
             10.1.0.0/16:* or [2001:db8::1]:443"
        )
    };
    if let Ok(network) = network(text) {
        return Ok((AllowedHost::Network(network), AllowedPort::One(443)));
    }
    let (host, port) = match text.rsplit_once(':') {
        None => (text, AllowedPort::One(443)),
        Some((host, "*")) => (host, AllowedPort::Any),
        Some((host, port)) => (host, AllowedPort::One(port.parse().map_err(|_| wrong())?)),
    };
    let inside = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    if let Ok(network) = network(inside.unwrap_or(host)) {
        return Ok((AllowedHost::Network(network), port));
    }
    match Host::parse(host) {
        Ok(Host::Domain(name)) if !name.contains('*') && !name.ends_with('.') => {
            Ok((AllowedHost::Name(name), port))
        }
        _ => Err(wrong()),
    }
}

fn network(text: &str) -> Result<IpNet, ()> {
    let network = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map(|network| network.trunc()).map_err(|_| ())
}

/// Addresses that mean this host, its link or a group, in whatever form they come (RFC 6890, and for
/// the forms that carry an IPv4 address RFC 4291 2.5.5 and RFC 6052).
fn is_special(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_special_v4(address),
        IpAddr::V6(address) => {
            let unicast_link_local = address.segments()[0] & 0xffc0 == 0xfe80;
            address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || unicast_link_local
                || carried(address).is_some_and(is_special_v4)
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

/// The IPv4 address in a compatible (`::a.b.c.d`) or translated (`64:ff9b::a.b.c.d`) one.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
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
    fn a_host_without_a_port_is_allowed_on_https_port_alone() {
        let hosts = allowed(&["Login.Example.com", "other.example:8443", "any.example:*"]);
        for (url, verdict) in [
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
            assert_eq!(hosts.check(&Url::parse(url).unwrap()), verdict, "{url}");
        }
    }

    #[test]
    fn an_address_is_allowed_in_any_form_or_none() {
        let hosts = allowed(&["10.1.0.0/16", "[2001:db8::1]:8443", "2001:db8::2"]);
        for (url, verdict) in [
            ("https://10.1.2.3/", Ok(())),
            ("https://0x0a010203/", Ok(())),
            ("https://[::ffff:10.1.2.3]/", Ok(())),
            ("https://10.2.2.3/", Err(RejectReason::Host)),
            ("https://2130706433/", Err(RejectReason::Host)),
            ("https://[2001:db8::1]:8443/", Ok(())),
            ("https://[2001:db8::1]/", Err(RejectReason::Port)),
            ("https://[2001:db8::2]/", Ok(())),
        ] {
            assert_eq!(hosts.check(&Url::parse(url).unwrap()), verdict, "{url}");
        }
    }

    #[test]
    fn this_host_its_link_and_groups_are_forbidden_unless_they_are_listed() {
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
    fn what_is_no_host_is_told() {
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
