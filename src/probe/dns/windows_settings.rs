//! The resolver configuration of Windows: the name servers of the network adapters that are up, and the suffixes
//! from the registry.

use std::net::{IpAddr, Ipv6Addr};

use hickory_proto::rr::Name;
use ipconfig::{Adapter, OperStatus};
use windows_registry::LOCAL_MACHINE;

use super::name_servers::System;
use crate::config::Resolver;

/// Windows has no limits; each name server is queried individually.
const MAX_SERVERS: usize = 6;
const MAX_SEARCH: usize = 6;
const POLICY: &str = r"SOFTWARE\Policies\Microsoft\Windows NT\DNSClient";
const PARAMETERS: &str = r"SYSTEM\CurrentControlSet\Services\Tcpip\Parameters";
const INTERFACES: &str = r"SYSTEM\CurrentControlSet\Services\Tcpip\Parameters\Interfaces";

/// `None` if the adapters cannot be listed.
pub fn read() -> Option<System> {
    let mut adapters = ipconfig::get_adapters().ok()?;
    adapters.retain(|adapter| adapter.oper_status() == OperStatus::IfOperStatusUp);
    // As Windows asks them: the preferred adapter first.
    adapters.sort_by_key(|adapter| adapter.ipv4_metric().min(adapter.ipv6_metric()));
    let mut servers = Vec::new();
    for adapter in &adapters {
        for ip in adapter.dns_servers() {
            let Some(server) = name_server(*ip, adapter.ipv6_if_index()) else {
                continue;
            };
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
    }
    servers.truncate(MAX_SERVERS);
    Some(System {
        search: search(&adapters),
        servers,
        no_aaaa: false,
    })
}

/// `None` for the addresses that Windows lists where no IPv6 name server is configured (`fec0:0:0:ffff::1` to `3`).
fn name_server(ip: IpAddr, interface: u32) -> Option<Resolver> {
    match ip {
        IpAddr::V6(ip) if is_placeholder(ip) => None,
        IpAddr::V6(ip) if ip.is_unicast_link_local() => {
            Some(Resolver::on_interface(ip, &interface.to_string()))
        }
        ip => Some(Resolver::of_system(ip)),
    }
}

fn is_placeholder(ip: Ipv6Addr) -> bool {
    matches!(ip.segments(), [0xfec0, 0, 0, 0xffff, 0, 0, 0, 1..=3])
}

/// The suffix list of the policy or of the settings, else the suffix of the computer and those of its adapters.
fn search(adapters: &[Adapter]) -> Vec<Name> {
    let list = [POLICY, PARAMETERS]
        .into_iter()
        .map(|key| names(&value(key, "SearchList")))
        .find(|list| !list.is_empty());
    let mut search = list.unwrap_or_else(|| {
        let interface =
            |adapter: &Adapter| suffix(&format!(r"{INTERFACES}\{}", adapter.adapter_name()));
        let all = adapters.iter().map(interface);
        let all = std::iter::once(suffix(PARAMETERS)).chain(all);
        all.flat_map(|suffix| names(&suffix)).collect()
    });
    let mut known = Vec::new();
    search.retain(|name| {
        let is_new = !known.contains(name);
        known.push(name.clone());
        is_new
    });
    search.truncate(MAX_SEARCH);
    search
}

/// A suffix that is set goes before one from DHCP.
fn suffix(key: &str) -> String {
    let set = value(key, "Domain");
    if set.is_empty() {
        value(key, "DhcpDomain")
    } else {
        set
    }
}

fn value(key: &str, name: &str) -> String {
    let key = LOCAL_MACHINE.open(key);
    key.and_then(|key| key.get_string(name)).unwrap_or_default()
}

fn names(list: &str) -> Vec<Name> {
    list.split([',', ' '])
        .filter(|name| !name.is_empty())
        .filter_map(|name| Name::from_str_relaxed(name).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_left_out_and_link_local_servers_have_their_interface() {
        let server =
            |ip: &str| name_server(ip.parse().unwrap(), 12).map(|server| server.to_string());
        assert_eq!(server("fec0:0:0:ffff::1"), None);
        assert_eq!(server("fe80::1").unwrap(), "udp://[fe80::1%12]:53");
        assert_eq!(server("10.1.2.3").unwrap(), "udp://10.1.2.3:53");
    }

    #[test]
    fn suffixes_are_separated_by_commas() {
        let list: Vec<String> = names("a.test,b.test, c.test")
            .iter()
            .map(Name::to_string)
            .collect();
        assert_eq!(list, ["a.test", "b.test", "c.test"]);
    }
}
