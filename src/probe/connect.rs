//! The way to one address: tcp, through a proxy where there is one, then tls on it. Every address of
//! a name is approached at once.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rustls::pki_types::ServerName;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::http::Protocol;
use super::proxy::{self, TransportStream, Tunnel};
use super::tcp::{self, TcpEndpoint};
use super::tls;
use crate::clock::{Stopwatch, TimeLimit};
use crate::report::{
    AddressAttempt, AnsweredBy, Handshake, Interception, LayerResult, ProxyAttempt, ProxyFacts,
    Reason, TcpFacts, TlsFacts,
};

/// Addresses beyond this are left alone, and counted.
const MAX_ADDRESSES: usize = 16;

/// What every approach of a hop shares.
#[derive(Clone)]
pub(super) struct ConnectParams {
    pub port: u16,
    pub source: Option<IpAddr>,
    /// `None` on the direct way.
    pub via: Option<Tunnel>,
    /// `None` for plain http, and where only the connection is of interest.
    pub session: Option<(Arc<tls::Client>, ServerName<'static>)>,
    pub limit: TimeLimit,
}

/// How one address went.
pub(super) struct ConnectAttempt {
    tcp: AddressAttempt,
    proxy: Option<ProxyAttempt>,
    tls: Option<Handshake>,
    stream: Option<Stream>,
}

/// A connection that a request can be sent over.
pub(super) enum Stream {
    Plain(TransportStream),
    Tls(Box<TlsStream<TransportStream>>),
}

/// The approaches of one hop: those done and those that go on beside the pipe.
pub(super) struct ConnectAttempts {
    order: Vec<IpAddr>,
    left_out: usize,
    port: u16,
    watch: Stopwatch,
    done: Vec<ConnectAttempt>,
    running: JoinSet<ConnectAttempt>,
    chosen: Option<IpAddr>,
    /// Until the first connection stood.
    connected_after: Option<Duration>,
    proxy: Option<String>,
    with_tls: bool,
}

/// The first approach that came through.
pub(super) struct Connection {
    pub stream: Stream,
    pub answered_by: AnsweredBy,
    pub protocol: Protocol,
}

impl ConnectAttempts {
    /// Starts on every address.
    pub fn start(addresses: &[IpAddr], params: &ConnectParams) -> Self {
        let order: Vec<IpAddr> = addresses.iter().copied().take(MAX_ADDRESSES).collect();
        let mut running = JoinSet::new();
        for address in &order {
            let params = params.clone();
            let endpoint = TcpEndpoint {
                address: SocketAddr::new(*address, params.port),
                source: params.source,
            };
            running.spawn(async move { attempt(endpoint, params).await });
        }
        Self {
            left_out: addresses.len() - order.len(),
            order,
            port: params.port,
            watch: Stopwatch::start(),
            done: Vec::new(),
            running,
            chosen: None,
            connected_after: None,
            proxy: params.via.as_ref().map(|via| via.proxy.to_string()),
            with_tls: params.session.is_some(),
        }
    }

    /// Waits for the first that comes through; `None` when all have failed. Each ends by itself
    /// within the limit.
    pub async fn first(&mut self) -> Option<Connection> {
        while let Some(joined) = self.running.join_next().await {
            let Ok(mut attempt) = joined else { continue };
            if attempt.tcp.failure.is_none() {
                let after = attempt.tcp.duration;
                self.connected_after =
                    Some(self.connected_after.map_or(after, |least| least.min(after)));
            }
            let stream = attempt.stream.take();
            let address = attempt.tcp.address;
            let answered_by = answered_by(attempt.tls.as_ref());
            let protocol = protocol(attempt.tls.as_ref());
            self.done.push(attempt);
            if let Some(stream) = stream {
                self.chosen = Some(address);
                return Some(Connection {
                    stream,
                    answered_by,
                    protocol,
                });
            }
        }
        None
    }

    /// What came after the handshake shows that the chosen session was not good.
    pub fn mark_session_failed(&mut self, reason: Reason, detail: String) {
        let chosen = self.chosen;
        let handshake = self
            .done
            .iter_mut()
            .filter_map(|one| one.tls.as_mut())
            .find(|handshake| Some(handshake.address) == chosen);
        if let Some(handshake) = handshake {
            handshake.failure = Some(reason);
            handshake.detail = Some(detail);
        }
    }

    /// Waits for all of them.
    pub async fn all(&mut self) {
        while let Some(joined) = self.running.join_next().await {
            self.done.extend(joined);
        }
        let place = |address: IpAddr| self.order.iter().position(|one| *one == address);
        self.done.sort_by_key(|attempt| place(attempt.tcp.address));
    }

