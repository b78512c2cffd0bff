//! Paths from a leaf to a trusted root, by verified signatures and names, whatever the dates.
//!
//! Input is what a server presented and a set of roots; output is every path, up to a bound, and
//! the time in which all its certificates are valid. Each path is confirmed by webpki, which also
//! checks purposes, lengths and name constraints, at an instant of that time.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error as TlsError, RootCertStore};

use super::store::Store;
use crate::probe::certificate::{ChainCertificate, PublicKeyParts, SignatureParts, name_text};
use crate::report::OutsideDates;

/// Certificates of one path without its root; webpki allows six intermediates.
const MAX_LENGTH: usize = 7;
/// Partial and complete paths that are looked at for one set of roots.
const MAX_STEPS: usize = 256;

type Algorithms<'a> = [&'a dyn SignatureVerificationAlgorithm];

/// A certificate that may be part of a path.
pub(super) struct Member<'a> {
    pub der: &'a CertificateDer<'static>,
    pub parsed: Arc<ChainCertificate>,
}

/// The certificates of one chain, the leaf first, and which of them signed which.
pub(super) struct Links<'a> {
    members: Vec<Member<'a>>,
    algorithms: &'a Algorithms<'a>,
    /// The issuers of each member, the one that ends last first.
    issuers: Vec<Vec<usize>>,
    /// A member has the name and the key identifier of another's issuer, but did not sign it.
    forged: bool,
}

/// A path that is verified by signatures.
#[derive(Clone, Debug)]
pub(super) struct Path {
    /// Positions of members, the leaf first.
    pub members: Vec<usize>,
    root: RootDates,
    starts: Timestamp,
    /// The last second in which every certificate is valid.
    pub ends: Timestamp,
}

#[derive(Clone, Debug)]
struct RootDates {
    subject: Vec<u8>,
    dates: Option<(Timestamp, Timestamp)>,
}

/// What one set of roots says about a chain.
#[derive(Debug)]
pub(super) struct Verdict {
    pub result: Result<(), TlsError>,
    /// The path that counts: of those valid now, else of all, the one that ends last.
    pub path: Option<Path>,
    /// The end of the path that ends last.
    pub valid_until: Option<Timestamp>,
}

impl<'a> Links<'a> {
    pub fn of(members: Vec<Member<'a>>, algorithms: &'a Algorithms<'a>) -> Self {
        let mut forged = false;
        let issuers = (0..members.len())
            .map(|child| issuers_of(child, &members, algorithms, &mut forged))
            .collect();
        Self {
            members,
            algorithms,
            issuers,
            forged,
        }
    }

    /// The members that signed the leaf, directly or not, and the leaf itself.
    pub fn reachable(&self) -> Vec<&ChainCertificate> {
        let mut found: Vec<usize> = (0..self.members.len().min(1)).collect();
        let mut next = 0;
        while let Some(child) = found.get(next) {
            for issuer in self.issuers.get(*child).into_iter().flatten() {
                if !found.contains(issuer) {
                    found.push(*issuer);
                }
            }
            next += 1;
        }
        let members = found.iter().filter_map(|index| self.members.get(*index));
        members.map(|member| &*member.parsed).collect()
    }

    /// The addresses of the issuers that are not among the members. A leaf that is not valid now
    /// does not become so by more issuers.
    pub fn missing_issuers(&self, now: Timestamp) -> Vec<String> {
        let leaf = self.members.first().map(|leaf| &leaf.parsed.facts);
        if !leaf.is_some_and(|leaf| leaf.not_before <= now && !is_past(leaf.not_after, now)) {
            return Vec::new();
        }
        let reachable = self.reachable();
        let is_end = |one: &&&ChainCertificate| {
            !one.self_issued && !reachable.iter().any(|other| other.subject == one.issuer)
        };
        let ends = reachable.iter().filter(is_end);
        ends.flat_map(|one| one.issuer_urls.iter().cloned())
            .collect()
    }

    /// Whether the leaf's issuer is among the members.
    pub fn has_issuer(&self) -> bool {
        self.issuers
            .first()
            .is_some_and(|issuers| !issuers.is_empty())
    }

    /// What `store` says at the instant `now`.
    pub fn judge(&self, store: &Store, now: Timestamp) -> Verdict {
        let mut accepted: Vec<Path> = Vec::new();
        let mut current: Option<Path> = None;
        let mut rejected = None;
        let found = self.paths(store);
        for (path, root) in found.paths {
            match self.confirm(&path, root, now) {
                Err(error) if !is_about_dates(&error) => {
                    rejected.get_or_insert(error);
                }
                confirmed => {
                    let is_valid =
                        confirmed.is_ok() && path.starts <= now && !is_past(path.ends, now);
                    if is_valid && current.as_ref().is_none_or(|best| best.ends < path.ends) {
                        current = Some(path.clone());
                    }
                    accepted.push(path);
                }
            }
        }
        let longest = accepted.into_iter().max_by_key(|path| path.ends);
        let valid_until = longest.as_ref().map(|path| path.ends);
        let result = match (&current, &longest, rejected) {
            (Some(_), ..) => Ok(()),
            (None, Some(path), _) => Err(match self.outside_dates(path, now) {
                Some(one) if now < one.not_before => CertificateError::NotValidYet.into(),
                _ => CertificateError::Expired.into(),
            }),
            (None, None, Some(error)) => Err(error),
            (None, None, None) if found.wrong_key || self.forged => {
                Err(CertificateError::BadSignature.into())
            }
            (None, None, None) => Err(CertificateError::UnknownIssuer.into()),
        };
        Verdict {
            result,
            path: current.or(longest),
            valid_until,
        }
    }

