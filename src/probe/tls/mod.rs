//! The tls layer: a full handshake on one connection, recorded whether or not it is trusted.
//!
//! The verifier accepts every chain and checks only the handshake signature; [`super::trust`]
//! evaluates the chain afterwards, so that an expired or unknown certificate has its facts too.
//! Nothing is sent over a session that was not judged good.

mod chain_recorder;
mod error;
mod hello;
mod prepare;
mod session_stream;

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, Error as TlsError, SupportedProtocolVersion, version};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::bounded;
use super::trust::{FetchedIssuer, Roots, TrustAnchors, TrustResult};
use crate::clock::{Clock, Stopwatch, TimeLimit};
use crate::config::{MinVersion, PolicyAction, ProbeModule, TlsPolicy};
use crate::report::{Handshake, Reason};
use chain_recorder::{ChainRecorder, Presented};
use error::HandshakeError;
use hello::Hello;
pub use prepare::prepare;
pub(super) use session_stream::SessionStream;

/// What a module's handshakes share.
#[derive(Clone, Debug)]
pub(super) struct TlsClient {
    /// The ClientHello of current browsers: with a post-quantum key share, larger than one packet.
    large: Hello,
    /// The classic one, which fits into a packet.
    small: Hello,
    versions: &'static [&'static SupportedProtocolVersion],
    policy: TlsPolicy,
    anchors: TrustAnchors,
    clock: Clock,
}

const FROM_TLS12: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
const FROM_TLS13: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// What carries the bytes to the target: a TCP connection, or TLS to a proxy on one.
pub(super) type TransportStream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// A missing intermediate, and the one above it.
const MAX_FETCHED_LEVELS: usize = 2;

/// Opens another connection to the same peer, if possible.
pub(super) type Reconnect<'a> = &'a (dyn Fn() -> BoxFuture<'a, Option<TransportStream>> + Sync);

/// Fetches the issuers at a URL that a certificate contains.
///
/// The error says why there are none.
pub(super) type FetchIssuers<'a> =
    &'a (dyn Fn(String) -> BoxFuture<'a, Result<Vec<FetchedIssuer>, String>> + Sync);

/// The peer of a session.
#[derive(Clone)]
pub(super) struct Peer {
    pub address: IpAddr,
    /// The name that the certificate must contain.
    pub name: ServerName<'static>,
    /// In order of preference (ALPN).
    pub protocols: &'static [&'static [u8]],
}

impl TlsClient {
    pub fn of(module: &ProbeModule, roots: &Roots, clock: Clock) -> Self {
        let versions = match module.tls.min_version {
            MinVersion::Tls12 => FROM_TLS12,
            MinVersion::Tls13 => FROM_TLS13,
        };
        Self {
            large: Hello::large(versions),
            small: Hello::small(versions),
            versions,
            policy: module.tls.clone(),
            anchors: TrustAnchors::of(module, roots),
            clock,
        }
    }

    /// For sessions with name servers: the same roots, without the expectations of the target.
    pub fn for_resolvers(&self) -> Self {
        let policy = TlsPolicy {
            expected_issuers: Vec::new(),
            on_interception: PolicyAction::Warn,
            pins: Vec::new(),
            ..self.policy.clone()
        };
        Self {
            policy,
            ..self.clone()
        }
    }

    /// For sessions with a web proxy: verified by rustls, with this host's roots and the module's.
    ///
    /// # Errors
    /// The provider supports none of the versions, which cannot happen.
    pub fn to_proxy(&self) -> Result<ClientConfig, TlsError> {
        let provider = Arc::clone(&self.large.provider);
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)?
            .with_root_certificates(self.anchors.of_this_host())
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Performs a handshake with `peer` over `transport`.
    ///
    /// If the large ClientHello has no answer after half of the time, the small one is sent in
    /// parallel, over a connection from `reconnect`: an answer to it reveals a middlebox that drops
    /// large ones. A path that loses packets looks the same, so the first attempt goes on, and the
    /// large one is sent once more, until the limit.
    pub async fn handshake(
        &self,
        transport: TransportStream,
        peer: &Peer,
        limit: TimeLimit,
        reconnect: Reconnect<'_>,
        issuers: Option<FetchIssuers<'_>>,
    ) -> (Handshake, Option<Box<TlsStream<TransportStream>>>) {
        let watch = Stopwatch::start();
        let mut first = pin!(attempt(&self.large, transport, peer, limit.remaining()));
        let early = tokio::time::timeout(limit.remaining() / 2, &mut first).await;
        let mut small = None;
        let attempt = match early {
            Ok(attempt) => {
                // A reset or a close is an answer: no packet was lost.
                if attempt.is_unanswered() {
                    small = Box::pin(self.try_small(peer, limit, reconnect)).await;
                }
                attempt
            }
            Err(_) => {
                let parallel = Box::pin(async {
                    small = self.try_small(peer, limit, reconnect).await;
                    small.as_ref()?;
                    let transport = reconnect().await?;
                    let again = attempt(&self.large, transport, peer, limit.remaining()).await;
                    (!again.is_unanswered()).then_some(again)
                });
                tokio::select! {
                    first = &mut first => first,
                    Some(again) = parallel => again,
                }
            }
        };
        let duration = watch.elapsed();
        let mut handshake = match small {
            Some(small) if attempt.is_unanswered() => Handshake {
                large_hello_dropped: true,
                failure: Some(Reason::TlsLargeHelloDropped),
                ..self.facts(&small, peer, issuers).await
            },
            Some(_) | None => self.facts(&attempt, peer, issuers).await,
        };
        handshake.duration = duration;
        let stream = attempt.session.ok().filter(|_| handshake.failure.is_none());
        (handshake, stream)
    }

