//! The addresses that the connection uses, resolved as the system's resolver would.
//!
//! Input is a name and a module, whose `route` is the system's resolution or one name server.
//! Output is the addresses in the order in which they are tried, or why there are none, always
//! within the probe's limit.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hickory_proto::op::Query;
use hickory_proto::rr::Name;
use hickory_proto::rr::domain::usage::{INVALID, LOCALHOST, ONION};
use hickory_resolver::lookup_ip::LookupIp;

use super::lookup::{self, record_type};
use super::request::{LookupError, LookupRequest, QueryForm, is_shortage};
use super::{
    MAX_ADDRESSES, ResolveContext, SinkholeFilter, absolute_name, expected, hosts_file, records,
};
use crate::clock::Stopwatch;
use crate::config::{ProbeModule, Resolver, Route, Transport};
use crate::report::{LayerResult, Lookup, QueryType, Reason, Resolution};

/// One attempt waits this long. There are so many attempts, or one to each name server if there are
/// more: about as patient as a system's resolver.
const QUERY_TIMEOUT: Duration = Duration::from_millis(1500);
const MAX_ATTEMPTS: usize = 4;
/// The same for an encrypted name server: a connection and a handshake come before the query, and
/// TCP repeats what is lost.
const ENCRYPTED_QUERY_TIMEOUT: Duration = Duration::from_secs(3);
const ENCRYPTED_MAX_ATTEMPTS: usize = 2;
/// How long the other address family is waited for once one has an answer (RFC 8305, 3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
/// Queries for the target of an alias that a server returned without its addresses.
const MAX_ALIAS_QUERIES: usize = 8;

/// Resolves `host` by the module's route.
pub(in crate::probe) async fn resolve(
    context: &ResolveContext<'_>,
    host: &str,
) -> LayerResult<Resolution> {
    let watch = Stopwatch::start();
    let module = context.module;
    let mut facts = Resolution {
        route: match &module.route {
            Route::System => "system".to_owned(),
            Route::Resolver(resolver) => resolver.to_string(),
        },
        ..Resolution::default()
    };
    let addresses = addresses(context, host);
    let outcome = tokio::time::timeout(context.limit.remaining(), addresses).await;
    let failure = match outcome.unwrap_or(Err(LookupError::of(Reason::DnsTimedOut))) {
        Err(error) => {
            facts.detail = error.detail;
            Some(error.reason)
        }
        Ok(addresses) => {
            facts.expected = expected(module, &addresses);
            facts.addresses = addresses;
            SinkholeFilter::of_route(module, host)
                .matches_all(&facts.addresses)
                .then_some(Reason::DnsSinkhole)
        }
    };
    LayerResult {
        duration: watch.elapsed(),
        failure,
        facts,
    }
}

/// The resolved addresses that are not sinkholes.
pub(in crate::probe) fn usable(
    module: &ProbeModule,
    host: &str,
    addresses: &[IpAddr],
) -> Vec<IpAddr> {
    let filter = SinkholeFilter::of_route(module, host);
    let usable = addresses.iter().copied();
    usable.filter(|address| !filter.matches(*address)).collect()
}

async fn addresses(context: &ResolveContext<'_>, host: &str) -> Result<Vec<IpAddr>, LookupError> {
    match &context.module.route {
        Route::Resolver(resolver) => {
            let servers = std::slice::from_ref(resolver);
            query_servers(context, &[absolute_name(host)?], servers).await
        }
        Route::System => {
            let names = candidates(host, &context.system.search)?;
            if let Some(addresses) = by_hosts_file(context.module, &names)? {
                return Ok(addresses);
            }
            query_servers(context, &names, &context.system.servers).await
        }
    }
}

/// A name with a dot is complete, so that a look-alike in the search list cannot answer; one
/// without goes through the search list first.
fn candidates(host: &str, search: &[Name]) -> Result<Vec<Name>, LookupError> {
    let name = absolute_name(host)?;
    if host.contains('.') || name.is_localhost() {
        return Ok(vec![name]);
    }
    let bare = Name::from_ascii(host)?;
    let searched = search
        .iter()
        .filter_map(|suffix| bare.clone().append_domain(suffix).ok());
    Ok(searched.chain([name]).collect())
}

/// The addresses of the first name that the hosts file has, as the file is now.
fn by_hosts_file(module: &ProbeModule, names: &[Name]) -> Result<Option<Vec<IpAddr>>, LookupError> {
    let hosts = match hosts_file::read() {
        Err(error) if is_shortage(&error) => return Err(error.into()),
        hosts => hosts.unwrap_or_default(),
    };
    Ok(names.iter().find_map(|name| {
        let queries = records(module)
            .iter()
            .map(|record| Query::query(name.clone(), record_type(*record)));
        let found = queries.filter_map(|query| hosts.lookup_static_host(&query));
        let addresses = distinct(found.flat_map(LookupIp::from));
        (!addresses.is_empty()).then_some(addresses)
    }))
}

