//! A certificate authority with an intermediate, and the identities it issues.
//!
//! Input: the contents of a leaf. Output: chain and key, for rustls or as PEM files for another
//! server.
//!
//! # Panics
//! Key generation and signing panic if the cryptographic library fails: no input of a client
//! reaches this code.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Where an authority says that its certificates are. No server exists at this address.
const NOWHERE: &str = "http://ca.lab.test";

/// A root with one intermediate below it, which signs the leaves.
pub struct Authority {
    name: String,
    keys: LeafKey,
    /// The start of the URLs of its certificates.
    published_at: String,
    root: CertificateDer<'static>,
    // Behind pointers: a lab is part of many futures, whose size is limited.
    root_params: Arc<CertificateParams>,
    root_issuer: Arc<Issuer<'static, KeyPair>>,
    intermediate: CertificateDer<'static>,
    intermediate_params: Arc<CertificateParams>,
    issuer: Arc<Issuer<'static, KeyPair>>,
}

/// The first and the last day of a certificate, in days from now.
#[derive(Clone, Copy, Debug)]
pub struct Validity(pub i64, pub i64);

impl Validity {
    fn apply(self, params: &mut CertificateParams) {
        let now = SystemTime::now();
        let day = |days: i64| {
            let length = DAY * u32::try_from(days.unsigned_abs()).expect("a few years");
            if days < 0 { now - length } else { now + length }
        };
        params.not_before = day(self.0).into();
        params.not_after = day(self.1).into();
    }
}

impl Authority {
    /// A new authority. `name` is the organization (O) of its root and intermediate, and the start
    /// of their common names.
    pub fn new(name: &str) -> Self {
        Self::with_keys(name, LeafKey::EcdsaP256)
    }

    /// Like `new`, with root and intermediate keys of this kind.
    pub fn with_keys(name: &str, keys: LeafKey) -> Self {
        Self::build(name, keys, NOWHERE, Validity(-3650, 3650))
    }

    /// Like `new`, with a root that is valid in these days.
    pub fn with_root_valid(name: &str, days: Validity) -> Self {
        Self::build(name, LeafKey::EcdsaP256, NOWHERE, days)
    }

    /// Like `new`, with certificates whose issuers are published below this URL.
    pub fn published_at(name: &str, url: &str) -> Self {
        Self::build(name, LeafKey::EcdsaP256, url, Validity(-3650, 3650))
    }

    fn build(name: &str, keys: LeafKey, published_at: &str, days: Validity) -> Self {
        let key = keys.generate();
        let mut root_params = ca_params(name, "Root CA", BasicConstraints::Unconstrained);
        days.apply(&mut root_params);
        let root = root_params
            .self_signed(&key)
            .expect("the root signs itself");
        let root_issuer = Arc::new(Issuer::new(root_params.clone(), key));
        Self::below(
            name,
            keys,
            published_at,
            (root.der().clone(), Arc::new(root_params), root_issuer),
        )
    }

    /// With a new intermediate below this root.
    fn below(
        name: &str,
        keys: LeafKey,
        published_at: &str,
        (root, root_params, root_issuer): (
            CertificateDer<'static>,
            Arc<CertificateParams>,
            Arc<Issuer<'static, KeyPair>>,
        ),
    ) -> Self {
        let key = keys.generate();
        let mut params = ca_params(name, "Issuing CA", BasicConstraints::Constrained(0));
        Validity(-730, 1825).apply(&mut params);
        params.use_authority_key_identifier_extension = true;
        params.custom_extensions = vec![authority_information_access(published_at, "root.crt")];
        let intermediate = params
            .signed_by(&key, &*root_issuer)
            .expect("the root signs the intermediate");
        Self {
            name: name.to_owned(),
            keys,
            published_at: published_at.to_owned(),
            root,
            root_params,
            root_issuer,
            intermediate: intermediate.der().clone(),
            intermediate_params: Arc::new(params.clone()),
            issuer: Arc::new(Issuer::new(params, key)),
        }
    }

    /// The same root with another intermediate of the same name and with another key.
    pub fn next_generation(&self) -> Self {
        let root = (
            self.root.clone(),
            Arc::clone(&self.root_params),
            Arc::clone(&self.root_issuer),
        );
        Self::below(&self.name, self.keys, &self.published_at, root)
    }

