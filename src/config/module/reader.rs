//! Makes a module as it is written what it is meant to be.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use hyper::header::{HeaderName, HeaderValue};
use ipnet::IpNet;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::{
    AsWritten, CaFile, Credentials, HttpPolicy, MinVersion, PageChecks, ProbeModule, Proxy,
    ProxyPolicy, Redirects, Resolver, Route, Severity, SystemResolvers, TlsPolicy,
};
use crate::config::MIN_TIMEOUT;
use crate::config::diagnostic::Diagnostics;
use crate::config::raw::{self, Text};
use crate::config::value::{duration, pattern, size};
use crate::report::{AddressFamily, RootSet};

/// The widest bounds that a configuration may ask for.
const MAX_BODY_BOUND: usize = 64 * 1024 * 1024;
const MAX_REDIRECTS_BOUND: u64 = 20;

/// A host without scheme, port or path, as a redirect's is compared with it.
fn host(text: &str) -> Result<String, String> {
    url::Host::parse(text)
        .map(|host| host.to_string())
        .map_err(|_| format!("{text:?} is not a host; write for example login.example.com"))
}

impl ProbeModule {
    /// The module `name` as it is meant; files are sought beside `directory`.
    pub(in crate::config) fn validate(
        name: &str,
        raw: &raw::Module,
        directory: &Path,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut reader = Reader {
            key: format!("modules.{name}"),
            directory,
            diagnostics,
        };
        Self {
            name: name.to_owned(),
            as_written: AsWritten(shown(raw)),
            timeout: reader.one("timeout", &raw.timeout, |text| {
                duration(text).and_then(|limit| {
                    if limit >= MIN_TIMEOUT {
                        Ok(limit)
                    } else {
                        Err("a probe needs at least 100ms".to_owned())
                    }
                })
            }),
            resolvers: reader.each("resolvers", &raw.resolvers, Resolver::parse),
            system_resolvers: reader.choice(
                "system_resolvers",
                &raw.system_resolvers,
                &[
                    ("ask", SystemResolvers::Ask),
                    ("ignore", SystemResolvers::Ignore),
                ],
            ),
            route: reader
                .one("route", &raw.route, |text| match text {
                    "system" => Ok(Route::System),
                    other => Resolver::parse(other)
                        .map(Route::Resolver)
                        .map_err(|error| format!("{error}, or system")),
                })
                .unwrap_or(Route::System),
            family: reader.choice(
                "ip_family",
                &raw.ip_family,
                &[
                    ("any", None),
                    ("4", Some(AddressFamily::V4)),
                    ("6", Some(AddressFamily::V6)),
                ],
            ),
            source_address: reader.one("source_address", &raw.source_address, |text| {
                text.parse()
                    .map_err(|_| format!("{text:?} is not an IP address of this host"))
            }),
            proxy: reader.proxy(raw),
            expected_addresses: reader.expected_addresses(raw),
            sinkhole_addresses: reader.each("sinkhole_addresses", &raw.sinkhole_addresses, network),
            tls: reader.tls(&raw.tls),
            http: reader.http(&raw.http),
            page: reader.page(&raw.page),
        }
    }

    /// The module that is there without any configuration.
    pub(in crate::config) fn built_in(name: &str) -> Self {
        let mut diagnostics = Diagnostics::of(Path::new("built-in"), "");
        Self::validate(
            name,
            &raw::Module::default(),
            Path::new("."),
            &mut diagnostics,
        )
    }
}

/// What was written, without the keys that were not, and with every header's value hidden: nobody
/// knows what people put into those.
fn shown(raw: &raw::Module) -> Value {
    let mut value = serde_json::to_value(raw).unwrap_or_default();
    if let Some(Value::Object(headers)) = value.pointer_mut("/http/headers") {
        for (_, value) in headers.iter_mut() {
            *value = Value::from("<hidden>");
        }
    }
    prune(&mut value);
    value
}

fn prune(value: &mut Value) {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    if let Value::Object(map) = value {
        map.values_mut().for_each(prune);
        map.retain(|_, value| !is_empty(value));
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| format!("{text:?} is not a network; write for example 10.1.0.0/16"))
}

