//! From a `blackbox.yml` of blackbox_exporter to modules of ours.
//!
//! In: its text. Out: what `modules:` is to say here, and each thing that could not be carried over,
//! with what to do instead. Every key of its HTTP prober is known, so that none is lost in silence.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::ConfigError;
use super::diagnostic::Diagnostics;
use super::value::{duration, pattern};

/// What became of a `blackbox.yml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// `modules:` in YAML, to be put into a configuration.
    pub modules: String,
    pub left: Vec<Left>,
}

/// What could not be carried over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    pub module: String,
    /// In the file's own words, for example `http.basic_auth`.
    pub key: String,
    /// Why, and what to do instead.
    pub message: String,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    modules: BTreeMap<String, Option<Module>>,
}

#[derive(Deserialize)]
struct Module {
    #[serde(default)]
    prober: Option<String>,
    #[serde(default)]
    timeout: Option<Value>,
    #[serde(default)]
    http: Option<Map<String, Value>>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// Converts `text`, which stands in `path`.
///
/// # Errors
/// The text is no YAML, or not of that form.
pub fn convert(text: &str, path: &Path) -> Result<Converted, ConfigError> {
    let raw: Raw = serde_saphyr::from_str(text).map_err(|error| {
        let mut diagnostics = Diagnostics::of(path, text);
        diagnostics.syntax(&error);
        ConfigError::Mistaken(diagnostics)
    })?;
    let mut left = Vec::new();
    let mut modules = Map::new();
    for (name, module) in &raw.modules {
        let mut conversion = Conversion {
            module: name,
            ours: Map::new(),
            left: &mut left,
        };
        if let Some(module) = module
            && conversion.convert(module)
        {
            modules.insert(name.clone(), Value::Object(conversion.ours));
        }
    }
    let document = json!({ "modules": modules });
    let modules = serde_saphyr::to_string(&document).unwrap_or_default();
    Ok(Converted { modules, left })
}

/// One module on its way.
struct Conversion<'a> {
    module: &'a str,
    ours: Map<String, Value>,
    left: &'a mut Vec<Left>,
}

/// blackbox_exporter follows so many.
const MAX_REDIRECTS: u32 = 10;
/// What a module of ours may ask for.
const MOST_BODY: u64 = 64 << 20;
const LOGS_IN: &str = "this program never logs in and sends no credentials";

