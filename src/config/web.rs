//! How the listener is protected: Prometheus's web configuration file and what it means.
//!
//! In: a file in the form of the exporter-toolkit, so that one `web-config.yml` serves every
//! exporter of a host. Out: a [`WebConfig`] whose values cannot be wrong, or [`Mistakes`]. `written`
//! is the file as it stands; `tls` makes its TLS part what rustls takes, `clients` judges clients'
//! certificates where rustls's own rules are not all. Left to the listener: the handshake, the
//! passwords, the counting of requests.
//!
//! The form: <https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md>.

mod clients;
mod raw;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use rustls::ServerConfig;
use serde_saphyr::{Location, Spanned};

use super::ConfigError;
use super::diagnostic::Diagnostics;
use super::file_snapshot::FileSnapshot;
use super::raw::Text;
use super::value::duration;
use raw::Raw;

/// How the listener is protected; by default not at all.
#[derive(Clone, Default)]
pub struct WebConfig {
    /// Without it the listener speaks plain HTTP.
    pub tls: Option<Tls>,
    /// Added to every answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The bcrypt hash of each user's password; empty where none is asked for.
    pub users: BTreeMap<String, String>,
    pub rate_limit: Option<RateLimit>,
    /// What was read, so that a change is seen.
    pub files: Vec<FileSnapshot>,
}

/// How sessions are made.
#[derive(Clone)]
pub struct Tls {
    pub server: Arc<ServerConfig>,
    pub clients: Clients,
}

/// Whether a client must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    NeedNoCertificate,
    NeedACertificate,
}

/// A bucket of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How long until one more request is let through; never zero.
    pub interval: Duration,
    /// How many are let through at once; at least one.
    pub burst: u32,
}

impl WebConfig {
    /// Reads `path`, or protects nothing where there is none.
    ///
    /// # Errors
    /// The file cannot be read, or holds mistakes: all of them, except that a file whose form is
    /// wrong yields the first alone.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        // Before it is read: a change meanwhile is then seen afterwards.
        let file = FileSnapshot::take(path.to_owned());
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, file)
    }

    /// Reads `text`, which stands in `file`; certificates and keys are sought beside it.
    fn parse(text: &str, file: FileSnapshot) -> Result<Self, ConfigError> {
        let path = &file.path.clone();
        let mut diagnostics = Diagnostics::of(path, text);
        // Not strict: `yes` and `on` are booleans to the toolkit too.
        let config = match serde_saphyr::from_str::<Raw>(text) {
            Ok(raw) => {
                let mut reader = Reader {
                    directory: path.parent().unwrap_or(Path::new("")),
                    secret_lines: secret_lines(&raw),
                    files: vec![file],
                    diagnostics: &mut diagnostics,
                };
                reader.web(&raw)
            }
            Err(error) => {
                syntax(&error, &mut diagnostics);
                Self::default()
            }
        };
        if diagnostics.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::Mistaken(diagnostics))
        }
    }
}

impl fmt::Debug for WebConfig {
    /// Without the hashes and the key: what is printed ends in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebConfig")
            .field("tls", &self.tls.is_some())
            .field("headers", &self.headers)
            .field("users", &self.users.keys())
            .field("rate_limit", &self.rate_limit)
            .finish()
    }
}

/// Notes what the YAML reader found, without the line: a secret may stand in it.
fn syntax(error: &serde_saphyr::Error, diagnostics: &mut Diagnostics) {
    let place = error.location().unwrap_or(Location::UNKNOWN);
    let told = error.without_snippet().to_string();
    let tail = format!(" at line {}, column {}", place.line(), place.column());
    let message = told.strip_suffix(&tail).unwrap_or(&told);
    diagnostics.at_secret(&Spanned::new((), place, place), "", message);
}

/// The lines on which a hash or a key begins.
fn secret_lines(raw: &Raw) -> BTreeSet<u64> {
    let key = raw
        .tls_server_config
        .iter()
        .filter_map(|section| section.value.as_ref()?.key.as_ref())
        .flat_map(|text| [text.referenced, text.defined]);
    let hashes = raw
        .basic_auth_users
        .iter()
        .flat_map(|users| users.values())
        .flat_map(|hash| [hash.referenced, hash.defined]);
    key.chain(hashes).map(|place| place.line()).collect()
}

/// Reads the keys of one file.
struct Reader<'a> {
    directory: &'a Path,
    secret_lines: BTreeSet<u64>,
    files: Vec<FileSnapshot>,
    diagnostics: &'a mut Diagnostics,
}

