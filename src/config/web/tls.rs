//! The TLS part of the web configuration, made what rustls takes.
//!
//! In: the keys under `tls_server_config`. Out: a [`ServerConfig`]. The rules are the toolkit's
//! (`web/tls_config.go`), except that what Go would leave open in silence is a mistake.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    Error as TlsError, NamedGroup, RootCertStore, ServerConfig, SupportedCipherSuite,
    SupportedProtocolVersion,
};
use serde_saphyr::Spanned;

use super::clients::{AcceptAnyClientCert, Named};
use super::raw::TlsServer;
use super::{Clients, Reader, Tls};
use crate::config::FileSnapshot;
use crate::config::raw::Text;

pub(super) const H2: &[u8] = b"h2";

const SECTION: &str = "tls_server_config";

/// The names of Go's `crypto/tls`, and the group that each is.
const CURVES: &[(&str, NamedGroup)] = &[
    ("X25519MLKEM768", NamedGroup::X25519MLKEM768),
    ("SecP256r1MLKEM768", NamedGroup::secp256r1MLKEM768),
    ("X25519", NamedGroup::X25519),
    ("CurveP256", NamedGroup::secp256r1),
    ("CurveP384", NamedGroup::secp384r1),
    ("CurveP521", NamedGroup::secp521r1),
];

/// One of these must be among the suites of TLS 1.2 where HTTP/2 is spoken (RFC 9113, 9.2.2); Go
/// refuses to start without.
const HTTP2_SUITES: [&str; 2] = [
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    Tls12,
    Tls13,
}

impl Version {
    fn supported(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::Tls12 => &rustls::version::TLS12,
            Self::Tls13 => &rustls::version::TLS13,
        }
    }
}

/// What is asked of clients: Go's `tls.ClientAuthType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientAuth {
    No,
    Request,
    RequireAny,
    VerifyIfGiven,
    RequireAndVerify,
}

const CLIENT_AUTH: &[(&str, ClientAuth)] = &[
    ("NoClientCert", ClientAuth::No),
    ("RequestClientCert", ClientAuth::Request),
    ("RequireAnyClientCert", ClientAuth::RequireAny),
    ("VerifyClientCertIfGiven", ClientAuth::VerifyIfGiven),
    ("RequireAndVerifyClientCert", ClientAuth::RequireAndVerify),
];

/// PEM in a file, or in the configuration itself.
struct Source<'t> {
    key: String,
    text: &'t Text,
    file: Option<PathBuf>,
}

impl Source<'_> {
    /// Begins a message about what stands in it.
    fn name(&self) -> String {
        match &self.file {
            Some(path) => path.display().to_string(),
            None => "the text".to_owned(),
        }
    }

    fn pem(&self) -> Result<Vec<u8>, String> {
        match &self.file {
            Some(path) => {
                fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
            }
            None => Ok(self.text.value.clone().into_bytes()),
        }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let pem = self.pem()?;
        let certificates = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| format!("{} holds damaged PEM; write it again", self.name()))?;
        if certificates.is_empty() {
            Err(format!(
                "{} holds no certificate; it must be PEM (BEGIN CERTIFICATE)",
                self.name()
            ))
        } else {
            Ok(certificates)
        }
    }

    /// What the PEM reader says is not repeated: it may quote the key.
    fn private_key(&self) -> Result<PrivateKeyDer<'static>, String> {
        PrivateKeyDer::from_pem_slice(&self.pem()?).map_err(|_| {
            format!(
                "{} holds no private key; it must be PEM (BEGIN PRIVATE KEY) without a passphrase",
                self.name()
            )
        })
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots.add(certificate).map_err(|error| {
                format!(
                    "{} holds a certificate that cannot be used: {}",
                    self.name(),
                    reason(&error)
                )
            })?;
        }
        Ok(roots)
    }
}

/// What rustls says, without its words about peers.
fn reason(error: &TlsError) -> String {
    match error {
        TlsError::General(text) => text.clone(),
        TlsError::InvalidCertificate(error) => error.to_string(),
        other => other.to_string(),
    }
}