    /// The certificate of the path that is not valid now: the leaf, else the one nearest to it.
    pub fn outside_dates(&self, path: &Path, now: Timestamp) -> Option<OutsideDates> {
        let members = path.members.iter().filter_map(|index| {
            let facts = &self.members.get(*index)?.parsed.facts;
            Some(OutsideDates {
                position: Some(*index),
                is_root: false,
                subject: facts.subject.clone(),
                not_before: facts.not_before,
                not_after: facts.not_after,
            })
        });
        let root = path.root.dates.map(|(not_before, not_after)| OutsideDates {
            position: None,
            is_root: true,
            subject: name_text(&path.root.subject),
            not_before,
            not_after,
        });
        let mut all = members.chain(root);
        all.find(|one| now < one.not_before || is_past(one.not_after, now))
    }

    fn paths<'s>(&self, store: &'s Store) -> Found<'s> {
        let mut found = Found {
            paths: Vec::new(),
            wrong_key: false,
        };
        let mut open: Vec<Vec<usize>> = vec![vec![0]];
        let mut steps = 0;
        while let Some(partial) = open.pop() {
            let Some(last) = partial.last().and_then(|index| self.members.get(*index)) else {
                continue;
            };
            steps += 1;
            if steps > MAX_STEPS {
                break;
            }
            for (root, dates) in store.named(&last.parsed.issuer) {
                match PublicKeyParts::of(&root.subject_public_key_info) {
                    Some(key) if verifies(&last.parsed.signature, &key, self.algorithms) => {
                        let path = self.path(&partial, root, dates);
                        found.paths.push((path, root));
                    }
                    _ => found.wrong_key = true,
                }
            }
            let issuers = partial.last().and_then(|index| self.issuers.get(*index));
            // The last one that is pushed is looked at first.
            for issuer in issuers.into_iter().flatten().rev() {
                if partial.len() < MAX_LENGTH && !partial.contains(issuer) {
                    open.push([&partial[..], &[*issuer]].concat());
                }
            }
        }
        found
    }

    fn path(
        &self,
        members: &[usize],
        root: &TrustAnchor<'static>,
        dates: Option<(Timestamp, Timestamp)>,
    ) -> Path {
        let certificates = members.iter().filter_map(|index| self.members.get(*index));
        let certificates = certificates.map(|one| {
            let facts = &one.parsed.facts;
            (facts.not_before, facts.not_after)
        });
        let all: Vec<_> = certificates.chain(dates).collect();
        Path {
            members: members.to_vec(),
            root: RootDates {
                subject: root.subject.to_vec(),
                dates,
            },
            starts: all.iter().map(|one| one.0).max().unwrap_or(Timestamp::MIN),
            ends: all.iter().map(|one| one.1).min().unwrap_or(Timestamp::MAX),
        }
    }

    /// Verifies the path by webpki, at the instant of its validity that is nearest to `now`.
    fn confirm(
        &self,
        path: &Path,
        root: &TrustAnchor<'static>,
        now: Timestamp,
    ) -> Result<(), TlsError> {
        let at = now.max(path.starts).min(path.ends);
        let at = Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0));
        let certificates = path.members.iter().filter_map(|one| self.members.get(*one));
        let certificates: Vec<_> = certificates.map(|one| one.der.clone()).collect();
        let (leaf, intermediates) = certificates
            .split_first()
            .ok_or(TlsError::NoCertificatesPresented)?;
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(leaf)?,
            &RootCertStore::from_iter([root.clone()]),
            intermediates,
            UnixTime::since_unix_epoch(at),
            self.algorithms,
        )
    }
}

struct Found<'s> {
    paths: Vec<(Path, &'s TrustAnchor<'static>)>,
    /// A root has the name of an issuer, but not its key.
    wrong_key: bool,
}

fn issuers_of(
    child: usize,
    members: &[Member<'_>],
    algorithms: &Algorithms<'_>,
    forged: &mut bool,
) -> Vec<usize> {
    let Some(Member { parsed, .. }) = members.get(child) else {
        return Vec::new();
    };
    let mut issuers: Vec<usize> = Vec::new();
    for (index, member) in members.iter().enumerate().skip(1) {
        let candidate = &member.parsed;
        let is_repeated = members.iter().take(index).any(|one| one.der == member.der);
        if index == child || is_repeated || candidate.subject != parsed.issuer {
            continue;
        }
        if verifies(&parsed.signature, &candidate.public_key, algorithms) {
            issuers.push(index);
        } else {
            // Another identifier belongs to another key of the same issuer.
            *forged |= candidate.key_id.is_some() && candidate.key_id == parsed.issuer_key_id;
        }
    }
    let end = |index: &usize| members.get(*index).map(|one| one.parsed.facts.not_after);
    issuers.sort_by_key(|index| std::cmp::Reverse(end(index)));
    issuers
}

/// Whether `key` made the signature.
fn verifies(signature: &SignatureParts, key: &PublicKeyParts, all: &Algorithms<'_>) -> bool {
    all.iter().any(|algorithm| {
        *algorithm.signature_alg_id() == *signature.algorithm
            && *algorithm.public_key_alg_id() == *key.algorithm
            && algorithm
                .verify_signature(&key.key, &signature.message, &signature.value)
                .is_ok()
    })
}

/// A certificate is valid to the end of the second that it names (RFC 5280, 4.1.2.5).
fn is_past(not_after: Timestamp, now: Timestamp) -> bool {
    not_after.as_second() < now.as_second()
}

fn is_about_dates(error: &TlsError) -> bool {
    matches!(
        error,
        TlsError::InvalidCertificate(
            CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. }
        )
    )
}
