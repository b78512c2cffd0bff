//! A recorded probe: the report, layer by layer, as enums and numbers.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::label;
use crate::report::{
    Expectation, Finding, Layer, LayerName, LayerResult, PageVerdict, Reason, Report, Verdict,
};

/// Why a probe was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Origin {
    /// Requested with `verify --record`.
    Verify,
    /// The first successful probe of a day in Hong Kong.
    Daily,
}

impl Origin {
    /// For a person.
    pub fn title(self) -> &'static str {
        match self {
            Self::Verify => "recorded by verify",
            Self::Daily => "first successful probe of the day",
        }
    }
}

/// The outcome of a recorded probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Outcome {
    /// Every layer succeeded and the page was checked: the only outcome that counts as verification.
    FullPass,
    /// Every layer succeeded, but no page check is configured.
    PageUnchecked,
    /// The target must not be reachable, and is not.
    Closed,
    Failed,
}

/// One probe, layer by layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verification {
    pub origin: Origin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    pub target: String,
    pub url: String,
    pub module: String,
    pub started: Timestamp,
    pub duration_seconds: f64,
    pub outcome: Outcome,
    /// The first failing layer and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Over all hops, in the order in which the layers are reached.
    pub layers: Vec<LayerSeen>,
    /// The local addresses of the connections.
    pub sources: Vec<IpAddr>,
    /// The remote addresses of the connection attempts.
    pub addresses: Vec<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateSeen>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// SHA-256 of the decoded page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// One layer of a recorded probe.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LayerSeen {
    pub layer: LayerName,
    pub state: LayerState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerState {
    Good,
    Failed,
    NotReached,
    /// The target does not use this layer.
    #[serde(rename = "not_needed")]
    NotApplicable,
    /// The page layer without a configured check.
    NotConfigured,
}

impl LayerState {
    /// For a person.
    pub fn title(self) -> &'static str {
        match self {
            Self::Good => "OK",
            Self::Failed => "failed",
            Self::NotReached => "not tried",
            Self::NotApplicable => "n/a",
            Self::NotConfigured => "not checked",
        }
    }
}

/// The certificate of the server that answered, also if it was not accepted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CertificateSeen {
    pub issuer: String,
    pub fingerprint_sha256: String,
    pub not_after: Timestamp,
}

/// A configured page check, by a name that does not reveal the pattern.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Check {
    pub check: String,
    pub passed: bool,
}

impl Verification {
    /// What a report says, in the form that is kept.
    pub fn of(report: &Report, origin: Origin, reference: Option<Reference>) -> Self {
        let outcome = match (report.verdict, report.expect) {
            (Verdict::Failed { .. }, _) => Outcome::Failed,
            (Verdict::Good { .. }, Expectation::Unreachable) => Outcome::Closed,
            (Verdict::Good { page }, Expectation::Reachable) => match page {
                PageVerdict::Checked => Outcome::FullPass,
                PageVerdict::Unchecked => Outcome::PageUnchecked,
            },
        };
        let tcp = || report.hops.iter().filter_map(|hop| hop.tcp.facts());
        let attempts = || tcp().flat_map(|facts| &facts.addresses);
        let tls = report.hops.iter().rev().filter_map(|hop| hop.tls.facts());
        let leaf = tls
            .filter_map(|facts| facts.representative())
            .find_map(|handshake| handshake.chain.first());
        let page = report.page.facts();
        Self {
            origin,
            reference,
            target: report.target.clone(),
            url: report.url.clone(),
            module: report.module.clone(),
            started: report.started,
            duration_seconds: rounded(report.duration.as_secs_f64()),
            outcome,
            failure: Failure::of(report.verdict),
            layers: LayerName::ALL.map(|layer| seen(report, layer)).to_vec(),
            sources: distinct(attempts().filter_map(|one| one.source)),
            addresses: distinct(attempts().map(|one| one.address)),
            certificate: leaf.map(|leaf| CertificateSeen {
                issuer: leaf.issuer.clone(),
                fingerprint_sha256: leaf.fingerprint_sha256.clone(),
                not_after: leaf.not_after,
            }),
            http_status: report.response().and_then(|response| response.status),
            page_sha256: page.map(|facts| facts.sha256.clone()),
            checks: page
                .into_iter()
                .flat_map(|facts| &facts.checks)
                .map(|one| Check {
                    check: one.check.clone(),
                    passed: one.passed,
                })
                .collect(),
            findings: report.findings.iter().map(|found| found.finding).collect(),
        }
    }
}

fn seen(report: &Report, layer: LayerName) -> LayerSeen {
    fn any<F>(of: impl Iterator<Item = F>, needed: impl Fn(F) -> bool) -> LayerState {
        if of.into_iter().any(needed) {
            LayerState::NotReached
        } else {
            LayerState::NotApplicable
        }
    }
    fn needed<F>(layer: &Layer<F>) -> bool {
        !matches!(layer, Layer::NotApplicable)
    }
    let hops = report.hops.iter();
    let outcome = report.layer(layer);
    let state = match (outcome.map(|one| one.failure), layer) {
        (Some(None), _) => LayerState::Good,
        (Some(Some(_)), _) => LayerState::Failed,
        (None, LayerName::Dns) => any(hops, |hop| needed(&hop.dns)),
        (None, LayerName::Tcp) => any(hops, |hop| needed(&hop.tcp)),
        (None, LayerName::Proxy) => any(hops, |hop| needed(&hop.proxy)),
        (None, LayerName::Tls) => any(hops, |hop| needed(&hop.tls)),
        (None, LayerName::Http) => any(hops, |hop| needed(&hop.http)),
        (None, LayerName::Page) => match &report.page {
            Layer::Done(LayerResult { .. }) => LayerState::NotConfigured,
            Layer::NotReached => LayerState::NotReached,
            Layer::NotApplicable => LayerState::NotApplicable,
        },
    };
    LayerSeen {
        layer,
        state,
        duration_seconds: outcome.map(|one| rounded(one.duration.as_secs_f64())),
        reason: outcome.and_then(|one| one.failure),
    }
}

fn distinct(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut list = Vec::new();
    for address in addresses {
        if !list.contains(&address) {
            list.push(address);
        }
    }
    list
}

/// Microseconds are the resolution of what was measured.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

/// A ticket: 1 to 64 letters, digits and `. - _ / #`, so that no name or address fits into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Reference(String);

impl TryFrom<String> for Reference {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        label::check_reference(&text)?;
        Ok(Self(text))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first failing layer and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub layer: LayerName,
    pub reason: Reason,
}

impl Failure {
    /// The failure of a verdict, if it is one.
    pub fn of(verdict: Verdict) -> Option<Self> {
        match verdict {
            Verdict::Good { .. } => None,
            Verdict::Failed { layer, reason } => Some(Self { layer, reason }),
        }
    }
}
