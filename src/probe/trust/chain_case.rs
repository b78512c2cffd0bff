//! A chain of certificates with the roots and the instant to judge it by, and the verdict of rustls-webpki on it.

use std::time::Duration;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;

use super::{TrustAnchors, TrustResult};
use crate::config::TlsPolicy;
use crate::report::RootSet;

/// Certificates of a case: roots, then the chain, at an instant.
pub(in crate::probe) struct ChainCase {
    pub roots: Vec<CertificateDer<'static>>,
    pub chain: Vec<CertificateDer<'static>>,
    pub at: Timestamp,
}

impl ChainCase {
    /// The number of roots, the time in four bytes, then certificates with their lengths in two.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (count, rest) = data.split_first()?;
        let (at, mut rest) = rest.split_first_chunk::<4>()?;
        let mut all = Vec::new();
        while let Some((length, tail)) = rest.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length)).min(tail.len());
            let (der, tail) = tail.split_at(length);
            all.push(CertificateDer::from(der.to_vec()));
            rest = tail;
        }
        let chain = all.split_off(usize::from(count % 4).min(all.len()));
        Some(Self {
            roots: all,
            chain,
            at: Timestamp::from_second(i64::from(u32::from_be_bytes(*at))).ok()?,
        })
    }

    /// Our verdict on the chain as that of `host`, with the roots of the case instead of the policy's.
    pub fn judged(&self, host: &str, policy: &TlsPolicy) -> TrustResult {
        let name = ServerName::try_from(host.to_owned()).expect("a name");
        let policy = TlsPolicy {
            roots: vec![RootSet::CaFile],
            ..policy.clone()
        };
        TrustAnchors::of_roots(&self.roots).evaluate(&self.chain, &[], &name, &policy, self.at)
    }

    /// The verdict of rustls-webpki on the same certificates, without a name.
    pub fn judged_by_webpki(&self) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        for root in &self.roots {
            // One that is not a certificate is no root.
            let _ = roots.add(root.clone());
        }
        let (leaf, others) = self
            .chain
            .split_first()
            .ok_or(rustls::Error::NoCertificatesPresented)?;
        let at = Duration::from_secs(u64::try_from(self.at.as_second()).unwrap_or(0));
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(leaf)?,
            &roots,
            others,
            UnixTime::since_unix_epoch(at),
            aws_lc_rs::default_provider()
                .signature_verification_algorithms
                .all,
        )
    }
}