/// Names that no name server is asked for (RFC 6761 and RFC 7686).
fn special(names: &[Name], module: &ProbeModule) -> Option<Result<Vec<IpAddr>, LookupError>> {
    let name = names.first()?;
    if LOCALHOST.zone_of(name) {
        let loopback = |record: &QueryType| match record {
            QueryType::A => IpAddr::from(Ipv4Addr::LOCALHOST),
            QueryType::Aaaa => IpAddr::from(Ipv6Addr::LOCALHOST),
        };
        return Some(Ok(records(module).iter().map(loopback).collect()));
    }
    let unknown = INVALID.zone_of(name) || ONION.zone_of(name);
    unknown.then(|| Err(LookupError::of(Reason::DnsNxdomain)))
}

/// Tries the name servers in their order, as a system's resolver does: an answer is final, and so
/// is a name that does not exist; silence, an error or a refusal leads to the next, and round
/// again.
async fn query_servers(
    context: &ResolveContext<'_>,
    names: &[Name],
    servers: &[Resolver],
) -> Result<Vec<IpAddr>, LookupError> {
    if let Some(outcome) = special(names, context.module) {
        return outcome;
    }
    let encrypted =
        |server: &Resolver| !matches!(server.transport, Transport::Udp | Transport::Tcp);
    let max_attempts = if servers.iter().any(encrypted) {
        ENCRYPTED_MAX_ATTEMPTS
    } else {
        MAX_ATTEMPTS.max(servers.len())
    };
    let unread = context.system.failure.clone();
    let mut last = unread.unwrap_or_else(|| LookupError {
        reason: Reason::DnsUnreachable,
        detail: Some("no name server is configured on this host".to_owned()),
    });
    for server in servers.iter().cycle().take(max_attempts) {
        match query_names(context, names, server).await {
            Err(error) if !error.is_final() => last = error,
            outcome => return outcome,
        }
    }
    Err(last)
}

/// The addresses of the first name that `server` has, else the error of the last.
async fn query_names(
    context: &ResolveContext<'_>,
    names: &[Name],
    server: &Resolver,
) -> Result<Vec<IpAddr>, LookupError> {
    let mut last = LookupError::of(Reason::DnsNxdomain);
    for name in names {
        let records = context.records(&context.module.route).iter();
        let queries = records.map(|record| query(context, name.clone(), *record, server));
        let lookups = first_usable(queries.collect()).await;
        let addresses = distinct(lookups.iter().flat_map(|one| one.answers.iter().copied()));
        if !addresses.is_empty() {
            return Ok(addresses);
        }
        last = LookupError::of_lookups(lookups);
    }
    Err(last)
}

/// The lookups of all families, or those that end soon after the first one with an address. The
/// slow one has its own measurement.
async fn first_usable(mut queries: FuturesUnordered<impl Future<Output = Lookup>>) -> Vec<Lookup> {
    let mut lookups = Vec::new();
    while let Some(lookup) = queries.next().await {
        let is_usable = !lookup.answers.is_empty();
        lookups.push(lookup);
        if is_usable {
            let others = async {
                while let Some(other) = queries.next().await {
                    lookups.push(other);
                }
            };
            let _ = tokio::time::timeout(RESOLUTION_DELAY, others).await;
            break;
        }
    }
    lookups.sort_by_key(|lookup| lookup.record);
    lookups
}

/// One query, followed to the target of an alias whose addresses the answer does not contain.
async fn query(
    context: &ResolveContext<'_>,
    name: Name,
    record: QueryType,
    server: &Resolver,
) -> Lookup {
    let timeout = match server.transport {
        Transport::Udp | Transport::Tcp => QUERY_TIMEOUT,
        Transport::Tls(..) | Transport::Https(..) => ENCRYPTED_QUERY_TIMEOUT,
    };
    let mut request = LookupRequest {
        resolver: server.clone(),
        name,
        record,
        form: QueryForm::Plain,
        limit: context.limit.at_most(timeout),
        client: Arc::clone(context.client),
    };
    let mut lookup = lookup::query(&request).await;
    for _ in 0..MAX_ALIAS_QUERIES {
        let target = lookup
            .cnames
            .last()
            .and_then(|target| absolute_name(target).ok());
        match target {
            Some(target) if lookup.failure.is_none() && lookup.answers.is_empty() => {
                request.name = target;
                lookup = lookup::query(&request).await;
            }
            _ => break,
        }
    }
    lookup
}

/// Each once, and at most [`MAX_ADDRESSES`].
fn distinct(all: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for address in all {
        if !addresses.contains(&address) && addresses.len() < MAX_ADDRESSES {
            addresses.push(address);
        }
    }
    addresses
}
