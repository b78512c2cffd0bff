//! Connection attempts: tcp, through a proxy if there is one, then tls, to every address at once.
//!
//! The first address that connects carries the request. The other attempts go on in the background
//! until the verdict is known.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rustls::pki_types::ServerName;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::http::Protocol;
use super::issuer_fetch::IssuerFetch;
use super::progress::Progress;
use super::proxy::{self, Tunnel};
use super::tcp;
use super::tls::{Peer, TlsClient, TransportStream};
use crate::clock::{Stopwatch, TimeLimit};
use crate::report::{
    AddressAttempt, AnsweredBy, Handshake, Hop, Interception, Layer, LayerName, LayerResult,
    ProxyAttempt, ProxyFacts, Reason, TcpFacts, TlsFacts,
};

/// Addresses beyond this are counted, but not connected to.
const MAX_ADDRESSES: usize = 16;

/// What every attempt of a hop shares.
#[derive(Clone)]
pub(super) struct ConnectParams {
    pub port: u16,
    pub source: Option<IpAddr>,
    /// `None` for direct connections.
    pub via: Option<Tunnel>,
    /// `None` for plain http, and if only the connection is of interest.
    pub session: Option<(Arc<TlsClient>, ServerName<'static>)>,
    /// Fetches what a server does not send.
    pub issuers: Arc<IssuerFetch>,
    /// In order of preference (ALPN).
    pub protocols: &'static [&'static [u8]],
    pub limit: TimeLimit,
    pub progress: Progress,
}

/// The outcome for one address.
struct ConnectAttempt {
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

/// The first successful connection of a hop.
pub(super) struct Connection {
    pub address: IpAddr,
    pub stream: Stream,
    pub answered_by: AnsweredBy,
    pub protocol: Protocol,
}

/// The attempts of one hop, finished and running.
pub(super) struct ConnectAttempts {
    /// Finished attempts, in the order of the addresses.
    done: Vec<Option<ConnectAttempt>>,
    running: JoinSet<(usize, ConnectAttempt)>,
    skipped: usize,
    port: u16,
    watch: Stopwatch,
    /// The address that carries the request.
    chosen: Option<IpAddr>,
    proxy: Option<String>,
}

impl ConnectAttempts {
    /// Starts an attempt on every address.
    pub fn start(addresses: &[IpAddr], params: &ConnectParams) -> Self {
        let first = addresses.iter().take(MAX_ADDRESSES).copied();
        let running: JoinSet<_> = first
            .enumerate()
            .map(|(index, address)| {
                let params = params.clone();
                async move { (index, attempt(address, params).await) }
            })
            .collect();
        Self {
            done: (0..running.len()).map(|_| None).collect(),
            skipped: addresses.len() - running.len(),
            running,
            port: params.port,
            watch: Stopwatch::start(),
            chosen: None,
            proxy: params.via.as_ref().map(|via| via.proxy.to_string()),
        }
    }

    /// Waits for the first successful connection; `None` if all attempts have failed. Each ends by
    /// itself within the limit.
    pub async fn first(&mut self) -> Option<Connection> {
        while let Some(attempt) = self.next().await {
            if let Some(stream) = attempt.stream.take() {
                let connection = Connection {
                    address: attempt.tcp.address,
                    stream,
                    answered_by: answered_by(attempt.tls.as_ref()),
                    protocol: protocol(attempt.tls.as_ref()),
                };
                self.chosen = Some(attempt.tcp.address);
                return Some(connection);
            }
        }
        None
    }

    /// Waits for all attempts.
    pub async fn all(&mut self) {
        while self.next().await.is_some() {}
    }

    async fn next(&mut self) -> Option<&mut ConnectAttempt> {
        loop {
            if let Ok((index, attempt)) = self.running.join_next().await? {
                return self.done.get_mut(index).map(|slot| slot.insert(attempt));
            }
        }
    }

    /// Records that the chosen session proved bad after the handshake.
    pub fn mark_session_failed(&mut self, reason: Reason, detail: String) {
        let done = self.done.iter_mut().flatten();
        let mut handshakes = done.filter_map(|one| one.tls.as_mut());
        if let Some(handshake) = handshakes.find(|one| Some(one.address) == self.chosen) {
            handshake.failure = Some(reason);
            handshake.detail = Some(detail);
        }
    }

    /// Puts the layers, as far as they are known, into `hop`, and returns the first failure.
    pub fn record(&self, hop: &mut Hop) -> Option<Reason> {
        let tcp = self.tcp();
        let mut failure = tcp.failure;
        hop.tcp = Layer::Done(tcp);
        if let Some(proxy) = self.proxy() {
            failure = failure.or(proxy.failure);
            hop.proxy = Layer::Done(proxy);
        }
        if let Some(tls) = self.tls() {
            failure = failure.or(tls.failure);
            hop.tls = Layer::Done(tls);
        }
        failure
    }

