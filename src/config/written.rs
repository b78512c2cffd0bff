//! The configuration file as the user wrote it: every key of it, nothing understood yet.
//!
//! Values keep their place in the file, so that what is wrong with them can be said there. Unknown
//! keys are errors of the YAML reader. `Later` keys belong to the contract but not to this version:
//! they take their neutral value and nothing else.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

pub type Text = Spanned<String>;
/// A key whose capability this version does not have.
pub type Later = Option<Spanned<serde_json::Value>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Written {
    pub site: Option<Text>,
    pub expected_sites: Option<Spanned<u32>>,
    pub contacts: Contacts,
    pub data_directory: Later,
    pub probe: Probe,
    /// A word, or a map; understood by hand, since either form may hold the mistake.
    pub service_hours: Option<Spanned<serde_json::Value>>,
    pub maintenance: Vec<Maintenance>,
    pub modules: BTreeMap<String, Module>,
    pub targets: Option<Vec<Target>>,
    pub controls: Vec<Target>,
    pub probe_endpoint: ProbeEndpoint,
    pub timetable: Timetable,
    pub calendar: Calendar,
    pub readiness: Readiness,
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

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Module {
    pub resolvers: Vec<Text>,
    pub system_resolvers: Option<Text>,
    pub route: Option<Text>,
    pub ip_family: Option<Text>,
    pub source_address: Option<Text>,
    pub proxy: Later,
    pub proxy_credentials_file: Later,
    pub expected_addresses: Vec<Text>,
    pub sinkhole_addresses: Vec<Text>,
    pub tls: Tls,
    pub http: Http,
    pub page: Page,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    pub roots: Option<Spanned<Vec<Text>>>,
    pub ca_file: Option<Text>,
    pub expected_issuers: Vec<String>,
    pub accepted_interceptors: Vec<String>,
    pub on_interception: Option<Text>,
    pub pins: Vec<Text>,
    pub on_pin_mismatch: Option<Text>,
    pub min_version: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    pub valid_status: Option<Spanned<Vec<Spanned<u16>>>>,
    pub redirects: Option<Text>,
    pub allowed_hosts: Vec<String>,
    pub max_redirects: Option<Spanned<u64>>,
    pub max_body: Option<Text>,
    pub user_agent: Option<Text>,
    pub headers: BTreeMap<String, Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Page {
    pub title: Option<String>,
    pub contains: Vec<Text>,
    pub not_contains: Vec<Text>,
    pub matches: Vec<Text>,
    pub form_fields: Vec<Text>,
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
    pub allowed_hosts: Later,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timetable {
    pub file: Option<Text>,
    pub done: BTreeMap<String, Spanned<bool>>,
    pub actual: BTreeMap<String, Text>,
    pub attendees: BTreeMap<String, Spanned<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calendar {
    pub file: Option<Text>,
    pub extra_closed: Vec<Text>,
    pub extra_open: Vec<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Readiness {
    pub file: Later,
    pub max_age: Later,
    pub expected_total: Later,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Evidence {
    pub terminals: Later,
}
