//! Fetches the intermediates that a server does not send, from the http address in a certificate
//! (AIA caIssuers, RFC 5280, 4.2.2.1), as browsers do.
//!
//! Input is a URL that a certificate contains, and so is hostile. One GET, bounded in time and size,
//! without redirects, to public addresses only unless the host is listed. The result is kept for a
//! day. What is fetched is not trusted: it only may complete a path of verified signatures.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use tokio::sync::OnceCell;
use tokio_util::either::Either;
use tokio_util::task::AbortOnDropHandle;
use url::{Host, Position, Url};
use x509_parser::asn1_rs::{Any, Class, FromDer};
use x509_parser::pem::Pem;

use super::proxy::{self, Tunnel};
use super::tls::{TlsClient, TransportStream};
use super::trust::FetchedIssuer;
use super::{bounded, dns, http, tcp};
use crate::bounded_cache::BoundedCache;
use crate::clock::{Stopwatch, TimeLimit};
use crate::config::{FetchIntermediates, ProbeModule, ProxyScheme};
use crate::report::Reason;

const TIMEOUT: Duration = Duration::from_secs(3);
const MAX_BYTES: usize = 64 * 1024;
const MAX_CERTIFICATES: usize = 8;
const MAX_ADDRESSES: usize = 4;
const MAX_CACHED: usize = 64;
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// A failure is not repeated at each probe.
const FAILURE_KEPT: Duration = Duration::from_secs(600);

type Fetched = Result<Vec<FetchedIssuer>, String>;

/// Results by URL.
#[derive(Debug)]
pub(super) struct IssuerCache(BoundedCache<String, Arc<Entry>>);

#[derive(Debug)]
struct Entry {
    age: Stopwatch,
    /// Concurrent probes wait for the same request.
    result: OnceCell<Fetched>,
}

impl Default for IssuerCache {
    fn default() -> Self {
        Self(BoundedCache::new(MAX_CACHED))
    }
}

impl IssuerCache {
    fn entry(&self, url: &str) -> Arc<Entry> {
        let is_fresh = |entry: &Arc<Entry>| {
            let kept = match entry.result.get() {
                Some(Err(_)) => FAILURE_KEPT,
                Some(Ok(_)) | None => KEPT,
            };
            entry.age.elapsed() < kept
        };
        if let Some(entry) = self.0.get(url).filter(is_fresh) {
            return entry;
        }
        let entry = Arc::new(Entry {
            age: Stopwatch::start(),
            result: OnceCell::new(),
        });
        self.0.insert(url.to_owned(), Arc::clone(&entry));
        entry
    }
}

/// How the probes of one target fetch intermediates.
pub(super) struct IssuerFetch {
    pub module: Arc<ProbeModule>,
    pub targets: Arc<TlsClient>,
    /// For sessions with encrypted name servers.
    pub resolvers: Arc<TlsClient>,
    pub cache: Arc<IssuerCache>,
    pub limit: TimeLimit,
}

impl IssuerFetch {
    /// The certificates at `url`.
    ///
    /// # Errors
    /// Why there are none, with the URL.
    pub async fn get(&self, url: &str) -> Fetched {
        if self.module.tls.fetch_intermediates == FetchIntermediates::Off {
            return Err("tls.fetch_intermediates is off".to_owned());
        }
        let entry = self.cache.entry(url);
        let result = entry.result.get_or_try_init(|| async {
            let limit = TimeLimit::starting_now(self.limit.at_most(TIMEOUT));
            let fetch = self.fetch(url, limit);
            let fetched = tokio::time::timeout(limit.total(), fetch).await;
            let fetched = fetched.unwrap_or_else(|_| Err("no answer in time".to_owned()));
            match fetched.map_err(|error| bounded(&format!("{url}: {error}"))) {
                // A probe with more time may succeed, and must not find this failure in the cache.
                Err(error) if limit.total() < TIMEOUT => Err(error),
                fetched => Ok(fetched),
            }
        });
        result.await.cloned().flatten()
    }

