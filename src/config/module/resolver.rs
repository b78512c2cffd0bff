//! The forms in which a module names a DNS resolver.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
#[cfg(target_os = "linux")]
use std::{fs::OpenOptions, io::Read, path::Path};

use rustls::pki_types::ServerName;
use url::{Host, Url};

#[cfg(target_os = "linux")]
use crate::input_file;

/// A DNS resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolver {
    pub transport: Transport,
    pub address: SocketAddr,
    /// The interface of a link-local address, as it was written; the address has its number.
    interface: Option<String>,
}

/// The protocol of a resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// With TCP if the response is truncated.
    Udp,
    Tcp,
    /// DNS over TLS (RFC 7858).
    Tls(ResolverName),
    /// DNS over HTTPS (RFC 8484) at this path.
    Https(ResolverName, String),
}

/// The name that the certificate of an encrypted resolver must be valid for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverName {
    pub server_name: ServerName<'static>,
    /// The name in front of the address; `None` if the certificate is for the address.
    prefix: Option<String>,
}

impl fmt::Display for Resolver {
    /// The value of the `resolver` label.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = match (&self.interface, self.address) {
            (Some(interface), SocketAddr::V6(v6)) => {
                format!("[{}%{interface}]:{}", v6.ip(), v6.port())
            }
            (_, address) => address.to_string(),
        };
        match &self.transport {
            Transport::Udp => write!(f, "udp://{address}"),
            Transport::Tcp => write!(f, "tcp://{address}"),
            Transport::Tls(name) => write!(f, "tls://{name}{address}"),
            Transport::Https(name, path) => write!(f, "https://{name}{address}{path}"),
        }
    }
}

impl fmt::Display for ResolverName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.prefix {
            Some(name) => write!(f, "{name}@"),
            None => Ok(()),
        }
    }
}

const FORMS: &str = "use 10.1.2.3, 10.1.2.3:5353, [2001:db8::1]:53, tcp://10.1.2.3, \
                     tls://dns.example@10.1.2.3 or https://dns.example@10.1.2.3/dns-query";

/// The usual path of DNS over HTTPS (RFC 8484, 4.1).
const DOH_PATH: &str = "/dns-query";

/// The longest name of an interface on Linux (`IFNAMSIZ`).
#[cfg(target_os = "linux")]
const MAX_INTERFACE: usize = 15;

impl Resolver {
    /// A name server as systems configure it: over UDP, on port 53.
    pub fn of_system(ip: IpAddr) -> Self {
        Self {
            transport: Transport::Udp,
            address: SocketAddr::new(ip, 53),
            interface: None,
        }
    }

    /// The same on an interface, which a link-local address needs (RFC 4007, 11). Queries fail if
    /// this host does not have it.
    pub fn on_interface(ip: Ipv6Addr, interface: &str) -> Self {
        let index = interface_index(interface).unwrap_or_default();
        Self::scoped(Transport::Udp, ip, interface, index, 53)
    }

    fn scoped(transport: Transport, ip: Ipv6Addr, interface: &str, index: u32, port: u16) -> Self {
        Self {
            transport,
            address: SocketAddrV6::new(ip, port, 0, index).into(),
            interface: Some(interface.to_owned()),
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            None => Self::plain(Transport::Udp, text),
            Some(("udp", rest)) => Self::plain(Transport::Udp, rest),
            Some(("tcp", rest)) => Self::plain(Transport::Tcp, rest),
            Some(("tls", rest)) => Self::encrypted(rest, 853, |name, path| match path {
                "/" => Ok(Transport::Tls(name)),
                _ => Err("DNS over TLS has no path; use https:// for DNS over HTTPS".to_owned()),
            }),
            Some(("https", rest)) => Self::encrypted(rest, 443, |name, path| {
                let path = if path == "/" { DOH_PATH } else { path };
                Ok(Transport::Https(name, path.to_owned()))
            }),
            Some(_) => Err(format!("invalid resolver {text:?}; {FORMS}")),
        }
    }

    fn plain(transport: Transport, text: &str) -> Result<Self, String> {
        if let Some((ip, rest)) = text.trim_start_matches('[').split_once('%') {
            let (interface, port) = rest.split_once("]:").unwrap_or((rest, "53"));
            let interface = interface.trim_end_matches(']');
            let (Ok(ip), Ok(port)) = (ip.parse(), port.parse()) else {
                return Err(format!("invalid resolver {text:?}; {FORMS}"));
            };
            let index = interface_index(interface).ok_or_else(|| {
                format!("this host has no interface {interface:?}; `ip link` lists its interfaces")
            })?;
            return Ok(Self::scoped(transport, ip, interface, index, port));
        }
        let address = text
            .parse::<SocketAddr>()
            .or_else(|_| {
                text.trim_matches(['[', ']'])
                    .parse::<IpAddr>()
                    .map(|ip| SocketAddr::new(ip, 53))
            })
            .map_err(|_| format!("invalid resolver {text:?}; {FORMS}"))?;
        Ok(Self {
            transport,
            address,
            interface: None,
        })
    }