fn key(name: &str) -> String {
    format!("{SECTION}.{name}")
}

impl Reader<'_> {
    pub(super) fn tls(
        &mut self,
        section: &Spanned<Option<TlsServer>>,
        protocols: &[&[u8]],
    ) -> Option<Tls> {
        let nothing = TlsServer::default();
        let raw = section.value.as_ref().unwrap_or(&nothing);
        if *raw == nothing {
            let message = "is empty, and the listener would speak plain HTTP; \
                           write cert_file and key_file, or leave tls_server_config out";
            self.at(section, SECTION, message);
            return None;
        }
        let provider = Arc::new(CryptoProvider {
            cipher_suites: self.cipher_suites(raw, protocols),
            kx_groups: self.curves(raw),
            ..aws_lc_rs::default_provider()
        });
        let versions = self.versions(raw);
        let identity = self.identity(section, raw, &provider);
        let verifier = self.client_verifier(section, raw, &provider);
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions?)
            .map_err(|error| {
                let message = format!(
                    "{}; min_version, max_version, cipher_suites and curve_preferences leave \
                     nothing in common: widen one of them",
                    reason(&error)
                );
                self.at(section, SECTION, message);
            })
            .ok()?;
        let mut config = builder
            .with_client_cert_verifier(Arc::clone(verifier.as_ref()?))
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity?)));
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        config.ignore_client_order = raw.prefer_server_cipher_suites.unwrap_or(true);
        Some(Tls {
            server: Arc::new(config),
            clients: if verifier?.client_auth_mandatory() {
                Clients::NeedACertificate
            } else {
                Clients::NeedNoCertificate
            },
        })
    }

    fn one_of<T: Copy>(&mut self, name: &str, text: &Text, choices: &[(&str, T)]) -> Option<T> {
        let found = choices.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            let value = &text.value;
            let message = format!("{value:?} is not known; write one of {}", words.join(", "));
            self.at(text, &key(name), message);
        }
        found.map(|(_, value)| *value)
    }

    fn version(&mut self, name: &str, text: &Option<Text>, default: Version) -> Option<Version> {
        let Some(text) = text else {
            return Some(default);
        };
        if let "TLS10" | "TLS11" = text.value.as_str() {
            let message = format!(
                "{} is refused: rustls has no TLS before 1.2; write TLS12 or TLS13",
                text.value
            );
            self.at(text, &key(name), message);
            return None;
        }
        let choices = [("TLS12", Version::Tls12), ("TLS13", Version::Tls13)];
        self.one_of(name, text, &choices)
    }

    fn versions(&mut self, raw: &TlsServer) -> Option<Vec<&'static SupportedProtocolVersion>> {
        let least = self.version("min_version", &raw.min_version, Version::Tls12);
        let most = self.version("max_version", &raw.max_version, Version::Tls13);
        let (least, most) = (least?, most?);
        if least > most
            && let Some(text) = &raw.min_version
        {
            let message = "is above max_version, and no version is left; lower it";
            self.at(text, &key("min_version"), message);
            return None;
        }
        let allowed = [Version::Tls12, Version::Tls13]
            .into_iter()
            .filter(|version| (least..=most).contains(version));
        Some(allowed.map(Version::supported).collect())
    }

    /// The suites that are listed. Those of TLS 1.3 are there in any case: in Go, and in the
    /// toolkit's documentation, the list is for versions up to 1.2.
    fn cipher_suites(&mut self, raw: &TlsServer, protocols: &[&[u8]]) -> Vec<SupportedCipherSuite> {
        let default = aws_lc_rs::default_provider().cipher_suites;
        let Some(list) = raw.cipher_suites.as_ref() else {
            return default;
        };
        if list.value.is_empty() {
            return default;
        }
        let names: Vec<_> = aws_lc_rs::ALL_CIPHER_SUITES.iter().map(go_name).collect();
        let known: Vec<_> = names
            .iter()
            .map(String::as_str)
            .zip(aws_lc_rs::ALL_CIPHER_SUITES.iter().copied())
            .collect();
        let mut suites = Vec::new();
        for (index, text) in list.value.iter().enumerate() {
            suites.extend(self.one_of(&format!("cipher_suites[{index}]"), text, &known));
        }
        let speaks_tls12 = raw
            .min_version
            .as_ref()
            .is_none_or(|text| text.value == "TLS12");
        let has_http2_suite = list
            .value
            .iter()
            .any(|text| HTTP2_SUITES.contains(&text.value.as_str()));
        if protocols.contains(&H2) && speaks_tls12 && !has_http2_suite {
            let message = format!(
                "HTTP/2 over TLS 1.2 needs one of {} (RFC 9113, 9.2.2); \
                 add it, or write http2: false under http_server_config",
                HTTP2_SUITES.join(", ")
            );
            self.at(list, &key("cipher_suites"), message);
        }
        for suite in default {
            if suite.tls13().is_some() && !suites.contains(&suite) {
                suites.push(suite);
            }
        }
        suites
    }

    fn curves(&mut self, raw: &TlsServer) -> Vec<&'static dyn SupportedKxGroup> {
        let list = raw.curve_preferences.as_deref().unwrap_or_default();
        if list.is_empty() {
            return aws_lc_rs::default_provider().kx_groups;
        }
        let known: Vec<_> = CURVES
            .iter()
            .filter_map(|(name, group)| {
                let group = aws_lc_rs::ALL_KX_GROUPS
                    .iter()
                    .find(|known| known.name() == *group)?;
                Some((*name, *group))
            })
            .collect();
        let mut groups = Vec::new();
        for (index, text) in list.iter().enumerate() {
            groups.extend(self.one_of(&format!("curve_preferences[{index}]"), text, &known));
        }
        if groups.is_empty() {
            aws_lc_rs::default_provider().kx_groups
        } else {
            groups
        }
    }

    /// The one of two keys that is written; both at once is a mistake. A blank one counts as none.
    fn source<'t>(
        &mut self,
        (file_name, file): (&str, &'t Option<Text>),
        (text_name, text): (&str, &'t Option<Text>),
    ) -> Option<Source<'t>> {
        let file = file.as_ref().filter(|file| !file.value.is_empty());
        let text = text.as_ref().filter(|text| !text.value.is_empty());
        if let (Some(_), Some(text)) = (file, text) {
            let message = format!("{file_name} is written too; leave one of the two out");
            self.at(text, &key(text_name), message);
        }
        match (file, text) {
            (Some(file), _) => {
                let path = self.directory.join(&file.value);
                self.files.push(FileSnapshot::take(path.clone()));
                Some(Source {
                    key: key(file_name),
                    text: file,
                    file: Some(path),
                })
            }
            (None, Some(text)) => Some(Source {
                key: key(text_name),
                text,
                file: None,
            }),
            (None, None) => None,
        }
    }

    /// What `read` makes of the source; its mistake is noted.
    fn read<'t, T>(
        &mut self,
        source: &Source<'t>,
        read: impl Fn(&Source<'t>) -> Result<T, String>,
    ) -> Option<T> {
        read(source)
            .map_err(|message| self.at(source.text, &source.key, message))
            .ok()
    }

    /// The server's certificate with its key.
    fn identity(
        &mut self,
        section: &Spanned<Option<TlsServer>>,
        raw: &TlsServer,
        provider: &CryptoProvider,
    ) -> Option<CertifiedKey> {
        let cert = self.source(("cert_file", &raw.cert_file), ("cert", &raw.cert));
        let private = self.source(("key_file", &raw.key_file), ("key", &raw.key));
        if cert.is_none() {
            let message = "is missing; write the file of the server's certificate, \
                           or the certificate itself under cert";
            self.at(section, &key("cert_file"), message);
        }
        if private.is_none() {
            let message = "is missing; write the file of the certificate's private key, \
                           or the key itself under key";
            self.at(section, &key("key_file"), message);
        }
        let chain = cert
            .as_ref()
            .and_then(|source| self.read(source, Source::certificates));
        let private_key = private
            .as_ref()
            .and_then(|source| self.read(source, Source::private_key));
        let (cert, private) = (cert?, private?);
        match CertifiedKey::from_der(chain?, private_key?, provider) {
            Ok(identity) => Some(identity),
            Err(error) => {
                let (source, message) = match &error {
                    TlsError::InconsistentKeys(_) => (
                        &private,
                        format!(
                            "is not the key of the certificate in {}; write the one that is",
                            cert.key
                        ),
                    ),
                    TlsError::InvalidCertificate(_) => (
                        &cert,
                        format!(
                            "{} holds a certificate that cannot be used: {}",
                            cert.name(),
                            reason(&error)
                        ),
                    ),
                    other => (
                        &private,
                        format!(
                            "{} holds a key that cannot be used: {}",
                            private.name(),
                            reason(other)
                        ),
                    ),
                };
                self.at(source.text, &source.key, message);
                None
            }
        }
    }

    fn client_auth(&mut self, raw: &TlsServer) -> Option<ClientAuth> {
        match &raw.client_auth_type {
            Some(text) => match text.value.as_str() {
                "" => Some(ClientAuth::No),
                // An older name that the toolkit still takes.
                "RequireClientCert" => Some(ClientAuth::RequireAny),
                _ => self.one_of("client_auth_type", text, CLIENT_AUTH),
            },
            None => Some(ClientAuth::No),
        }
    }

    fn client_verifier(
        &mut self,
        section: &Spanned<Option<TlsServer>>,
        raw: &TlsServer,
        provider: &Arc<CryptoProvider>,
    ) -> Option<Arc<dyn ClientCertVerifier>> {
        let auth = self.client_auth(raw);
        let ca = self.source(
            ("client_ca_file", &raw.client_ca_file),
            ("client_ca", &raw.client_ca),
        );
        let roots = ca.as_ref().map(|source| self.read(source, Source::roots));
        let auth = auth?;
        if auth == ClientAuth::No {
            let message = "no certificate is asked for; \
                           write client_auth_type: RequireAndVerifyClientCert, or leave it out";
            if let Some(ca) = &ca {
                self.at(ca.text, &ca.key, message);
            }
            if let Some(sans) = &raw.client_allowed_sans {
                self.at(sans, &key("client_allowed_sans"), message);
            }
            return Some(WebPkiClientVerifier::no_client_auth());
        }
        let roots = match roots {
            Some(read) => Some(read?),
            None => None,
        };
        let verifier = match (auth, roots) {
            (ClientAuth::Request, _) => {
                AcceptAnyClientCert::verifier(Clients::NeedNoCertificate, provider)
            }
            (ClientAuth::RequireAny, _) => {
                AcceptAnyClientCert::verifier(Clients::NeedACertificate, provider)
            }
            (_, Some(roots)) => {
                let provider = Arc::clone(provider);
                let builder =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let builder = match auth {
                    ClientAuth::VerifyIfGiven => builder.allow_unauthenticated(),
                    _ => builder,
                };
                builder.build().ok()?
            }
            // Go would take whatever a public authority issued, to anybody.
            (_, None) => {
                let message = "is missing; write the file of the authority that the clients' \
                               certificates are of";
                self.at(section, &key("client_ca_file"), message);
                return None;
            }
        };
        Some(match &raw.client_allowed_sans {
            None => verifier,
            Some(sans) => Named::verifier(self.allowed_sans(sans), verifier),
        })
    }
}

/// Go's name of a suite: rustls writes the version into those of TLS 1.3.
fn go_name(suite: &SupportedCipherSuite) -> String {
    let name = suite.suite().as_str().unwrap_or_default();
    name.replacen("TLS13_", "TLS_", 1)
}
