//! Which sets of roots trust a presented chain, for which name, and what that means.
//!
//! Input is a chain and the module's policy; output is the verdict of each set of roots and the
//! failure, if any. Every set validates by the same rules, so that only the roots make a
//! difference.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error as TlsError, RootCertStore};

use super::certificate::{self, CertificateCache, ChainCertificate};
use super::signature_cache::SignatureCache;
use super::{MAX_CHAIN, bounded};
use crate::config::{PolicyAction, ProbeModule, TlsPolicy};
use crate::report::{Certificate, Interception, Reason, RootSet, Trust};

/// The roots that every target shares.
#[derive(Clone, Debug)]
pub struct Roots {
    platform: Store,
    public_web: Store,
}

/// A set of roots.
#[derive(Clone, Debug)]
struct Store {
    roots: Arc<RootCertStore>,
    /// The end of validity of those whose dates are known, by raw name.
    expiries: Arc<HashMap<Vec<u8>, Timestamp>>,
}

impl Roots {
    /// Loads this host's roots and the public web's. A host without roots has an empty store: that
    /// is a finding, not an error.
    pub fn load() -> Self {
        let native = rustls_native_certs::load_native_certs();
        for error in &native.errors {
            tracing::warn!(%error, "some of this host's root certificates cannot be read");
        }
        let public_web = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
        Self {
            platform: Store::of(&native.certs),
            public_web: Store {
                roots: Arc::new(RootCertStore::from_iter(public_web)),
                // The public web's roots come without dates.
                expiries: Arc::default(),
            },
        }
    }

    /// Whether this host has no root certificates.
    pub fn platform_is_empty(&self) -> bool {
        self.platform.roots.is_empty()
    }
}

impl Store {
    fn of(certificates: &[CertificateDer<'static>]) -> Self {
        let mut roots = RootCertStore::empty();
        let (added, ignored) = roots.add_parsable_certificates(certificates.iter().cloned());
        tracing::debug!(added, ignored, "loaded root certificates");
        let expiries = certificates.iter().filter_map(certificate::root_expiry);
        Self {
            roots: Arc::new(roots),
            expiries: Arc::new(expiries.collect()),
        }
    }

    /// When the first certificate between the leaf and one of these roots expires; of several such
    /// paths, the longest.
    fn valid_until(&self, path: &[&ChainCertificate]) -> Option<Timestamp> {
        let mut presented = None;
        let mut with_root = None;
        for one in path {
            let end = one.facts.not_after;
            let earliest = presented.map_or(end, |earlier: Timestamp| earlier.min(end));
            presented = Some(earliest);
            let root = self.expiries.get(&one.issuer);
            with_root = with_root.max(root.map(|root| earliest.min(*root)));
        }
        with_root.or(presented)
    }
}

/// The roots of one module: the shared ones and those of its `ca_file`.
#[derive(Clone, Debug)]
pub struct TrustAnchors {
    stores: Vec<(RootSet, Store)>,
    algorithms: WebPkiSupportedAlgorithms,
    certificates: Arc<CertificateCache>,
    signatures: Arc<SignatureCache>,
}

/// What the module's policy makes of a chain.
#[derive(Default)]
pub struct TrustResult {
    pub chain: Vec<Arc<Certificate>>,
    pub trust: Vec<Trust>,
    pub pin_matched: Option<bool>,
    pub interception: Interception,
    pub failure: Option<Reason>,
    pub detail: Option<String>,
}

impl TrustAnchors {
    pub fn of(module: &ProbeModule, roots: &Roots) -> Self {
        let mut stores = vec![
            (RootSet::Platform, roots.platform.clone()),
            (RootSet::PublicWeb, roots.public_web.clone()),
        ];
        if let Some(ca_file) = &module.tls.ca_file {
            stores.push((RootSet::CaFile, Store::of(&ca_file.certificates)));
        }
        Self {
            stores,
            algorithms: aws_lc_rs::default_provider().signature_verification_algorithms,
            certificates: Arc::default(),
            signatures: Arc::default(),
        }
    }

