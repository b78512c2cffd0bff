//! Judges a presented chain: by which roots it is trusted, for which name, and what that means.
//!
//! The sets of roots are loaded once; a chain is judged by each of them with the same rules, so that
//! only the roots make the difference; a certificate's signature is computed once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error as TlsError, RootCertStore};

use super::certificate::{self, CertificateCache, Parsed};
use super::signature_cache::Found;
use super::{MAX_CHAIN, bounded};
use crate::config::{ProbeModule, Severity, TlsPolicy};
use crate::report::{Certificate, Interception, Reason, RootSet, Trust};

/// The roots that every target shares.
#[derive(Clone, Debug)]
pub struct Roots {
    platform: Store,
    public_web: Store,
}

/// Roots, and when those end whose dates are known, by their raw names.
#[derive(Clone, Debug)]
struct Store {
    roots: Arc<RootCertStore>,
    ends: Arc<HashMap<Vec<u8>, Timestamp>>,
}

impl Store {
    fn of(certificates: &[CertificateDer<'static>]) -> Self {
        let mut roots = RootCertStore::empty();
        let (added, ignored) = roots.add_parsable_certificates(certificates.iter().cloned());
        tracing::debug!(added, ignored, "loaded root certificates");
        Self {
            roots: Arc::new(roots),
            ends: Arc::new(
                certificates
                    .iter()
                    .filter_map(certificate::root_end)
                    .collect(),
            ),
        }
    }

    /// When the first certificate on the way from the leaf to one of these roots ends; of several
    /// ways the one that lasts longest.
    fn valid_until(&self, path: &[&Parsed]) -> Option<Timestamp> {
        let mut least = None;
        let mut best = None;
        for one in path {
            let end = one.facts.not_after;
            let so_far = least.map_or(end, |least: Timestamp| least.min(end));
            least = Some(so_far);
            if let Some(root) = self.ends.get(&one.issuer) {
                best = best.max(Some(so_far.min(*root)));
            }
        }
        best.or(least)
    }
}

impl Roots {
    /// Loads this host's roots and the public web's. A host without any has an empty store: that
    /// is a finding, not an error.
    pub fn load() -> Self {
        let native = rustls_native_certs::load_native_certs();
        for error in &native.errors {
            tracing::warn!(%error, "some of this host's root certificates cannot be read");
        }
        Self {
            platform: Store::of(&native.certs),
            public_web: Store {
                roots: Arc::new(RootCertStore::from_iter(
                    webpki_roots::TLS_SERVER_ROOTS.iter().cloned(),
                )),
                // They come without dates.
                ends: Arc::default(),
            },
        }
    }

    /// This host trusts nothing by itself.
    pub fn platform_is_empty(&self) -> bool {
        self.platform.roots.is_empty()
    }
}

/// The roots of one module: the shared ones and its own file's.
#[derive(Clone, Debug)]
pub struct TrustAnchors {
    stores: Vec<(RootSet, Store)>,
    certificates: Arc<CertificateCache>,
    found: Arc<Found>,
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
            certificates: Arc::default(),
            found: Arc::default(),
        }
    }

    /// What this host trusts, and the module's own file.
    pub fn of_this_host(&self) -> RootCertStore {
        let mut all = RootCertStore::empty();
        for (set, store) in &self.stores {
            if *set != RootSet::PublicWeb {
                all.extend(store.roots.roots.iter().cloned());
            }
        }
        all
    }
}

/// What a chain turned out to be.
#[derive(Default)]
pub struct TrustResult {
    pub chain: Vec<Arc<Certificate>>,
    pub trust: Vec<Trust>,
    pub pin_matched: Option<bool>,
    pub interception: Interception,
    pub failure: Option<Reason>,
    pub detail: Option<String>,
}