    /// The intermediate, issued again with the same key and valid in these days.
    pub fn intermediate_valid(&self, days: Validity) -> CertificateDer<'static> {
        let mut params = CertificateParams::clone(&self.intermediate_params);
        days.apply(&mut params);
        let certificate = params.signed_by(self.issuer.key(), &*self.root_issuer);
        certificate
            .expect("the root signs the intermediate")
            .der()
            .clone()
    }

    /// The root as a certificate that `other` issued, valid in these days: a cross-signed root.
    pub fn root_signed_by(&self, other: &Self, days: Validity) -> CertificateDer<'static> {
        let mut params = CertificateParams::clone(&self.root_params);
        days.apply(&mut params);
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(self.root_issuer.key(), &*other.root_issuer);
        certificate
            .expect("the other root signs this one")
            .der()
            .clone()
    }

    pub fn intermediate_der(&self) -> CertificateDer<'static> {
        self.intermediate.clone()
    }

    /// Another authority with the same subject names and other keys: a client that trusts
    /// `authority` knows the issuer, but cannot verify its signatures.
    pub fn impostor_of(authority: &Self) -> Self {
        Self::new(&authority.name)
    }

    /// The organization (O) of root and intermediate.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn root_pem(&self) -> String {
        certificate_pem(&self.root)
    }

    pub fn root_der(&self) -> CertificateDer<'static> {
        self.root.clone()
    }

    /// Issues `leaf` with a new key, signed by the intermediate.
    pub fn issue(&self, leaf: &Leaf) -> Identity {
        let key = leaf.key.generate();
        let certificate = leaf
            .params(&self.published_at)
            .signed_by(&key, &*self.issuer)
            .expect("the intermediate signs the leaf");
        Identity::new(
            vec![certificate.der().clone(), self.intermediate.clone()],
            &key,
        )
    }
}

/// The contents of a leaf certificate.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Subject alternative names: DNS names, or IP addresses as text. The first is the CN.
    pub names: Vec<String>,
    pub organisation: String,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
    pub key: LeafKey,
    /// The file with its issuer's certificate, at the issuer's address.
    pub issuer_file: &'static str,
    purpose: ExtendedKeyUsagePurpose,
}

impl Leaf {
    /// A leaf as public authorities issue them: P-256, 30 days old, valid for another 335.
    pub fn for_name(name: &str) -> Self {
        let now = SystemTime::now();
        Self {
            names: vec![name.to_owned()],
            organisation: "CCASS Lab Login".to_owned(),
            not_before: now - 30 * DAY,
            not_after: now + 335 * DAY,
            key: LeafKey::EcdsaP256,
            issuer_file: "issuing.crt",
            purpose: ExtendedKeyUsagePurpose::ServerAuth,
        }
    }

    /// Adds a subject alternative name.
    pub fn also(mut self, name: &str) -> Self {
        self.names.push(name.to_owned());
        self
    }

    /// Expired three days ago.
    pub fn expired(mut self) -> Self {
        let now = SystemTime::now();
        self.not_before = now - 368 * DAY;
        self.not_after = now - 3 * DAY;
        self
    }

    /// Not valid before three days from now.
    pub fn not_yet_valid(mut self) -> Self {
        let now = SystemTime::now();
        self.not_before = now + 3 * DAY;
        self.not_after = now + 368 * DAY;
        self
    }

    /// Valid in these days.
    pub fn valid(mut self, Validity(from, to): Validity) -> Self {
        let mut params = CertificateParams::default();
        Validity(from, to).apply(&mut params);
        self.not_before = params.not_before.into();
        self.not_after = params.not_after.into();
        self
    }

    /// With this file at its issuer's address.
    pub fn with_issuer_file(mut self, file: &'static str) -> Self {
        self.issuer_file = file;
        self
    }

    /// Expires `from_now`.
    pub fn ending_in(mut self, from_now: Duration) -> Self {
        self.not_after = SystemTime::now() + from_now;
        self
    }

    /// A client certificate.
    pub fn of_a_client(mut self) -> Self {
        self.purpose = ExtendedKeyUsagePurpose::ClientAuth;
        self
    }

    /// With an RSA key of 2048 bits.
    pub fn rsa(mut self) -> Self {
        self.key = LeafKey::Rsa2048;
        self
    }

    fn params(&self, published_at: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CountryName, "HK".to_owned());
        params
            .distinguished_name
            .push(DnType::OrganizationName, self.organisation.clone());
        if let Some(name) = self.names.first() {
            params
                .distinguished_name
                .push(DnType::CommonName, name.clone());
        }
        params.subject_alt_names = self.names.iter().map(|name| alt_name(name)).collect();
        params.not_before = self.not_before.into();
        params.not_after = self.not_after.into();
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![self.purpose.clone()];
        params.use_authority_key_identifier_extension = true;
        params.custom_extensions =
            vec![authority_information_access(published_at, self.issuer_file)];
        params
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafKey {
    EcdsaP256,
    Rsa2048,
}

impl LeafKey {
    fn generate(self) -> KeyPair {
        match self {
            Self::EcdsaP256 => KeyPair::generate(),
            Self::Rsa2048 => KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256),
        }
        .expect("a key is generated")
    }
}

