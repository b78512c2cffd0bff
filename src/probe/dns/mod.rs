//! The dns layer: from a name to addresses.
//!
//! Two measurements stand side by side. The *followed* answer is what the connection uses: asked as
//! a system asks, by hickory-resolver, hosts file included, again when a packet is lost. The
//! *lookups* ask every name server by itself, one packet a question: no retry, no cache, no joining
//! of equal questions. They run beside the pipe and never decide a probe. An encrypted name server
//! is asked by a lookup for both.

mod encrypted;
mod lookup;
mod resolve;
mod socket;
mod udp;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_net::{DnsError, NetError};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Name;
use hickory_resolver::config::NameServerConfig;
use tokio::task::JoinSet;

use super::tls;
use crate::clock::TimeLimit;
use crate::config::{ProbeModule, Resolver, Route, SystemResolvers, Transport};
use crate::report::{Family, Lookup, Reason, Record};
use lookup::LookupRequest;
pub(super) use resolve::follow;

/// What is kept of an answer.
const MAX_ADDRESSES: usize = 64;

/// For whom names are resolved.
pub(super) struct ResolveContext<'a> {
    pub module: &'a Arc<ProbeModule>,
    pub system: &'a System,
    /// For sessions with encrypted name servers.
    pub client: &'a Arc<tls::Client>,
    pub limit: TimeLimit,
}

/// How the system resolves, as its configuration says now.
#[derive(Default)]
pub(super) struct System {
    domain: Option<Name>,
    search: Vec<Name>,
    servers: Vec<NameServerConfig>,
}

impl System {
    /// Without any name server where there is no configuration, or none that the module wants.
    pub fn read_for(module: &ProbeModule) -> Self {
        if module.route != Route::System && module.system_resolvers == SystemResolvers::Ignore {
            return Self::default();
        }
        let config = hickory_resolver::system_conf::read_system_conf();
        let (domain, search, servers) = config
            .map(|(config, _)| config.into_parts())
            .unwrap_or_default();
        Self {
            domain,
            search,
            servers,
        }
    }
}

/// Why no answer came.
struct LookupError {
    reason: Reason,
    /// What the reason does not say already.
    detail: Option<String>,
}

impl LookupError {
    fn of(reason: Reason) -> Self {
        Self {
            reason,
            detail: None,
        }
    }
}

impl From<NetError> for LookupError {
    fn from(error: NetError) -> Self {
        Self {
            reason: reason(&error),
            detail: detail(&error),
        }
    }
}

fn records(module: &ProbeModule) -> &'static [Record] {
    match module.family {
        None => &[Record::A, Record::Aaaa],
        Some(Family::V4) => &[Record::A],
        Some(Family::V6) => &[Record::Aaaa],
    }
}

/// A name with a dot is whole; a bare one goes through the system's search list.
fn name(host: &str) -> Result<Name, NetError> {
    let mut name = Name::from_ascii(host)?;
    if host.contains('.') {
        name.set_fqdn(true);
    }
    Ok(name)
}

/// Starts the question for each record to each name server. Each ends by itself within the limit.
pub(super) fn ask_each(context: &ResolveContext<'_>, host: &str) -> JoinSet<Lookup> {
    let module = context.module;
    let mut lookups = JoinSet::new();
    let Ok(mut name) = name(host) else {
        return lookups;
    };
    name.set_fqdn(true);
    let share = context.limit.at_most(context.limit.total() / 2);
    for (resolver, origin) in resolvers(module, context.system) {
        for record in records(module) {
            let question = LookupRequest {
                resolver: resolver.clone(),
                name: name.clone(),
                record: *record,
                limit: share,
                client: Arc::clone(context.client),
            };
            let judge = SinkholeFilter {
                trusted_loopback: origin == Origin::Configured
                    && resolver.address.ip().is_loopback(),
                host: host.to_owned(),
                sinkholes: module.sinkhole_addresses.clone(),
            };
            let module = Arc::clone(module);
            lookups.spawn(async move {
                let mut lookup = lookup::ask(&question).await;
                lookup.expected = expected(&module, &lookup.answers);
                if lookup.failure.is_none() && judge.is_sinkhole(&lookup.answers) {
                    lookup.failure = Some(Reason::DnsSinkhole);
                }
                lookup
            });
        }
    }
    lookups
}

/// Whether each address lies in the expected ranges; `None` where there is nothing to compare.
fn expected(module: &ProbeModule, addresses: &[IpAddr]) -> Option<bool> {
    let ranges = &module.expected_addresses;
    (!ranges.is_empty() && !addresses.is_empty()).then(|| {
        addresses
            .iter()
            .all(|address| ranges.iter().any(|network| network.contains(address)))
    })
}