    fn encrypted(
        rest: &str,
        port: u16,
        transport: impl Fn(ResolverName, &str) -> Result<Transport, String>,
    ) -> Result<Self, String> {
        // Names and ports have the same form as in an http URL.
        let url = Url::parse(&format!("http://{rest}"))
            .map_err(|error| format!("invalid resolver ({error}); {FORMS}"))?;
        if url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("a resolver has no password and no query; {FORMS}"));
        }
        let ip: IpAddr = match url.host() {
            Some(Host::Ipv4(ip)) => ip.into(),
            Some(Host::Ipv6(ip)) => ip.into(),
            Some(Host::Domain(name)) => {
                return Err(format!(
                    "the resolver's name is not looked up; add its address, {name}@10.1.2.3"
                ));
            }
            None => return Err(format!("the resolver has no address; {FORMS}")),
        };
        let prefix = Some(url.username().to_owned()).filter(|name| !name.is_empty());
        let server_name = match &prefix {
            Some(name) => ServerName::try_from(name.clone())
                .map_err(|_| format!("invalid server name {name:?}; {FORMS}"))?,
            None => ServerName::from(ip),
        };
        let name = ResolverName {
            server_name,
            prefix,
        };
        Ok(Self {
            transport: transport(name, url.path())?,
            address: SocketAddr::new(ip, explicit_port(rest).unwrap_or(port)),
            interface: None,
        })
    }
}

/// The number of a network interface, by its name or itself.
fn interface_index(interface: &str) -> Option<u32> {
    if let Ok(index) = interface.parse() {
        return Some(index);
    }
    interface_by_name(interface)
}

/// Elsewhere interfaces have numbers only.
#[cfg(not(target_os = "linux"))]
fn interface_by_name(_interface: &str) -> Option<u32> {
    None
}

#[cfg(target_os = "linux")]
fn interface_by_name(interface: &str) -> Option<u32> {
    if interface.is_empty() || interface.len() > MAX_INTERFACE || interface.contains('/') {
        return None;
    }
    let path = format!("/sys/class/net/{interface}/ifindex");
    let file = input_file::open(Path::new(&path), OpenOptions::new().read(true)).ok()?;
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// The port in `authority/path`, if there is one: `Url` drops port 80.
pub(super) fn explicit_port(rest: &str) -> Option<u16> {
    let authority = rest.split('/').next()?;
    authority.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_displayed_with_scheme_port_and_path() {
        for (raw, displayed) in [
            ("10.1.2.3", "udp://10.1.2.3:53"),
            ("udp://10.1.2.3:5353", "udp://10.1.2.3:5353"),
            ("tcp://[2001:db8::1]", "tcp://[2001:db8::1]:53"),
            ("fe80::1%1", "udp://[fe80::1%1]:53"),
            ("tcp://[fe80::1%1]:5353", "tcp://[fe80::1%1]:5353"),
            #[cfg(target_os = "linux")]
            ("fe80::1%lo", "udp://[fe80::1%lo]:53"),
            ("tls://10.1.2.3", "tls://10.1.2.3:853"),
            ("tls://10.1.2.3:80", "tls://10.1.2.3:80"),
            ("tls://[2001:db8::1]", "tls://[2001:db8::1]:853"),
            (
                "tls://dns.example@10.1.2.3",
                "tls://dns.example@10.1.2.3:853",
            ),
            ("https://10.1.2.3", "https://10.1.2.3:443/dns-query"),
            (
                "https://dns.example@10.1.2.3:8443/ask",
                "https://dns.example@10.1.2.3:8443/ask",
            ),
        ] {
            assert_eq!(Resolver::parse(raw).unwrap().to_string(), displayed);
        }
    }

    #[test]
    fn invalid_resolvers_are_reported_with_the_valid_forms() {
        for (raw, expected) in [
            ("dns.example", "use 10.1.2.3"),
            ("quic://10.1.2.3", "use 10.1.2.3"),
            ("https://dns.example/dns-query", "dns.example@10.1.2.3"),
            ("tls://10.1.2.3/dns-query", "https://"),
            ("tls://a:b@10.1.2.3", "no password"),
            ("fe80::1%none0", "no interface \"none0\""),
            ("fe80::1%../lo", "no interface"),
            ("10.1.2.3%lo", "use 10.1.2.3"),
            ("fe80::1%lo:53", "no interface \"lo:53\""),
        ] {
            let message = Resolver::parse(raw).unwrap_err();
            assert!(message.contains(expected), "{raw}: {message}");
        }
    }
}