/// In the order in which they are preferred.
const HTTP2_AND_1: &[&[u8]] = &[tls::H2, b"http/1.1"];
const HTTP1: &[&[u8]] = &[b"http/1.1"];

/// The headers that may be set, and their values where only some are right. The set is closed in
/// the toolkit (`web/handler.go`), and here.
const HEADERS: &[(&str, &[&str])] = &[
    ("Content-Security-Policy", &[]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-XSS-Protection", &[]),
    ("Strict-Transport-Security", &[]),
];

impl Reader<'_> {
    /// Notes a mistake; its line is not shown where a secret stands in it.
    fn at<T>(&mut self, value: &Spanned<T>, key: &str, message: impl Into<String>) {
        if self.secret_lines.contains(&value.referenced.line()) {
            self.diagnostics.at_secret(value, key, message)
        } else {
            self.diagnostics.at(value, key, message)
        }
    }

    fn web(&mut self, raw: &Raw) -> WebConfig {
        let http = raw.http_server_config.as_ref();
        let protocols = match http.and_then(|http| http.http2) {
            None | Some(true) => HTTP2_AND_1,
            Some(false) => HTTP1,
        };
        let tls = raw.tls_server_config.as_ref();
        WebConfig {
            tls: tls.and_then(|section| self.tls(section, protocols)),
            headers: http
                .and_then(|http| http.headers.as_ref())
                .map(|headers| self.headers(headers))
                .unwrap_or_default(),
            users: raw
                .basic_auth_users
                .as_ref()
                .map(|users| self.users(users))
                .unwrap_or_default(),
            rate_limit: raw
                .rate_limit
                .as_ref()
                .and_then(|limit| self.rate_limit(limit)),
            files: std::mem::take(&mut self.files),
        }
    }

    fn allowed_sans(&mut self, raw: &Spanned<Vec<Text>>) -> Vec<String> {
        if raw.value.is_empty() {
            let message = "the list is empty, and no client could come in; \
                           write the names of the clients that may, or leave it out";
            self.at(raw, "tls_server_config.client_allowed_sans", message);
        }
        raw.value.iter().map(|san| san.value.clone()).collect()
    }

    fn headers(
        &mut self,
        raw: &BTreeMap<String, Spanned<Option<String>>>,
    ) -> Vec<(HeaderName, HeaderValue)> {
        raw.iter()
            .filter_map(|(name, value)| self.header(name, value))
            .collect()
    }

    /// `None` where the value is blank, as the toolkit documents it.
    fn header(
        &mut self,
        name: &str,
        raw: &Spanned<Option<String>>,
    ) -> Option<(HeaderName, HeaderValue)> {
        let key = format!("http_server_config.headers.{name}");
        let Some((_, values)) = HEADERS.iter().find(|(known, _)| *known == name) else {
            let names: Vec<_> = HEADERS.iter().map(|(name, _)| *name).collect();
            let message = format!("cannot be set; these can: {}", names.join(", "));
            self.at(raw, &key, message);
            return None;
        };
        let text = raw.value.as_deref().filter(|text| !text.is_empty())?;
        if !values.is_empty() && !values.contains(&text) {
            let message = format!("{text:?} is not known; write {}", values.join(" or "));
            self.at(raw, &key, message);
            return None;
        }
        let Ok(value) = HeaderValue::from_str(text) else {
            self.at(raw, &key, "a header's value is one line of visible text");
            return None;
        };
        Some((HeaderName::try_from(name).ok()?, value))
    }

    fn users(
        &mut self,
        raw: &BTreeMap<String, Spanned<Option<String>>>,
    ) -> BTreeMap<String, String> {
        let mut users = BTreeMap::new();
        for (name, raw) in raw {
            let key = format!("basic_auth_users.{name}");
            if name.contains(':') {
                let message = "a name with a colon cannot be sent by a client (RFC 7617, 2)";
                self.at(raw, &key, message);
            }
            let hash = raw.value.as_deref().unwrap_or_default();
            if let Err(message) = bcrypt(hash) {
                self.at(raw, &key, message);
            }
            users.insert(name.clone(), hash.to_owned());
        }
        users
    }

    fn rate_limit(&mut self, raw: &raw::RateLimit) -> Option<RateLimit> {
        let Some(text) = &raw.interval else {
            if let Some(burst) = &raw.burst {
                let message = "limits nothing without an interval; \
                               write rate_limit.interval, for example 100ms";
                self.at(burst, "rate_limit.burst", message);
            }
            return None;
        };
        let interval = match text.value.as_str() {
            "0" => Duration::ZERO,
            other => duration(other)
                .map_err(|message| self.at(text, "rate_limit.interval", message))
                .ok()?,
        };
        if interval.is_zero() {
            return None;
        }
        let message = "no request would ever be let through; write a number from 1 on";
        match &raw.burst {
            Some(burst) if burst.value > 0 => Some(RateLimit {
                interval,
                burst: burst.value,
            }),
            Some(burst) => {
                self.at(burst, "rate_limit.burst", message);
                None
            }
            None => {
                self.at(text, "rate_limit.burst", message);
                None
            }
        }
    }
}

