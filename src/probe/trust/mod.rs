//! Which sets of roots trust a presented chain, for which name, and what that means.
//!
//! Input is a chain and the module's policy; output is the verdict of each set of roots and the
//! failure, if any. Every set validates by the same rules, so that only the roots make a
//! difference.

#[cfg(any(test, fuzzing))]
pub(in crate::probe) mod chain_case;
#[cfg(test)]
mod limbo;
mod path;
mod store;

use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::verify_server_name;
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error as TlsError, RootCertStore};

use super::certificate::{CertificateCache, ChainCertificate};
use super::signature_cache::SignatureCache;
use super::{MAX_CHAIN, bounded};
use crate::config::{PolicyAction, ProbeModule, TlsPolicy};
use crate::report::{
    Certificate, FetchedCertificate, Interception, OutsideDates, Reason, RootSet, Trust,
};
use path::{Links, Member, Verdict};
pub use store::Roots;
use store::Store;

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
    /// Positions in the chain that the path to a root does not need.
    pub spare: Vec<usize>,
    pub outside_dates: Option<OutsideDates>,
    pub failure: Option<Reason>,
    pub detail: Option<String>,
    /// Where the issuers may be that no path to a deciding root can do without.
    pub missing_issuers: Vec<String>,
    /// The fetched certificates that are part of the path.
    pub fetched: Vec<FetchedCertificate>,
}

/// A certificate from the URL in another one (AIA).
#[derive(Clone, Debug)]
pub struct FetchedIssuer {
    pub url: String,
    pub der: CertificateDer<'static>,
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

