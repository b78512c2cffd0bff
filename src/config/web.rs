//! The web configuration file, which protects the listener with TLS and passwords.
//!
//! The file has the form of the exporter-toolkit, so that one `web-config.yml` serves every exporter of
//! a host: <https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md>.
//! `raw` is the file as serde reads it. The listener makes the handshakes, checks the passwords and
//! applies the rate limit.

mod client_auth;
mod pem;
mod raw;
mod tls;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use serde_saphyr::Spanned;

use super::file_snapshot::FileSnapshot;
use super::section::Section;
use super::value::{duration, header_value};
use super::{ConfigError, read_file};
use crate::diagnostics::{Diagnostics, unknown_value};
use crate::input_file::InputFile;
pub use client_auth::ClientCertificate;
use raw::{RawRateLimit, RawWebConfig};
pub use tls::ListenerTls;

/// How the listener is protected; by default, it is not.
#[derive(Clone, Default)]
pub struct WebConfig {
    /// Without it, the listener serves plain HTTP.
    pub tls: Option<ListenerTls>,
    /// Added to every response.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The bcrypt hash of each user's password; empty if no password is required.
    pub users: BTreeMap<String, String>,
    pub rate_limit: Option<RateLimit>,
    /// The files that were read, to detect changes.
    pub files: Vec<FileSnapshot>,
}

/// A token bucket for requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The time after which one more request is allowed; never zero.
    pub interval: Duration,
    /// How many requests are allowed at once; at least one.
    pub burst: u32,
}

impl WebConfig {
    /// Reads `path`, or protects nothing if there is none.
    ///
    /// # Errors
    /// The file cannot be read or is invalid. All errors are reported, except that a syntax error ends
    /// the parsing.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        // Taken first, so that a change during the reading is detected afterwards.
        let snapshot = FileSnapshot::take(InputFile::WebConfig, path.to_owned());
        Self::parse(&read_file(path, InputFile::WebConfig)?, snapshot)
    }

    pub(crate) fn parse(text: &str, file: FileSnapshot) -> Result<Self, ConfigError> {
        let path = file.path.clone();
        let mut diagnostics = Diagnostics::new(&path, text);
        // Not strict: the exporter-toolkit accepts `yes` and `on` as booleans.
        let options = serde_saphyr::options! { with_snippet: false };
        let config = match diagnostics.parse_yaml::<RawWebConfig>(options) {
            None => {
                diagnostics.hide_all();
                None
            }
            Some(raw) => {
                hide_secrets(&raw, &mut diagnostics);
                let section = &mut Section::of_file(&path, &mut diagnostics);
                Some(Self::validate(&raw, vec![file], section))
            }
        };
        Ok(diagnostics.finish(config)?)
    }

    fn validate(
        raw: &RawWebConfig,
        mut files: Vec<FileSnapshot>,
        section: &mut Section<'_>,
    ) -> Self {
        let http = &raw.http_server_config;
        let protocols = match http.http2 {
            None | Some(true) => tls::HTTP2_AND_1,
            Some(false) => tls::HTTP1,
        };
        let tls = raw.tls_server_config.as_ref();
        let headers = http.headers.iter();
        let users = raw.basic_auth_users.iter();
        Self {
            tls: tls.and_then(|raw| ListenerTls::validate(raw, protocols, &mut files, section)),
            headers: headers
                .filter_map(|(name, value)| header(name, value, section))
                .collect(),
            users: users
                .map(|(name, hash)| user(name, hash, section))
                .collect(),
            rate_limit: rate_limit(&raw.rate_limit, section.below("rate_limit")),
            files,
        }
    }
}

impl fmt::Debug for WebConfig {
    /// Without the hashes and the key, since the output may be logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebConfig")
            .field("tls", &self.tls.is_some())
            .field("headers", &self.headers)
            .field("users", &self.users.keys())
            .field("rate_limit", &self.rate_limit)
            .finish()
    }
}

fn hide_secrets(raw: &RawWebConfig, diagnostics: &mut Diagnostics) {
    let tls = raw.tls_server_config.as_ref();
    if let Some(key) = tls.and_then(|tls| tls.value.as_ref()?.key.as_ref()) {
        diagnostics.hide(key);
    }
    for hash in raw.basic_auth_users.values() {
        diagnostics.hide(hash);
    }
}