/// A certificate chain, leaf first and without the root, and the leaf's key.
#[derive(Debug)]
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    /// The leaf's public key as DER (SubjectPublicKeyInfo), of which a pin is the hash.
    pub public_key: Vec<u8>,
    /// An OCSP response to staple, which the lab does not check; empty for none.
    pub staple: Vec<u8>,
}

impl Identity {
    fn new(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Self {
        Self {
            chain,
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            public_key: key.subject_public_key_info(),
            staple: Vec::new(),
        }
    }

    /// A self-signed certificate.
    pub fn self_signed(leaf: &Leaf) -> Self {
        let key = leaf.key.generate();
        let mut params = leaf.params(NOWHERE);
        params.custom_extensions.clear();
        params.use_authority_key_identifier_extension = false;
        let certificate = params.self_signed(&key).expect("the leaf signs itself");
        Self::new(vec![certificate.der().clone()], &key)
    }

    /// Only the leaf, as sent by a server configured without its chain file.
    pub fn without_intermediate(mut self) -> Self {
        self.chain.truncate(1);
        self
    }

    /// With these certificates behind the leaf.
    pub fn with_chain(mut self, others: &[CertificateDer<'static>]) -> Self {
        self.chain.truncate(1);
        self.chain.extend_from_slice(others);
        self
    }

    /// With dates in the leaf that cannot be read. Its signature is wrong, too; its key is not.
    pub fn with_unreadable_dates(mut self) -> Self {
        const UTC_TIME: [u8; 2] = [0x17, 13];
        let leaf = self.chain.first_mut().expect("a leaf");
        let mut der = leaf.to_vec();
        let at = der.windows(2).position(|two| two == UTC_TIME);
        der[at.expect("a date") + 2] = b'?';
        *leaf = der.into();
        self
    }

    pub fn with_staple(mut self, staple: Vec<u8>) -> Self {
        self.staple = staple;
        self
    }

    /// Writes `chain.pem` and `key.pem` into `directory`, in the format of nginx.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_pem(&self, directory: &Path) -> io::Result<(PathBuf, PathBuf)> {
        let chain: String = self.chain.iter().map(certificate_pem).collect();
        let key = pem::encode(&pem::Pem::new("PRIVATE KEY", self.key.secret_der()));
        let paths = (directory.join("chain.pem"), directory.join("key.pem"));
        std::fs::write(&paths.0, chain)?;
        std::fs::write(&paths.1, key)?;
        Ok(paths)
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
            public_key: self.public_key.clone(),
            staple: self.staple.clone(),
        }
    }
}

fn ca_params(name: &str, role: &str, constraints: BasicConstraints) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CountryName, "HK".to_owned());
    params
        .distinguished_name
        .push(DnType::OrganizationName, name.to_owned());
    params
        .distinguished_name
        .push(DnType::CommonName, format!("{name} {role}"));
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn alt_name(name: &str) -> SanType {
    match name.parse::<IpAddr>() {
        Ok(ip) => SanType::IpAddress(ip),
        Err(_) => SanType::DnsName(name.try_into().expect("a DNS name is ASCII")),
    }
}

/// The URL of the issuer's certificate (RFC 5280, 4.2.2.1).
fn authority_information_access(published_at: &str, file: &str) -> CustomExtension {
    const ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];
    const CA_ISSUERS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 48, 2];
    let location = format!("{published_at}/{file}");
    let content = yasna::construct_der(|writer| {
        writer.write_sequence_of(|writer| {
            writer.next().write_sequence(|writer| {
                writer
                    .next()
                    .write_oid(&yasna::models::ObjectIdentifier::from_slice(CA_ISSUERS));
                writer
                    .next()
                    .write_tagged_implicit(yasna::Tag::context(6), |writer| {
                        writer.write_ia5_string(&location)
                    });
            });
        });
    });
    CustomExtension::from_oid_content(ACCESS, content)
}

fn certificate_pem(certificate: &CertificateDer<'static>) -> String {
    pem::encode(&pem::Pem::new("CERTIFICATE", certificate.as_ref()))
}