    /// These roots, as those of a `ca_file`.
    #[cfg(any(test, fuzzing))]
    fn of_roots(roots: &[CertificateDer<'static>]) -> Self {
        Self {
            stores: vec![(RootSet::CaFile, Store::of(roots))],
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

    /// Evaluates `chain`, presented for `host`, at the instant `now`, with what was fetched for it.
    pub fn evaluate(
        &self,
        chain: &[CertificateDer<'static>],
        fetched: &[FetchedIssuer],
        host: &ServerName<'static>,
        policy: &TlsPolicy,
        now: Timestamp,
    ) -> TrustResult {
        let member = |der| {
            let parsed = self.certificates.parse(der)?;
            Some(Member { der, parsed })
        };
        let mut presented = chain.iter().take(MAX_CHAIN);
        // If it were left out, the next certificate would take the place of the server's own.
        let Some(leaf) = presented.next().and_then(member) else {
            return self.unreadable(policy);
        };
        let mut members = vec![leaf];
        members.extend(presented.filter_map(member));
        let facts = members.iter().map(|one| Arc::clone(&one.parsed.facts));
        let facts: Vec<Arc<Certificate>> = facts.collect();
        let mut sources = Vec::new();
        for one in fetched {
            if let Some(member) = member(&one.der) {
                sources.push((one.url.as_str(), Arc::clone(&member.parsed.facts)));
                members.push(member);
            }
        }
        let algorithms = self.signatures.wrap(self.algorithms.all);
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
            algorithms.iter().map(|one| one as _).collect();
        let links = Links::of(members, &algorithms);
        let verdicts = self
            .stores
            .iter()
            .map(|(set, store)| (*set, links.judge(store, now)));
        let verdicts: Vec<(RootSet, Verdict)> = verdicts.collect();

        let trust = verdicts.iter().map(|(set, verdict)| Trust {
            roots: *set,
            decides: policy.roots.contains(set),
            trusted: verdict.result.is_ok(),
            valid_until: verdict.valid_until,
            failure: verdict
                .result
                .as_ref()
                .err()
                .map(|error| chain_reason(error, &links)),
        });
        let trust: Vec<Trust> = trust.collect();
        let reachable = links.reachable();
        let interception = interception(&trust, &reachable, policy);
        let pinned = || {
            reachable
                .iter()
                .any(|one| policy.pins.contains(&one.facts.pin))
        };
        let pin_matched = (!policy.pins.is_empty()).then(pinned);

        let deciding = || {
            let listed = verdicts.iter();
            let listed = listed.filter(|(set, _)| policy.roots.contains(set));
            listed.map(|(_, verdict)| verdict)
        };
        let mut outside_dates = None;
        let mut missing_issuers = Vec::new();
        let failure = if let Some((verdict, error)) = deciding_error(deciding()) {
            let path = verdict.path.as_ref();
            outside_dates = path.and_then(|path| links.outside_dates(path, now));
            if let Some(one) = &mut outside_dates {
                one.position = one.position.filter(|position| *position < facts.len());
            }
            missing_issuers = links.missing_issuers(now);
            let detail = outside_dates.as_ref().map(|one| dates_detail(one, now));
            let detail = detail.unwrap_or_else(|| error.to_string());
            Some((chain_reason(error, &links), Some(detail)))
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
        let needed: Vec<usize> = deciding()
            .filter_map(|verdict| verdict.path.as_ref())
            .flat_map(|path| path.members.iter().copied())
            .collect();
        let is_spare = |position: &usize| !needed.is_empty() && !needed.contains(position);
        let fetched = sources.into_iter().enumerate();
        let fetched = fetched.filter(|(index, _)| needed.contains(&(facts.len() + index)));
        TrustResult {
            missing_issuers,
            fetched: fetched
                .map(|(_, (url, certificate))| FetchedCertificate {
                    url: bounded(url),
                    certificate,
                })
                .collect(),
            spare: (0..facts.len()).filter(is_spare).collect(),
            chain: facts,
            trust,
            pin_matched,
            interception,
            outside_dates,
            failure,
            detail: detail.flatten().map(|text| bounded(&text)),
        }
    }

    /// The result for a chain whose first certificate cannot be parsed: no set of roots trusts it.
    fn unreadable(&self, policy: &TlsPolicy) -> TrustResult {
        let failure = Some(Reason::TlsBadSignature);
        let trust = self.stores.iter().map(|(set, _)| Trust {
            roots: *set,
            decides: policy.roots.contains(set),
            trusted: false,
            valid_until: None,
            failure,
        });
        TrustResult {
            trust: trust.collect(),
            failure,
            detail: Some("the server's own certificate cannot be parsed".to_owned()),
            ..TrustResult::default()
        }
    }
}

/// Which certificate is not valid now, and when it is.
fn dates_detail(one: &OutsideDates, now: Timestamp) -> String {
    let root = if one.is_root { "root " } else { "" };
    let subject = &one.subject;
    if now < one.not_before {
        format!(
            "the {root}certificate {subject} is valid from {}",
            one.not_before
        )
    } else {
        format!(
            "the {root}certificate {subject} expired at {}",
            one.not_after
        )
    }
}

fn name_error(chain: &[CertificateDer<'static>], host: &ServerName<'static>) -> Option<TlsError> {
    let leaf = ParsedCertificate::try_from(chain.first()?).ok()?;
    verify_server_name(&leaf, host).err()
}

/// `None` if one of the sets that decide trusts the chain; else the most specific error.
fn deciding_error<'v>(
    deciding: impl Iterator<Item = &'v Verdict>,
) -> Option<(&'v Verdict, &'v TlsError)> {
    let errors = deciding.map(|verdict| Some((verdict, verdict.result.as_ref().err()?)));
    let errors: Option<Vec<_>> = errors.collect();
    // Prefer the verdict of a set with a path, then of one that contains the issuer.
    let unknown_issuer = TlsError::InvalidCertificate(CertificateError::UnknownIssuer);
    errors?
        .into_iter()
        .min_by_key(|(verdict, error)| (verdict.path.is_none(), **error == unknown_issuer))
}

fn chain_reason(error: &TlsError, links: &Links<'_>) -> Reason {
    let TlsError::InvalidCertificate(error) = error else {
        return Reason::TlsBadSignature;
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Reason::TlsExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Reason::TlsNotYetValid
        }
        CertificateError::UnknownIssuer if lacks_issuer(links) => Reason::TlsIncompleteChain,
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
fn lacks_issuer(links: &Links<'_>) -> bool {
    let reachable = links.reachable();
    let leaf = reachable.first();
    !links.has_issuer()
        && leaf.is_some_and(|leaf| !leaf.self_issued && !leaf.issuer_urls.is_empty())
}

/// Suspected if this host's roots are listed and trust the chain while no path by signatures leads
/// to the public web's, or if no presented issuer is an expected one. A `ca_file` alone proves
/// nothing: a module that lists it expects a private CA.
fn interception(trust: &[Trust], path: &[&ChainCertificate], policy: &TlsPolicy) -> Interception {
    let trusted = |set| trust.iter().any(|one| one.roots == set && one.trusted);
    let has_path = |set| {
        trust
            .iter()
            .any(|one| one.roots == set && one.valid_until.is_some())
    };
    let issued_by = |names: &[String]| {
        let mut issuers = path.iter().flat_map(|one| &one.facts.issuer_names);
        issuers.any(|name| names.contains(name))
    };
    if issued_by(&policy.accepted_interceptors) {
        return Interception::Accepted;
    }
    let own_root_only = policy.roots.contains(&RootSet::Platform)
        && trusted(RootSet::Platform)
        && !has_path(RootSet::PublicWeb)
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
