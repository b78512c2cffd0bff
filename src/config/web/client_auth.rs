//! The keys of the web configuration about client certificates.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use serde_saphyr::Spanned;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use self::ClientCertificate::{Optional, Required};
use super::pem::PemSource;
use super::raw::RawTlsServer;
use crate::config::section::{Section, one_of};

/// Whether a client must present a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    Optional,
    Required,
}

/// Go's `tls.ClientAuthType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientAuth {
    None,
    /// Any certificate is accepted.
    Any(ClientCertificate),
    /// The certificate must be issued by `client_ca_file`.
    Verified(ClientCertificate),
}

const CLIENT_AUTH: &[(&str, ClientAuth)] = &[
    ("NoClientCert", ClientAuth::None),
    ("RequestClientCert", ClientAuth::Any(Optional)),
    ("RequireAnyClientCert", ClientAuth::Any(Required)),
    ("VerifyClientCertIfGiven", ClientAuth::Verified(Optional)),
    ("RequireAndVerifyClientCert", ClientAuth::Verified(Required)),
];

/// The verifier of client certificates; `ca` is `client_ca_file` or `client_ca`.
pub(super) fn verifier(
    raw: &Spanned<&RawTlsServer>,
    ca: Option<&PemSource<'_>>,
    provider: &Arc<CryptoProvider>,
    section: &mut Section<'_>,
) -> Option<Arc<dyn ClientCertVerifier>> {
    let auth = section.optional(
        "client_auth_type",
        &raw.value.client_auth_type,
        |text| match text {
            "" => Ok(ClientAuth::None),
            // The deprecated name, which the exporter-toolkit still accepts.
            "RequireClientCert" => Ok(ClientAuth::Any(Required)),
            _ => one_of(text, CLIENT_AUTH),
        },
    );
    let roots = ca.map(|ca| ca.read(PemSource::roots, section));
    let sans = raw.value.client_allowed_sans.as_ref();
    let certificate = match auth {
        None if raw.value.client_auth_type.is_some() => return None,
        None | Some(ClientAuth::None) => {
            let message = "has no effect, since client_auth_type requests no certificate; \
                           set it to RequireAndVerifyClientCert, or remove this key";
            if let Some(ca) = ca {
                ca.error(message, section);
            }
            if let Some(sans) = sans {
                section.error(sans, "client_allowed_sans", message);
            }
            return Some(WebPkiClientVerifier::no_client_auth());
        }
        Some(ClientAuth::Any(certificate) | ClientAuth::Verified(certificate)) => certificate,
    };
    let chain = match (auth, roots) {
        (_, Some(None)) => return None,
        (Some(ClientAuth::Verified(_)), Some(Some(roots))) => {
            let builder =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
            Some(builder.build().ok()?)
        }
        // Go would accept certificates of every public CA.
        (Some(ClientAuth::Verified(_)), None) => {
            let message = "missing; set it to the CA of the client certificates";
            section.error(raw, "client_ca_file", message);
            return None;
        }
        _ => None,
    };
    if let Some(sans) = sans.filter(|sans| sans.value.is_empty()) {
        let message = "the list is empty: no client would be accepted; \
                       add the names of the allowed clients, or remove the key";
        section.error(sans, "client_allowed_sans", message);
    }
    Some(Arc::new(Verifier {
        certificate,
        chain,
        allowed_sans: sans.map(|sans| sans.value.iter().map(|san| san.value.clone()).collect()),
        algorithms: provider.signature_verification_algorithms,
    }))
}

/// Verifies what rustls's own verifier cannot: a certificate of any issuer, and names.
#[derive(Debug)]
struct Verifier {
    certificate: ClientCertificate,
    /// `None` accepts any issuer.
    chain: Option<Arc<dyn ClientCertVerifier>>,
    /// `None` accepts any name.
    allowed_sans: Option<Vec<String>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.certificate == Required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain
            .as_ref()
            .map_or(&[], |chain| chain.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(chain) = &self.chain {
            chain.verify_client_cert(leaf, intermediates, now)?;
        }
        let is_allowed =
            |allowed: &Vec<String>| sans(leaf).iter().any(|name| allowed.contains(name));
        if self.allowed_sans.as_ref().is_none_or(is_allowed) {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// DNS names, e-mail addresses, IP addresses and URIs, as the exporter-toolkit compares them.
fn sans(leaf: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(leaf) else {
        return Vec::new();
    };
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
                Some((*text).to_owned())
            }
            GeneralName::IPAddress(bytes) => {
                let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
                let address = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
                address.ok().map(|address| address.to_string())
            }
            _ => None,
        })
        .collect()
}
