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
use super::proxy::{self, Carrier, Passage};
use super::tcp::{self, Way};
use super::tls;
use crate::clock::{Stopwatch, TimeLimit};
use crate::report::{
    AddressAttempt, AnsweredBy, Handshake, Interception, ProxyAttempt, ProxyFacts, Ran, Reason,
    TcpFacts, TlsFacts,
};

/// Addresses beyond this are left alone, and counted.
const MAX_APPROACHED: usize = 16;

/// What every approach of a hop shares.
#[derive(Clone)]
pub(super) struct Plan {
    pub port: u16,
    pub source: Option<IpAddr>,
    /// `None` on the direct way.
    pub passage: Option<Passage>,
    /// `None` for plain http, and where only the connection is of interest.
    pub session: Option<(Arc<tls::Client>, ServerName<'static>)>,
    pub limit: TimeLimit,
}

/// How one address went.
pub(super) struct Approach {
    tcp: AddressAttempt,
    proxy: Option<ProxyAttempt>,
    tls: Option<Handshake>,
    stream: Option<Stream>,
}

/// A connection that a request can be sent over.
pub(super) enum Stream {
    Plain(Carrier),
    Tls(Box<TlsStream<Carrier>>),
}

/// The approaches of one hop: those done and those that go on beside the pipe.
pub(super) struct Approaches {
    order: Vec<IpAddr>,
    left_out: usize,
    port: u16,
    watch: Stopwatch,
    done: Vec<Approach>,
    running: JoinSet<Approach>,
    chosen: Option<IpAddr>,
    /// Until the first connection stood.
    connected_after: Option<Duration>,
    proxy: Option<String>,
    with_tls: bool,
}

/// The first approach that came through.
pub(super) struct Winner {
    pub stream: Stream,
    pub answered_by: AnsweredBy,
    pub protocol: Protocol,
}

impl Approaches {
    /// Starts on every address.
    pub fn start(addresses: &[IpAddr], plan: &Plan) -> Self {
        let order: Vec<IpAddr> = addresses.iter().copied().take(MAX_APPROACHED).collect();
        let mut running = JoinSet::new();
        for address in &order {
            let plan = plan.clone();
            let way = Way {
                address: SocketAddr::new(*address, plan.port),
                source: plan.source,
            };
            running.spawn(async move { approach(way, plan).await });
        }
        Self {
            left_out: addresses.len() - order.len(),
            order,
            port: plan.port,
            watch: Stopwatch::start(),
            done: Vec::new(),
            running,
            chosen: None,
            connected_after: None,
            proxy: plan
                .passage
                .as_ref()
                .map(|passage| passage.proxy.to_string()),
            with_tls: plan.session.is_some(),
        }
    }

    /// Waits for the first that comes through; `None` when all have failed. Each ends by itself
    /// within the limit.
    pub async fn first(&mut self) -> Option<Winner> {
        while let Some(joined) = self.running.join_next().await {
            let Ok(mut approach) = joined else { continue };
            if approach.tcp.failure.is_none() {
                let after = approach.tcp.duration;
                self.connected_after =
                    Some(self.connected_after.map_or(after, |least| least.min(after)));
            }
            let stream = approach.stream.take();
            let address = approach.tcp.address;
            let answered_by = answered_by(approach.tls.as_ref());
            let protocol = protocol(approach.tls.as_ref());
            self.done.push(approach);
            if let Some(stream) = stream {
                self.chosen = Some(address);
                return Some(Winner {
                    stream,
                    answered_by,
                    protocol,
                });
            }
        }
        None
    }

    /// What came after the handshake shows that the chosen session was not good.
    pub fn fail_chosen(&mut self, reason: Reason, detail: String) {
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
        self.done
            .sort_by_key(|approach| place(approach.tcp.address));
    }

    /// The tcp layer as it stands.
    pub fn tcp(&self) -> Ran<TcpFacts> {
        let connected = self.done.iter().any(|one| one.tcp.failure.is_none());
        let first_failure = self.order.iter().find_map(|address| {
            let one = self.done.iter().find(|one| one.tcp.address == *address)?;
            one.tcp.failure
        });
        let longest = self.done.iter().map(|one| one.tcp.duration).max();
        Ran {
            duration: self
                .connected_after
                .or(longest)
                .unwrap_or_else(|| self.watch.elapsed()),
            failure: if connected { None } else { first_failure },
            facts: TcpFacts {
                port: self.port,
                addresses: self.done.iter().map(|one| one.tcp.clone()).collect(),
                addresses_left_out: self.left_out,
            },
        }
    }

    /// The proxy layer as it stands; `None` on the direct way, and where no address connected.
    pub fn proxy(&self) -> Option<Ran<ProxyFacts>> {
        let proxy = self.proxy.clone()?;
        let attempts: Vec<ProxyAttempt> = self
            .done
            .iter()
            .filter_map(|one| one.proxy.clone())
            .collect();
        let passed = attempts.iter().find(|one| one.failure.is_none());
        let telling = passed.or_else(|| attempts.first())?;
        Some(Ran {
            duration: telling.duration,
            failure: telling.failure,
            facts: ProxyFacts { proxy, attempts },
        })
    }

    /// The tls layer as it stands; `None` where no address connected, or none was asked for TLS.
    pub fn tls(&self) -> Option<Ran<TlsFacts>> {
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
        Some(Ran {
            duration: telling.duration,
            failure: telling.failure,
            facts: TlsFacts {
                chosen: self.chosen,
                handshakes: handshakes.clone(),
            },
        })
    }
}

async fn approach(way: Way, plan: Plan) -> Approach {
    let share = plan.limit.at_most(plan.limit.total() / 2);
    let (tcp, proxy, carrier) = carrier(&way, &plan, share).await;
    let (tls, stream) = match (carrier, &plan.session) {
        (Some(carrier), Some((client, host))) => {
            let again = || {
                let (way, plan) = (&way, &plan);
                let share = plan.limit.remaining() / 2;
                async move { self::carrier(way, plan, share).await.2 }.boxed()
            };
            let peer = tls::Peer {
                address: way.address.ip(),
                name: host.clone(),
                protocols: &[b"h2", b"http/1.1"],
            };
            let (handshake, stream) = client.handshake(carrier, &peer, plan.limit, &again).await;
            (Some(handshake), stream.map(Stream::Tls))
        }
        (Some(carrier), None) => (None, Some(Stream::Plain(carrier))),
        (None, _) => (None, None),
    };
    Approach {
        tcp,
        proxy,
        tls,
        stream,
    }
}

/// A connection that ends at the target: by itself, or through the proxy.
async fn carrier(
    way: &Way,
    plan: &Plan,
    share: Duration,
) -> (AddressAttempt, Option<ProxyAttempt>, Option<Carrier>) {
    let (tcp, stream) = tcp::connect(way, share).await;
    match (stream, &plan.passage) {
        (Some(stream), Some(passage)) => {
            let limit = plan.limit.remaining() / 2;
            let (attempt, carrier) = proxy::pass(stream, way.address.ip(), passage, limit).await;
            (tcp, Some(attempt), carrier)
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
