//! The fields of a certificate. Its bytes are untrusted: every value is bounded.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::asn1_rs::{Any, FromDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::oid;
use x509_parser::der_parser::oid::Oid;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;

use super::bounded;
use crate::bounded_cache::BoundedCache;
use crate::hex::{hex, sha256};
use crate::report::Certificate;

/// Certificates kept of a chain.
pub(super) const MAX_CHAIN: usize = 10;
const MAX_NAMES: usize = 64;
/// NIST SP 800-131A and the CA/Browser Forum's Baseline Requirements, 6.1.5.
const MIN_RSA_BITS: usize = 2048;
const CA_ISSUERS: Oid<'static> = oid!(1.3.6.1.5.5.7.48.2);

/// Addresses of an issuer's certificate, and their length.
const MAX_ISSUER_URLS: usize = 2;
const MAX_URL: usize = 1024;
const SEQUENCE: u8 = 0x30;

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
    /// The contents of the names, as in a trust anchor.
    pub subject: Vec<u8>,
    pub issuer: Vec<u8>,
    pub public_key: PublicKeyParts,
    pub signature: SignatureParts,
    /// The identifier of its key, and of its issuer's key (RFC 5280, 4.2.1.1 and 4.2.1.2).
    pub key_id: Option<Vec<u8>>,
    pub issuer_key_id: Option<Vec<u8>>,
    /// The http addresses of its issuer's certificate (AIA caIssuers); bounded.
    pub issuer_urls: Vec<String>,
}

/// A public key, as signature verification takes it.
#[derive(Debug)]
pub(super) struct PublicKeyParts {
    /// The contents of the AlgorithmIdentifier.
    pub algorithm: Vec<u8>,
    pub key: Vec<u8>,
}

/// A signature and what it signs.
#[derive(Debug)]
pub(super) struct SignatureParts {
    pub algorithm: Vec<u8>,
    pub message: Vec<u8>,
    pub value: Vec<u8>,
}

impl PublicKeyParts {
    /// From the contents of a SubjectPublicKeyInfo.
    pub fn of(contents: &[u8]) -> Option<Self> {
        let (rest, algorithm) = Any::from_der(contents).ok()?;
        let (_, key) = Any::from_der(rest).ok()?;
        Some(Self {
            algorithm: algorithm.data.to_vec(),
            key: bit_string(key.data)?,
        })
    }
}

impl SignatureParts {
    /// From a certificate: a sequence of what is signed, the algorithm and the signature.
    fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = Any::from_der(der).ok()?;
        let (rest, _) = Any::from_der(certificate.data).ok()?;
        let message = certificate
            .data
            .get(..certificate.data.len() - rest.len())?;
        let (rest, algorithm) = Any::from_der(rest).ok()?;
        let (_, value) = Any::from_der(rest).ok()?;
        Some(Self {
            algorithm: algorithm.data.to_vec(),
            message: message.to_vec(),
            value: bit_string(value.data)?,
        })
    }
}

/// The bytes of a BIT STRING without unused bits.
fn bit_string(contents: &[u8]) -> Option<Vec<u8>> {
    match contents.split_first()? {
        (0, bytes) => Some(bytes.to_vec()),
        _ => None,
    }
}

/// The contents of a DER value.
fn contents(der: &[u8]) -> Option<&[u8]> {
    Any::from_der(der).ok().map(|(_, value)| value.data)
}

fn parse(der: &CertificateDer<'_>) -> Option<ChainCertificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let subject = contents(certificate.subject().as_raw())?.to_vec();
    let issuer = contents(certificate.issuer().as_raw())?.to_vec();
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
        fingerprint_sha256: sha256(der.as_ref()),
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
        public_key: PublicKeyParts::of(contents(certificate.public_key().raw)?)?,
        signature: SignatureParts::of(der)?,
        key_id: key_id(&certificate),
        issuer_key_id: issuer_key_id(&certificate),
        issuer_urls: issuer_urls(&certificate),
        facts: Arc::new(facts),
        subject,
        issuer,
    })
}

/// The first and the last second of a certificate's validity.
pub(super) fn validity(der: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    Some((
        instant(validity.not_before.timestamp()),
        instant(validity.not_after.timestamp()),
    ))
}

/// A name as text, from its contents.
pub(super) fn name_text(contents: &[u8]) -> String {
    let length = contents.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let header = match (u8::try_from(contents.len()), u8::try_from(length.len())) {
        (Ok(short @ ..0x80), _) => vec![SEQUENCE, short],
        (_, Ok(count)) => [&[SEQUENCE, 0x80 | count], &length[..]].concat(),
        _ => Vec::new(),
    };
    let der = [&header, contents].concat();
    let name = X509Name::from_der(&der).map(|(_, name)| name.to_string());
    bounded(&name.unwrap_or_default())
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

fn issuer_urls(certificate: &X509Certificate<'_>) -> Vec<String> {
    let access = certificate.extensions().iter().filter_map(|extension| {
        match extension.parsed_extension() {
            ParsedExtension::AuthorityInfoAccess(access) => Some(&access.accessdescs),
            _ => None,
        }
    });
    let issuers = access
        .flatten()
        .filter(|one| one.access_method == CA_ISSUERS);
    let urls = issuers.filter_map(|one| match one.access_location {
        GeneralName::URI(url) if url.len() <= MAX_URL => Some(url.to_owned()),
        _ => None,
    });
    urls.filter(|url| url.starts_with("http://"))
        .take(MAX_ISSUER_URLS)
        .collect()
}

fn key_id(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    let mut extensions = certificate.extensions().iter();
    extensions.find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    })
}

fn issuer_key_id(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    let mut extensions = certificate.extensions().iter();
    extensions.find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => {
            id.key_identifier.as_ref().map(|id| id.0.to_vec())
        }
        _ => None,
    })
}