/// Judges `chain`, presented for `host`, at the instant `now`.
pub fn judge(
    chain: &[CertificateDer<'static>],
    host: &ServerName<'static>,
    policy: &TlsPolicy,
    anchors: &TrustAnchors,
    algorithms: WebPkiSupportedAlgorithms,
    now: Timestamp,
) -> TrustResult {
    let parsed: Vec<Arc<Parsed>> = chain
        .iter()
        .take(MAX_CHAIN)
        .filter_map(|der| anchors.certificates.read(der))
        .collect();
    let mut judgement = TrustResult::default();
    let with_cache = anchors.found.with_cache(algorithms.all);
    let with_cache: Vec<&dyn SignatureVerificationAlgorithm> =
        with_cache.iter().map(|one| one as _).collect();
    let verify = |roots: &RootCertStore, at| verify(chain, roots, &with_cache, at);
    let verdicts: Vec<(RootSet, Result<(), TlsError>)> = anchors
        .stores
        .iter()
        .map(|(set, store)| (*set, verify(&store.roots, now)))
        .collect();
    let path_up = path(&parsed);
    judgement.trust = verdicts
        .iter()
        .zip(&anchors.stores)
        .map(|((roots, verdict), (_, store))| Trust {
            roots: *roots,
            trusted: verdict.is_ok(),
            valid_until: verdict
                .as_ref()
                .ok()
                .and_then(|()| store.valid_until(&path_up)),
            failure: verdict
                .as_ref()
                .err()
                .map(|error| chain_reason(error, &parsed)),
        })
        .collect();
    let chain_error = listed_error(&verdicts, policy);
    let name_error = chain.first().and_then(|leaf| {
        let leaf = ParsedCertificate::try_from(leaf).ok()?;
        verify_server_name(&leaf, host).err()
    });
    judgement.pin_matched = (!policy.pins.is_empty()).then(|| {
        path_up
            .iter()
            .any(|one| policy.pins.contains(&one.facts.pin))
    });
    judgement.interception = interception(&judgement, &path_up, policy);

    if let Some(error) = chain_error {
        let reason = chain_reason(error, &parsed);
        let dates = matches!(reason, Reason::TlsExpired | Reason::TlsNotYetValid);
        // The dates are judged before the issuer; whose certificate it is says whom to ask.
        let stranger = dates
            && !parsed.first().is_some_and(|leaf| {
                anchors
                    .stores
                    .iter()
                    .filter(|(set, _)| policy.roots.contains(set))
                    .any(|(_, store)| verify(&store.roots, leaf.facts.not_after).is_ok())
            });
        judgement.failure = Some(if stranger {
            Reason::TlsUnknownIssuer
        } else {
            reason
        });
        judgement.detail = Some(bounded(&error.to_string()));
    } else if let Some(error) = name_error {
        judgement.failure = Some(Reason::TlsNameMismatch);
        judgement.detail = Some(bounded(&error.to_string()));
    } else if judgement.interception == Interception::Suspected
        && policy.on_interception == Severity::Fail
    {
        judgement.failure = Some(Reason::TlsIntercepted);
    } else if judgement.pin_matched == Some(false) && policy.on_pin_mismatch == Severity::Fail {
        judgement.failure = Some(Reason::TlsPinMismatch);
    }
    judgement.chain = parsed.iter().map(|one| Arc::clone(&one.facts)).collect();
    judgement
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
    verify_server_cert_signed_by_trust_anchor(
        &leaf,
        roots,
        intermediates,
        UnixTime::since_unix_epoch(now),
        algorithms,
    )
}

/// `None` if one of the listed roots trusts the chain; else the error that tells most.
fn listed_error<'a>(
    verdicts: &'a [(RootSet, Result<(), TlsError>)],
    policy: &TlsPolicy,
) -> Option<&'a TlsError> {
    let listed = || {
        verdicts
            .iter()
            .filter(|(set, _)| policy.roots.contains(set))
    };
    if listed().any(|(_, verdict)| verdict.is_ok()) {
        return None;
    }
    // A root that knows the issuer says more than one that does not.
    listed()
        .filter_map(|(_, verdict)| verdict.as_ref().err())
        .min_by_key(|error| is_unknown_issuer(error))
}

fn is_unknown_issuer(error: &TlsError) -> bool {
    matches!(
        error,
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer)
    )
}

fn chain_reason(error: &TlsError, chain: &[Arc<Parsed>]) -> Reason {
    let TlsError::InvalidCertificate(error) = error else {
        return Reason::TlsBadSignature;
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Reason::TlsExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Reason::TlsNotYetValid
        }
        CertificateError::UnknownIssuer if lacks_its_issuer(chain) => Reason::TlsIncompleteChain,
        CertificateError::UnknownIssuer
        | CertificateError::InvalidPurpose
        | CertificateError::InvalidPurposeContext { .. }
        // A CA's own certificate shown as a server's: self-signed.
        | CertificateError::Other(_) => Reason::TlsUnknownIssuer,
        _ => Reason::TlsBadSignature,
    }
}

/// The leaf's issuer was not presented although the leaf says where it can be had. A leaf straight
/// from an unknown root looks the same but for that address, which private CAs seldom give.
fn lacks_its_issuer(chain: &[Arc<Parsed>]) -> bool {
    let Some((leaf, others)) = chain.split_first() else {
        return false;
    };
    let presented = others.iter().any(|one| one.subject == leaf.issuer);
    !leaf.self_issued && !presented && leaf.names_its_issuer
}

/// The presented certificates that lead up from the leaf by name: what else was sent along proves
/// nothing.
fn path(chain: &[Arc<Parsed>]) -> Vec<&Parsed> {
    let mut path: Vec<&Parsed> = chain.first().map(Arc::as_ref).into_iter().collect();
    while let Some(last) = path.last()
        && !last.self_issued
        && let Some(next) = chain.iter().skip(1).find(|one| one.subject == last.issuer)
        && path.len() < chain.len()
    {
        path.push(next);
    }
    path
}

/// A listed root of this host's trusts the chain while the public web does not, or no presented
/// issuer is one of those expected. The firm's own `ca_file` alone proves nothing: who lists it
/// expects a private CA.
fn interception(judgement: &TrustResult, path: &[&Parsed], policy: &TlsPolicy) -> Interception {
    let trusted = |set: RootSet| {
        judgement
            .trust
            .iter()
            .any(|one| one.roots == set && one.trusted)
    };
    let issued_by = |names: &[String]| {
        path.iter()
            .flat_map(|one| &one.facts.issuer_names)
            .any(|name| names.contains(name))
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
