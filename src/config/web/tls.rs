//! The key `tls_server_config`: rustls's configuration of the listener.
//!
//! The rules are those of the exporter-toolkit (`web/tls_config.go`), except that a setting which Go
//! would silently ignore, and thereby leave the listener open, is an error.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    Error as TlsError, NamedGroup, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion,
};
use serde_saphyr::Spanned;
use x509_parser::parse_x509_certificate;

use super::client_auth::{self, ClientCertificate};
use super::pem::{PemSource, reason};
use super::raw::RawTlsServer;
use crate::config::FileSnapshot;
use crate::config::section::{Section, one_of};
use crate::diagnostics::Text;

const H2: &[u8] = b"h2";

/// ALPN protocols in order of preference.
pub(super) const HTTP2_AND_1: &[&[u8]] = &[H2, b"http/1.1"];
pub(super) const HTTP1: &[&[u8]] = &[b"http/1.1"];

/// The names in Go's `crypto/tls`.
const CURVES: &[(&str, NamedGroup)] = &[
    ("X25519MLKEM768", NamedGroup::X25519MLKEM768),
    ("SecP256r1MLKEM768", NamedGroup::secp256r1MLKEM768),
    ("X25519", NamedGroup::X25519),
    ("CurveP256", NamedGroup::secp256r1),
    ("CurveP384", NamedGroup::secp384r1),
    ("CurveP521", NamedGroup::secp521r1),
];

/// HTTP/2 over TLS 1.2 requires one of these (RFC 9113, 9.2.2); Go does not start without.
const HTTP2_SUITES: [&str; 2] = [
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
];

static VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS12, &rustls::version::TLS13];

/// The TLS configuration of the listener.
#[derive(Clone)]
pub struct ListenerTls {
    pub server: Arc<ServerConfig>,
    pub client_certificate: ClientCertificate,
    /// Expiry time of the listener's certificate.
    pub not_after: Timestamp,
}

impl ListenerTls {
    /// Adds the files that it reads to `files`.
    pub(super) fn validate(
        raw: &Spanned<Option<RawTlsServer>>,
        protocols: &[&[u8]],
        files: &mut Vec<FileSnapshot>,
        section: &mut Section<'_>,
    ) -> Option<Self> {
        let nothing = RawTlsServer::default();
        let tls = raw.value.as_ref().unwrap_or(&nothing);
        if *tls == nothing {
            let message = "the section is empty: the listener would serve plain HTTP; \
                           set cert_file and key_file, or remove the section";
            section.error(raw, "tls_server_config", message);
            return None;
        }
        let raw = &Spanned::new(tls, raw.referenced, raw.defined);
        let section = &mut section.below("tls_server_config");
        let provider = Arc::new(CryptoProvider {
            cipher_suites: cipher_suites(tls, protocols, section),
            kx_groups: curves(tls, section),
            ..aws_lc_rs::default_provider()
        });
        let versions = versions(tls, section);
        let identity = identity(raw, &provider, files, section);
        let (file, text) = (&tls.client_ca_file, &tls.client_ca);
        let ca = PemSource::find("client_ca", file, text, files, section);
        let verifier = client_auth::verifier(raw, ca.as_ref(), &provider, section);
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions?)
            .map_err(|error| {
                let message = format!(
                    "{}: min_version, max_version, cipher_suites and curve_preferences have \
                     nothing in common; allow more in one of them",
                    reason(&error)
                );
                section.error(raw, "", message);
            })
            .ok()?;
        let verifier = verifier?;
        let client_certificate = if verifier.client_auth_mandatory() {
            ClientCertificate::Required
        } else {
            ClientCertificate::Optional
        };
        let identity = identity?;
        let not_after = not_after(&identity)?;
        let mut config = builder
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        config.ignore_client_order = tls.prefer_server_cipher_suites.unwrap_or(true);
        Some(Self {
            server: Arc::new(config),
            client_certificate,
            not_after,
        })
    }
}

/// The index in [`VERSIONS`].
fn version(text: &str) -> Result<usize, String> {
    if let "TLS10" | "TLS11" = text {
        return Err(format!("{text} is not supported; use TLS12 or TLS13"));
    }
    one_of(text, &[("TLS12", 0), ("TLS13", 1)])
}

fn versions(
    raw: &RawTlsServer,
    section: &mut Section<'_>,
) -> Option<&'static [&'static SupportedProtocolVersion]> {
    let mut bound = |key, text: &Option<Text>, default| match text {
        None => Some(default),
        Some(text) => section.parse(key, text, version),
    };
    let min = bound("min_version", &raw.min_version, 0);
    let max = bound("max_version", &raw.max_version, 1);
    let (min, max) = (min?, max?);
    if min > max
        && let Some(text) = &raw.min_version
    {
        let message = "newer than max_version: no version remains; use an older one";
        section.error(text, "min_version", message);
        return None;
    }
    VERSIONS.get(min..=max)
}

