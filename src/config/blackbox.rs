//! Converts a `blackbox.yml` of blackbox_exporter to `modules` of this exporter.
//!
//! Every key of blackbox_exporter's HTTP prober is known: what cannot be converted is returned with what to do instead.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::ConfigError;
use super::value::{duration, pattern};
use crate::diagnostics::Diagnostics;

/// The result of a conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// `modules:` in YAML, for a configuration.
    pub modules: String,
    pub unsupported: Vec<Unsupported>,
}

/// A key that could not be converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    pub module: String,
    /// The path in `blackbox.yml`, for example `http.basic_auth`.
    pub key: String,
    /// Why, and what to do instead.
    pub message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBlackboxConfig {
    #[serde(default)]
    modules: BTreeMap<String, Option<BlackboxModule>>,
}

#[derive(Deserialize)]
struct BlackboxModule {
    prober: Option<String>,
    timeout: Option<Value>,
    http: Option<Map<String, Value>>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// Converts the text of `path`.
///
/// # Errors
/// The text is not YAML, or not a `blackbox.yml`.
pub fn convert(text: &str, path: &Path) -> Result<Converted, ConfigError> {
    let mut diagnostics = Diagnostics::new(path, text);
    let options = serde_saphyr::options! { with_snippet: false };
    let raw = diagnostics.parse_yaml(options);
    let raw: RawBlackboxConfig = diagnostics.finish(raw)?;
    let mut unsupported = Vec::new();
    let mut modules = Map::new();
    for (name, module) in &raw.modules {
        let Some(module) = module else { continue };
        let mut conversion = Conversion {
            name,
            module: Value::Null,
            unsupported: &mut unsupported,
        };
        if conversion.convert(module) {
            modules.insert(name.clone(), conversion.module);
        }
    }
    Ok(Converted {
        modules: serde_saphyr::to_string(&json!({ "modules": modules })).unwrap_or_default(),
        unsupported,
    })
}

/// The conversion of one module.
struct Conversion<'a> {
    name: &'a str,
    /// The module of this exporter; indexing with a key adds it.
    module: Value,
    unsupported: &'a mut Vec<Unsupported>,
}

/// How many redirects blackbox_exporter follows.
const MAX_REDIRECTS: u32 = 10;
/// The largest `max_body` of this exporter.
const MAX_BODY: u64 = 64 << 20;
const NO_CREDENTIALS: &str = "this program never logs in and sends no credentials";
const NO_SERVER_NAME: &str = "put the name into the target's URL, and its address into route or a \
                              hosts file";