/// Whether that is `$2b$`, two digits of cost, and 53 characters of salt and hash.
fn bcrypt(text: &str) -> Result<(), &'static str> {
    let form = "is not a bcrypt hash ($2a$, $2b$ or $2y$); \
                make one with: htpasswd -nBC 10 \"\" | tr -d ':\\n'";
    let rest = ["$2a$", "$2b$", "$2y$"]
        .iter()
        .find_map(|version| text.strip_prefix(version))
        .ok_or(form)?;
    let (cost, hash) = rest.split_once('$').ok_or(form)?;
    let in_hash = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
    let is_cost = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
    if !is_cost || hash.len() != 53 || !hash.bytes().all(in_hash) {
        return Err(form);
    }
    match cost.parse::<u8>() {
        Ok(4..=31) => Ok(()),
        _ => Err("the cost of a bcrypt hash lies between 04 and 31; 10 is usual"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

    fn parse(text: &str) -> Result<WebConfig, ConfigError> {
        WebConfig::parse(text, FileSnapshot::take("web-config.yml".into()))
    }

    #[test]
    fn an_empty_file_protects_nothing() {
        for text in ["", "# nothing\n", "basic_auth_users:\n", "{}\n"] {
            let config = parse(text).unwrap();
            assert!(config.tls.is_none() && config.users.is_empty(), "{text}");
            assert!(
                config.headers.is_empty() && config.rate_limit.is_none(),
                "{text}"
            );
        }
    }

    #[test]
    fn no_hash_is_printed() {
        let text = format!("basic_auth_users: {{alice: \"{HASH}\"}}\n");
        let config = parse(&text).unwrap();
        assert_eq!(config.users.get("alice").map(String::as_str), Some(HASH));
        let printed = format!("{config:?} {config:#?}");
        assert!(
            printed.contains("alice") && !printed.contains("$2y$"),
            "{printed}"
        );
    }

    #[test]
    fn no_line_with_a_secret_is_shown_whatever_is_wrong_in_it() {
        for text in [
            "basic_auth_users: {alice: hunter2}\n",
            "basic_auth_users: hunter2\n",
            "basic_auth_users: [hunter2]\n",
            "basic_auth_users: {alice: [hunter2]}\n",
            "basic_auth_users:\nalice: hunter2\n",
            "{rate_limit: {interval: 60}, basic_auth_users: {alice: hunter2}}\n",
            "{rate_limit: {interval: 60}, tls_server_config: {key: hunter2}}\n",
            "basic_auth_users: {alice: \"hunter2\n",
        ] {
            let told = parse(text).unwrap_err().to_string();
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn a_hash_has_its_form_and_a_cost_that_bcrypt_knows() {
        assert_eq!(bcrypt(HASH), Ok(()));
        for (from, to) in [
            ("$2y$", "$2x$"),
            ("$10$", "$+9$"),
            ("$10$", "$1$"),
            ("Si", "S"),
            ("Si", "S="),
            ("$10$", "$03$"),
            ("$10$", "$32$"),
        ] {
            assert!(bcrypt(&HASH.replace(from, to)).is_err(), "{to}");
        }
    }

    #[test]
    fn an_interval_of_zero_limits_nothing() {
        for interval in ["0", "0s"] {
            let text = format!("rate_limit: {{interval: {interval}, burst: 0}}\n");
            assert_eq!(parse(&text).unwrap().rate_limit, None);
        }
        let limit = RateLimit {
            interval: Duration::from_millis(1500),
            burst: 3,
        };
        let text = "rate_limit: {interval: 1.5s, burst: 3}\n";
        assert_eq!(parse(text).unwrap().rate_limit, Some(limit));
    }
}
