//! The facts of the tls layer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use strum::IntoStaticStr;

use crate::report::{Reason, seconds};

/// The handshakes on every connected address.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TlsFacts {
    pub handshakes: Vec<Handshake>,
    /// The address that the request was sent to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<IpAddr>,
}

impl TlsFacts {
    /// The handshake to show for the layer: the chosen one, else the first with a certificate.
    pub fn representative(&self) -> Option<&Handshake> {
        let all = || self.handshakes.iter();
        all()
            .find(|one| self.chosen == Some(one.address))
            .or_else(|| all().find(|one| !one.chain.is_empty()))
            .or(self.handshakes.first())
    }
}

/// One TLS handshake with the certificates that the server presented, trusted or not.
#[derive(Clone, Debug, Serialize)]
pub struct Handshake {
    pub address: IpAddr,
    #[serde(rename = "duration_seconds", serialize_with = "seconds")]
    pub duration: Duration,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Reason>,
    /// The error, in the words of the TLS library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_exchange: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn: Option<String>,
    /// The fatal alert that the server answered with, by its registered name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// As presented, the leaf first; bounded. Reports with the same certificate share it.
    pub chain: Vec<Arc<Certificate>>,
    /// Intermediates that the server did not send, fetched from the address in a certificate (AIA).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fetched: Vec<FetchedCertificate>,
    /// The verdict of each set of roots on the chain; empty if none was presented.
    pub trust: Vec<Trust>,
    /// An OCSP response came with the certificate (it is not verified).
    pub ocsp_stapled: bool,
    /// Whether one of the configured pins is in the chain; absent if none is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin_matched: Option<bool>,
    pub interception: Interception,
    /// Positions in the chain that the path to a trusted root does not need; empty without a path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spare: Vec<usize>,
    /// The certificate because of which the path is not valid now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside_dates: Option<OutsideDates>,
    /// Only the second handshake, with a small ClientHello, was answered.
    pub large_hello_dropped: bool,
}

/// Whether a device between this host and the server seems to sign in the server's place: this
/// host's roots are listed and trust the chain while the public web's do not, or no issuer is an
/// expected one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Interception {
    #[default]
    None,
    /// The issuer is one of the configured `accepted_interceptors`.
    Accepted,
    Suspected,
}

/// A set of trust anchors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum RootSet {
    /// This host's roots.
    Platform,
    /// The public web's roots.
    PublicWeb,
    /// The configured `ca_file`.
    CaFile,
}

/// A certificate that the server did not send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FetchedCertificate {
    pub url: String,
    pub certificate: Arc<Certificate>,
}

/// A certificate that is not valid now, on the path to a trusted root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutsideDates {
    /// Its position in the chain; absent for a root, which is in this host's store, and for a
    /// fetched intermediate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<usize>,
    /// Whether it is the root itself.
    pub is_root: bool,
    pub subject: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

/// The verdict of one set of roots on a chain; host names are not checked.
#[derive(Clone, Debug, Serialize)]
pub struct Trust {
    pub roots: RootSet,
    /// Whether the module's policy lists this set.
    pub decides: bool,
    pub trusted: bool,
    /// When the first certificate of a path expires, the root included if its dates are known; of
    /// several paths that are verified by signature, the latest. Absent without such a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Reason>,
}

/// The fields of a certificate. Strings are bounded and free of control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    pub subject: String,
    pub issuer: String,
    /// The same two in RFC 2253 form, in the order that Go's libraries use.
    pub subject_rfc2253: String,
    pub issuer_rfc2253: String,
    /// The issuer's common names and organizations, which expectations are compared with.
    pub issuer_names: Vec<String>,
    /// Lower-case hexadecimal.
    pub serial: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// The DNS names and addresses it is valid for; bounded.
    pub names: Vec<String>,
    /// SHA-256 of the certificate, lower-case hexadecimal.
    pub fingerprint_sha256: String,
    /// `sha256/BASE64` of the public key.
    pub pin: String,
    /// The public key, for example `RSA 2048` or `ECDSA P-256`.
    pub key: String,
    pub signature: String,
    /// A key or a signature below today's minimum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weakness: Option<String>,
}