/// Reads the keys of one module.
struct Reader<'a> {
    key: String,
    directory: &'a Path,
    diagnostics: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn path(&self, key: &str) -> String {
        format!("{}.{key}", self.key)
    }

    fn one<T>(
        &mut self,
        key: &str,
        value: &Option<Text>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = value.as_ref()?;
        parse(&text.value)
            .map_err(|message| self.diagnostics.at(text, self.path(key), message))
            .ok()
    }

    fn each<T>(
        &mut self,
        key: &str,
        values: &[Text],
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let mut list = Vec::with_capacity(values.len());
        for (index, text) in values.iter().enumerate() {
            match parse(&text.value) {
                Ok(value) => list.push(value),
                Err(message) => {
                    let path = self.path(&format!("{key}[{index}]"));
                    self.diagnostics.at(text, path, message);
                }
            }
        }
        list
    }

    fn choice<T: Copy + Default>(
        &mut self,
        key: &str,
        value: &Option<Text>,
        choices: &[(&str, T)],
    ) -> T {
        let parse = |text: &str| {
            choices
                .iter()
                .find(|(word, _)| *word == text)
                .map(|(_, value)| *value)
                .ok_or_else(|| {
                    let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
                    format!("{text:?} is not known; write one of {}", words.join(", "))
                })
        };
        self.one(key, value, parse).unwrap_or_default()
    }

    /// A proxy resolves the target's name, so that nothing is known of its addresses.
    fn expected_addresses(&mut self, raw: &raw::Module) -> Vec<IpNet> {
        let key = "expected_addresses";
        let direct = |text: &Text| text.value == "none";
        if let (Some(first), Some(proxy)) = (raw.expected_addresses.first(), &raw.proxy)
            && !direct(proxy)
        {
            let message = "the proxy resolves the name, so that its addresses are not seen here; \
                           leave one of the two out";
            let path = self.path(key);
            self.diagnostics.at(first, path, message);
        }
        self.each(key, &raw.expected_addresses, network)
    }

    fn proxy(&mut self, raw: &raw::Module) -> ProxyPolicy {
        let policy = match &raw.proxy {
            None => ProxyPolicy::Direct,
            // What is wrong with it may be the password in it.
            Some(text) => ProxyPolicy::parse(&text.value).unwrap_or_else(|message| {
                let path = self.path("proxy");
                if text.value.contains('@') {
                    self.diagnostics.at_secret(text, path, message)
                } else {
                    self.diagnostics.at(text, path, message)
                }
                ProxyPolicy::Direct
            }),
        };
        let directory = self.directory;
        let credentials = self.one(
            "proxy_credentials_file",
            &raw.proxy_credentials_file,
            |text| Credentials::read(&directory.join(text)),
        );
        let with = match (&policy, credentials) {
            (ProxyPolicy::Always(proxy), Some(credentials)) => Proxy {
                credentials: Some(credentials),
                ..Proxy::clone(proxy)
            },
            (ProxyPolicy::Direct | ProxyPolicy::System(_), Some(_)) => {
                if let Some(text) = &raw.proxy_credentials_file {
                    let message = "credentials are for one proxy: write it under proxy";
                    let path = self.path("proxy_credentials_file");
                    self.diagnostics.at(text, path, message);
                }
                return policy;
            }
            (_, None) => return policy,
        };
        ProxyPolicy::Always(Arc::new(with))
    }

    fn tls(&mut self, raw: &raw::Tls) -> TlsPolicy {
        let ca_file = self.ca_file(&raw.ca_file);
        let severity = [("warn", Severity::Warn), ("fail", Severity::Fail)];
        TlsPolicy {
            roots: self.roots(&raw.roots, raw.ca_file.is_some()),
            ca_file,
            expected_issuers: raw.expected_issuers.clone(),
            accepted_interceptors: raw.accepted_interceptors.clone(),
            on_interception: self.choice("tls.on_interception", &raw.on_interception, &severity),
            pins: self.each("tls.pins", &raw.pins, pin),
            on_pin_mismatch: self.choice("tls.on_pin_mismatch", &raw.on_pin_mismatch, &severity),
            min_version: self.choice(
                "tls.min_version",
                &raw.min_version,
                &[("1.2", MinVersion::Tls12), ("1.3", MinVersion::Tls13)],
            ),
        }
    }

    fn roots(&mut self, raw: &Option<Spanned<Vec<Text>>>, has_ca_file: bool) -> Vec<RootSet> {
        let Some(list) = raw else {
            return vec![if has_ca_file {
                RootSet::CaFile
            } else {
                RootSet::Platform
            }];
        };
        let roots = self.each("tls.roots", &list.value, |text| match text {
            "platform" => Ok(RootSet::Platform),
            "public_web" => Ok(RootSet::PublicWeb),
            "ca_file" if has_ca_file => Ok(RootSet::CaFile),
            "ca_file" => Err("ca_file is listed, but tls.ca_file names no file".to_owned()),
            other => Err(format!(
                "{other:?} is not a set of roots; write one of platform, public_web, ca_file"
            )),
        });
        if list.value.is_empty() {
            let path = self.path("tls.roots");
            self.diagnostics.at(
                list,
                path,
                "no root is listed: nothing could ever be trusted",
            );
        }
        roots
    }

    fn ca_file(&mut self, raw: &Option<Text>) -> Option<CaFile> {
        let directory = self.directory;
        self.one("tls.ca_file", raw, |text| {
            let path = directory.join(text);
            let certificates = CertificateDer::pem_file_iter(&path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            if certificates.is_empty() {
                return Err(format!(
                    "{} holds no certificate; it must be PEM (BEGIN CERTIFICATE)",
                    path.display()
                ));
            }
            let mut store = rustls::RootCertStore::empty();
            for certificate in &certificates {
                store.add(certificate.clone()).map_err(|error| {
                    format!(
                        "{} holds a certificate that cannot be used: {error}",
                        path.display()
                    )
                })?;
            }
            Ok(CaFile { path, certificates })
        })
    }

    fn http(&mut self, raw: &raw::Http) -> HttpPolicy {
        let valid_status = match &raw.valid_status {
            None => vec![200],
            Some(list) => {
                for (index, status) in list.value.iter().enumerate() {
                    if !(200..=599).contains(&status.value) {
                        let path = self.path(&format!("http.valid_status[{index}]"));
                        self.diagnostics
                            .at(status, path, "a status lies between 200 and 599");
                    }
                }
                if list.value.is_empty() {
                    let path = self.path("http.valid_status");
                    self.diagnostics
                        .at(list, path, "no status is listed: every answer would fail");
                }
                list.value.iter().map(|status| status.value).collect()
            }
        };
        let max_redirects = match &raw.max_redirects {
            None => 5,
            Some(count) if count.value <= MAX_REDIRECTS_BOUND => count.value as usize,
            Some(count) => {
                let path = self.path("http.max_redirects");
                self.diagnostics.at(
                    count,
                    path,
                    format!("at most {MAX_REDIRECTS_BOUND} are followed"),
                );
                0
            }
        };
        HttpPolicy {
            valid_status,
            redirects: self.choice(
                "http.redirects",
                &raw.redirects,
                &[
                    ("same_host", Redirects::SameHost),
                    ("none", Redirects::None),
                ],
            ),
            allowed_hosts: self.each("http.allowed_hosts", &raw.allowed_hosts, host),
            max_redirects,
            max_body: self
                .one("http.max_body", &raw.max_body, |text| {
                    size(text).and_then(|bytes| match bytes {
                        1..=MAX_BODY_BOUND => Ok(bytes),
                        _ => Err("a body's bound lies between 1B and 64MiB".to_owned()),
                    })
                })
                .unwrap_or(1024 * 1024),
            user_agent: self
                .one("http.user_agent", &raw.user_agent, header_value)
                .unwrap_or_else(|| HeaderValue::from_static(USER_AGENT)),
            headers: raw
                .headers
                .iter()
                .filter_map(|(name, value)| self.header(name, value))
                .collect(),
        }
    }

    fn header(&mut self, name: &str, value: &Text) -> Option<(HeaderName, HeaderValue)> {
        let path = self.path(&format!("http.headers.{name}"));
        let Ok(header) = HeaderName::try_from(name) else {
            self.diagnostics
                .at(value, path, format!("{name:?} is not a header's name"));
            return None;
        };
        match header.as_str() {
            "authorization" | "proxy-authorization" | "cookie" => {
                let message = "is refused: this program never logs in and sends no credentials";
                self.diagnostics.at_secret(value, path, message);
                None
            }
            "host" | "content-length" | "transfer-encoding" | "connection" | "upgrade" => {
                self.diagnostics
                    .at(value, path, "is set by the program itself");
                None
            }
            _ => header_value(&value.value)
                .map_err(|message| self.diagnostics.at(value, path, message))
                .ok()
                .map(|value| (header, value)),
        }
    }

    fn page(&mut self, raw: &raw::Page) -> PageChecks {
        let text = |text: &str| match text {
            "" => Err("an empty text stands in every page".to_owned()),
            text => Ok(text.to_owned()),
        };
        PageChecks {
            title: raw.title.clone(),
            contains: self.each("page.contains", &raw.contains, text),
            not_contains: self.each("page.not_contains", &raw.not_contains, text),
            matches: self.each("page.matches", &raw.matches, pattern),
            form_fields: self.each("page.form_fields", &raw.form_fields, text),
            block_markers: self.each("page.block_markers", &raw.block_markers, text),
        }
    }
}

const USER_AGENT: &str = concat!(
    "ccass-2fa-exporter/",
    env!("CARGO_PKG_VERSION"),
    " (connectivity probe; never logs in)"
);

fn header_value(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text)
        .map_err(|_| "a header's value is one line of visible text".to_owned())
}

fn pin(text: &str) -> Result<String, String> {
    let form = || {
        "a pin is sha256/ and 44 characters of base64, as verify --format json prints it".to_owned()
    };
    let hash = text.strip_prefix("sha256/").ok_or_else(form)?;
    match base64::engine::general_purpose::STANDARD.decode(hash) {
        Ok(bytes) if bytes.len() == 32 => Ok(text.to_owned()),
        _ => Err(form()),
    }
}
