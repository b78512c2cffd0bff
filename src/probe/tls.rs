//! The tls layer: a full handshake on one connection, recorded whatever the verdict.
//!
//! The verifier accepts every chain and keeps it, and checks only the handshake's signature; trust
//! is judged afterwards by [`super::trust`]. So the facts of an expired or unknown certificate are
//! there like any other's. Nothing is sent over a session that was not judged good.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, Error as TlsError, InvalidMessage,
    PeerIncompatible, SignatureScheme, SupportedCipherSuite, SupportedProtocolVersion, version,
};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::bounded;
use super::proxy::TransportStream;
use super::trust::{self, Roots, TrustAnchors, TrustResult};
use crate::clock::{Clock, Stopwatch, TimeLimit};
use crate::config::{MinVersion, ProbeModule, Severity, TlsPolicy};
use crate::report::{Handshake, Reason};

/// What a module's handshakes share.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// The ClientHello as current browsers send it: with a post-quantum key share, larger than one
    /// packet.
    large: Hello,
    /// The classic one, which fits into a packet.
    small: Hello,
    versions: &'static [&'static SupportedProtocolVersion],
    policy: TlsPolicy,
    anchors: TrustAnchors,
    clock: Clock,
}

/// A ClientHello, and what every handshake that begins with it shares.
#[derive(Clone, Debug)]
struct Hello {
    provider: Arc<CryptoProvider>,
    /// With a verifier that nobody asks: each handshake has its own.
    config: Result<ClientConfig, TlsError>,
}

impl Hello {
    fn of(provider: CryptoProvider, versions: &[&'static SupportedProtocolVersion]) -> Self {
        let provider = Arc::new(provider);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let config = builder.with_protocol_versions(versions).map(|builder| {
            let nobody = Arc::new(Recorder::new(Arc::clone(&provider)));
            let mut config = builder
                .dangerous()
                .with_custom_certificate_verifier(nobody)
                .with_no_client_auth();
            config.resumption = Resumption::disabled();
            config
        });
        Self { provider, config }
    }
}

/// Opens another connection to the same peer, if it can.
pub(super) type Reconnect<'a> = &'a (dyn Fn() -> BoxFuture<'a, Option<TransportStream>> + Sync);

/// With whom a session is to be.
#[derive(Clone)]
pub(super) struct Peer {
    pub address: IpAddr,
    /// Whom the certificate must name.
    pub name: ServerName<'static>,
    /// What is to be spoken, in order of preference (ALPN).
    pub protocols: &'static [&'static [u8]],
}

const FROM_TLS12: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
const FROM_TLS13: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// In the order of Edge and Chrome: a server that leaves the choice to the client chooses for a probe as
/// it does for a terminal.
const CIPHERS: [SupportedCipherSuite; 9] = {
    use aws_lc_rs::cipher_suite::*;
    [
        TLS13_AES_128_GCM_SHA256,
        TLS13_AES_256_GCM_SHA384,
        TLS13_CHACHA20_POLY1305_SHA256,
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ]
};

impl Client {
    pub fn of(module: &ProbeModule, roots: &Roots, clock: Clock) -> Self {
        use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519};
        let large = CryptoProvider {
            cipher_suites: CIPHERS.to_vec(),
            ..aws_lc_rs::default_provider()
        };
        let small = CryptoProvider {
            kx_groups: vec![X25519, SECP256R1, SECP384R1],
            ..large.clone()
        };
        let versions = match module.tls.min_version {
            MinVersion::Tls12 => FROM_TLS12,
            MinVersion::Tls13 => FROM_TLS13,
        };
        Self {
            large: Hello::of(large, versions),
            small: Hello::of(small, versions),
            versions,
            policy: module.tls.clone(),
            anchors: TrustAnchors::of(module, roots),
            clock,
        }
    }

    /// For sessions with name servers: the same roots, and nothing that is expected of the target
    /// alone.
    pub fn for_resolvers(&self) -> Self {
        let policy = TlsPolicy {
            expected_issuers: Vec::new(),
            on_interception: Severity::Warn,
            pins: Vec::new(),
            ..self.policy.clone()
        };
        Self {
            policy,
            ..self.clone()
        }
    }

