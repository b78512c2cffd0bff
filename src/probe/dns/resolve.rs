//! The answer that the connection follows, asked as a system asks.
//!
//! In: a name and a module. Out: addresses in the order in which they are tried, or why there are none,
//! always within the probe's limit. Who gives the answer is the module's `route`: the system's own
//! resolution, or one name server.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hickory_net::{DnsError, NetError};
use hickory_proto::op::{DnsResponse, Message, Query};
use hickory_proto::rr::Name;
use hickory_proto::rr::domain::usage::{INVALID, LOCALHOST, ONION};
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ProtocolConfig, ResolveHosts,
    ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup_ip::LookupIp;
use hickory_resolver::{Hosts, Resolver as SystemResolver};

use super::lookup::{self, LookupRequest, record_type};
use super::socket::ConnectedRuntime;
use super::{
    LookupError, MAX_ADDRESSES, ResolveContext, SinkholeFilter, System, expected, name, records,
    udp,
};
use crate::clock::Stopwatch;
use crate::config::{ProbeModule, Resolver, Route, Transport};
use crate::report::{Family, LayerResult, Reason, Resolution};

/// How long one question of the followed resolution waits, and how many there are at the most, or
/// one to each name server where there are more: about as patient as a system's resolver.
const QUERY_TIMEOUT: Duration = Duration::from_millis(1500);
const MAX_ATTEMPTS: usize = 4;
/// The same for an encrypted name server: a connection and a handshake come before the question, and
/// TCP repeats what is lost.
const ENCRYPTED_QUERY_TIMEOUT: Duration = Duration::from_secs(3);
const ENCRYPTED_MAX_ATTEMPTS: usize = 2;
/// The answer that the connection follows.
pub(in crate::probe) async fn follow(
    context: &ResolveContext<'_>,
    host: &str,
) -> LayerResult<Resolution> {
    let watch = Stopwatch::start();
    let module = context.module;
    let mut followed = Resolution {
        route: match &module.route {
            Route::System => "system".to_owned(),
            Route::Resolver(resolver) => resolver.to_string(),
        },
        ..Resolution::default()
    };
    let answer = tokio::time::timeout(context.limit.remaining(), resolve(context, host)).await;
    let failure = match answer {
        Err(_) => Some(Reason::DnsTimedOut),
        Ok(Err(unanswered)) => {
            followed.detail = if module.route == Route::System && context.system.servers.is_empty()
            {
                Some("no name server is configured on this host".to_owned())
            } else {
                unanswered.detail
            };
            Some(unanswered.reason)
        }
        Ok(Ok(addresses)) => {
            followed.expected = expected(module, &addresses);
            followed.addresses = addresses;
            SinkholeFilter::of_route(module, host)
                .is_sinkhole(&followed.addresses)
                .then_some(Reason::DnsSinkhole)
        }
    };
    LayerResult {
        duration: watch.elapsed(),
        failure,
        facts: followed,
    }
}

async fn resolve(context: &ResolveContext<'_>, host: &str) -> Result<Vec<IpAddr>, LookupError> {
    let module = context.module;
    match &module.route {
        Route::System => Ok(by_system(module, context.system, host).await?),
        Route::Resolver(resolver) => match name_server(resolver) {
            Some(server) => {
                let config = |servers| ResolverConfig::from_parts(None, Vec::new(), servers);
                Ok(query_servers(module, host, &[server], config).await?)
            }
            None => Box::pin(query_encrypted(context, host, resolver)).await,
        },
    }
}

/// The hosts file, then the name servers, as the system is configured.
async fn by_system(
    module: &ProbeModule,
    system: &System,
    host: &str,
) -> Result<Vec<IpAddr>, NetError> {
    let config =
        |servers| ResolverConfig::from_parts(system.domain.clone(), system.search.clone(), servers);
    let whole = name(host)?;
    let known = if whole.is_fqdn() && !whole.is_localhost() {
        by_hosts_file(module, &whole)
    } else {
        let config = config(Vec::new());
        Box::pin(look_up(module, host, config, ResolveHosts::Always))
            .await
            .ok()
    };
    match known {
        Some(addresses) => Ok(addresses),
        None => query_servers(module, host, &system.servers, config).await,
    }
}

/// The hosts file as it is now; `None` where it does not have the name.
fn by_hosts_file(module: &ProbeModule, name: &Name) -> Option<Vec<IpAddr>> {
    let hosts = Hosts::from_system().ok()?;
    let kinds = records(module).iter().map(|record| record_type(*record));
    let found =
        kinds.filter_map(|kind| hosts.lookup_static_host(&Query::query(name.clone(), kind)));
    let addresses = distinct(found.flat_map(LookupIp::from));
    (!addresses.is_empty()).then_some(addresses)
}

/// Walks the name servers in their order, as a system's resolver does: an answer is final, and so is
/// a name that does not exist; silence, an error or a refusal goes on to the next, and round again.
async fn query_servers(
    module: &ProbeModule,
    host: &str,
    servers: &[NameServerConfig],
    config: impl Fn(Vec<NameServerConfig>) -> ResolverConfig,
) -> Result<Vec<IpAddr>, NetError> {
    let mut last = NetError::NoConnections;
    let whole = name(host)?;
    for server in servers.iter().cycle().take(MAX_ATTEMPTS.max(servers.len())) {
        let answer = match query_udp(module, &whole, server).await {
            Some(answer) => answer,
            None => {
                let config = config(vec![server.clone()]);
                Box::pin(look_up(module, host, config, ResolveHosts::Never)).await
            }
        };
        match answer {
            Err(error) if !error.is_no_records_found() => last = error,
            answer => return answer,
        }
    }
    Err(last)
}

