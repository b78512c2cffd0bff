//! What is recorded. Every word is out of a closed list, every name out of a strict character set: a
//! record holds no text that a person or a server chose freely.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::report::{
    Expectation, Finding, Layer, LayerName, PageVerdict, Ran, Reason, Report, Verdict,
};

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Content {
    /// A probe whose outcome counts: asked for by `verify --record`, or the first good one of a day.
    Verification(Box<Verification>),
    /// Somebody looked at the page in Edge on a CCASS Terminal (the circular's Appendix).
    Terminal(TerminalCheck),
    OutageBegan(Outage),
    OutageEnded(OutageEnd),
    Drill(Drill),
    /// A crash left half a line, which was set aside.
    Repair(Repair),
    /// Of a later version of this program.
    Unknown(String),
}

impl Content {
    /// The `kind` of the line.
    pub fn kind(&self) -> &str {
        match self {
            Self::Verification(_) => "verification",
            Self::Terminal(_) => "terminal",
            Self::OutageBegan(_) => "outage_began",
            Self::OutageEnded(_) => "outage_ended",
            Self::Drill(_) => "drill",
            Self::Repair(_) => "repair",
            Self::Unknown(kind) => kind,
        }
    }

    /// As it stands in its line.
    ///
    /// # Errors
    /// A value cannot be written: a defect of ours.
    pub fn written(&self) -> serde_json::Result<Box<RawValue>> {
        match self {
            Self::Verification(content) => serde_json::value::to_raw_value(content),
            Self::Terminal(content) => serde_json::value::to_raw_value(content),
            Self::OutageBegan(content) => serde_json::value::to_raw_value(content),
            Self::OutageEnded(content) => serde_json::value::to_raw_value(content),
            Self::Drill(content) => serde_json::value::to_raw_value(content),
            Self::Repair(content) => serde_json::value::to_raw_value(content),
            Self::Unknown(_) => serde_json::value::to_raw_value(&()),
        }
    }

    /// What does not read as its kind is of a later version.
    pub(super) fn read(kind: &str, text: &str) -> Self {
        fn of<'a, T: Deserialize<'a>>(text: &'a str, content: fn(T) -> Content) -> Option<Content> {
            serde_json::from_str(text).ok().map(content)
        }
        let content = match kind {
            "verification" => of(text, |it| Self::Verification(Box::new(it))),
            "terminal" => of(text, Self::Terminal),
            "outage_began" => of(text, Self::OutageBegan),
            "outage_ended" => of(text, Self::OutageEnded),
            "drill" => of(text, Self::Drill),
            "repair" => of(text, Self::Repair),
            _ => None,
        };
        content.unwrap_or_else(|| Self::Unknown(kind.to_owned()))
    }

    /// The configured name of what it is about, where it is about a target or a terminal.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Verification(it) => Some(&it.target),
            Self::Terminal(it) => Some(&it.terminal),
            Self::OutageBegan(it) => Some(&it.target),
            Self::OutageEnded(it) => Some(&it.outage.target),
            Self::Drill(_) | Self::Repair(_) | Self::Unknown(_) => None,
        }
    }
}

/// A ticket: 1 to 64 letters, digits and `. - _ / #`, so that no name or address fits into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Reference(String);

impl TryFrom<String> for Reference {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let allowed =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '#');
        match (1..=64).contains(&text.len()) && text.chars().all(allowed) {
            true => Ok(Self(text)),
            false => Err("a reference has 1 to 64 letters, digits and . - _ / #"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a probe was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Somebody asked for it by `verify --record`.
    Verify,
    /// The exporter's first good probe of a Hong Kong day.
    Daily,
}

/// How a recorded probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every layer good and the page checked: the only outcome that counts as verification.
    FullPass,
    /// Every layer good, but no check of the page is configured.
    PageUnchecked,
    /// The target must not be reachable, and is not.
    Closed,
    Failed,
}

impl Outcome {
    /// As JSON has it.
    pub fn code(self) -> &'static str {
        match self {
            Self::FullPass => "full_pass",
            Self::PageUnchecked => "page_unchecked",
            Self::Closed => "closed",
            Self::Failed => "failed",
        }
    }
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
    /// Over all hops, in the order of the pipe.
    pub layers: Vec<LayerSeen>,
    /// The addresses of this host that it connected from.
    pub sources: Vec<IpAddr>,
    /// The addresses that it connected to, or tried to.
    pub addresses: Vec<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateSeen>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Of the decoded page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// The first failing layer and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub layer: LayerName,
    pub reason: Reason,
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
    /// It has no part in this target's way.
    NotNeeded,
    /// The page, where no check is configured.
    NotConfigured,
}

impl LayerState {
    /// For a person.
    pub fn words(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Failed => "fails",
            Self::NotReached => "not reached",
            Self::NotNeeded => "not needed",
            Self::NotConfigured => "not checked",
        }
    }
}

/// The certificate of the server that answered, whatever the verdict on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CertificateSeen {
    pub issuer: String,
    pub fingerprint_sha256: String,
    pub not_after: Timestamp,
}

/// A configured check of the page, by a name that does not tell the pattern.
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
            .filter_map(|facts| facts.telling())
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

impl Failure {
    /// The failure of a verdict, if it is one.
    pub fn of(verdict: Verdict) -> Option<Self> {
        match verdict {
            Verdict::Good { .. } => None,
            Verdict::Failed { layer, reason } => Some(Self { layer, reason }),
        }
    }
}

fn seen(report: &Report, layer: LayerName) -> LayerSeen {
    fn any<F>(of: impl Iterator<Item = F>, needed: impl Fn(F) -> bool) -> LayerState {
        match of.into_iter().any(needed) {
            true => LayerState::NotReached,
            false => LayerState::NotNeeded,
        }
    }
    fn needed<F>(layer: &Layer<F>) -> bool {
        !matches!(layer, Layer::NotNeeded)
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
            Layer::Ran(Ran { .. }) => LayerState::NotConfigured,
            Layer::NotReached => LayerState::NotReached,
            Layer::NotNeeded => LayerState::NotNeeded,
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

/// The manual step of the circular's Appendix at one terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalCheck {
    /// A name of the configuration's list.
    pub terminal: String,
    pub outcome: Sighting,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

/// Whether the login page was seen in Edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sighting {
    Seen,
    NotSeen,
}

impl Sighting {
    pub const ALL: [Self; 2] = [Self::Seen, Self::NotSeen];

    /// The value of the `outcome` label and of `record --outcome`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::NotSeen => "not-seen",
        }
    }
}

/// A target's outage: two failing probes in a row, since the first of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    pub target: String,
    pub url: String,
    pub since: Timestamp,
    /// What it began with.
    #[serde(flatten)]
    pub failure: Failure,
}

/// The first good probe after an outage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutageEnd {
    #[serde(flatten)]
    pub outage: Outage,
    pub until: Timestamp,
}

/// A rehearsal of the alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    pub severity: String,
    /// Alertmanager's host and port.
    pub alertmanager: String,
    pub outcome: DrillOutcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

/// Whether Alertmanager took, showed and resolved the test alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrillOutcome {
    Good,
    Failed,
}

/// Half a line that was found at the end of a file: no command had said that it was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// The file that it was cut from.
    pub file: String,
    pub torn_bytes: u64,
    /// Where it was set aside.
    pub aside: String,
}
