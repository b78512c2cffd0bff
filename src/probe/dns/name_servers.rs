//! The name servers of a module: those of the system's configuration and the module's own.

#[cfg(target_os = "linux")]
use std::{fs::OpenOptions, io::Read, path::Path};

use std::io;

use hickory_proto::rr::Name;

use super::request::{LookupError, is_shortage};
use crate::config::{ProbeModule, Resolver, Route, SystemResolvers};
#[cfg(target_os = "linux")]
use crate::input_file;

/// The limits of glibc and musl (`MAXNS`) and of older glibc (`MAXDNSRCH`).
#[cfg(any(target_os = "linux", test))]
const MAX_SYSTEM_SERVERS: usize = 3;
#[cfg(any(target_os = "linux", test))]
const MAX_SEARCH: usize = 6;
#[cfg(target_os = "linux")]
const MAX_RESOLV_CONF: u64 = 64 << 10;

/// The system's resolver configuration, read for each probe.
#[derive(Default)]
pub(in crate::probe) struct System {
    /// Appended to a name without a dot, in this order.
    pub search: Vec<Name>,
    pub servers: Vec<Resolver>,
    /// Whether no IPv6 addresses are asked for (`options no-aaaa`).
    pub no_aaaa: bool,
    /// Why the configuration, if there is one, could not be read.
    pub(super) failure: Option<LookupError>,
}

impl System {
    /// Empty if the system has no configuration, or the module does not use it.
    pub fn read_for(module: &ProbeModule) -> Self {
        if module.route != Route::System && module.system_resolvers == SystemResolvers::Ignore {
            return Self::default();
        }
        Self::read().unwrap_or_else(|error| Self {
            failure: is_shortage(&error).then(|| error.into()),
            ..Self::default()
        })
    }

    #[cfg(target_os = "linux")]
    fn read() -> io::Result<Self> {
        let path = Path::new("/etc/resolv.conf");
        let file = input_file::open(path, OpenOptions::new().read(true))?;
        let mut text = Vec::new();
        file.take(MAX_RESOLV_CONF).read_to_end(&mut text)?;
        Ok(Self::of_resolv_conf(&String::from_utf8_lossy(&text)))
    }

    /// As the C library reads it, `resolv.conf(5)`: the first three name servers, the last `domain` or
    /// `search`. The timing of queries and the treatment of dots are our own.
    #[cfg(any(target_os = "linux", test))]
    fn of_resolv_conf(text: &str) -> Self {
        let mut system = Self::default();
        for line in text.lines() {
            let line = line.split([';', '#']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") if system.servers.len() < MAX_SYSTEM_SERVERS => {
                    system.servers.extend(words.next().and_then(name_server));
                }
                Some("domain" | "search") => {
                    let names = words.filter_map(|name| Name::from_str_relaxed(name).ok());
                    system.search = names.take(MAX_SEARCH).collect();
                }
                Some("options") => system.no_aaaa |= words.any(|option| option == "no-aaaa"),
                _ => {}
            }
        }
        system
    }

    #[cfg(windows)]
    fn read() -> io::Result<Self> {
        let (search, servers) = super::windows_settings::read().ok_or(io::ErrorKind::NotFound)?;
        Ok(Self {
            search,
            servers,
            ..Self::default()
        })
    }

    #[cfg(not(any(target_os = "linux", windows)))]
    fn read() -> io::Result<Self> {
        let (config, _) =
            hickory_resolver::system_conf::read_system_conf().map_err(io::Error::other)?;
        let (domain, search, servers) = config.into_parts();
        Ok(Self {
            search: domain.into_iter().chain(search).collect(),
            servers: servers
                .iter()
                .map(|server| Resolver::of_system(server.ip))
                .collect(),
            ..Self::default()
        })
    }
}

#[cfg(any(target_os = "linux", test))]
fn name_server(address: &str) -> Option<Resolver> {
    match address.split_once('%') {
        None => Some(Resolver::of_system(address.parse().ok()?)),
        Some((address, interface)) => {
            Some(Resolver::on_interface(address.parse().ok()?, interface))
        }
    }
}

/// Where a name server's address comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::probe) enum NameServerOrigin {
    System,
    Configured,
}

/// The module's name servers and the system's, each once.
pub(in crate::probe) fn name_servers(
    module: &ProbeModule,
    system: &System,
) -> Vec<(Resolver, NameServerOrigin)> {
    let of_route = match &module.route {
        Route::System => None,
        Route::Resolver(resolver) => Some(resolver),
    };
    let configured = module.resolvers.iter().chain(of_route);
    let configured = configured.map(|one| (one, NameServerOrigin::Configured));
    let of_system = match module.system_resolvers {
        SystemResolvers::Ask => &system.servers[..],
        SystemResolvers::Ignore => &[],
    };
    let of_system = of_system.iter().map(|one| (one, NameServerOrigin::System));
    let mut all: Vec<(Resolver, NameServerOrigin)> = Vec::new();
    for (resolver, origin) in configured.chain(of_system) {
        if !all.iter().any(|(known, _)| known == resolver) {
            all.push((resolver.clone(), origin));
        }
    }
    all
}

/// How many name servers a module queries individually, on this host as it is configured now.
pub fn resolver_count(module: &ProbeModule) -> usize {
    name_servers(module, &System::read_for(module)).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(text: &str) -> Vec<String> {
        let system = System::of_resolv_conf(text);
        system.servers.iter().map(Resolver::to_string).collect()
    }

    #[test]
    fn resolv_conf_is_read_as_the_c_library_reads_it() {
        let system = System::of_resolv_conf(
            "# comment\nsearch x.test\n; nameserver 10.1.2.2\nsearch a.test b.test # comment\n\
             nameserver\t10.1.2.3\noptions ndots:2 no-aaaa edns0\n",
        );
        let search: Vec<String> = system.search.iter().map(Name::to_string).collect();
        assert_eq!(search, ["a.test", "b.test"]);
        assert_eq!(system.servers.len(), 1);
        assert!(system.no_aaaa);
    }

    #[test]
    fn scope_of_a_name_server_is_kept() {
        let text = "nameserver fe80::1%1\nnameserver fe80::2%none0.100\nnameserver fe80::3\n";
        let expected = [
            "udp://[fe80::1%1]:53",
            "udp://[fe80::2%none0.100]:53",
            "udp://[fe80::3]:53",
        ];
        assert_eq!(servers(text), expected);
        let system = System::of_resolv_conf(text);
        let scopes: Vec<u32> = system
            .servers
            .iter()
            .filter_map(|server| match server.address {
                std::net::SocketAddr::V6(address) => Some(address.scope_id()),
                std::net::SocketAddr::V4(_) => None,
            })
            .collect();
        assert_eq!(scopes, [1, 0, 0]);
    }

    #[test]
    fn fourth_name_server_is_not_used_and_an_invalid_one_does_not_count() {
        let text = "nameserver 10.0.0.1\nnameserver x\nnameserver ::1\nnameserver 10.0.0.2\n\
                    nameserver 10.0.0.3\n";
        let expected = ["udp://10.0.0.1:53", "udp://[::1]:53", "udp://10.0.0.2:53"];
        assert_eq!(servers(text), expected);
    }
}