    /// The tcp layer as it stands.
    pub fn tcp(&self) -> LayerResult<TcpFacts> {
        let connected = self.done.iter().any(|one| one.tcp.failure.is_none());
        let first_failure = self.order.iter().find_map(|address| {
            let one = self.done.iter().find(|one| one.tcp.address == *address)?;
            one.tcp.failure
        });
        let longest = self.done.iter().map(|one| one.tcp.duration).max();
        LayerResult {
            duration: self
                .connected_after
                .or(longest)
                .unwrap_or_else(|| self.watch.elapsed()),
            failure: if connected { None } else { first_failure },
            facts: TcpFacts {
                port: self.port,
                addresses: self.done.iter().map(|one| one.tcp.clone()).collect(),
                addresses_skipped: self.left_out,
            },
        }
    }

    /// The proxy layer as it stands; `None` on the direct way, and where no address connected.
    pub fn proxy(&self) -> Option<LayerResult<ProxyFacts>> {
        let proxy = self.proxy.clone()?;
        let attempts: Vec<ProxyAttempt> = self
            .done
            .iter()
            .filter_map(|one| one.proxy.clone())
            .collect();
        let passed = attempts.iter().find(|one| one.failure.is_none());
        let telling = passed.or_else(|| attempts.first())?;
        Some(LayerResult {
            duration: telling.duration,
            failure: telling.failure,
            facts: ProxyFacts { proxy, attempts },
        })
    }

    /// The tls layer as it stands; `None` where no address connected, or none was asked for TLS.
    pub fn tls(&self) -> Option<LayerResult<TlsFacts>> {
        if !self.with_tls {
            return None;
        }
        let handshakes: Vec<Handshake> =
            self.done.iter().filter_map(|one| one.tls.clone()).collect();
        let telling = handshakes
            .iter()
            .find(|one| Some(one.address) == self.chosen)
            .or_else(|| {
                let first =
                    |address: &IpAddr| handshakes.iter().find(|one| one.address == *address);
                self.order.iter().find_map(first)
            })?;
        Some(LayerResult {
            duration: telling.duration,
            failure: telling.failure,
            facts: TlsFacts {
                chosen: self.chosen,
                handshakes: handshakes.clone(),
            },
        })
    }
}

async fn attempt(endpoint: TcpEndpoint, params: ConnectParams) -> ConnectAttempt {
    let share = params.limit.at_most(params.limit.total() / 2);
    let (tcp, proxy, transport) = transport(&endpoint, &params, share).await;
    let (tls, stream) = match (transport, &params.session) {
        (Some(transport), Some((client, host))) => {
            let again = || {
                let (endpoint, params) = (&endpoint, &params);
                let share = params.limit.remaining() / 2;
                async move { self::transport(endpoint, params, share).await.2 }.boxed()
            };
            let peer = tls::Peer {
                address: endpoint.address.ip(),
                name: host.clone(),
                protocols: &[b"h2", b"http/1.1"],
            };
            let (handshake, stream) = client
                .handshake(transport, &peer, params.limit, &again)
                .await;
            (Some(handshake), stream.map(Stream::Tls))
        }
        (Some(transport), None) => (None, Some(Stream::Plain(transport))),
        (None, _) => (None, None),
    };
    ConnectAttempt {
        tcp,
        proxy,
        tls,
        stream,
    }
}

/// A connection that ends at the target: by itself, or through the proxy.
async fn transport(
    endpoint: &TcpEndpoint,
    params: &ConnectParams,
    share: Duration,
) -> (
    AddressAttempt,
    Option<ProxyAttempt>,
    Option<TransportStream>,
) {
    let (tcp, stream) = tcp::connect(endpoint, share).await;
    match (stream, &params.via) {
        (Some(stream), Some(via)) => {
            let limit = params.limit.remaining() / 2;
            let (attempt, transport) = proxy::pass(stream, endpoint.address.ip(), via, limit).await;
            (tcp, Some(attempt), transport)
        }
        (Some(stream), None) => (tcp, None, Some(Either::Left(stream))),
        (None, _) => (tcp, None, None),
    }
}

/// Whom a session that passed proves to be answering.
fn answered_by(handshake: Option<&Handshake>) -> AnsweredBy {
    match handshake {
        None => AnsweredBy::Unknown,
        Some(handshake) if handshake.interception != Interception::None => AnsweredBy::Interceptor,
        Some(_) => AnsweredBy::Origin,
    }
}

fn protocol(handshake: Option<&Handshake>) -> Protocol {
    match handshake.and_then(|handshake| handshake.alpn.as_deref()) {
        Some("h2") => Protocol::Http2,
        Some(_) | None => Protocol::Http1,
    }
}
