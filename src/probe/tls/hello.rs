//! The two ClientHellos of a module, and the configuration that their handshakes share.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::{ClientConfig, Error as TlsError, SupportedCipherSuite, SupportedProtocolVersion};

use super::chain_recorder::ChainRecorder;

/// In the order of Edge and Chrome: a server that leaves the choice to the client chooses for a
/// probe as for a terminal.
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

/// A ClientHello.
#[derive(Clone, Debug)]
pub(super) struct Hello {
    pub provider: Arc<CryptoProvider>,
    /// With a verifier that is never called: each handshake replaces it by its own.
    config: Result<ClientConfig, TlsError>,
}

impl Hello {
    /// With the key shares of the default provider, a post-quantum one among them.
    pub fn large(versions: &[&'static SupportedProtocolVersion]) -> Self {
        Self::of(aws_lc_rs::default_provider().kx_groups, versions)
    }

    /// With classic key shares only.
    pub fn small(versions: &[&'static SupportedProtocolVersion]) -> Self {
        Self::of(vec![X25519, SECP256R1, SECP384R1], versions)
    }

    fn of(
        kx_groups: Vec<&'static dyn SupportedKxGroup>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let provider = Arc::new(CryptoProvider {
            cipher_suites: CIPHERS.to_vec(),
            kx_groups,
            ..aws_lc_rs::default_provider()
        });
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let config = builder.with_protocol_versions(versions).map(|builder| {
            let mut config = builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(ChainRecorder::new(&provider)))
                .with_no_client_auth();
            config.resumption = Resumption::disabled();
            config
        });
        Self { provider, config }
    }

    /// The configuration for one handshake, whose chain `recorder` keeps.
    pub fn config(
        &self,
        recorder: &Arc<ChainRecorder>,
        protocols: &[&[u8]],
    ) -> Result<ClientConfig, TlsError> {
        let mut config = self.config.clone()?;
        let verifier = Arc::clone(recorder);
        config.dangerous().set_certificate_verifier(verifier);
        config.alpn_protocols = protocols.iter().map(|one| one.to_vec()).collect();
        Ok(config)
    }
}