#[expect(
    clippy::indexing_slicing,
    reason = "the indexed JSON values are objects or null, to which a missing key is added"
)]
impl Conversion<'_> {
    /// Returns false if nothing of the module can be converted.
    fn convert(&mut self, raw: &BlackboxModule) -> bool {
        match raw.prober.as_deref() {
            Some("http") => {}
            Some(prober) => {
                let message = format!("{prober} is not supported: {}", alternative(prober));
                self.unsupported("prober", message);
                return false;
            }
            None => {
                self.unsupported("prober", "missing: the module probes nothing");
                return false;
            }
        }
        match raw.timeout.as_ref().map(Value::as_str) {
            None => {}
            Some(Some(text)) if duration(text).is_ok() => self.module["timeout"] = json!(text),
            Some(_) => self.unsupported("timeout", "not a duration; use for example 5s"),
        }
        for key in raw.others.keys() {
            let message = match key.as_str() {
                "tcp" | "icmp" | "dns" | "grpc" | "unix" | "websocket" => {
                    "has no effect: the prober is http"
                }
                _ => "unknown key",
            };
            self.unsupported(key, message);
        }
        let nothing = Map::new();
        let http = raw.http.as_ref().unwrap_or(&nothing);
        for (key, value) in http {
            self.http_key(key, value);
        }
        self.addresses(http);
        self.status(http);
        self.redirects(http);
        true
    }

    fn http_key(&mut self, key: &str, value: &Value) {
        let at = format!("http.{key}");
        let is_on = value.as_bool() == Some(true);
        let message = match key {
            // Converted together, by the methods below.
            "preferred_ip_protocol"
            | "ip_protocol_fallback"
            | "valid_status_codes"
            | "follow_redirects"
            | "no_follow_redirects" => return,
            // Always so here: a proxy resolves the name, responses are decoded as announced, and only
            // https is requested.
            "skip_resolve_phase_with_proxy" | "compression" | "fail_if_not_ssl" => return,
            "enable_http2" if is_on => return,
            "enable_http3" | "fail_if_ssl" | "proxy_from_environment" if !is_on => return,
            "method"
                if value
                    .as_str()
                    .is_none_or(|it| it.eq_ignore_ascii_case("get")) =>
            {
                return;
            }

            "source_ip_address" => return self.module["source_address"] = as_text(value),
            "proxy_from_environment" => return self.module["proxy"] = json!("system"),
            "headers" => return self.headers(&at, value),
            "body_size_limit" => return self.body_size(&at, value),
            "fail_if_body_not_matches_regexp" => return self.required_patterns(&at, value),
            "fail_if_body_matches_regexp" => return self.forbidden_texts(&at, value),
            "tls_config" => return self.tls(&at, value),
            "proxy_url" => return self.proxy(&at, value),

            "method" => "only GET is supported",
            "body" | "body_file" => "only GET is supported, without a body",
            "basic_auth" | "authorization" | "oauth2" | "bearer_token" | "bearer_token_file" => {
                NO_CREDENTIALS
            }
            "http_headers" => "move the headers to http.headers of the module, except credentials",
            "no_proxy" | "proxy_connect_header" => {
                "a module's proxy applies to all its targets; use a module without a proxy for the others"
            }
            "enable_http2" => "HTTP/2 is always offered, and the server chooses",
            "enable_http3" => "HTTP/3 is not supported",
            "valid_http_versions" => "use an alert on the metric probe_http_version",
            "fail_if_ssl" => {
                "https is requested; plain http requires a target with allow_http: true"
            }
            "fail_if_header_matches" | "fail_if_header_not_matches" => {
                "headers are not checked; check the page or the status"
            }
            "fail_if_body_json_matches_cel" | "fail_if_body_json_not_matches_cel" => {
                "CEL is not supported; use a regular expression in page.matches"
            }
            _ => "unknown key",
        };
        self.unsupported(&at, message);
    }

    /// An IP protocol without fallback is a choice. With fallback it is a preference, which has no
    /// equivalent here, since every address is tried.
    fn addresses(&mut self, http: &Map<String, Value>) {
        let fallback = http.get("ip_protocol_fallback").and_then(Value::as_bool);
        let preferred = http.get("preferred_ip_protocol").and_then(Value::as_str);
        if fallback == Some(false) {
            let family = if preferred == Some("ip4") { "4" } else { "6" };
            self.module["ip_family"] = json!(family);
        }
    }

    fn status(&mut self, http: &Map<String, Value>) {
        let codes = http.get("valid_status_codes").and_then(Value::as_array);
        let (at, mut valid) = ("http.valid_status_codes", Vec::new());
        for code in codes.into_iter().flatten() {
            match code.as_u64() {
                Some(status @ 200..=599) => valid.push(status),
                _ => self.unsupported(at, format!("{code} is not a status from 200 to 599")),
            }
        }
        if valid.is_empty() {
            valid.extend(200..=206);
        }
        self.module["http"]["valid_status"] = json!(valid);
    }

    fn redirects(&mut self, http: &Map<String, Value>) {
        let is = |key: &str, value| http.get(key) == Some(&Value::Bool(value));
        if is("follow_redirects", false) || is("no_follow_redirects", true) {
            self.module["http"]["redirects"] = json!("none");
        } else {
            self.module["http"]["max_redirects"] = json!(MAX_REDIRECTS);
        }
    }

    fn headers(&mut self, at: &str, value: &Value) {
        for (name, value) in value.as_object().into_iter().flatten() {
            let message = match name.to_ascii_lowercase().as_str() {
                "authorization" | "proxy-authorization" | "cookie" => NO_CREDENTIALS,
                "host" => NO_SERVER_NAME,
                "content-length" | "transfer-encoding" | "connection" | "upgrade" => {
                    "the program sets this header itself"
                }
                "user-agent" => {
                    self.module["http"]["user_agent"] = as_text(value);
                    continue;
                }
                _ => {
                    self.module["http"]["headers"][name.as_str()] = as_text(value);
                    continue;
                }
            };
            self.unsupported(&format!("{at}.{name}"), message);
        }
    }

    fn body_size(&mut self, at: &str, value: &Value) {
        let bytes = match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => bytes(text),
            _ => None,
        };
        match bytes {
            Some(0) => {}
            Some(bytes) if bytes <= MAX_BODY => {
                self.module["http"]["max_body"] = json!(format!("{bytes}B"));
            }
            Some(_) => {
                self.unsupported(at, "the maximum is 64MiB, which is used instead");
                self.module["http"]["max_body"] = json!("64MiB");
            }
            None => self.unsupported(at, "not a size; set http.max_body, for example to 1MiB"),
        }
    }

    fn required_patterns(&mut self, at: &str, value: &Value) {
        for text in texts(value) {
            match pattern(text) {
                Ok(_) => self.add_to_page("matches", text),
                Err(message) => self.unsupported(at, format!("{text:?}: {message}")),
            }
        }
    }

    fn forbidden_texts(&mut self, at: &str, value: &Value) {
        for text in texts(value) {
            let is_literal = !text.is_empty() && regex::escape(text) == text;
            if is_literal {
                self.add_to_page("not_contains", text);
            } else {
                let message = format!(
                    "{text:?}: only plain text can be forbidden; add the text to page.not_contains"
                );
                self.unsupported(at, message);
            }
        }
    }

    fn tls(&mut self, at: &str, value: &Value) {
        for (key, value) in value.as_object().into_iter().flatten() {
            let message = match (key.as_str(), value.as_str()) {
                ("insecure_skip_verify", _) if value.as_bool() != Some(true) => continue,
                ("ca_file", Some(file)) => {
                    self.module["tls"]["ca_file"] = json!(file);
                    continue;
                }
                ("min_version", Some(version @ ("TLS12" | "TLS13"))) => {
                    let version = if version == "TLS12" { "1.2" } else { "1.3" };
                    self.module["tls"]["min_version"] = json!(version);
                    continue;
                }
                ("min_version", _) => "versions before TLS 1.2 are not supported",
                ("max_version", _) => "the newest version that both sides support is used",
                ("insecure_skip_verify", _) => {
                    "certificates are always verified; set tls.ca_file to their CA. Certificate \
                     metrics are exported even if the verification fails"
                }
                ("server_name", _) => NO_SERVER_NAME,
                ("cert" | "cert_file" | "key" | "key_file" | "cert_ref" | "key_ref", _) => {
                    NO_CREDENTIALS
                }
                ("ca" | "ca_ref", _) => {
                    "put the certificate into a file, and set tls.ca_file to it"
                }
                _ => "unknown key",
            };
            self.unsupported(&format!("{at}.{key}"), message);
        }
    }

    fn proxy(&mut self, at: &str, value: &Value) {
        let url = value.as_str().and_then(|text| Url::parse(text).ok());
        let Some(mut url) = url else {
            return self.unsupported(at, "not a URL");
        };
        if !url.username().is_empty() || url.password().is_some() {
            let message = "put user and password into a file, and set proxy_credentials_file to it";
            self.unsupported(at, message);
            let _ = url.set_username("");
            let _ = url.set_password(None);
        }
        match url.scheme() {
            "http" | "https" | "socks5" => {
                self.module["proxy"] = json!(url.as_str().trim_end_matches('/'));
            }
            other => {
                let message = format!("scheme {other} is not supported; use http, https or socks5");
                self.unsupported(at, message);
            }
        }
    }

    fn add_to_page(&mut self, key: &str, text: &str) {
        match &mut self.module["page"][key] {
            Value::Array(list) => list.push(json!(text)),
            absent => *absent = json!([text]),
        }
    }

    fn unsupported(&mut self, key: &str, message: impl Into<String>) {
        self.unsupported.push(Unsupported {
            module: self.name.to_owned(),
            key: key.to_owned(),
            message: message.into(),
        });
    }
}

fn alternative(prober: &str) -> &'static str {
    match prober {
        "dns" => {
            "the dns layer of every target queries each resolver separately, including resolvers"
        }
        "tcp" => "the tcp and tls layers of a target report the same about its port",
        "icmp" => "a ping does not prove that a login is possible",
        _ => "keep blackbox_exporter for it",
    }
}

fn as_text(value: &Value) -> Value {
    match value {
        Value::String(_) => value.clone(),
        other => json!(other.to_string()),
    }
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().into_iter().flatten();
    list.filter_map(Value::as_str)
}

/// A size in Go's units, which are all powers of two.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let factor = match unit.trim() {
        "" | "B" => 1,
        "K" | "KB" | "KiB" => 1 << 10,
        "M" | "MB" | "MiB" => 1 << 20,
        "G" | "GB" | "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}