    /// The small ClientHello over a new connection; `None` if that adds no information.
    async fn try_small(
        &self,
        peer: &Peer,
        limit: TimeLimit,
        reconnect: Reconnect<'_>,
    ) -> Option<HandshakeAttempt> {
        let transport = reconnect().await?;
        let attempt = attempt(&self.small, transport, peer, limit.remaining()).await;
        attempt.presented.is_some().then_some(attempt)
    }

    /// The verdict on a chain, completed by the issuers that it lacks if they can be fetched.
    async fn judge(
        &self,
        presented: &Presented,
        peer: &Peer,
        issuers: Option<FetchIssuers<'_>>,
    ) -> TrustResult {
        let mut fetched = Vec::new();
        let evaluate = |fetched: &[FetchedIssuer]| {
            let (chain, now) = (&presented.chain, self.clock.now());
            self.anchors
                .evaluate(chain, fetched, &peer.name, &self.policy, now)
        };
        let mut trust = evaluate(&fetched);
        let mut failed = None;
        for _ in 0..MAX_FETCHED_LEVELS {
            let Some(issuers) = issuers.filter(|_| !trust.missing_issuers.is_empty()) else {
                break;
            };
            let before = fetched.len();
            for url in &trust.missing_issuers {
                match issuers(url.clone()).await {
                    Ok(found) => fetched.extend(found),
                    Err(error) => failed = Some(error),
                }
            }
            if fetched.len() == before {
                break;
            }
            trust = evaluate(&fetched);
        }
        if let (Some(Reason::TlsIncompleteChain), Some(error)) = (trust.failure, failed) {
            trust.detail = Some(bounded(&format!("fetching the missing one: {error}")));
        }
        trust
    }

    async fn facts(
        &self,
        attempt: &HandshakeAttempt,
        peer: &Peer,
        issuers: Option<FetchIssuers<'_>>,
    ) -> Handshake {
        let trust = match &attempt.presented {
            Some(presented) => self.judge(presented, peer, issuers).boxed().await,
            None => TrustResult::default(),
        };
        let session = attempt.session.as_ref();
        let connection = session.ok().map(|stream| stream.get_ref().1);
        let error = session.err();
        let version = connection.and_then(|one| one.protocol_version()?.as_str());
        let cipher = connection.and_then(|one| one.negotiated_cipher_suite()?.suite().as_str());
        let group = connection.and_then(|one| one.negotiated_key_exchange_group()?.name().as_str());
        let alpn = connection.and_then(|one| one.alpn_protocol());
        Handshake {
            address: peer.address,
            duration: Duration::ZERO,
            failure: error.map(|error| error.reason).or(trust.failure),
            detail: error
                .and_then(|error| error.detail.clone())
                .or(trust.detail),
            // `TLSv1_3` and `TLS13_AES_128_GCM_SHA256` by their registered names.
            version: version.map(|name| name.replace("TLSv1_", "TLS 1.")),
            cipher: cipher.map(|name| name.replace("TLS13_", "TLS_")),
            key_exchange: group.map(str::to_owned),
            alpn: alpn.map(|protocol| bounded(&String::from_utf8_lossy(protocol))),
            alert: error.and_then(|error| error.alert.clone()),
            chain: trust.chain,
            fetched: trust.fetched,
            trust: trust.trust,
            ocsp_stapled: attempt
                .presented
                .as_ref()
                .is_some_and(|one| one.ocsp_stapled),
            pin_matched: trust.pin_matched,
            interception: trust.interception,
            spare: trust.spare,
            outside_dates: trust.outside_dates,
            large_hello_dropped: false,
        }
    }
}

/// The outcome of one ClientHello.
struct HandshakeAttempt {
    session: Result<Box<TlsStream<TransportStream>>, HandshakeError>,
    presented: Option<Presented>,
}

impl HandshakeAttempt {
    /// Whether nothing came back that would show who the peer is.
    fn is_unanswered(&self) -> bool {
        let silent = |error: &HandshakeError| {
            matches!(
                error.reason,
                Reason::TlsTimedOut | Reason::TlsReset | Reason::TlsClosed
            )
        };
        self.presented.is_none() && self.session.as_ref().is_err_and(silent)
    }
}

async fn attempt(
    hello: &Hello,
    transport: TransportStream,
    peer: &Peer,
    limit: Duration,
) -> HandshakeAttempt {
    let recorder = Arc::new(ChainRecorder::new(&hello.provider));
    let session = match hello.config(&recorder, peer.protocols) {
        Err(error) => Err(HandshakeError::of(io::Error::other(error))),
        Ok(config) => {
            let connector = TlsConnector::from(Arc::new(config));
            let connect = connector.connect(peer.name.clone(), transport);
            match tokio::time::timeout(limit, connect).await {
                Err(_) => Err(HandshakeError::timed_out()),
                Ok(Err(error)) => Err(HandshakeError::of(error)),
                Ok(Ok(stream)) => Ok(Box::new(stream)),
            }
        }
    };
    HandshakeAttempt {
        session,
        presented: recorder.presented(),
    }
}