    /// Shakes hands with `peer` over `carrier`. Where the large ClientHello gets no answer in half of
    /// the time, the small one is tried beside it, over a connection from `again`: an answer to that
    /// tells a middlebox that drops large ones. A way that loses packets looks the same; so the large
    /// one may still be answered, and is tried once more, for as long as there is time.
    pub async fn handshake(
        &self,
        transport: TransportStream,
        peer: &Peer,
        limit: TimeLimit,
        reconnect: Reconnect<'_>,
    ) -> (Handshake, Option<Box<TlsStream<TransportStream>>>) {
        let watch = Stopwatch::start();
        let mut first = pin!(self.attempt(&self.large, transport, peer, limit.remaining()));
        let early = tokio::time::timeout(limit.remaining() / 2, &mut first).await;
        let mut small = None;
        let attempt = match early {
            Ok(attempt) => {
                // Reset or closed: that is an answer, and no loss.
                if attempt.is_unanswered() {
                    small = Box::pin(self.try_small(peer, limit, reconnect)).await;
                }
                attempt
            }
            Err(_) => {
                let aside = Box::pin(async {
                    small = self.try_small(peer, limit, reconnect).await;
                    small.as_ref()?;
                    let transport = reconnect().await?;
                    let once_more = self.attempt(&self.large, transport, peer, limit.remaining());
                    let once_more = once_more.await;
                    (!once_more.is_unanswered()).then_some(once_more)
                });
                tokio::select! {
                    first = &mut first => first,
                    Some(once_more) = aside => once_more,
                }
            }
        };
        let mut handshake = match small {
            Some(small) if attempt.is_unanswered() => Handshake {
                large_hello_dropped: true,
                failure: Some(Reason::TlsLargeHelloDropped),
                ..self.record(&small, peer)
            },
            Some(_) | None => self.record(&attempt, peer),
        };
        handshake.duration = watch.elapsed();
        let stream = match handshake.failure {
            None => attempt.session.ok(),
            Some(_) => None,
        };
        (handshake, stream)
    }

    /// The small ClientHello over a connection of its own; `None` where that shows no more.
    async fn try_small(
        &self,
        peer: &Peer,
        limit: TimeLimit,
        reconnect: Reconnect<'_>,
    ) -> Option<Attempt> {
        let transport = reconnect().await?;
        let attempt = self
            .attempt(&self.small, transport, peer, limit.remaining())
            .await;
        attempt.presented.is_some().then_some(attempt)
    }

    async fn attempt(
        &self,
        hello: &Hello,
        transport: TransportStream,
        peer: &Peer,
        limit: Duration,
    ) -> Attempt {
        let recorder = Arc::new(Recorder::new(Arc::clone(&hello.provider)));
        let session = match config(hello, &recorder, peer) {
            Err(error) => Err(HandshakeError::of(io::Error::other(error))),
            Ok(config) => {
                let name = peer.name.clone();
                let connect = TlsConnector::from(Arc::new(config)).connect(name, transport);
                match tokio::time::timeout(limit, connect).await {
                    Err(_) => Err(HandshakeError {
                        reason: Reason::TlsTimedOut,
                        detail: None,
                    }),
                    Ok(Err(error)) => Err(HandshakeError::of(error)),
                    Ok(Ok(stream)) => Ok(Box::new(stream)),
                }
            }
        };
        Attempt {
            session,
            presented: recorder.take(),
        }
    }

    /// For a session with a web proxy: judged by rustls, by this host's roots and the module's.
    ///
    /// # Errors
    /// When the provider speaks none of the versions, which it does.
    pub fn to_proxy(&self) -> Result<ClientConfig, TlsError> {
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.large.provider))
            .with_protocol_versions(self.versions)?
            .with_root_certificates(self.anchors.of_this_host())
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn record(&self, attempt: &Attempt, peer: &Peer) -> Handshake {
        let presented = attempt.presented.as_ref();
        let judgement = presented.map_or_else(TrustResult::default, |presented| {
            trust::judge(
                &presented.chain,
                &peer.name,
                &self.policy,
                &self.anchors,
                self.large.provider.signature_verification_algorithms,
                self.clock.now(),
            )
        });
        let connection = attempt
            .session
            .as_ref()
            .ok()
            .map(|stream| stream.get_ref().1);
        let trouble = attempt.session.as_ref().err();
        Handshake {
            address: peer.address,
            duration: Duration::ZERO,
            failure: trouble.map(|trouble| trouble.reason).or(judgement.failure),
            detail: trouble
                .and_then(|trouble| trouble.detail.clone())
                .or(judgement.detail),
            version: connection
                .and_then(|connection| connection.protocol_version())
                .and_then(|version| version.as_str())
                .map(version_name),
            cipher: connection
                .and_then(|connection| connection.negotiated_cipher_suite())
                .and_then(|suite| suite.suite().as_str())
                .map(cipher_name),
            key_exchange: connection
                .and_then(|connection| connection.negotiated_key_exchange_group())
                .and_then(|group| group.name().as_str())
                .map(str::to_owned),
            alpn: connection
                .and_then(|connection| connection.alpn_protocol())
                .map(|protocol| bounded(&String::from_utf8_lossy(protocol))),
            chain: judgement.chain,
            trust: judgement.trust,
            ocsp_stapled: presented.is_some_and(|presented| presented.ocsp_stapled),
            pin_matched: judgement.pin_matched,
            interception: judgement.interception,
            large_hello_dropped: false,
        }
    }
}