    /// Waits for all attempts and completes the facts in `hop`. Durations and failures stay as they
    /// were when the verdict was known.
    pub async fn finish(mut self, hop: &mut Hop) {
        self.all().await;
        if let Layer::Done(tcp) = &mut hop.tcp {
            tcp.facts = self.tcp().facts;
        }
        if let (Layer::Done(proxy), Some(all)) = (&mut hop.proxy, self.proxy()) {
            proxy.facts = all.facts;
        }
        if let (Layer::Done(tls), Some(all)) = (&mut hop.tls, self.tls()) {
            tls.facts = all.facts;
        }
    }

    /// The tcp layer: good if one address connected; that is also when its duration ends.
    pub fn tcp(&self) -> LayerResult<TcpFacts> {
        let attempts = || self.done.iter().flatten().map(|one| &one.tcp);
        let connected = attempts().filter(|one| one.failure.is_none());
        let connected_after = connected.map(|one| one.duration).min();
        let longest = attempts().map(|one| one.duration).max();
        let duration = connected_after.or(longest);
        LayerResult {
            duration: duration.unwrap_or_else(|| self.watch.elapsed()),
            failure: match connected_after {
                None => attempts().find_map(|one| one.failure),
                Some(_) => None,
            },
            facts: TcpFacts {
                port: self.port,
                addresses: attempts().cloned().collect(),
                addresses_skipped: self.skipped,
            },
        }
    }

    /// `None` for direct connections, and if no address connected.
    fn proxy(&self) -> Option<LayerResult<ProxyFacts>> {
        let proxy = self.proxy.clone()?;
        let done = self.done.iter().flatten();
        let attempts: Vec<ProxyAttempt> = done.filter_map(|one| one.proxy.clone()).collect();
        let tunnel = attempts.iter().find(|one| one.failure.is_none());
        let representative = tunnel.or(attempts.first())?;
        Some(LayerResult {
            duration: representative.duration,
            failure: representative.failure,
            facts: ProxyFacts { proxy, attempts },
        })
    }

    /// `None` if there was no handshake.
    fn tls(&self) -> Option<LayerResult<TlsFacts>> {
        let done = self.done.iter().flatten();
        let handshakes: Vec<Handshake> = done.filter_map(|one| one.tls.clone()).collect();
        let mut all = handshakes.iter();
        let chosen = all.find(|one| Some(one.address) == self.chosen);
        let representative = chosen.or(handshakes.first())?;
        Some(LayerResult {
            duration: representative.duration,
            failure: representative.failure,
            facts: TlsFacts {
                chosen: self.chosen,
                handshakes,
            },
        })
    }
}

/// Another connection to an address that was connected to before; `None` if there is none.
pub(super) async fn connect_again(address: IpAddr, params: ConnectParams) -> Option<Connection> {
    let attempt = attempt(address, params).await;
    Some(Connection {
        address,
        stream: attempt.stream?,
        answered_by: answered_by(attempt.tls.as_ref()),
        protocol: protocol(attempt.tls.as_ref()),
    })
}

async fn attempt(address: IpAddr, params: ConnectParams) -> ConnectAttempt {
    let share = params.limit.at_most(params.limit.total() / 2);
    let (tcp, proxy, transport) = transport(address, &params, share).await;
    let (tls, stream) = match (transport, &params.session) {
        (Some(transport), Some((client, host))) => {
            params.progress.start(LayerName::Tls);
            let reconnect = || {
                let params = &params;
                let share = params.limit.remaining() / 2;
                async move { self::transport(address, params, share).await.2 }.boxed()
            };
            let peer = Peer {
                address,
                name: host.clone(),
                protocols: params.protocols,
            };
            let fetch = |url: String| {
                let issuers = &params.issuers;
                async move { issuers.get(&url).await }.boxed()
            };
            let handshake =
                client.handshake(transport, &peer, params.limit, &reconnect, Some(&fetch));
            let (handshake, stream) = handshake.await;
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

/// A connection to the target, direct or through the proxy.
async fn transport(
    address: IpAddr,
    params: &ConnectParams,
    share: Duration,
) -> (
    AddressAttempt,
    Option<ProxyAttempt>,
    Option<TransportStream>,
) {
    let endpoint = SocketAddr::new(address, params.port);
    let (tcp, stream) = tcp::connect(endpoint, params.source, share).await;
    match (stream, &params.via) {
        (Some(stream), Some(via)) => {
            params.progress.start(LayerName::Proxy);
            let limit = params.limit.remaining() / 2;
            let (attempt, transport) = proxy::establish(stream, address, via, limit).await;
            (tcp, Some(attempt), transport)
        }
        (Some(stream), None) => (tcp, None, Some(Either::Left(stream))),
        (None, _) => (tcp, None, None),
    }
}

/// Who answers, as far as the session proves it.
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
