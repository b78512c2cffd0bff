//! The configuration file as the user wrote it: every key of it, nothing understood yet.
//!
//! Values keep their place in the file, so that what is wrong with them can be said there. Unknown
//! keys are errors of the YAML reader.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_saphyr::Spanned;

/// A key with nothing behind it, all its own keys commented out perhaps, is as good as none.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

pub type Text = Spanned<String>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Raw {
    pub site: Option<Text>,
    pub expected_sites: Option<Spanned<u32>>,
    #[serde(deserialize_with = "or_default")]
    pub contacts: Contacts,
    pub data_directory: Option<Text>,
    #[serde(deserialize_with = "or_default")]
    pub probe: Probe,
    /// A word, or a map; understood by hand, since either form may hold the mistake.
    pub service_hours: Option<Spanned<serde_json::Value>>,
    #[serde(deserialize_with = "or_default")]
    pub maintenance: Vec<Maintenance>,
    #[serde(deserialize_with = "or_default")]
    pub modules: BTreeMap<String, Option<Module>>,
    pub targets: Option<Vec<Target>>,
    #[serde(deserialize_with = "or_default")]
    pub controls: Vec<Target>,
    #[serde(deserialize_with = "or_default")]
    pub probe_endpoint: ProbeEndpoint,
    #[serde(deserialize_with = "or_default")]
    pub timetable: Timetable,
    #[serde(deserialize_with = "or_default")]
    pub calendar: Calendar,
    #[serde(deserialize_with = "or_default")]
    pub readiness: Readiness,
    #[serde(deserialize_with = "or_default")]
    pub evidence: Evidence,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Contacts {
    pub dns: Option<Text>,
    pub firewall: Option<Text>,
    pub proxy: Option<Text>,
    pub security: Option<Text>,
    pub desk: Option<Text>,
    pub hkex: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Probe {
    pub interval: Option<Text>,
    pub timeout: Option<Text>,
    pub concurrency: Option<Spanned<u64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    pub from: Text,
    pub to: Text,
    #[serde(default)]
    pub reference: Option<Text>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Module {
    pub timeout: Option<Text>,
    #[serde(deserialize_with = "or_default")]
    pub resolvers: Vec<Text>,
    pub system_resolvers: Option<Text>,
    pub route: Option<Text>,
    pub ip_family: Option<Text>,
    pub source_address: Option<Text>,
    pub proxy: Option<Text>,
    pub proxy_credentials_file: Option<Text>,
    #[serde(deserialize_with = "or_default")]
    pub expected_addresses: Vec<Text>,
    #[serde(deserialize_with = "or_default")]
    pub sinkhole_addresses: Vec<Text>,
    #[serde(deserialize_with = "or_default")]
    pub tls: Tls,
    #[serde(deserialize_with = "or_default")]
    pub http: Http,
    #[serde(deserialize_with = "or_default")]
    pub page: Page,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    pub roots: Option<Spanned<Vec<Text>>>,
    pub ca_file: Option<Text>,
    #[serde(deserialize_with = "or_default")]
    pub expected_issuers: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub accepted_interceptors: Vec<String>,
    pub on_interception: Option<Text>,
    #[serde(deserialize_with = "or_default")]
    pub pins: Vec<Text>,
    pub on_pin_mismatch: Option<Text>,
    pub min_version: Option<Text>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    pub valid_status: Option<Spanned<Vec<Spanned<u16>>>>,
    pub redirects: Option<Text>,
    #[serde(deserialize_with = "or_default")]
    pub allowed_hosts: Vec<Text>,
    pub max_redirects: Option<Spanned<u64>>,
    pub max_body: Option<Text>,
    pub user_agent: Option<Text>,
    #[serde(deserialize_with = "or_default")]
    pub headers: BTreeMap<String, Text>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Page {
    pub title: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub contains: Vec<Text>,
    #[serde(deserialize_with = "or_default")]
    pub not_contains: Vec<Text>,
    #[serde(deserialize_with = "or_default")]
    pub matches: Vec<Text>,
    #[serde(deserialize_with = "or_default")]
    pub form_fields: Vec<Text>,
    #[serde(deserialize_with = "or_default")]
    pub block_markers: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub name: Text,
    pub url: Text,
    #[serde(default)]
    pub module: Option<Text>,
    #[serde(default)]
    pub expect: Option<Text>,
    #[serde(default)]
    pub group: Option<Text>,
    #[serde(default)]
    pub allow_http: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeEndpoint {
    #[serde(deserialize_with = "or_default")]
    pub allowed_hosts: Vec<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timetable {
    pub file: Option<Text>,
    #[serde(deserialize_with = "or_default")]
    pub done: BTreeMap<String, Spanned<bool>>,
    #[serde(deserialize_with = "or_default")]
    pub actual: BTreeMap<String, Text>,
    #[serde(deserialize_with = "or_default")]
    pub attendees: BTreeMap<String, Spanned<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calendar {
    pub file: Option<Text>,
    #[serde(deserialize_with = "or_default")]
    pub extra_closed: Vec<Text>,
    #[serde(deserialize_with = "or_default")]
    pub extra_open: Vec<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Readiness {
    pub file: Option<Text>,
    pub max_age: Option<Text>,
    #[serde(deserialize_with = "or_default")]
    pub expected_total: BTreeMap<String, Spanned<u64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Evidence {
    #[serde(deserialize_with = "or_default")]
    pub terminals: Vec<Text>,
}
