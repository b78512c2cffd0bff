//! The web proxies of the environment: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, in upper
//! or lower case, as Go and curl document them; where they differ, as Go does.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use url::{Host, Url};

use super::proxy::Proxy;
use crate::config::value::{host, network};

/// The proxies of the environment, and what goes direct.
#[derive(Clone, Debug, Default)]
pub struct EnvironmentProxies {
    https: Option<Arc<Proxy>>,
    http: Option<Arc<Proxy>>,
    direct: Vec<Direct>,
}

/// An entry of `NO_PROXY`, on one port if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Direct {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    Network(IpNet),
    /// A name and the names below it.
    Domain(String),
    /// Only the names below it, with the dot.
    Subdomains(String),
}

impl EnvironmentProxies {
    /// # Errors
    /// The variable whose value cannot be used, and why. It does not quote the value, which may
    /// contain a password.
    pub(super) fn read() -> Result<Self, String> {
        Self::of(|name| std::env::var(name).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let value = |name: &str| {
            let names = [name.to_owned(), name.to_lowercase()];
            let mut values = names.into_iter().filter_map(|name| {
                let value = variable(&name)?;
                let value = value.trim().to_owned();
                (!value.is_empty()).then_some((name, value))
            });
            values.next()
        };
        let proxy = |name: &str| match value(name) {
            None => Ok(None),
            Some((name, text)) => Proxy::parse_with_credentials(&text)
                .map(|proxy| Some(Arc::new(proxy)))
                .map_err(|error| format!("the environment variable {name}: {error}")),
        };
        let all = proxy("ALL_PROXY")?;
        let (name, list) = value("NO_PROXY").unwrap_or_default();
        let entries = list.split(',').map(str::trim);
        let direct = entries.filter(|entry| !entry.is_empty()).map(|entry| {
            Direct::parse(entry).ok_or_else(|| {
                format!(
                    "the environment variable {name}: invalid entry {entry:?}; use example.com, \
                     .example.com, 10.1.2.3, 10.0.0.0/8 or *, and a port if it is for one port only"
                )
            })
        });
        Ok(Self {
            https: proxy("HTTPS_PROXY")?.or(all.clone()),
            http: proxy("HTTP_PROXY")?.or(all),
            direct: direct.collect::<Result<_, _>>()?,
        })
    }

    /// The proxy for `url`; `None` for a direct connection. This host is always reached directly.
    pub(super) fn of_url(&self, url: &Url) -> Option<Arc<Proxy>> {
        let proxy = match url.scheme() {
            "http" => &self.http,
            _ => &self.https,
        };
        let host = url.host()?.to_owned();
        let port = url.port_or_known_default()?;
        let is_direct =
            is_this_host(&host) || self.direct.iter().any(|one| one.matches(&host, port));
        proxy.clone().filter(|_| !is_direct)
    }
}

impl Direct {
    /// `example.com`, `.example.com`, `*.example.com`, `10.1.2.3`, `10.0.0.0/8` or `*`, and a port
    /// except behind a network. `None` if the entry is none of these.
    fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        if let Ok(network) = network(&text) {
            return Some(Self {
                hosts: Hosts::Network(network),
                port: None,
            });
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (text.as_str(), None),
        };
        let (is_below_only, bare) = match name.strip_prefix('*').unwrap_or(name).strip_prefix('.') {
            Some(bare) => (true, bare),
            None => (false, name),
        };
        let hosts = match (bare, is_below_only) {
            ("*", false) => Hosts::All,
            _ => match (host(bare)?, is_below_only) {
                (Host::Domain(name), true) => Hosts::Subdomains(format!(".{name}")),
                (Host::Domain(name), false) => Hosts::Domain(name),
                (Host::Ipv4(address), false) => Hosts::Network(IpAddr::V4(address).into()),
                (Host::Ipv6(address), false) => Hosts::Network(IpAddr::V6(address).into()),
                (Host::Ipv4(_) | Host::Ipv6(_), true) => return None,
            },
        };
        Some(Self { hosts, port })
    }

    fn matches(&self, host: &Host, port: u16) -> bool {
        let is_port = self.port.is_none_or(|own| own == port);
        let is_host = match (&self.hosts, host) {
            (Hosts::All, _) => true,
            (Hosts::Network(network), Host::Ipv4(address)) => {
                network.contains(&IpAddr::V4(*address))
            }
            (Hosts::Network(network), Host::Ipv6(address)) => {
                network.contains(&IpAddr::V6(*address).to_canonical())
            }
            (Hosts::Subdomains(suffix), Host::Domain(name)) => {
                name.trim_end_matches('.').ends_with(suffix)
            }
            (Hosts::Domain(domain), Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                let rest = name.strip_suffix(domain.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            _ => false,
        };
        is_port && is_host
    }
}

fn is_this_host(host: &Host) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Result<EnvironmentProxies, String> {
        EnvironmentProxies::of(|name| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn no_proxy_is_read_as_go_reads_it() {
        let list = "bar.test, .sub.test,*.star.test,10.1.2.3,10.2.0.0/16,port.test:8443,[::2]:443";
        let proxies =
            environment(&[("https_proxy", "proxy.test:3128"), ("no_proxy", list)]).unwrap();
        for (url, is_direct) in [
            ("https://bar.test/", true),
            ("https://foo.bar.test/", true),
            ("https://foobar.test/", false),
            ("https://sub.test/", false),
            ("https://a.sub.test/", true),
            ("https://star.test/", false),
            ("https://a.star.test/", true),
            ("https://10.1.2.3/", true),
            ("https://10.2.200.1/", true),
            ("https://10.3.0.1/", false),
            ("https://port.test:8443/", true),
            ("https://port.test/", false),
            ("https://[::2]/", true),
            ("https://localhost/", true),
            ("https://127.0.0.1/", true),
            ("https://other.test/", false),
            ("http://other.test/", true),
        ] {
            let proxy = proxies.of_url(&Url::parse(url).unwrap());
            assert_eq!(proxy.is_none(), is_direct, "{url}");
        }
        let all = environment(&[("HTTPS_PROXY", "http://p.test"), ("NO_PROXY", "*")]).unwrap();
        assert!(
            all.of_url(&Url::parse("https://x.test/").unwrap())
                .is_none()
        );
    }

    #[test]
    fn values_that_cannot_be_used_are_errors_that_name_the_variable() {
        for value in [
            "://nonsense",
            "ftp://proxy.test",
            "http://",
            "http://user:secret@/",
        ] {
            let error = environment(&[("HTTPS_PROXY", value)]).unwrap_err();
            assert!(
                error.contains("HTTPS_PROXY") && !error.contains("secret"),
                "{error}"
            );
        }
        for entry in [
            "port.test:https",
            "10.*",
            "a b.test",
            "https://x.test",
            "x..test",
        ] {
            let list = format!("good.test, {entry}");
            let pairs = [("HTTPS_PROXY", "http://p.test"), ("no_proxy", &list)];
            let error = environment(&pairs).unwrap_err();
            assert!(error.contains("no_proxy: invalid entry"), "{error}");
            assert!(error.contains(entry), "{error}");
        }
        let proxies =
            environment(&[("HTTPS_PROXY", "SOCKS5H://user:se%40cret@proxy.test")]).unwrap();
        let proxy = proxies
            .of_url(&Url::parse("https://x.test/").unwrap())
            .unwrap();
        assert_eq!(proxy.to_string(), "socks5://proxy.test:1080");
        assert_eq!(proxy.credentials.as_ref().unwrap().password, "se@cret");
    }
}
