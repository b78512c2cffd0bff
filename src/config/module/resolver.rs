//! A name server and how it is spoken to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use rustls::pki_types::ServerName;
use url::{Host, Url};

/// A name server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolver {
    pub transport: Transport,
    pub address: SocketAddr,
}

/// How a name server is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// With TCP when the answer is cut.
    Udp,
    Tcp,
    /// DNS over TLS (RFC 7858).
    Tls(Named),
    /// DNS over HTTPS (RFC 8484), asked for at this path.
    Https(Named, String),
}

/// Whom the certificate of an encrypted name server must name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub certified: ServerName<'static>,
    /// As it is written before the address; `None` where the certificate is for the address.
    raw: Option<String>,
}

impl fmt::Display for Resolver {
    /// The value of the `resolver` label.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        match &self.transport {
            Transport::Udp => write!(f, "udp://{address}"),
            Transport::Tcp => write!(f, "tcp://{address}"),
            Transport::Tls(named) => write!(f, "tls://{named}{address}"),
            Transport::Https(named, path) => write!(f, "https://{named}{address}{path}"),
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.raw {
            Some(name) => write!(f, "{name}@"),
            None => Ok(()),
        }
    }
}

const FORMS: &str = "write 10.1.2.3, 10.1.2.3:5353, [2001:db8::1]:53, tcp://10.1.2.3, \
                     tls://dns.example@10.1.2.3 or https://dns.example@10.1.2.3/dns-query";

/// Where most servers of DNS over HTTPS answer (RFC 8484, 4.1).
const DOH_PATH: &str = "/dns-query";

impl Resolver {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            None => Self::plain(Transport::Udp, text),
            Some(("udp", rest)) => Self::plain(Transport::Udp, rest),
            Some(("tcp", rest)) => Self::plain(Transport::Tcp, rest),
            Some(("tls", rest)) => Self::encrypted(rest, 853, |named, path| match path {
                "/" => Ok(Transport::Tls(named)),
                _ => Err("DNS over TLS has no path; DNS over HTTPS is https://".to_owned()),
            }),
            Some(("https", rest)) => Self::encrypted(rest, 443, |named, path| {
                let path = if path == "/" { DOH_PATH } else { path };
                Ok(Transport::Https(named, path.to_owned()))
            }),
            Some(_) => Err(format!("{text:?} is not a resolver; {FORMS}")),
        }
    }

    fn plain(transport: Transport, text: &str) -> Result<Self, String> {
        let address = text
            .parse::<SocketAddr>()
            .or_else(|_| {
                text.trim_matches(['[', ']'])
                    .parse::<IpAddr>()
                    .map(|ip| SocketAddr::new(ip, 53))
            })
            .map_err(|_| format!("{text:?} is not a resolver; {FORMS}"))?;
        Ok(Self { transport, address })
    }

    fn encrypted(
        rest: &str,
        port: u16,
        transport: impl Fn(Named, &str) -> Result<Transport, String>,
    ) -> Result<Self, String> {
        // Parsed as an address of the web, whose rules for names and ports are the same.
        let url = Url::parse(&format!("http://{rest}"))
            .map_err(|error| format!("not a resolver ({error}); {FORMS}"))?;
        if url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("a resolver has no password and no query; {FORMS}"));
        }
        let ip: IpAddr = match url.host() {
            Some(Host::Ipv4(ip)) => ip.into(),
            Some(Host::Ipv6(ip)) => ip.into(),
            Some(Host::Domain(name)) => {
                return Err(format!(
                    "a resolver's own name is not looked up; write its address after the name, \
                     {name}@10.1.2.3"
                ));
            }
            None => return Err(format!("the resolver has no address; {FORMS}")),
        };
        let raw = Some(url.username().to_owned()).filter(|name| !name.is_empty());
        let certified = match &raw {
            Some(name) => ServerName::try_from(name.clone())
                .map_err(|_| format!("{name:?} is no name that a certificate can be for"))?,
            None => ServerName::from(ip),
        };
        let port = port_written(rest).unwrap_or(port);
        let named = Named { certified, raw };
        Ok(Self {
            transport: transport(named, url.path())?,
            address: SocketAddr::new(ip, port),
        })
    }
}

/// The port in `authority/path`, where one is written.
pub(super) fn port_written(rest: &str) -> Option<u16> {
    let authority = rest.split('/').next()?;
    authority.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_is_shown_in_its_whole_form() {
        for (raw, shown) in [
            ("10.1.2.3", "udp://10.1.2.3:53"),
            ("udp://10.1.2.3:5353", "udp://10.1.2.3:5353"),
            ("tcp://[2001:db8::1]", "tcp://[2001:db8::1]:53"),
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
            assert_eq!(Resolver::parse(raw).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_resolver_says_what_to_write() {
        for (raw, says) in [
            ("dns.example", "write 10.1.2.3"),
            ("quic://10.1.2.3", "write 10.1.2.3"),
            ("https://dns.example/dns-query", "dns.example@10.1.2.3"),
            ("tls://10.1.2.3/dns-query", "https://"),
            ("tls://a:b@10.1.2.3", "no password"),
        ] {
            let told = Resolver::parse(raw).unwrap_err();
            assert!(told.contains(says), "{raw}: {told}");
        }
    }
}