    /// This host's roots and the module's own.
    pub fn of_this_host(&self) -> RootCertStore {
        let own = self
            .stores
            .iter()
            .filter(|(set, _)| *set != RootSet::PublicWeb);
        RootCertStore::from_iter(own.flat_map(|(_, store)| store.roots.roots.iter().cloned()))
    }

    /// Evaluates `chain`, presented for `host`, at the instant `now`.
    pub fn evaluate(
        &self,
        chain: &[CertificateDer<'static>],
        host: &ServerName<'static>,
        policy: &TlsPolicy,
        now: Timestamp,
    ) -> TrustResult {
        let parsed: Vec<Arc<ChainCertificate>> = chain
            .iter()
            .take(MAX_CHAIN)
            .filter_map(|der| self.certificates.parse(der))
            .collect();
        let path = path(&parsed);
        let algorithms = self.signatures.wrap(self.algorithms.all);
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
            algorithms.iter().map(|one| one as _).collect();
        let verify = |store: &Store, at| verify(chain, &store.roots, &algorithms, at);
        let verdicts: Vec<(RootSet, Result<(), TlsError>)> = self
            .stores
            .iter()
            .map(|(set, store)| (*set, verify(store, now)))
            .collect();

        let trust = self
            .stores
            .iter()
            .zip(&verdicts)
            .map(|((set, store), (_, verdict))| Trust {
                roots: *set,
                trusted: verdict.is_ok(),
                valid_until: verdict.is_ok().then(|| store.valid_until(&path)).flatten(),
                failure: verdict
                    .as_ref()
                    .err()
                    .map(|error| chain_reason(error, &parsed)),
            });
        let trust: Vec<Trust> = trust.collect();
        let interception = interception(&trust, &path, policy);
        let pinned = || path.iter().any(|one| policy.pins.contains(&one.facts.pin));
        let pin_matched = (!policy.pins.is_empty()).then(pinned);

        let failure = if let Some(error) = listed_error(&verdicts, policy) {
            let reason = chain_reason(error, &parsed);
            let dates = matches!(reason, Reason::TlsExpired | Reason::TlsNotYetValid);
            // Dates are checked before the issuer, but an unknown issuer decides the contact.
            let was_trusted = |leaf: &Arc<ChainCertificate>| {
                let mut listed = self
                    .stores
                    .iter()
                    .filter(|(set, _)| policy.roots.contains(set));
                listed.any(|(_, store)| verify(store, leaf.facts.not_after).is_ok())
            };
            let reason = if dates && !parsed.first().is_some_and(was_trusted) {
                Reason::TlsUnknownIssuer
            } else {
                reason
            };
            Some((reason, Some(error.to_string())))
        } else if let Some(error) = name_error(chain, host) {
            Some((Reason::TlsNameMismatch, Some(error.to_string())))
        } else if interception == Interception::Suspected
            && policy.on_interception == PolicyAction::Fail
        {
            Some((Reason::TlsIntercepted, None))
        } else if pin_matched == Some(false) && policy.on_pin_mismatch == PolicyAction::Fail {
            Some((Reason::TlsPinMismatch, None))
        } else {
            None
        };
        let (failure, detail) = failure.unzip();
        TrustResult {
            chain: parsed.iter().map(|one| Arc::clone(&one.facts)).collect(),
            trust,
            pin_matched,
            interception,
            failure,
            detail: detail.flatten().map(|text| bounded(&text)),
        }
    }
}

fn verify(
    chain: &[CertificateDer<'static>],
    roots: &RootCertStore,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    now: Timestamp,
) -> Result<(), TlsError> {
    let (leaf, intermediates) = chain
        .split_first()
        .ok_or(TlsError::NoCertificatesPresented)?;
    let leaf = ParsedCertificate::try_from(leaf)?;
    let now = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0));
    let now = UnixTime::since_unix_epoch(now);
    verify_server_cert_signed_by_trust_anchor(&leaf, roots, intermediates, now, algorithms)
}

fn name_error(chain: &[CertificateDer<'static>], host: &ServerName<'static>) -> Option<TlsError> {
    let leaf = ParsedCertificate::try_from(chain.first()?).ok()?;
    verify_server_name(&leaf, host).err()
}

/// `None` if one of the listed sets trusts the chain; else the most specific error.
fn listed_error<'a>(
    verdicts: &'a [(RootSet, Result<(), TlsError>)],
    policy: &TlsPolicy,
) -> Option<&'a TlsError> {
    let listed = verdicts
        .iter()
        .filter(|(set, _)| policy.roots.contains(set));
    let errors: Option<Vec<&TlsError>> =
        listed.map(|(_, verdict)| verdict.as_ref().err()).collect();
    // Prefer the verdict of a set that contains the issuer.
    let unknown_issuer = TlsError::InvalidCertificate(CertificateError::UnknownIssuer);
    errors?
        .into_iter()
        .min_by_key(|error| **error == unknown_issuer)
}