    async fn fetch(&self, url: &str, limit: TimeLimit) -> Fetched {
        let parsed = Url::parse(url).map_err(|error| error.to_string())?;
        let body = self.request(&parsed, limit).await?;
        let found: Vec<FetchedIssuer> = certificates(&body)
            .into_iter()
            .take(MAX_CERTIFICATES)
            .map(|der| FetchedIssuer {
                url: url.to_owned(),
                der,
            })
            .collect();
        if found.is_empty() {
            return Err("the answer is not a certificate (DER, PEM or PKCS#7)".to_owned());
        }
        Ok(found)
    }

    async fn request(&self, url: &Url, limit: TimeLimit) -> Result<Vec<u8>, String> {
        if url.scheme() != "http" || !url.username().is_empty() || url.password().is_some() {
            return Err("only http without credentials is fetched".to_owned());
        }
        let (stream, via) = self.connect(url, limit).await?;
        let is_proxied = via
            .as_ref()
            .is_some_and(|via| via.proxy.scheme != ProxyScheme::Socks5);
        let uri = if is_proxied {
            url[..Position::AfterQuery].parse::<Uri>()
        } else {
            url[Position::BeforePath..Position::AfterQuery].parse()
        };
        let authority = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]);
        let mut request = Request::get(uri.map_err(|error| error.to_string())?)
            .header(HOST, authority.map_err(|error| error.to_string())?)
            .header(USER_AGENT, &self.module.http.user_agent);
        if let Some(via) = via.filter(|_| is_proxied) {
            let credentials = proxy::authorization(&via.proxy);
            if let Some(value) = credentials.map_err(|error| error.to_string())? {
                request = request.header(PROXY_AUTHORIZATION, value);
            }
        }
        let request = request.body(Empty::<Bytes>::new());
        let request = request.map_err(|error| error.to_string())?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
        let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| error.to_string())?;
        if response.status() != StatusCode::OK {
            return Err(format!("HTTP status {}", response.status().as_u16()));
        }
        let mut body = Vec::new();
        let read = http::read_body(response.into_body(), MAX_BYTES, &mut body, &mut 0).await;
        read.map_err(|error| match error.reason {
            Reason::HttpBodyTooLarge => format!("the answer is larger than {MAX_BYTES} bytes"),
            reason => error.detail.unwrap_or_else(|| reason.to_string()),
        })?;
        Ok(body)
    }

    /// A connection to the host of `url`, or to the proxy for it.
    async fn connect(
        &self,
        url: &Url,
        limit: TimeLimit,
    ) -> Result<(TransportStream, Option<Tunnel>), String> {
        let module = &self.module;
        let host = url.host().ok_or("the URL has no host")?.to_owned();
        let port = url.port_or_known_default().unwrap_or(80);
        let is_listed = module.tls.aia_hosts.contains(&(host.to_string(), port));
        let via = module.proxy.of(url).map(|proxy| {
            let client = Arc::clone(&self.targets);
            Tunnel::to(url, proxy, client, module.http.user_agent.clone())
        });
        let (peer, peer_port) = match &via {
            Some(via) => (via.proxy.host.clone(), via.proxy.port),
            None => (host.clone(), port),
        };
        // A proxy resolves the name of the target, but an address is known here.
        let literal = address_of(&host);
        let forbidden = |address: &IpAddr| !is_listed && !is_public(*address);
        let mut addresses = self.addresses(&peer, limit).await?;
        let checked = match &via {
            Some(_) => literal.into_iter().collect(),
            None => addresses.clone(),
        };
        if let Some(private) = checked.iter().find(|one| forbidden(one)) {
            return Err(format!(
                "{private} is not a public address; list {host} in tls.aia_hosts if it is yours"
            ));
        }
        addresses.truncate(MAX_ADDRESSES);
        for address in addresses {
            let endpoint = SocketAddr::new(address, peer_port);
            let share = limit.remaining() / 2;
            let (_, stream) = tcp::connect(endpoint, module.source_address, share).await;
            if let Some(stream) = stream {
                let stream = match &via {
                    Some(via) => proxy::for_plain_http(stream, via).await?,
                    None => Either::Left(stream),
                };
                return Ok((stream, via));
            }
        }
        Err(format!("no connection to {peer} port {peer_port}"))
    }

    async fn addresses(&self, host: &Host, limit: TimeLimit) -> Result<Vec<IpAddr>, String> {
        if let Some(address) = address_of(host) {
            return Ok(vec![address]);
        }
        let (name, module) = (host.to_string(), &self.module);
        let context = dns::ResolveContext {
            module,
            system: &dns::System::read_for(module),
            client: &self.resolvers,
            limit,
        };
        let resolved = dns::resolve(&context, &name).await;
        match resolved.failure {
            Some(reason) => Err(format!("{name}: {reason}")),
            None => Ok(dns::usable(module, &name, &resolved.facts.addresses)),
        }
    }
}

