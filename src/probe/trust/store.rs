//! Sets of roots: this host's, the public web's, and those of a file.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, TrustAnchor};

use crate::probe::certificate;

/// The roots that every target shares.
#[derive(Clone, Debug)]
pub struct Roots {
    pub(super) platform: Store,
    pub(super) public_web: Store,
}

/// A set of roots.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub roots: Arc<RootCertStore>,
    /// The first and the last second of each root, in the same order; empty if they are not known.
    dates: Arc<[(Timestamp, Timestamp)]>,
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
                dates: Arc::default(),
            },
        }
    }

    /// Whether this host has no root certificates.
    pub fn platform_is_empty(&self) -> bool {
        self.platform.roots.is_empty()
    }
}

impl Store {
    pub fn of(certificates: &[CertificateDer<'static>]) -> Self {
        let mut roots = RootCertStore::empty();
        let mut dates = Vec::with_capacity(certificates.len());
        for certificate in certificates {
            if let Some(validity) = certificate::validity(certificate)
                && roots.add(certificate.clone()).is_ok()
            {
                dates.push(validity);
            }
        }
        tracing::debug!(
            added = dates.len(),
            ignored = certificates.len() - dates.len(),
            "loaded root certificates"
        );
        Self {
            roots: Arc::new(roots),
            dates: dates.into(),
        }
    }

    /// The roots of that name, with their dates.
    pub fn named(
        &self,
        subject: &[u8],
    ) -> impl Iterator<Item = (&TrustAnchor<'static>, Option<(Timestamp, Timestamp)>)> {
        let all = self.roots.roots.iter().enumerate();
        all.filter(move |(_, root)| *root.subject == *subject)
            .map(|(index, root)| (root, self.dates.get(index).copied()))
    }
}
