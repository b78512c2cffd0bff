//! Certificates and keys, which the web configuration holds as file names or as PEM text.

use std::fmt;
use std::path::PathBuf;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{Error as TlsError, RootCertStore};

use crate::config::FileSnapshot;
use crate::config::section::{Section, cannot_read};
use crate::diagnostics::Text;
use crate::input_file::{self, InputFile};

/// A key and the PEM it refers to.
pub(super) struct PemSource<'t> {
    pub key: String,
    text: &'t Text,
    file: Option<PathBuf>,
}

impl<'t> PemSource<'t> {
    /// The one of two keys that is set: `key_file` names a file, `key` holds PEM. Setting both is an error;
    /// an empty one counts as absent.
    pub fn find(
        key: &str,
        file: &'t Option<Text>,
        text: &'t Option<Text>,
        files: &mut Vec<FileSnapshot>,
        section: &mut Section<'_>,
    ) -> Option<Self> {
        let file = file.as_ref().filter(|file| !file.value.is_empty());
        let text = text.as_ref().filter(|text| !text.value.is_empty());
        let file_key = format!("{key}_file");
        if let (Some(_), Some(text)) = (file, text) {
            let message = format!("{file_key} is also set; remove one of the two");
            section.error(text, key, message);
        }
        let path = file.map(|file| section.path(file));
        files.extend(
            path.clone()
                .map(|path| FileSnapshot::take(InputFile::TlsKey, path)),
        );
        Some(Self {
            key: path.as_ref().map_or(key.to_owned(), |_| file_key),
            text: file.or(text)?,
            file: path,
        })
    }

    /// What `read` makes of the PEM; its error is reported.
    pub fn read<T>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, String>,
        section: &mut Section<'_>,
    ) -> Option<T> {
        read(self)
            .map_err(|message| self.error(message, section))
            .ok()
    }

    /// Reports an error in this key.
    pub fn error(&self, message: impl Into<String>, section: &mut Section<'_>) {
        section.error(self.text, &self.key, message);
    }

    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let certificates = CertificateDer::pem_slice_iter(&self.pem()?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| format!("{self} contains invalid PEM; copy it again from its source"))?;
        if certificates.is_empty() {
            return Err(format!(
                "{self} contains no certificate; it must be PEM (BEGIN CERTIFICATE)"
            ));
        }
        Ok(certificates)
    }

    /// The PEM parser's message is dropped, since it may quote the key.
    pub fn private_key(&self) -> Result<PrivateKeyDer<'static>, String> {
        PrivateKeyDer::from_pem_slice(&self.pem()?).map_err(|_| {
            format!(
                "{self} contains no private key; it must be PEM (BEGIN PRIVATE KEY) without a \
                 passphrase"
            )
        })
    }

    pub fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots
                .add(certificate)
                .map_err(|error| self.invalid("certificate", &error))?;
        }
        Ok(roots)
    }

    pub fn invalid(&self, what: &str, error: &TlsError) -> String {
        format!("{self} contains an invalid {what}: {}", reason(error))
    }

    fn pem(&self) -> Result<Vec<u8>, String> {
        match &self.file {
            Some(path) => input_file::read(InputFile::TlsKey, path)
                .map(|contents| contents.bytes)
                .map_err(|error| cannot_read(path, &error)),
            None => Ok(self.text.value.clone().into_bytes()),
        }
    }
}

impl fmt::Display for PemSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(path) => path.display().fmt(f),
            None => f.write_str("the text"),
        }
    }
}

/// The message of rustls without its prefixes, which are about TLS peers.
pub(super) fn reason(error: &TlsError) -> String {
    match error {
        TlsError::General(text) => text.clone(),
        TlsError::InvalidCertificate(error) => error.to_string(),
        other => other.to_string(),
    }
}
