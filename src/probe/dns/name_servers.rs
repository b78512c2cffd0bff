//! The name servers of a module: those of the system's configuration and the module's own.

use std::net::SocketAddr;

use hickory_proto::rr::Name;

use crate::config::{ProbeModule, Resolver, Route, SystemResolvers, Transport};

/// The system's resolver configuration, read for each probe.
#[derive(Default)]
pub(in crate::probe) struct System {
    /// Appended to a name without a dot, in this order.
    pub search: Vec<Name>,
    pub servers: Vec<Resolver>,
}

impl System {
    /// Empty if the system has no configuration, or the module does not use it.
    pub fn read_for(module: &ProbeModule) -> Self {
        if module.route != Route::System && module.system_resolvers == SystemResolvers::Ignore {
            return Self::default();
        }
        let Ok((config, _)) = hickory_resolver::system_conf::read_system_conf() else {
            return Self::default();
        };
        let (domain, search, servers) = config.into_parts();
        let udp = |ip| Resolver {
            transport: Transport::Udp,
            address: SocketAddr::new(ip, 53),
        };
        Self {
            search: domain.into_iter().chain(search).collect(),
            servers: servers.into_iter().map(|server| udp(server.ip)).collect(),
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
