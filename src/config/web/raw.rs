//! The web configuration file before validation: every key, as serde reads it.
//!
//! The keys are those of the exporter-toolkit, in the order of its documentation. The types do not
//! implement `Debug`: some values are secrets.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use crate::config::raw::OrDefault;
use crate::diagnostics::Text;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawWebConfig {
    #[serde(deserialize_with = "with_position")]
    pub tls_server_config: Option<Spanned<Option<RawTlsServer>>>,
    pub http_server_config: OrDefault<RawHttpServer>,
    pub basic_auth_users: OrDefault<BTreeMap<String, Spanned<Option<String>>>>,
    pub rate_limit: OrDefault<RawRateLimit>,
}

#[derive(Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct RawTlsServer {
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
    pub curve_preferences: OrDefault<Vec<Text>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawHttpServer {
    pub http2: Option<bool>,
    pub headers: OrDefault<BTreeMap<String, Spanned<Option<String>>>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawRateLimit {
    pub interval: Option<Text>,
    pub burst: Option<Spanned<u32>>,
}

/// Keeps the position of a key without a value, which a plain `Option` would lose.
fn with_position<'de, D, T>(deserializer: D) -> Result<Option<Spanned<Option<T>>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Spanned::deserialize(deserializer).map(Some)
}
