//! The layers of one hop, in order, each of which records its facts.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use url::{Host, Url};

use super::connect::{ConnectAttempts, ConnectParams, Connection, Stream, connect_again};
use super::issuer_fetch::IssuerFetch;
use super::probe_run::{ForbiddenAddress, HopOutcome, HopProgress, ProbeRun, read_page};
use super::proxy::Tunnel;
use super::tls::{SessionStream, TlsClient};
use super::{dns, http};
use crate::report::{
    DnsFacts, Expectation, Hop, HttpFacts, Layer, LayerName, LayerResult, NotProcessed, Reason,
};

const HTTP_PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];
const HTTP_1_ONLY: &[&[u8]] = &[b"http/1.1"];

type Exchanged = (
    LayerResult<HttpFacts>,
    Result<http::Received, http::HttpError>,
);

impl ProbeRun<'_> {
    /// Goes through the layers of `url`. `query_each` also queries every resolver by itself.
    pub async fn layers(
        &mut self,
        url: &Url,
        progress: &mut HopProgress,
        query_each: bool,
    ) -> Result<HopOutcome, Reason> {
        let via = self.tunnel(url);
        let host = match &via {
            Some(via) => Some(via.proxy.host.clone()),
            None => {
                progress.hop.proxy = Layer::NotApplicable;
                url.host().map(|host| host.to_owned())
            }
        };
        let resolved = self.resolve(host, progress, query_each).await;
        self.forbidden = self.forbidden_address(url, via.is_some(), &progress.hop);
        if self.forbidden.is_some() {
            return Err(Reason::DnsSinkhole);
        }
        match self.connect(url, via, progress, &resolved?).await? {
            Some(connection) => self.get(url, progress, connection).await,
            None => Ok(HopOutcome::Closed),
        }
    }

    /// The tunnel for `url`, if it goes through a proxy. A target that must be unreachable is
    /// probed directly: a proxy is always reachable.
    fn tunnel(&self, url: &Url) -> Option<Tunnel> {
        if self.target.expect == Expectation::Unreachable {
            return None;
        }
        let module = &self.target.module;
        let proxy = module.proxy.of(url)?;
        let client = Arc::clone(&self.clients.targets);
        Some(Tunnel::to(
            url,
            proxy,
            client,
            module.http.user_agent.clone(),
        ))
    }

    /// An address that the probe would connect to, but may not. A proxy is the configuration's own
    /// choice, and resolves the name itself.
    fn forbidden_address(&self, url: &Url, proxied: bool, hop: &Hop) -> Option<ForbiddenAddress> {
        let facts = hop.dns.facts().filter(|_| !proxied);
        let resolved = facts.map_or(&[][..], |facts| &facts.resolution.addresses);
        let literal = ip_literal(&url.host()?.to_owned());
        let all: Vec<IpAddr> = literal
            .into_iter()
            .chain(resolved.iter().copied())
            .collect();
        let port = url.port_or_known_default().unwrap_or(443);
        let address = self.allowed?.forbidden(&all, port)?;
        let host = url.host_str()?.to_owned();
        Some(ForbiddenAddress { host, address })
    }

    /// The dns layer: for the target's host, or the proxy's.
    async fn resolve(
        &self,
        host: Option<Host>,
        progress: &mut HopProgress,
        query_each: bool,
    ) -> Result<Vec<IpAddr>, Reason> {
        let module = &self.target.module;
        let host = host.ok_or(Reason::DnsMalformed)?;
        if let Some(address) = ip_literal(&host) {
            progress.hop.dns = Layer::NotApplicable;
            return Ok(vec![address]);
        }
        self.progress.start(LayerName::Dns);
        let host = host.to_string();
        let context = dns::ResolveContext {
            module,
            system: &dns::System::read_for(module),
            client: &self.clients.resolvers,
            limit: self.limit,
        };
        if query_each {
            progress.lookups = dns::query_each(&context, &host);
        }
        let resolved = dns::resolve(&context, &host).await;
        let usable = dns::usable(module, &host, &resolved.facts.addresses);
        let failure = resolved.failure;
        progress.hop.dns = Layer::Done(LayerResult {
            duration: resolved.duration,
            failure,
            facts: DnsFacts {
                resolution: resolved.facts,
                lookups: Vec::new(),
            },
        });
        failure.map_or(Ok(usable), Err)
    }

    /// The tcp, proxy and tls layers, up to the first successful connection; `None` if there should
    /// be none and is none.
    async fn connect(
        &self,
        url: &Url,
        via: Option<Tunnel>,
        progress: &mut HopProgress,
        addresses: &[IpAddr],
    ) -> Result<Option<Connection>, Reason> {
        let must_be_closed = self.target.expect == Expectation::Unreachable;
        let hop = &mut progress.hop;
        let session = if url.scheme() == "https" && !must_be_closed {
            Some(self.session(url)?)
        } else {
            hop.tls = Layer::NotApplicable;
            None
        };
        let port = match &via {
            Some(via) => via.proxy.port,
            None => url.port_or_known_default().unwrap_or(443),
        };
        let params = ConnectParams {
            port,
            source: self.target.module.source_address,
            via,
            session,
            issuers: Arc::new(IssuerFetch {
                module: Arc::clone(&self.target.module),
                targets: Arc::clone(&self.clients.targets),
                resolvers: Arc::clone(&self.clients.resolvers),
                cache: Arc::clone(&self.clients.issuers),
                limit: self.limit,
            }),
            protocols: HTTP_PROTOCOLS,
            limit: self.limit,
            progress: self.progress.clone(),
        };
        self.progress.start(LayerName::Tcp);
        let attempts = ConnectAttempts::start(addresses, &params);
        progress.params = Some(params);
        let attempts = progress.attempts.insert(attempts);
        if must_be_closed {
            return must_fail(attempts, hop).await.map(|()| None);
        }
        let connection = attempts.first().await;
        let failure = attempts.record(hop);
        let connection = connection.ok_or(failure.unwrap_or(Reason::TcpLocal))?;
        Ok(Some(connection))
    }

    fn session(&self, url: &Url) -> Result<(Arc<TlsClient>, ServerName<'static>), Reason> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Reason::TlsNameMismatch)?;
        Ok((Arc::clone(&self.clients.targets), name))
    }

    /// The http layer.
    async fn get(
        &mut self,
        url: &Url,
        progress: &mut HopProgress,
        connection: Connection,
    ) -> Result<HopOutcome, Reason> {
        self.progress.start(LayerName::Http);
        let address = connection.address;
        let (mut layer, mut result) = Box::pin(self.exchange(url, connection)).await;
        if let Err(error) = &result
            && let (Some(why), Some(params)) = (error.not_processed, &progress.params)
            // Boxed because it is rare: every probe's future would be as large otherwise.
            && let Some(again) = Box::pin(self.repeat(url, address, params, why)).await
        {
            let before = layer.duration;
            (layer, result) = again;
            layer.duration += before;
            layer.facts.repeated = Some(why);
        }
        let next = match result {
            Ok(page) => match page.redirect {
                Some(location) => self.follow(url, &location),
                None => match read_page(page.body, page.content_type).await {
                    Some(read) => self.refresh(url, read, page.refresh.as_deref()),
                    None => Err(Reason::HttpTimedOut),
                },
            },
            Err(error) => {
                // An alert before any answer refuses the session; one behind the head cuts the answer.
                let is_answered = layer.facts.status.is_some();
                match (error.tls_alert, &mut progress.hop.tls) {
                    (Some(alert), Layer::Done(tls)) if !is_answered => {
                        tls.failure = Some(Reason::TlsAlert);
                        if let Some(attempts) = &mut progress.attempts {
                            attempts.mark_session_failed(Reason::TlsAlert, alert);
                        }
                        return Err(Reason::TlsAlert);
                    }
                    (Some(_), _) if error.reason != Reason::HttpStatus => {
                        Err(Reason::HttpTruncated)
                    }
                    _ => Err(error.reason),
                }
            }
        };
        layer.failure = next.as_ref().err().copied();
        progress.hop.http = Layer::Done(layer);
        next
    }

    /// Sends a request that was not processed once more, on another connection; `None` if there is
    /// none.
    async fn repeat(
        &mut self,
        url: &Url,
        address: IpAddr,
        params: &ConnectParams,
        why: NotProcessed,
    ) -> Option<Exchanged> {
        let protocols = match why {
            NotProcessed::Http11Required => HTTP_1_ONLY,
            NotProcessed::Goaway | NotProcessed::RefusedStream => HTTP_PROTOCOLS,
        };
        let params = ConnectParams {
            protocols,
            ..params.clone()
        };
        let connection = connect_again(address, params).await?;
        Some(self.exchange(url, connection).await)
    }

    /// One request and its answer.
    async fn exchange(&mut self, url: &Url, connection: Connection) -> Exchanged {
        let request = http::GetRequest {
            url,
            policy: &self.target.module.http,
            protocol: connection.protocol,
            answered_by: connection.answered_by,
            limit: self.limit,
            clock: self.clock,
        };
        match connection.stream {
            Stream::Plain(stream) => http::get(stream, &request, &mut self.cookies).await,
            Stream::Tls(stream) => {
                http::get(SessionStream::new(stream), &request, &mut self.cookies).await
            }
        }
    }
}

fn ip_literal(host: &Host) -> Option<IpAddr> {
    match host {
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some((*address).into()),
        Host::Domain(_) => None,
    }
}

/// The tcp layer of a target that must be unreachable.
async fn must_fail(attempts: &mut ConnectAttempts, hop: &mut Hop) -> Result<(), Reason> {
    attempts.all().await;
    let mut tcp = attempts.tcp();
    tcp.failure = match tcp.failure {
        None => Some(Reason::TcpUnexpectedlyOpen),
        Some(Reason::TcpLocal) => Some(Reason::TcpLocal),
        Some(_) => None,
    };
    let failure = tcp.failure;
    hop.tcp = Layer::Done(tcp);
    failure.map_or(Ok(()), Err)
}