/// Marks the lookups of each resolver that knows the name but has no address of any family asked.
pub(super) fn mark_no_data(lookups: &mut [Lookup]) {
    let empty_handed = |resolver: &str, lookups: &[Lookup]| {
        lookups
            .iter()
            .filter(|lookup| lookup.resolver == resolver)
            .all(|lookup| lookup.failure.is_none() && lookup.answers.is_empty())
    };
    let marks: Vec<bool> = lookups
        .iter()
        .map(|lookup| empty_handed(&lookup.resolver, lookups))
        .collect();
    for (lookup, mark) in lookups.iter_mut().zip(marks) {
        if mark {
            lookup.failure = Some(Reason::DnsNoData);
        }
    }
}

/// Where a resolver's address comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    System,
    Configured,
}

/// The system's name servers and the configured ones, each once.
fn resolvers(module: &ProbeModule, system: &System) -> Vec<(Resolver, Origin)> {
    let mut all: Vec<(Resolver, Origin)> = Vec::new();
    let configured = module.resolvers.iter().chain(route_resolver(module));
    for resolver in configured {
        if !all.iter().any(|(known, _)| known == resolver) {
            all.push((resolver.clone(), Origin::Configured));
        }
    }
    if module.system_resolvers == SystemResolvers::Ask {
        for server in &system.servers {
            let resolver = Resolver {
                transport: Transport::Udp,
                address: SocketAddr::new(server.ip, 53),
            };
            if !all.iter().any(|(known, _)| *known == resolver) {
                all.push((resolver, Origin::System));
            }
        }
    }
    all
}

/// How many name servers a module asks by themselves on this host as it is now.
pub fn resolver_count(module: &ProbeModule) -> usize {
    resolvers(module, &System::read_for(module)).len()
}

fn route_resolver(module: &ProbeModule) -> Option<&Resolver> {
    match &module.route {
        Route::System => None,
        Route::Resolver(resolver) => Some(resolver),
    }
}

/// The followed addresses that are worth connecting to: all but sinkholes.
pub(super) fn usable(module: &ProbeModule, host: &str, addresses: &[IpAddr]) -> Vec<IpAddr> {
    let judge = SinkholeFilter::of_route(module, host);
    let mut usable = addresses.to_vec();
    usable.retain(|address| !judge.is_sinkhole_address(*address));
    usable
}

/// Tells an address that cannot be the server.
struct SinkholeFilter {
    /// The resolver is one of the configuration's own and on loopback itself: a laboratory.
    trusted_loopback: bool,
    host: String,
    sinkholes: Vec<ipnet::IpNet>,
}

impl SinkholeFilter {
    fn of_route(module: &ProbeModule, host: &str) -> Self {
        let loopback = |resolver: &Resolver| resolver.address.ip().is_loopback();
        Self {
            trusted_loopback: route_resolver(module).is_some_and(loopback),
            host: host.to_owned(),
            sinkholes: module.sinkhole_addresses.clone(),
        }
    }

    /// There are answers, and each of them is a sinkhole.
    fn is_sinkhole(&self, answers: &[IpAddr]) -> bool {
        !answers.is_empty()
            && answers
                .iter()
                .all(|address| self.is_sinkhole_address(*address))
    }

    fn is_sinkhole_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let stray_loopback =
            address.is_loopback() && !self.trusted_loopback && self.host != "localhost";
        address.is_unspecified()
            || stray_loopback
            || self
                .sinkholes
                .iter()
                .any(|network| network.contains(&address))
    }
}

/// What an error of the DNS library means.
fn reason(error: &NetError) -> Reason {
    match error {
        NetError::Timeout | NetError::Busy => Reason::DnsTimedOut,
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => Reason::DnsNxdomain,
            ResponseCode::NoError => Reason::DnsNoData,
            code => rcode_reason(code),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => rcode_reason(*code),
        NetError::Io(_) | NetError::NoConnections => Reason::DnsUnreachable,
        _ => Reason::DnsMalformed,
    }
}

/// What the reason does not say already.
fn detail(error: &NetError) -> Option<String> {
    match error {
        NetError::Timeout
        | NetError::Busy
        | NetError::NoConnections
        | NetError::Dns(DnsError::NoRecordsFound(_)) => None,
        NetError::Dns(DnsError::ResponseCode(code)) => Some(lookup::rcode_name(*code)),
        other => Some(super::bounded(&other.to_string())),
    }
}

fn rcode_reason(code: ResponseCode) -> Reason {
    match code {
        ResponseCode::NXDomain => Reason::DnsNxdomain,
        ResponseCode::Refused | ResponseCode::NotAuth => Reason::DnsRefused,
        _ => Reason::DnsServfail,
    }
}