impl Conversion<'_> {
    /// Whether there is something of it here.
    fn convert(&mut self, module: &Module) -> bool {
        match module.prober.as_deref() {
            Some("http") => {}
            Some(prober) => {
                self.leave("prober", other_prober(prober));
                return false;
            }
            None => {
                self.leave("prober", "it names no prober, so that it probes nothing");
                return false;
            }
        }
        match module.timeout.as_ref().map(Value::as_str) {
            None => {}
            Some(Some(text)) if duration(text).is_ok() => self.set(&["timeout"], json!(text)),
            Some(_) => self.leave("timeout", "it is not a duration; write for example 5s"),
        }
        for key in module.others.keys() {
            match key.as_str() {
                "tcp" | "icmp" | "dns" | "grpc" | "unix" | "websocket" => {
                    self.leave(key, "the prober is http, so that it says nothing");
                }
                _ => self.leave(key, "it is not known"),
            }
        }
        let nothing = Map::new();
        let http = module.http.as_ref().unwrap_or(&nothing);
        for (key, value) in http {
            self.key(key, value);
        }
        self.addresses(http);
        self.status(http);
        self.redirects(http);
        true
    }

    fn key(&mut self, key: &str, value: &Value) {
        let at = format!("http.{key}");
        let is_on = value.as_bool() == Some(true);
        match key {
            // Understood together below.
            "preferred_ip_protocol"
            | "ip_protocol_fallback"
            | "valid_status_codes"
            | "follow_redirects"
            | "no_follow_redirects" => {}
            // It is so here anyway: a proxy resolves the name, what the server announces is
            // decoded, and https alone is asked for.
            "skip_resolve_phase_with_proxy" | "compression" | "fail_if_not_ssl" => {}
            "source_ip_address" => self.carry(&["source_address"], value),
            "headers" => self.headers(&at, value),
            "body_size_limit" => self.body_size(&at, value),
            "fail_if_body_not_matches_regexp" => self.wanted(&at, value),
            "fail_if_body_matches_regexp" => self.unwanted(&at, value),
            "tls_config" => self.tls(&at, value),
            "proxy_url" => self.proxy(&at, value),
            "proxy_from_environment" => {
                if is_on {
                    self.set(&["proxy"], json!("system"));
                }
            }
            "method" => {
                if value
                    .as_str()
                    .is_some_and(|method| !method.eq_ignore_ascii_case("get"))
                {
                    self.leave(&at, "this program sends GET alone");
                }
            }
            "body" | "body_file" => self.leave(&at, "this program sends GET alone, without a body"),
            "basic_auth" | "authorization" | "oauth2" | "bearer_token" | "bearer_token_file" => {
                self.leave(&at, LOGS_IN);
            }
            "http_headers" => self.leave(
                &at,
                "headers go into http.headers of the module, credentials excepted",
            ),
            "no_proxy" | "proxy_connect_header" => self.leave(
                &at,
                "a module's proxy is for all of its targets: give the others a module without one",
            ),
            "enable_http2" => {
                if !is_on {
                    self.leave(&at, "what the server prefers of HTTP/2 and 1.1 is spoken");
                }
            }
            "enable_http3" => {
                if is_on {
                    self.leave(&at, "HTTP/3 is not spoken");
                }
            }
            "valid_http_versions" => {
                self.leave(&at, "write an alert on probe_http_version, which is told")
            }
            "fail_if_ssl" => {
                if is_on {
                    self.leave(
                        &at,
                        "https is asked for; plain http needs a target with allow_http",
                    );
                }
            }
            "fail_if_header_matches" | "fail_if_header_not_matches" => {
                self.leave(&at, "headers are not judged; judge the page, or the status");
            }
            "fail_if_body_json_matches_cel" | "fail_if_body_json_not_matches_cel" => {
                self.leave(
                    &at,
                    "there is no CEL; write a regular expression into page.matches",
                );
            }
            _ => self.leave(&at, "it is not known"),
        }
    }

    /// One family without the other is a choice; with it, it is a preference that is not needed,
    /// since every address is tried.
    fn addresses(&mut self, http: &Map<String, Value>) {
        let falls_back = http.get("ip_protocol_fallback").and_then(Value::as_bool);
        let preferred = http.get("preferred_ip_protocol").and_then(Value::as_str);
        if falls_back == Some(false) {
            let family = if preferred == Some("ip4") { 4 } else { 6 };
            self.set(&["ip_family"], json!(family.to_string()));
        }
    }

    fn status(&mut self, http: &Map<String, Value>) {
        let codes = http.get("valid_status_codes").and_then(Value::as_array);
        match codes.filter(|codes| !codes.is_empty()) {
            Some(codes) => self.set(&["http", "valid_status"], json!(codes)),
            None => {
                let codes: Vec<u16> = (200..=206).collect();
                self.set(&["http", "valid_status"], json!(codes));
            }
        }
    }

    fn redirects(&mut self, http: &Map<String, Value>) {
        let flag = |key: &str| http.get(key).and_then(Value::as_bool);
        let stays =
            flag("follow_redirects") == Some(false) || flag("no_follow_redirects") == Some(true);
        if stays {
            self.set(&["http", "redirects"], json!("none"))
        } else {
            self.set(&["http", "max_redirects"], json!(MAX_REDIRECTS))
        }
    }

    fn headers(&mut self, at: &str, value: &Value) {
        for (name, value) in value.as_object().into_iter().flatten() {
            match name.to_ascii_lowercase().as_str() {
                "authorization" | "proxy-authorization" | "cookie" => {
                    self.leave(&format!("{at}.{name}"), LOGS_IN);
                }
                "host" => self.leave(
                    &format!("{at}.{name}"),
                    "write the name into the target's address, and where it lies into route or a \
                     hosts file",
                ),
                "content-length" | "transfer-encoding" | "connection" | "upgrade" => {
                    self.leave(&format!("{at}.{name}"), "the program sets it itself");
                }
                "user-agent" => self.carry(&["http", "user_agent"], value),
                _ => self.carry(&["http", "headers", name], value),
            }
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
            Some(bytes) if bytes > MOST_BODY => {
                self.leave(at, "a body's bound is at most 64MiB");
                self.set(&["http", "max_body"], json!("64MiB"));
            }
            Some(bytes) => self.set(&["http", "max_body"], json!(format!("{bytes}B"))),
            None => self.leave(
                at,
                "it is not a size; write for example 1MiB into http.max_body",
            ),
        }
    }

    fn wanted(&mut self, at: &str, value: &Value) {
        for text in texts(value) {
            match pattern(text) {
                Ok(_) => self.push(&["page", "matches"], json!(text)),
                Err(message) => self.leave(at, format!("{text:?}: {message}")),
            }
        }
    }

    fn unwanted(&mut self, at: &str, value: &Value) {
        for text in texts(value) {
            let is_literal = !text.is_empty() && regex::escape(text) == text;
            if is_literal {
                self.push(&["page", "not_contains"], json!(text))
            } else {
                self.leave(
                    at,
                    format!(
                        "{text:?}: what must not be there is a plain text here; write it into \
                     page.not_contains"
                    ),
                )
            }
        }
    }

    fn tls(&mut self, at: &str, value: &Value) {
        for (key, value) in value.as_object().into_iter().flatten() {
            let at = format!("{at}.{key}");
            match (key.as_str(), value.as_str()) {
                ("ca_file", Some(_)) => self.carry(&["tls", "ca_file"], value),
                ("min_version", Some("TLS12")) => self.set(&["tls", "min_version"], json!("1.2")),
                ("min_version", Some("TLS13")) => self.set(&["tls", "min_version"], json!("1.3")),
                ("min_version", _) => self.leave(&at, "nothing below TLS 1.2 is spoken"),
                ("max_version", _) => {
                    self.leave(&at, "the newest version that both have is spoken")
                }
                ("insecure_skip_verify", _) => {
                    if value.as_bool() == Some(true) {
                        let message = "a certificate is always verified: name its authority in \
                                       tls.ca_file; its facts are told whatever the verdict";
                        self.leave(&at, message);
                    }
                }
                ("server_name", _) => self.leave(
                    &at,
                    "write the name into the target's address, and where it lies into route or a \
                     hosts file",
                ),
                ("cert" | "cert_file" | "key" | "key_file" | "cert_ref" | "key_ref", _) => {
                    self.leave(&at, LOGS_IN);
                }
                ("ca" | "ca_ref", _) => {
                    self.leave(&at, "put it into a file, and name that in tls.ca_file")
                }
                _ => self.leave(&at, "it is not known"),
            }
        }
    }

    fn proxy(&mut self, at: &str, value: &Value) {
        let url = value.as_str().and_then(|text| Url::parse(text).ok());
        let Some(mut url) = url else {
            self.leave(at, "it is not an address");
            return;
        };
        if !url.username().is_empty() || url.password().is_some() {
            let message = "its password goes into a file: proxy_credentials_file";
            self.leave(at, message);
            let _ = url.set_username("");
            let _ = url.set_password(None);
        }
        let text = url.as_str().trim_end_matches('/');
        match url.scheme() {
            "http" | "https" | "socks5" => self.set(&["proxy"], json!(text)),
            other => self.leave(
                at,
                format!("{other} is not spoken; http, https and socks5 are"),
            ),
        }
    }

    fn leave(&mut self, key: &str, message: impl Into<String>) {
        self.left.push(Left {
            module: self.module.to_owned(),
            key: key.to_owned(),
            message: message.into(),
        });
    }

    fn carry(&mut self, path: &[&str], value: &Value) {
        match value {
            Value::String(_) => self.set(path, value.clone()),
            other => self.set(path, json!(other.to_string())),
        }
    }

    fn push(&mut self, path: &[&str], value: Value) {
        if let Some(Value::Array(list)) = self.spot(path) {
            list.push(value);
        } else {
            self.set(path, json!([value]));
        }
    }

    fn set(&mut self, path: &[&str], value: Value) {
        if let Some(spot) = self.spot(path) {
            *spot = value;
        }
    }

    /// Where `path` leads; what is missing on the way is made.
    fn spot(&mut self, path: &[&str]) -> Option<&mut Value> {
        let (last, way) = path.split_last()?;
        let mut map = &mut self.ours;
        for key in way {
            let next = map.entry(*key).or_insert_with(|| json!({}));
            map = next.as_object_mut()?;
        }
        Some(map.entry(*last).or_insert(Value::Null))
    }
}

fn other_prober(prober: &str) -> String {
    let instead = match prober {
        "dns" => "a target's dns layer asks each resolver by itself, also those under resolvers",
        "tcp" => "a target's tcp and tls layers tell the same of its port",
        "icmp" => "an answer to ping says nothing of the way that a login takes",
        _ => "keep blackbox_exporter for it",
    };
    format!("{prober} is not probed by itself: {instead}")
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// A size in Go's units, in which each is a power of two.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit.trim() {
        "" | "B" => 1,
        "K" | "KB" | "KiB" => 1 << 10,
        "M" | "MB" | "MiB" => 1 << 20,
        "G" | "GB" | "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}
