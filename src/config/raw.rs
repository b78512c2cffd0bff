//! The configuration file before validation: every key, as serde reads it.
//!
//! Values keep their position in the file, so that a later error can name it. Unknown keys are errors
//! of the YAML parser.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_saphyr::Spanned;

use crate::diagnostics::Text;

/// A key without a value counts as absent: all keys below it may be commented out.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct OrDefault<T>(T);

impl<'de, T: Default + Deserialize<'de>> Deserialize<'de> for OrDefault<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|value| Self(value.unwrap_or_default()))
    }
}

impl<T> std::ops::Deref for OrDefault<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> std::ops::DerefMut for OrDefault<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    pub site: Option<Text>,
    pub expected_sites: Option<Spanned<u32>>,
    pub contacts: OrDefault<RawContacts>,
    pub data_directory: Option<Text>,
    pub probe: OrDefault<RawProbe>,
    /// A word or a map.
    pub service_hours: Option<Spanned<serde_json::Value>>,
    pub maintenance: OrDefault<Vec<RawMaintenance>>,
    pub modules: OrDefault<BTreeMap<String, OrDefault<RawModule>>>,
    pub targets: Option<Vec<RawTarget>>,
    pub controls: OrDefault<Vec<RawTarget>>,
    pub probe_endpoint: OrDefault<RawProbeEndpoint>,
    pub timetable: OrDefault<RawTimetable>,
    pub calendar: OrDefault<RawCalendar>,
    pub readiness: OrDefault<RawReadiness>,
    pub evidence: OrDefault<RawEvidence>,
    pub browser: Option<RawBrowser>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawContacts {
    pub dns: Option<Text>,
    pub firewall: Option<Text>,
    pub proxy: Option<Text>,
    pub security: Option<Text>,
    pub desk: Option<Text>,
    pub hkex: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawProbe {
    pub interval: Option<Text>,
    pub timeout: Option<Text>,
    pub concurrency: Option<Spanned<u64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawMaintenance {
    pub from: Text,
    pub to: Text,
    pub reference: Option<Text>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawModule {
    pub timeout: Option<Text>,
    pub resolvers: OrDefault<Vec<Text>>,
    pub system_resolvers: Option<Text>,
    pub route: Option<Text>,
    pub ip_family: Option<Text>,
    pub source_address: Option<Text>,
    pub proxy: Option<Text>,
    pub proxy_credentials_file: Option<Text>,
    pub expected_addresses: OrDefault<Vec<Text>>,
    pub sinkhole_addresses: OrDefault<Vec<Text>>,
    pub tls: OrDefault<RawTls>,
    pub http: OrDefault<RawHttp>,
    pub page: OrDefault<RawPage>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawTls {
    pub roots: Option<Spanned<Vec<Text>>>,
    pub ca_file: Option<Text>,
    pub expected_issuers: OrDefault<Vec<String>>,
    pub accepted_interceptors: OrDefault<Vec<String>>,
    pub on_interception: Option<Text>,
    pub pins: OrDefault<Vec<Text>>,
    pub on_pin_mismatch: Option<Text>,
    pub min_version: Option<Text>,
    pub fetch_intermediates: Option<Text>,
    pub aia_hosts: OrDefault<Vec<Text>>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawHttp {
    pub valid_status: Option<Spanned<Vec<Spanned<u16>>>>,
    pub redirects: Option<Text>,
    pub allowed_hosts: OrDefault<Vec<Text>>,
    pub max_redirects: Option<Spanned<u64>>,
    pub max_body: Option<Text>,
    pub user_agent: Option<Text>,
    pub headers: OrDefault<BTreeMap<String, Text>>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawPage {
    pub title: Option<String>,
    pub contains: OrDefault<Vec<Text>>,
    pub not_contains: OrDefault<Vec<Text>>,
    pub matches: OrDefault<Vec<Text>>,
    pub text_contains: OrDefault<Vec<Text>>,
    pub text_matches: OrDefault<Vec<Text>>,
    pub form_fields: OrDefault<Vec<Text>>,
    pub block_markers: OrDefault<Vec<Text>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTarget {
    pub name: Text,
    pub url: Text,
    pub module: Option<Text>,
    pub expect: Option<Text>,
    pub group: Option<Text>,
    #[serde(default)]
    pub allow_http: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawProbeEndpoint {
    pub allowed_hosts: OrDefault<Vec<Text>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawTimetable {
    pub file: Option<Text>,
    pub done: OrDefault<BTreeMap<String, Spanned<bool>>>,
    pub actual: OrDefault<BTreeMap<String, Text>>,
    pub attendees: OrDefault<BTreeMap<String, Spanned<u32>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawCalendar {
    pub file: Option<Text>,
    pub extra_closed: OrDefault<Vec<Text>>,
    pub extra_open: OrDefault<Vec<Text>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawReadiness {
    pub file: Option<Text>,
    pub max_age: Option<Text>,
    pub expected_total: OrDefault<BTreeMap<String, Spanned<u64>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawEvidence {
    pub terminals: OrDefault<Vec<Text>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawBrowser {
    pub path: Option<Text>,
    pub interval: Option<Text>,
    pub targets: Option<Spanned<Vec<Text>>>,
}
