//! TLS of the login server: its configuration, and its faults instead of a handshake.

use std::io;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};
use tokio_rustls::TlsAcceptor;

use crate::authority::Identity;
use crate::faults::{Fault, TlsFault};
use crate::login_server::{Alpn, LARGE_HELLO, Settings};
use crate::raw;

/// The server's action after it has read the ClientHello.
pub(crate) enum Action {
    Send(Vec<u8>),
    Reset,
    Close,
    Silence,
}

/// The action of `fault` after a ClientHello of `hello` bytes; `None` for a regular handshake.
pub(crate) fn action(fault: &TlsFault, hello: usize) -> Option<Action> {
    const FATAL: u8 = 2;
    const PROTOCOL_VERSION: u8 = 70;
    let alert =
        |version: u8, description: u8| Action::Send(vec![21, 3, version, 0, 2, FATAL, description]);
    let action = match fault {
        TlsFault::PlainHttp => Action::Send(PLAIN_HTTP.to_vec()),
        TlsFault::Garbage => Action::Send((0..64_u8).map(|n| n.wrapping_mul(37) | 0x80).collect()),
        TlsFault::Tls10Only => alert(1, PROTOCOL_VERSION),
        TlsFault::Tls10Hello => Action::Send(tls10_hello()),
        TlsFault::Alert(description) => alert(3, *description),
        TlsFault::ResetAfterHello => Action::Reset,
        TlsFault::CloseAfterHello => Action::Close,
        TlsFault::SilentAfterHello => Action::Silence,
        TlsFault::DropLargeHello if hello > LARGE_HELLO => Action::Silence,
        TlsFault::ResetLargeHello if hello > LARGE_HELLO => Action::Reset,
        TlsFault::DropLargeHello
        | TlsFault::ResetLargeHello
        | TlsFault::Tls12Only
        | TlsFault::RequireClientCertificate => return None,
    };
    Some(action)
}

/// An acceptor for sessions as `identity`, without faults.
pub(crate) fn acceptor(identity: &Identity, protocols: &[&[u8]]) -> io::Result<TlsAcceptor> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .map_err(io::Error::other)?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A configuration for one connection, so that no session is resumed.
pub(crate) fn config(settings: &Settings) -> Result<ServerConfig, Error> {
    let versions = match &settings.fault {
        Some(Fault::Tls(TlsFault::Tls12Only)) => &[&TLS12][..],
        _ => &[&TLS13, &TLS12][..],
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)?;
    let builder = match &settings.fault {
        Some(Fault::Tls(TlsFault::RequireClientCertificate)) => {
            builder.with_client_cert_verifier(Arc::new(RejectAllClients { provider }))
        }
        _ => builder.with_no_client_auth(),
    };
    let identity = &settings.identity;
    let mut config = builder.with_single_cert_with_ocsp(
        identity.chain.clone(),
        identity.key.clone_key(),
        identity.staple.clone(),
    )?;
    let raw = settings.fault.as_ref().is_some_and(raw::is_raw);
    config.alpn_protocols = match settings.alpn {
        Alpn::Absent => Vec::new(),
        Alpn::Http1 => vec![b"http/1.1".to_vec()],
        Alpn::Both if raw => vec![b"http/1.1".to_vec()],
        Alpn::Both => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    Ok(config)
}

const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\
    Content-Length: 63\r\nConnection: close\r\n\r\n\
    <html><body>This port speaks plain HTTP, not TLS.</body></html>";

/// A ServerHello of TLS 1.0 with TLS_RSA_WITH_AES_128_CBC_SHA (RFC 2246, 7.4.1.3).
fn tls10_hello() -> Vec<u8> {
    let mut body = vec![3, 1];
    body.extend((0..32).map(|n: u8| n.wrapping_mul(7)));
    body.extend_from_slice(&[0, 0x00, 0x2f, 0]);
    let mut record = vec![22, 3, 1, 0, body.len() as u8 + 4, 2, 0, 0, body.len() as u8];
    record.extend_from_slice(&body);
    record
}

/// Requests a client certificate and rejects every one.
#[derive(Debug)]
struct RejectAllClients {
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for RejectAllClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
