//! The dns layer: from a name to addresses.
//!
//! Two independent measurements: [`resolve`] finds the addresses that the connection uses, as the
//! system's resolver would (hosts file, retries, next name server); [`query_each`] sends one query
//! per record to every name server, in the background, without retry or cache, and decides nothing.

mod hosts_file;
mod lookup;
mod name_servers;
mod request;
mod resolve;
mod sinkhole;
mod stream;
mod udp;
#[cfg(windows)]
mod windows_settings;

use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::ProtoError;
use hickory_proto::rr::Name;
use tokio::task::JoinSet;

use super::tls;
use crate::clock::TimeLimit;
use crate::config::{ProbeModule, Route};
use crate::report::{AddressFamily, Lookup, QueryType, Reason};
#[cfg(any(test, fuzzing))]
pub(super) use lookup::read as read_answer;
pub use name_servers::resolver_count;
pub(super) use name_servers::{NameServerOrigin, System, name_servers};
use request::{LookupRequest, QueryForm};
pub(super) use resolve::{resolve, usable};
use sinkhole::SinkholeFilter;

/// Addresses kept of one answer.
const MAX_ADDRESSES: usize = 64;

/// What every query of a hop shares.
pub(super) struct ResolveContext<'a> {
    pub module: &'a Arc<ProbeModule>,
    pub system: &'a System,
    /// For sessions with encrypted name servers.
    pub client: &'a Arc<tls::TlsClient>,
    pub limit: TimeLimit,
}

impl ResolveContext<'_> {
    /// The records to ask for; a system may be configured to ask for no IPv6 addresses.
    fn records(&self, route: &Route) -> &'static [QueryType] {
        let is_limited = self.system.no_aaaa && *route == Route::System;
        match self.module.family {
            None if is_limited => &[QueryType::A],
            _ => records(self.module),
        }
    }
}

/// Starts a query for each record to each name server. Each ends within the probe's limit.
pub(super) fn query_each(context: &ResolveContext<'_>, host: &str) -> JoinSet<Lookup> {
    let module = context.module;
    let mut lookups = JoinSet::new();
    let Ok(name) = absolute_name(host) else {
        return lookups;
    };
    for (resolver, origin) in name_servers(module, context.system) {
        let loopback = resolver.address.ip().is_loopback();
        let filter = SinkholeFilter {
            loopback_allowed: origin == NameServerOrigin::Configured && loopback,
            host: host.to_owned(),
            sinkholes: module.sinkhole_addresses.clone(),
        };
        let filter = Arc::new(filter);
        let records = match origin {
            NameServerOrigin::System => context.records(&Route::System),
            NameServerOrigin::Configured => records(module),
        };
        for record in records {
            let request = LookupRequest {
                resolver: resolver.clone(),
                name: name.clone(),
                record: *record,
                form: QueryForm::Edns,
                limit: context.limit.at_most(context.limit.total() / 2),
                client: Arc::clone(context.client),
            };
            let (module, filter) = (Arc::clone(module), Arc::clone(&filter));
            lookups.spawn(async move {
                let mut lookup = lookup::query(&request).await;
                lookup.expected = expected(&module, &lookup.answers);
                if lookup.failure.is_none() && filter.matches_all(&lookup.answers) {
                    lookup.failure = Some(Reason::DnsSinkhole);
                }
                lookup
            });
        }
    }
    lookups
}

/// Marks the lookups of each resolver that has the name but no address record for it.
pub(super) fn mark_no_data(lookups: &mut [Lookup]) {
    let has_no_data = |resolver: &str| {
        let mut own = lookups.iter().filter(|one| one.resolver == resolver);
        own.all(|one| one.failure.is_none() && one.answers.is_empty())
    };
    let marks: Vec<bool> = lookups
        .iter()
        .map(|one| has_no_data(&one.resolver))
        .collect();
    for (lookup, _) in lookups.iter_mut().zip(marks).filter(|(_, mark)| *mark) {
        lookup.failure = Some(Reason::DnsNoData);
    }
}

/// The records that the module's address family needs.
fn records(module: &ProbeModule) -> &'static [QueryType] {
    match module.family {
        None => &[QueryType::A, QueryType::Aaaa],
        Some(AddressFamily::V4) => &[QueryType::A],
        Some(AddressFamily::V6) => &[QueryType::Aaaa],
    }
}

fn absolute_name(host: &str) -> Result<Name, ProtoError> {
    let mut name = Name::from_ascii(host)?;
    name.set_fqdn(true);
    Ok(name)
}

/// Whether every address is in the expected ranges; `None` if there is nothing to compare.
fn expected(module: &ProbeModule, addresses: &[IpAddr]) -> Option<bool> {
    let ranges = &module.expected_addresses;
    let in_range = |address: &IpAddr| ranges.iter().any(|network| network.contains(address));
    (!ranges.is_empty() && !addresses.is_empty()).then(|| addresses.iter().all(in_range))
}
