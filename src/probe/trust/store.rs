//! Sets of roots: this host's, the public web's, and those of a file.

use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, TrustAnchor};

use crate::input_file::{self, InputFile};
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
        let native = platform_certificates().unwrap_or_else(|error| {
            tracing::warn!(%error, "this host's root certificates cannot be read");
            Vec::new()
        });
        let public_web = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
        Self {
            platform: Store::of(&native),
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

/// The library opens the files by itself, so that a file from the environment is opened here first: a
/// named pipe or an endless device ends the loading before the library sees it.
fn platform_certificates() -> io::Result<Vec<CertificateDer<'static>>> {
    let named = std::env::var_os("SSL_CERT_FILE");
    if let Some(path) = &named {
        input_file::read(InputFile::Roots, Path::new(path)).map_err(|error| {
            let path = Path::new(path).display();
            io::Error::new(error.kind(), format!("SSL_CERT_FILE, {path}: {error}"))
        })?;
    }
    let path = named.unwrap_or_else(|| "the root certificates of this host".into());
    let load = rustls_native_certs::load_native_certs;
    let native = input_file::with_deadline(InputFile::Roots, Path::new(&path), load)?;
    for error in &native.errors {
        tracing::warn!(%error, "some of this host's root certificates cannot be read");
    }
    Ok(native.certs)
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