fn chain_reason(error: &TlsError, chain: &[Arc<ChainCertificate>]) -> Reason {
    let TlsError::InvalidCertificate(error) = error else {
        return Reason::TlsBadSignature;
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Reason::TlsExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Reason::TlsNotYetValid
        }
        CertificateError::UnknownIssuer if lacks_issuer(chain) => Reason::TlsIncompleteChain,
        CertificateError::UnknownIssuer
        | CertificateError::InvalidPurpose
        | CertificateError::InvalidPurposeContext { .. }
        // A self-signed certificate: a CA's own, presented as a server's.
        | CertificateError::Other(_) => Reason::TlsUnknownIssuer,
        _ => Reason::TlsBadSignature,
    }
}

/// The leaf's issuer was not presented although the leaf has its address. A leaf of an unknown root
/// looks the same except for that address, which private CAs seldom include.
fn lacks_issuer(chain: &[Arc<ChainCertificate>]) -> bool {
    let Some((leaf, others)) = chain.split_first() else {
        return false;
    };
    let presented = others.iter().any(|one| one.subject == leaf.issuer);
    !leaf.self_issued && !presented && leaf.has_issuer_url
}

/// The presented certificates that lead up from the leaf by name. Others prove nothing.
fn path(chain: &[Arc<ChainCertificate>]) -> Vec<&ChainCertificate> {
    let mut path: Vec<&ChainCertificate> = chain.first().map(Arc::as_ref).into_iter().collect();
    while let Some(last) = path.last()
        && !last.self_issued
        && let Some(next) = chain.iter().skip(1).find(|one| one.subject == last.issuer)
        && path.len() < chain.len()
    {
        path.push(next);
    }
    path
}

/// Suspected if this host's roots are listed and trust the chain while the public web's do not, or
/// if no presented issuer is an expected one. A `ca_file` alone proves nothing: a module that lists
/// it expects a private CA.
fn interception(trust: &[Trust], path: &[&ChainCertificate], policy: &TlsPolicy) -> Interception {
    let trusted = |set| trust.iter().any(|one| one.roots == set && one.trusted);
    let issued_by = |names: &[String]| {
        let mut issuers = path.iter().flat_map(|one| &one.facts.issuer_names);
        issuers.any(|name| names.contains(name))
    };
    if issued_by(&policy.accepted_interceptors) {
        return Interception::Accepted;
    }
    let own_root_only = policy.roots.contains(&RootSet::Platform)
        && trusted(RootSet::Platform)
        && !trusted(RootSet::PublicWeb)
        && !(policy.roots.contains(&RootSet::CaFile) && trusted(RootSet::CaFile));
    let unexpected = !policy.expected_issuers.is_empty()
        && !path.is_empty()
        && !issued_by(&policy.expected_issuers);
    if own_root_only || unexpected {
        Interception::Suspected
    } else {
        Interception::None
    }
}