fn address_of(host: &Host) -> Option<IpAddr> {
    match host {
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some((*address).into()),
        Host::Domain(_) => None,
    }
}

/// Whether the address is reachable from the whole Internet (RFC 6890), so that a certificate cannot
/// direct a request into this network.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(a == 0
                || a >= 240
                || v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_documentation()
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b)))
        }
        // Of the global unicast range, without tunnels and translations of other addresses.
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            (0x2000..0x4000).contains(&first)
                && first != 0x2002
                && !(first == 0x2001 && (second < 0x200 || second == 0x0db8))
        }
    }
}

/// The certificates in an answer: one in DER, some in PEM, or those of a PKCS#7 message in either.
fn certificates(body: &[u8]) -> Vec<CertificateDer<'static>> {
    if body.trim_ascii_start().starts_with(b"-----BEGIN") {
        let blocks = Pem::iter_from_buffer(body).filter_map(Result::ok);
        return blocks.flat_map(|block| of_der(&block.contents)).collect();
    }
    of_der(body)
}

fn of_der(der: &[u8]) -> Vec<CertificateDer<'static>> {
    match of_pkcs7(der) {
        Some(all) => all,
        None => Any::from_der(der)
            .is_ok_and(|(rest, _)| rest.is_empty())
            .then(|| CertificateDer::from(der.to_vec()))
            .into_iter()
            .collect(),
    }
}

/// The certificates of SignedData (RFC 2315, 9.1); `None` if it is none.
fn of_pkcs7(der: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    /// 1.2.840.113549.1.7.2
    const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
    let (_, message) = Any::from_der(der).ok()?;
    let (rest, kind) = Any::from_der(message.data).ok()?;
    if kind.data != SIGNED_DATA {
        return None;
    }
    let (_, content) = Any::from_der(rest).ok()?;
    let (_, signed) = Any::from_der(content.data).ok()?;
    let mut fields = signed.data;
    while let Ok((rest, field)) = Any::from_der(fields) {
        if field.class() == Class::ContextSpecific && field.tag().0 == 0 {
            let mut all = Vec::new();
            let mut left = field.data;
            while let Ok((rest, _)) = Any::from_der(left) {
                let length = left.len() - rest.len();
                all.push(CertificateDer::from(left.get(..length)?.to_vec()));
                left = rest;
            }
            return Some(all);
        }
        fields = rest;
    }
    Some(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_whole_internet_are_public() {
        for (address, public) in [
            ("203.0.114.1", true),
            ("8.8.8.8", true),
            ("2606:4700::1111", true),
            ("127.0.0.1", false),
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("198.18.0.1", false),
            ("192.0.0.8", false),
            ("203.0.113.1", false),
            ("0.0.0.0", false),
            ("255.255.255.255", false),
            ("224.0.0.1", false),
            ("::1", false),
            ("::ffff:10.1.2.3", false),
            ("64:ff9b::7f00:1", false),
            ("2002:7f00:1::", false),
            ("2001:db8::1", false),
            ("fe80::1", false),
            ("fd00::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }
}
