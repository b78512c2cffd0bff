//! The fields of a certificate. Its bytes are untrusted: every value is bounded.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::oid;
use x509_parser::der_parser::oid::Oid;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;

use super::bounded;
use crate::bounded_cache::BoundedCache;
use crate::report::Certificate;

/// Certificates kept of a chain.
pub(super) const MAX_CHAIN: usize = 10;
const MAX_NAMES: usize = 64;
/// NIST SP 800-131A and the CA/Browser Forum's Baseline Requirements, 6.1.5.
const MIN_RSA_BITS: usize = 2048;
const CA_ISSUERS: Oid<'static> = oid!(1.3.6.1.5.5.7.48.2);

const MAX_CACHED: usize = 256;

/// Parsed certificates by their bytes, since the same ones are presented at each probe.
#[derive(Debug)]
pub(super) struct CertificateCache(BoundedCache<CertificateDer<'static>, Arc<ChainCertificate>>);

impl Default for CertificateCache {
    fn default() -> Self {
        Self(BoundedCache::new(MAX_CACHED))
    }
}

impl CertificateCache {
    /// The fields of a certificate; `None` if it cannot be parsed.
    pub fn parse(&self, der: &CertificateDer<'static>) -> Option<Arc<ChainCertificate>> {
        if let Some(parsed) = self.0.get(der) {
            return Some(parsed);
        }
        let parsed = Arc::new(parse(der)?);
        self.0.insert(der.clone(), Arc::clone(&parsed));
        Some(parsed)
    }
}

/// A certificate, with its facts and what chain verification needs.
#[derive(Debug)]
pub(super) struct ChainCertificate {
    pub facts: Arc<Certificate>,
    pub self_issued: bool,
    /// The raw names, to find an issuer in the chain.
    pub subject: Vec<u8>,
    pub issuer: Vec<u8>,
    /// It has the address of its issuer's certificate (AIA caIssuers).
    pub has_issuer_url: bool,
}

fn parse(der: &CertificateDer<'_>) -> Option<ChainCertificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let subject = certificate.subject().as_raw().to_vec();
    let issuer = certificate.issuer().as_raw().to_vec();
    let facts = Certificate {
        subject: bounded(&certificate.subject().to_string()),
        issuer: bounded(&certificate.issuer().to_string()),
        subject_rfc2253: bounded(&rfc2253(certificate.subject())),
        issuer_rfc2253: bounded(&rfc2253(certificate.issuer())),
        issuer_names: common_names(certificate.issuer()),
        // RFC 5280 allows 20 octets; a longer one is cut.
        serial: bounded(&hex(certificate.raw_serial())),
        not_before: instant(certificate.validity().not_before.timestamp()),
        not_after: instant(certificate.validity().not_after.timestamp()),
        names: names(&certificate),
        fingerprint_sha256: hex(&Sha256::digest(der.as_ref())),
        pin: format!(
            "sha256/{}",
            STANDARD.encode(Sha256::digest(certificate.public_key().raw))
        ),
        key: key(&certificate),
        signature: signature(&certificate),
        weakness: weakness(&certificate),
    };
    Some(ChainCertificate {
        self_issued: subject == issuer,
        has_issuer_url: has_issuer_url(&certificate),
        facts: Arc::new(facts),
        subject,
        issuer,
    })
}

/// A root's raw name, and the end of its validity.
pub(super) fn root_expiry(der: &CertificateDer<'_>) -> Option<(Vec<u8>, Timestamp)> {
    let (_, root) = X509Certificate::from_der(der).ok()?;
    let end = instant(root.validity().not_after.timestamp());
    Some((root.subject().as_raw().to_vec(), end))
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn instant(unix: i64) -> Timestamp {
    Timestamp::from_second(unix).unwrap_or(if unix < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// The attributes that Go's libraries name, in their order.
static GO_ORDER: [(Oid<'static>, &str); 9] = [
    (oid!(2.5.4.5), "SERIALNUMBER"),
    (oid!(2.5.4.3), "CN"),
    (oid!(2.5.4.17), "POSTALCODE"),
    (oid!(2.5.4.9), "STREET"),
    (oid!(2.5.4.8), "ST"),
    (oid!(2.5.4.7), "L"),
    (oid!(2.5.4.11), "OU"),
    (oid!(2.5.4.10), "O"),
    (oid!(2.5.4.6), "C"),
];

/// A name as Go's `pkix.Name` writes it: what it knows in its own order, several values of one kind
/// joined, and the rest behind by number and bytes.
fn rfc2253(name: &X509Name<'_>) -> String {
    let known = GO_ORDER.iter().filter_map(|(oid, key)| {
        let values: Vec<String> = name
            .iter_by_oid(oid)
            .map(|attribute| format!("{key}={}", escaped(attribute.as_str().unwrap_or_default())))
            .collect();
        // Go keeps the last of those that a certificate has once.
        let single = matches!(*key, "CN" | "SERIALNUMBER");
        match (single, values.last()) {
            (_, None) => None,
            (true, Some(last)) => Some(last.clone()),
            (false, Some(_)) => Some(values.join("+")),
        }
    });
    let mut unknown: Vec<String> = name
        .iter_attributes()
        .filter(|attribute| !GO_ORDER.iter().any(|(oid, _)| oid == attribute.attr_type()))
        .map(|attribute| {
            let value = attribute.as_str().unwrap_or_default();
            let printable =
                |byte: u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte);
            let tag = if value.bytes().all(printable) {
                0x13
            } else {
                0x0c
            };
            // DER's short form; longer values are cut anyway.
            let length = u8::try_from(value.len().min(127)).unwrap_or(127);
            let hex = hex(&[&[tag, length], value.as_bytes()].concat());
            format!("{}=#{hex}", attribute.attr_type().to_id_string())
        })
        .collect();
    unknown.reverse();
    known.chain(unknown).collect::<Vec<_>>().join(",")
}

/// RFC 2253, 2.4.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut out = String::with_capacity(value.len());
    for (index, c) in value.chars().enumerate() {
        let special = match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => true,
            ' ' => index == 0 || index == last,
            '#' => index == 0,
            _ => false,
        };
        if special {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn common_names(name: &X509Name<'_>) -> Vec<String> {
    name.iter_common_name()
        .chain(name.iter_organization())
        .filter_map(|attribute| attribute.as_str().ok())
        .take(4)
        .map(bounded)
        .collect()
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    extension
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(bounded(name)),
            GeneralName::IPAddress(bytes) => address(bytes).map(|ip| ip.to_string()),
            _ => None,
        })
        .take(MAX_NAMES)
        .collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

fn key(certificate: &X509Certificate<'_>) -> String {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA {}", key.key_size()),
        Ok(PublicKey::EC(point)) => match point.key_size() {
            // The size of an uncompressed point's coordinate, rounded up to whole bytes.
            528 | 521 => "ECDSA P-521".to_owned(),
            bits => format!("ECDSA P-{bits}"),
        },
        Ok(_) | Err(_) => bounded(&algorithm(&certificate.public_key().algorithm.algorithm)),
    }
}

fn signature(certificate: &X509Certificate<'_>) -> String {
    bounded(&algorithm(&certificate.signature_algorithm.algorithm))
}

fn algorithm(oid: &Oid<'_>) -> String {
    x509_parser::objects::oid2sn(oid, x509_parser::objects::oid_registry())
        .map_or_else(|_| oid.to_id_string(), str::to_owned)
}

fn weakness(certificate: &X509Certificate<'_>) -> Option<String> {
    if let Ok(PublicKey::RSA(key)) = certificate.public_key().parsed()
        && key.key_size() < MIN_RSA_BITS
    {
        return Some(format!("an RSA key of {} bits", key.key_size()));
    }
    let signature = signature(certificate).to_lowercase();
    let self_issued = certificate.subject() == certificate.issuer();
    // The signature of a root over itself proves nothing and is not verified.
    ["md5", "sha1"]
        .into_iter()
        .find(|hash| !self_issued && signature.contains(hash))
        .map(|hash| format!("a signature over {hash}"))
}

fn has_issuer_url(certificate: &X509Certificate<'_>) -> bool {
    certificate.extensions().iter().any(|extension| {
        matches!(extension.parsed_extension(), ParsedExtension::AuthorityInfoAccess(access)
            if access.accessdescs.iter().any(|one| one.access_method == CA_ISSUERS))
    })
}