/// Asks one name server for a whole name, a packet a question: what nearly every resolution is. `None`
/// where it takes hickory's resolver: for names that it knows by itself or seeks in the search list, for
/// answers that are cut or give an alias alone, and for servers that are not asked over UDP.
async fn query_udp(
    module: &ProbeModule,
    name: &Name,
    server: &NameServerConfig,
) -> Option<Result<Vec<IpAddr>, NetError>> {
    let special = [&*LOCALHOST, &*INVALID, &*ONION];
    if !name.is_fqdn() || special.iter().any(|zone| zone.zone_of(name)) {
        return None;
    }
    let mut connections = server.connections.iter();
    let udp = connections.find(|one| matches!(one.protocol, ProtocolConfig::Udp))?;
    let address = SocketAddr::new(server.ip, udp.port);
    let questions = records(module).iter().map(|record| async {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name.clone(), record_type(*record)));
        let exchange = udp::exchange(address, &message);
        let response = tokio::time::timeout(QUERY_TIMEOUT, exchange).await;
        Ok(DnsError::from_response(
            response.map_err(|_| NetError::Timeout)??,
        )?)
    });
    let answers: Vec<Result<DnsResponse, NetError>> = join_all(questions).await;
    let addresses = |answer: &DnsResponse| -> Vec<IpAddr> {
        let records = answer.answers.iter();
        records.filter_map(|record| record.data.ip_addr()).collect()
    };
    let mut all = Vec::new();
    let mut first_error = None;
    for answer in answers {
        match answer {
            Ok(answer) if answer.truncation || addresses(&answer).is_empty() => return None,
            Ok(answer) => all.extend(addresses(&answer)),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Some(match first_error {
        Some(error) if all.is_empty() => Err(error),
        _ => Ok(distinct(all.into_iter())),
    })
}

/// Asks an encrypted name server, by the same questions that measure it.
async fn query_encrypted(
    context: &ResolveContext<'_>,
    host: &str,
    resolver: &Resolver,
) -> Result<Vec<IpAddr>, LookupError> {
    let mut name = name(host)?;
    name.set_fqdn(true);
    let mut last = LookupError::of(Reason::DnsTimedOut);
    for _ in 0..ENCRYPTED_MAX_ATTEMPTS {
        let questions = records(context.module).iter().map(|record| LookupRequest {
            resolver: resolver.clone(),
            name: name.clone(),
            record: *record,
            limit: context.limit.at_most(ENCRYPTED_QUERY_TIMEOUT),
            client: Arc::clone(context.client),
        });
        let questions: Vec<LookupRequest> = questions.collect();
        let lookups = join_all(questions.iter().map(lookup::ask)).await;
        let (good, failed): (Vec<_>, Vec<_>) =
            lookups.into_iter().partition(|one| one.failure.is_none());
        let addresses = good.into_iter().flat_map(|lookup| lookup.answers);
        let addresses: Vec<IpAddr> = addresses.take(MAX_ADDRESSES).collect();
        let failure = failed.into_iter().next();
        match failure.and_then(|one| Some((one.failure?, one.detail))) {
            _ if !addresses.is_empty() => return Ok(addresses),
            None => return Err(LookupError::of(Reason::DnsNoData)),
            Some((reason, detail)) => last = LookupError { reason, detail },
        }
        if last.reason == Reason::DnsNxdomain {
            break;
        }
    }
    Err(last)
}

/// Asks by one configuration, once.
async fn look_up(
    module: &ProbeModule,
    host: &str,
    config: ResolverConfig,
    hosts: ResolveHosts,
) -> Result<Vec<IpAddr>, NetError> {
    let mut options = ResolverOpts::default();
    options.timeout = QUERY_TIMEOUT;
    options.attempts = 0;
    options.cache_size = 0;
    options.use_hosts_file = hosts;
    options.os_port_selection = true;
    options.ip_strategy = match module.family {
        None => LookupIpStrategy::Ipv4AndIpv6,
        Some(Family::V4) => LookupIpStrategy::Ipv4Only,
        Some(Family::V6) => LookupIpStrategy::Ipv6Only,
    };
    // One resolver a question: a shared one joins equal questions that are under way.
    let resolver = SystemResolver::builder_with_config(config, ConnectedRuntime::default())
        .with_options(options)
        .build()?;
    let answer = resolver.lookup_ip(name(host)?).await?;
    Ok(distinct(answer.iter()))
}

/// Each once, and no more of them than are kept.
fn distinct(all: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for address in all {
        if !addresses.contains(&address) && addresses.len() < MAX_ADDRESSES {
            addresses.push(address);
        }
    }
    addresses
}

/// As hickory's resolver knows it; `None` for an encrypted one.
fn name_server(resolver: &Resolver) -> Option<NameServerConfig> {
    let mut connections = match resolver.transport {
        Transport::Udp => vec![ConnectionConfig::udp(), ConnectionConfig::tcp()],
        Transport::Tcp => vec![ConnectionConfig::tcp()],
        Transport::Tls(..) | Transport::Https(..) => return None,
    };
    for connection in &mut connections {
        connection.port = resolver.address.port();
    }
    let ip = resolver.address.ip();
    Some(NameServerConfig::new(ip, true, connections))
}