/// The headers that can be set, with their valid values where not all are valid: those of the
/// exporter-toolkit (`web/handler.go`).
const HEADERS: &[(&str, &[&str])] = &[
    ("Content-Security-Policy", &[]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-XSS-Protection", &[]),
    ("Strict-Transport-Security", &[]),
];

/// `None` for an empty value, as documented by the exporter-toolkit.
fn header(
    name: &str,
    raw: &Spanned<Option<String>>,
    section: &mut Section<'_>,
) -> Option<(HeaderName, HeaderValue)> {
    let key = format!("http_server_config.headers.{name}");
    let known = HEADERS.iter().find(|(known, _)| *known == name);
    let text = raw.value.as_deref().filter(|text| !text.is_empty());
    let message = match (known, text) {
        (None, _) => {
            let names: Vec<_> = HEADERS.iter().map(|(name, _)| *name).collect();
            format!("cannot be set; headers that can: {}", names.join(", "))
        }
        (Some(_), None) => return None,
        (Some((_, values)), Some(text)) if !values.is_empty() && !values.contains(&text) => {
            unknown_value(text, values.iter().copied())
        }
        (Some(_), Some(text)) => match header_value(text) {
            Ok(value) => return Some((HeaderName::try_from(name).ok()?, value)),
            Err(message) => message.to_owned(),
        },
    };
    section.error(raw, &key, message);
    None
}

/// A user and the hash of the password.
fn user(name: &str, raw: &Spanned<Option<String>>, section: &mut Section<'_>) -> (String, String) {
    let hash = raw.value.as_deref().unwrap_or_default();
    if name.contains("$2") {
        let message = "a password hash is where the user name belongs; write NAME: HASH";
        section.error(raw, "basic_auth_users", message);
        return (String::new(), hash.to_owned());
    }
    let key = format!("basic_auth_users.{name}");
    if name.is_empty() {
        section.error(raw, &key, "the user name is empty; write one");
    }
    if name.contains(':') {
        let message = "a user name cannot contain a colon (RFC 7617, 2); remove it";
        section.error(raw, &key, message);
    }
    if let Err(message) = check_bcrypt(hash) {
        section.error(raw, &key, message);
    }
    (name.to_owned(), hash.to_owned())
}

/// Whether `text` is `$2b$`, two digits of cost, and 53 characters of salt and hash.
fn check_bcrypt(text: &str) -> Result<(), &'static str> {
    const INVALID: &str = "not a bcrypt hash ($2a$, $2b$ or $2y$); \
                           generate one with: htpasswd -nBC 10 \"\" | tr -d ':\\n'";
    let rest = ["$2a$", "$2b$", "$2y$"]
        .iter()
        .find_map(|version| text.strip_prefix(version))
        .ok_or(INVALID)?;
    let (cost, hash) = rest.split_once('$').ok_or(INVALID)?;
    let in_hash = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
    let is_cost = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
    if !is_cost || hash.len() != 53 || !hash.bytes().all(in_hash) {
        return Err(INVALID);
    }
    match cost.parse::<u8>() {
        Ok(4..=16) => Ok(()),
        Ok(17..=31) => Err(
            "the cost of the bcrypt hash is above 16: one login would take more than \
                            ten seconds of CPU time; use 10 to 14",
        ),
        _ => Err("invalid cost of a bcrypt hash; use 04 to 16 (usually 10)"),
    }
}

fn rate_limit(raw: &RawRateLimit, mut section: Section<'_>) -> Option<RateLimit> {
    let Some(interval) = &raw.interval else {
        if let Some(burst) = &raw.burst {
            let message = "has no effect without an interval; \
                           set rate_limit.interval, for example 100ms";
            section.error(burst, "burst", message);
        }
        return None;
    };
    let parsed = section.parse("interval", interval, |text| match text {
        "0" => Ok(Duration::ZERO),
        other => duration(other),
    })?;
    if parsed.is_zero() {
        return None;
    }
    let (burst, location) = match &raw.burst {
        Some(burst) => (burst.value, burst.referenced),
        None => (0, interval.referenced),
    };
    if burst == 0 {
        let message = "must be at least 1: otherwise every request would be rejected";
        section.error_at(Some(location), "burst", message);
    }
    let interval = parsed;
    (burst > 0).then_some(RateLimit { interval, burst })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

    fn parse(text: &str) -> Result<WebConfig, ConfigError> {
        WebConfig::parse(
            text,
            FileSnapshot::take(InputFile::WebConfig, "web-config.yml".into()),
        )
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
    fn debug_output_has_no_hashes() {
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
    fn lines_with_secrets_are_never_printed() {
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
            let message = parse(text).unwrap_err().to_string();
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn hashes_need_a_valid_form_and_cost() {
        assert_eq!(check_bcrypt(HASH), Ok(()));
        for (from, to) in [
            ("$2y$", "$2x$"),
            ("$10$", "$+9$"),
            ("$10$", "$1$"),
            ("Si", "S"),
            ("Si", "S="),
            ("$10$", "$03$"),
            ("$10$", "$32$"),
        ] {
            assert!(check_bcrypt(&HASH.replace(from, to)).is_err(), "{to}");
        }
    }

    #[test]
    fn an_interval_of_zero_disables_the_rate_limit() {
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
