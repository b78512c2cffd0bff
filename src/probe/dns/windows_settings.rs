//! The resolver configuration of Windows: the name servers and suffixes of the network adapters that are up, and
//! the suffixes of the policy or the settings.

use std::net::{Ipv6Addr, SocketAddr};

use ccass_2fa_windows::{adapters, suffixes};
use hickory_proto::rr::Name;

use crate::config::Resolver;

/// Windows has no limits; each name server is queried individually.
const MAX_SERVERS: usize = 6;
const MAX_SEARCH: usize = 6;

/// The suffixes for names without a dot and the name servers, each in order; `None` if the adapters cannot be
/// listed.
pub fn read() -> Option<(Vec<Name>, Vec<Resolver>)> {
    let adapters = adapters().ok()?;
    let listed = adapters.iter().flat_map(|adapter| &adapter.name_servers);
    let suffixes = suffixes(&adapters);
    let suffixes = suffixes
        .iter()
        .filter_map(|suffix| Name::from_str_relaxed(suffix).ok());
    let servers = listed.filter_map(|address| name_server(*address));
    Some((
        distinct(suffixes, MAX_SEARCH),
        distinct(servers, MAX_SERVERS),
    ))
}

fn distinct<T: PartialEq>(all: impl Iterator<Item = T>, limit: usize) -> Vec<T> {
    let mut distinct = Vec::new();
    for one in all {
        if distinct.len() < limit && !distinct.contains(&one) {
            distinct.push(one);
        }
    }
    distinct
}

fn name_server(address: SocketAddr) -> Option<Resolver> {
    match address {
        SocketAddr::V6(v6) if is_placeholder(*v6.ip()) => None,
        SocketAddr::V6(v6) if v6.scope_id() != 0 => {
            Some(Resolver::on_interface(*v6.ip(), &v6.scope_id().to_string()))
        }
        address => Some(Resolver::of_system(address.ip())),
    }
}

/// Windows lists `fec0:0:0:ffff::1` to `3` where no IPv6 name server is configured.
fn is_placeholder(ip: Ipv6Addr) -> bool {
    matches!(ip.segments(), [0xfec0, 0, 0, 0xffff, 0, 0, 0, 1..=3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_left_out_and_link_local_servers_have_their_interface() {
        let server =
            |address: &str| name_server(address.parse().unwrap()).map(|server| server.to_string());
        assert_eq!(server("[fec0:0:0:ffff::1]:0"), None);
        assert_eq!(server("[fe80::1%12]:0").unwrap(), "udp://[fe80::1%12]:53");
        assert_eq!(server("10.1.2.3:0").unwrap(), "udp://10.1.2.3:53");
    }

    #[test]
    fn name_server_of_several_adapters_counts_once_and_a_seventh_is_not_used() {
        let all = [1, 1, 2, 3, 4, 5, 6, 7].into_iter();
        assert_eq!(distinct(all, MAX_SERVERS), [1, 2, 3, 4, 5, 6]);
    }
}