/// The listed suites and those of TLS 1.3, which are always enabled: in Go, the list is for versions up
/// to 1.2.
fn cipher_suites(
    raw: &RawTlsServer,
    protocols: &[&[u8]],
    section: &mut Section<'_>,
) -> Vec<SupportedCipherSuite> {
    let default = aws_lc_rs::default_provider().cipher_suites;
    let Some(list) = raw
        .cipher_suites
        .as_ref()
        .filter(|list| !list.value.is_empty())
    else {
        return default;
    };
    let all = aws_lc_rs::ALL_CIPHER_SUITES;
    let names: Vec<_> = all.iter().map(go_name).collect();
    let known: Vec<_> = names
        .iter()
        .map(String::as_str)
        .zip(all.iter().copied())
        .collect();
    let mut suites = section.list("cipher_suites", &list.value, |text| one_of(text, &known));
    let has_tls12 = raw
        .min_version
        .as_ref()
        .is_none_or(|text| text.value == "TLS12");
    let is_http2_suite = |text: &Text| HTTP2_SUITES.contains(&text.value.as_str());
    if protocols.contains(&H2) && has_tls12 && !list.value.iter().any(is_http2_suite) {
        let message = format!(
            "HTTP/2 over TLS 1.2 requires one of {} (RFC 9113, 9.2.2); \
             add it, or set http_server_config.http2 to false",
            HTTP2_SUITES.join(", ")
        );
        section.error(list, "cipher_suites", message);
    }
    for suite in default {
        if suite.tls13().is_some() && !suites.contains(&suite) {
            suites.push(suite);
        }
    }
    suites
}

fn curves(raw: &RawTlsServer, section: &mut Section<'_>) -> Vec<&'static dyn SupportedKxGroup> {
    let group_of = |curve: &NamedGroup| {
        let mut groups = aws_lc_rs::ALL_KX_GROUPS.iter().copied();
        groups.find(|group| group.name() == *curve)
    };
    let known: Vec<_> = CURVES
        .iter()
        .filter_map(|(name, curve)| Some((*name, group_of(curve)?)))
        .collect();
    let list = &raw.curve_preferences;
    let groups = section.list("curve_preferences", list, |text| one_of(text, &known));
    if groups.is_empty() {
        aws_lc_rs::default_provider().kx_groups
    } else {
        groups
    }
}

/// The server's certificate and key.
fn identity(
    raw: &Spanned<&RawTlsServer>,
    provider: &CryptoProvider,
    files: &mut Vec<FileSnapshot>,
    section: &mut Section<'_>,
) -> Option<CertifiedKey> {
    let tls = raw.value;
    let cert = PemSource::find("cert", &tls.cert_file, &tls.cert, files, section);
    let key = PemSource::find("key", &tls.key_file, &tls.key, files, section);
    if cert.is_none() {
        let message = "missing; set it to the file of the server's certificate, \
                       or set cert to the certificate";
        section.error(raw, "cert_file", message);
    }
    if key.is_none() {
        let message = "missing; set it to the file of the certificate's private key, \
                       or set key to the private key";
        section.error(raw, "key_file", message);
    }
    let chain = cert
        .as_ref()
        .map(|cert| cert.read(PemSource::certificates, section));
    let private_key = key
        .as_ref()
        .map(|key| key.read(PemSource::private_key, section));
    let (cert, key) = (cert?, key?);
    match CertifiedKey::from_der(chain??, private_key??, provider) {
        Ok(identity) => return Some(identity),
        Err(TlsError::InconsistentKeys(_)) => {
            let message = format!("the key does not belong to the certificate in {}", cert.key);
            key.error(message, section);
        }
        Err(error @ TlsError::InvalidCertificate(_)) => {
            cert.error(cert.invalid("certificate", &error), section);
        }
        Err(error) => key.error(key.invalid("key", &error), section),
    }
    None
}

/// The expiry time of a certificate that rustls has parsed already.
fn not_after(identity: &CertifiedKey) -> Option<Timestamp> {
    let (_, leaf) = parse_x509_certificate(identity.cert.first()?).ok()?;
    Timestamp::from_second(leaf.validity().not_after.timestamp()).ok()
}

/// Go's name of a suite; rustls adds the version to those of TLS 1.3.
fn go_name(suite: &SupportedCipherSuite) -> String {
    let name = suite.suite().as_str().unwrap_or_default();
    name.replacen("TLS13_", "TLS_", 1)
}
