//! The layers of one hop, in order, each of which records its facts.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use url::{Host, Url};

use super::connect::{ConnectAttempts, ConnectParams, Connection, Stream};
use super::issuer_fetch::IssuerFetch;
use super::probe_run::{ForbiddenAddress, HopOutcome, HopProgress, ProbeRun};
use super::proxy::Tunnel;
use super::tls::TlsClient;
use super::{dns, http};
use crate::report::{DnsFacts, Expectation, Hop, Layer, LayerName, LayerResult, Reason};

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
            limit: self.limit,
            progress: self.progress.clone(),
        };
        self.progress.start(LayerName::Tcp);
        let attempts = ConnectAttempts::start(addresses, &params);
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
        let request = http::GetRequest {
            url,
            policy: &self.target.module.http,
            protocol: connection.protocol,
            answered_by: connection.answered_by,
            limit: self.limit,
            clock: self.clock,
        };
        let (mut layer, result) = match connection.stream {
            Stream::Plain(stream) => http::get(stream, &request, &mut self.cookies).await,
            Stream::Tls(stream) => http::get(stream, &request, &mut self.cookies).await,
        };
        let next = match result {
            Ok(page) => match page.redirect {
                Some(location) => self.follow(url, &location),
                None => Ok(HopOutcome::Body(page.body)),
            },
            Err(error) => {
                if let (Some(alert), Layer::Done(tls)) = (error.tls_alert, &mut progress.hop.tls) {
                    tls.failure = Some(Reason::TlsAlert);
                    if let Some(attempts) = &mut progress.attempts {
                        attempts.mark_session_failed(Reason::TlsAlert, alert);
                    }
                    return Err(Reason::TlsAlert);
                }
                Err(error.reason)
            }
        };
        layer.failure = next.as_ref().err().copied();
        progress.hop.http = Layer::Done(layer);
        next
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
