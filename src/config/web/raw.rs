//! The web configuration file as the user wrote it: every key of it, nothing understood yet.
//!
//! The keys are exporter-toolkit's, in the order of its documentation. Nothing here is printed:
//! some values are secrets.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use crate::config::raw::Text;

/// Keeps the place of a key with nothing behind it.
fn with_place<'de, D, T>(deserializer: D) -> Result<Option<Spanned<Option<T>>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Spanned::deserialize(deserializer).map(Some)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Raw {
    #[serde(deserialize_with = "with_place")]
    pub tls_server_config: Option<Spanned<Option<TlsServer>>>,
    pub http_server_config: Option<HttpServer>,
    pub basic_auth_users: Option<BTreeMap<String, Spanned<Option<String>>>>,
    pub rate_limit: Option<RateLimit>,
}

#[derive(Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct TlsServer {
    pub cert: Option<Text>,
    pub key: Option<Text>,
    pub client_ca: Option<Text>,
    pub cert_file: Option<Text>,
    pub key_file: Option<Text>,
    pub client_auth_type: Option<Text>,
    pub client_ca_file: Option<Text>,
    pub client_allowed_sans: Option<Spanned<Vec<Text>>>,
    pub min_version: Option<Text>,
    pub max_version: Option<Text>,
    pub cipher_suites: Option<Spanned<Vec<Text>>>,
    pub prefer_server_cipher_suites: Option<bool>,
    pub curve_preferences: Option<Vec<Text>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpServer {
    pub http2: Option<bool>,
    pub headers: Option<BTreeMap<String, Spanned<Option<String>>>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimit {
    pub interval: Option<Text>,
    pub burst: Option<Spanned<u32>>,
}