/// For one handshake, which `recorder` watches.
fn config(hello: &Hello, recorder: &Arc<Recorder>, peer: &Peer) -> Result<ClientConfig, TlsError> {
    let mut config = hello.config.clone()?;
    config
        .dangerous()
        .set_certificate_verifier(Arc::clone(recorder) as _);
    config.alpn_protocols = peer.protocols.iter().map(|one| one.to_vec()).collect();
    Ok(config)
}

/// `TLSv1_3` as people write it.
fn version_name(name: &str) -> String {
    name.replace("TLSv1_", "TLS 1.")
}

/// `TLS13_AES_128_GCM_SHA256` by its registered name.
fn cipher_name(name: &str) -> String {
    name.replace("TLS13_", "TLS_")
}

/// One handshake as it went.
struct Attempt {
    session: Result<Box<TlsStream<TransportStream>>, HandshakeError>,
    presented: Option<Presented>,
}

impl Attempt {
    /// Nothing came that would show who is there.
    fn is_unanswered(&self) -> bool {
        let silent = |trouble: &HandshakeError| {
            matches!(
                trouble.reason,
                Reason::TlsTimedOut | Reason::TlsReset | Reason::TlsClosed
            )
        };
        self.presented.is_none() && self.session.as_ref().is_err_and(silent)
    }
}

/// Why a handshake did not come to its end.
pub(super) struct HandshakeError {
    pub reason: Reason,
    pub detail: Option<String>,
}

impl HandshakeError {
    fn of(error: io::Error) -> Self {
        let tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<TlsError>());
        let reason = match (tls, error.kind()) {
            (Some(tls), _) => tls_reason(tls),
            (None, io::ErrorKind::UnexpectedEof) => Reason::TlsClosed,
            (
                None,
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe,
            ) => Reason::TlsReset,
            (None, io::ErrorKind::TimedOut) => Reason::TlsTimedOut,
            (None, _) => Reason::TlsReset,
        };
        Self {
            reason,
            detail: Some(bounded(&error.to_string())),
        }
    }
}

fn tls_reason(error: &TlsError) -> Reason {
    match error {
        TlsError::AlertReceived(
            AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity,
        )
        | TlsError::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => Reason::TlsVersion,
        TlsError::AlertReceived(_) => Reason::TlsAlert,
        TlsError::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge,
        ) => Reason::TlsNotTls,
        TlsError::InvalidCertificate(_)
        | TlsError::DecryptError
        | TlsError::NoCertificatesPresented => Reason::TlsBadSignature,
        TlsError::PeerIncompatible(_) => Reason::TlsVersion,
        _ => Reason::TlsNotTls,
    }
}

/// What the server showed.
struct Presented {
    chain: Vec<CertificateDer<'static>>,
    ocsp_stapled: bool,
}

/// A verifier that keeps the chain and leaves the verdict on it to others.
#[derive(Debug)]
struct Recorder {
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<(Vec<CertificateDer<'static>>, bool)>>,
}

impl Recorder {
    fn new(provider: Arc<CryptoProvider>) -> Self {
        Self {
            provider,
            seen: Mutex::new(None),
        }
    }

    fn take(&self) -> Option<Presented> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.take().map(|(chain, ocsp_stapled)| Presented {
            chain,
            ocsp_stapled,
        })
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let chain = std::iter::once(end_entity)
            .chain(intermediates.iter().take(super::MAX_CHAIN))
            .map(|one| one.clone().into_owned())
            .collect();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some((chain, !ocsp_response.is_empty()));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
