//! The key `tls` of a module: which certificates and TLS versions are accepted.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_saphyr::Spanned;
use url::Url;

use crate::config::raw::RawTls;
use crate::config::section::{Section, cannot_read, one_of};
use crate::diagnostics::Text;
use crate::input_file::{self, InputFile};
use crate::report::RootSet;

/// Which certificates and TLS versions are accepted.
#[derive(Clone, Debug)]
pub struct TlsPolicy {
    /// A chain is trusted if any of these sets trusts it.
    pub roots: Vec<RootSet>,
    pub ca_file: Option<CaFile>,
    /// Compared with common name and organization of each presented issuer.
    pub expected_issuers: Vec<String>,
    pub accepted_interceptors: Vec<String>,
    pub on_interception: PolicyAction,
    /// `sha256/BASE64` of a public key in the chain.
    pub pins: Vec<String>,
    pub on_pin_mismatch: PolicyAction,
    pub min_version: MinVersion,
    pub fetch_intermediates: FetchIntermediates,
    /// Hosts with private addresses from which intermediates may be fetched too; lower case.
    pub aia_hosts: Vec<(String, u16)>,
}

/// The root certificates of `ca_file`.
#[derive(Clone, Debug)]
pub struct CaFile {
    pub path: PathBuf,
    pub certificates: Vec<CertificateDer<'static>>,
}

/// Whether a violation is only a finding, or fails the probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PolicyAction {
    #[default]
    Warn,
    Fail,
}

/// The oldest accepted TLS version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    #[default]
    Tls12,
    Tls13,
}

/// Whether an intermediate that the server does not send is fetched from the address in the
/// certificate (AIA), as browsers do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FetchIntermediates {
    #[default]
    On,
    Off,
}

impl TlsPolicy {
    pub(super) fn validate(raw: &RawTls, mut section: Section<'_>) -> Self {
        let section = &mut section;
        let actions = [("warn", PolicyAction::Warn), ("fail", PolicyAction::Fail)];
        let versions = [("1.2", MinVersion::Tls12), ("1.3", MinVersion::Tls13)];
        let fetching = [
            ("on", FetchIntermediates::On),
            ("off", FetchIntermediates::Off),
        ];
        let ca_file = raw.ca_file.as_ref().map(|file| section.path(file));
        Self {
            roots: roots(&raw.roots, ca_file.as_deref(), section),
            ca_file: ca_file
                .and_then(|path| section.optional("ca_file", &raw.ca_file, |_| CaFile::read(path))),
            expected_issuers: raw.expected_issuers.clone(),
            accepted_interceptors: raw.accepted_interceptors.clone(),
            on_interception: section.choice("on_interception", &raw.on_interception, &actions),
            pins: section.list("pins", &raw.pins, pin),
            on_pin_mismatch: section.choice("on_pin_mismatch", &raw.on_pin_mismatch, &actions),
            min_version: section.choice("min_version", &raw.min_version, &versions),
            fetch_intermediates: section.choice(
                "fetch_intermediates",
                &raw.fetch_intermediates,
                &fetching,
            ),
            aia_hosts: section.list("aia_hosts", &raw.aia_hosts, aia_host),
        }
    }
}

impl CaFile {
    fn read(path: PathBuf) -> Result<Self, String> {
        let pem = input_file::read(InputFile::Roots, &path)
            .map_err(|error| cannot_read(&path, &error))?;
        let certificates = CertificateDer::pem_slice_iter(&pem.bytes)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| cannot_read(&path, &error))?;
        if certificates.is_empty() {
            return Err(format!(
                "{} contains no certificate; it must be PEM (BEGIN CERTIFICATE)",
                path.display()
            ));
        }
        let mut store = RootCertStore::empty();
        for certificate in &certificates {
            store.add(certificate.clone()).map_err(|error| {
                format!(
                    "{} contains an invalid certificate: {error}",
                    path.display()
                )
            })?;
        }
        Ok(Self { path, certificates })
    }
}

fn roots(
    raw: &Option<Spanned<Vec<Text>>>,
    ca_file: Option<&Path>,
    section: &mut Section<'_>,
) -> Vec<RootSet> {
    let Some(list) = raw else {
        return vec![ca_file.map_or(RootSet::Platform, |_| RootSet::CaFile)];
    };
    if list.value.is_empty() {
        let message = "the list is empty: no certificate could be trusted";
        section.error(list, "roots", message);
    }
    let sets = [
        ("platform", RootSet::Platform),
        ("public_web", RootSet::PublicWeb),
        ("ca_file", RootSet::CaFile),
    ];
    section.list("roots", &list.value, |text| match one_of(text, &sets)? {
        RootSet::CaFile if ca_file.is_none() => {
            Err("ca_file is listed, but the key ca_file is not set".to_owned())
        }
        set => Ok(set),
    })
}

/// `host` or `host:port`; port 80 without one.
fn aia_host(text: &str) -> Result<(String, u16), String> {
    let invalid =
        || format!("invalid host {text:?}; use for example pki.example.com or 10.1.2.3:8080");
    let url = Url::parse(&format!("http://{text}/")).map_err(|_| invalid())?;
    let host = url.host_str().ok_or_else(invalid)?;
    let canonical = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    // What parses only after a repair, or has more than a host and a port, is not a host.
    if !text
        .trim_end_matches(":80")
        .eq_ignore_ascii_case(&canonical)
    {
        return Err(invalid());
    }
    Ok((host.to_owned(), url.port().unwrap_or(80)))
}

fn pin(text: &str) -> Result<String, String> {
    let hash = text.strip_prefix("sha256/");
    match hash.and_then(|hash| STANDARD.decode(hash).ok()) {
        Some(bytes) if bytes.len() == 32 => Ok(text.to_owned()),
        _ => Err(format!(
            "invalid pin {text:?}; use sha256/ and 44 characters of base64, as printed by verify \
             --format json"
        )),
    }
}
