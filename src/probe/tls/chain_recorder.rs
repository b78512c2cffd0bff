//! A certificate verifier that records the presented chain and accepts it. It does check the
//! handshake signature, which proves that the peer has the certificate's key.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error as TlsError, SignatureScheme};

use crate::probe::MAX_CHAIN;

#[derive(Debug)]
pub(super) struct ChainRecorder {
    algorithms: WebPkiSupportedAlgorithms,
    presented: OnceLock<Presented>,
}

/// What the server presented.
#[derive(Clone, Debug)]
pub(super) struct Presented {
    pub chain: Vec<CertificateDer<'static>>,
    pub ocsp_stapled: bool,
}

impl ChainRecorder {
    pub fn new(provider: &Arc<CryptoProvider>) -> Self {
        Self {
            algorithms: provider.signature_verification_algorithms,
            presented: OnceLock::new(),
        }
    }

    pub fn presented(&self) -> Option<Presented> {
        self.presented.get().cloned()
    }
}

impl ServerCertVerifier for ChainRecorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let chain = std::iter::once(end_entity).chain(intermediates.iter().take(MAX_CHAIN));
        let _ = self.presented.set(Presented {
            chain: chain.map(|one| one.clone().into_owned()).collect(),
            ocsp_stapled: !ocsp_response.is_empty(),
        });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
