//! [`Report`], the one value that a probe returns and that everything renders, and its parts.
//!
//! It does not measure (`probe` does) and does not format (`render` does). The types enforce the
//! order of the layers: each [`Hop`] has one of each, and a layer that was not reached has no
//! facts.

pub mod advice;
pub mod browser;
pub mod caveats;
mod facts;
mod finding;
pub mod history;
mod learned;
pub mod overview;
mod reason;
mod reject_reason;
mod stats;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use strum::IntoStaticStr;

pub use browser::{BrowserCheck, BrowserRun};
pub use facts::{
    AddressAttempt, AddressFamily, AnsweredBy, Certificate, DnsFacts, FetchedCertificate,
    Handshake, HttpFacts, Interception, Lookup, NotProcessed, OutsideDates, PageCheck, PageFacts,
    ProxyAttempt, ProxyFacts, QueryType, Resolution, RootSet, TcpFacts, TlsFacts, Trust,
};
pub use finding::{Finding, Found};
pub use learned::Learned;
pub use reason::{LayerName, Reason};
pub use reject_reason::RejectReason;
pub use stats::{DURATION_BUCKETS, DurationHistogram, MissReason, TargetStats};

/// Whether a target is the login itself, a control that shows whether a fault is local or remote, or
/// a connection that must be blocked (`expect: unreachable`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Role {
    Login,
    Control,
    Closed,
}

/// The longest pause between probes that a server's Retry-After is granted.
pub const MAX_PAUSE: Duration = Duration::from_secs(600);

/// What a probe of the target should find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    #[default]
    Reachable,
    /// The target must not accept a connection, which proves that a firewall is closed.
    Unreachable,
}

/// The result of one probe of one target.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub target: String,
    pub url: String,
    pub role: Role,
    pub module: String,
    pub expect: Expectation,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The configured name of this site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    pub started: Timestamp,
    /// Until the verdict was known; measurements in the background may have gone on.
    #[serde(rename = "duration_seconds", serialize_with = "seconds")]
    pub duration: Duration,
    #[serde(rename = "timeout_seconds", serialize_with = "seconds")]
    pub timeout: Duration,
    pub verdict: Verdict,
    /// At least one, and one more for each redirect that was followed.
    pub hops: Vec<Hop>,
    pub page: Layer<PageFacts>,
    pub findings: Vec<Found>,
    /// What a browser of this host showed, if it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub browser: Option<Box<BrowserCheck>>,
    /// The latest check, if it started no browser.
    #[serde(skip)]
    pub browser_not_started: Option<Arc<BrowserRun>>,
}

/// One request on the way to the page, from its name to its response.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Hop {
    /// What led here; absent for the first request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<HopKind>,
    pub url: String,
    pub host: String,
    pub dns: Layer<DnsFacts>,
    pub tcp: Layer<TcpFacts>,
    /// Not applicable to direct connections. Otherwise dns and tcp are the proxy's.
    pub proxy: Layer<ProxyFacts>,
    pub tls: Layer<TlsFacts>,
    pub http: Layer<HttpFacts>,
}

/// What leads from one request to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum HopKind {
    Redirect,
    /// `<meta http-equiv="refresh">` with a short delay.
    MetaRefresh,
    /// The `Refresh` header with a short delay.
    RefreshHeader,
}

/// A layer of one hop.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Layer<Facts> {
    /// An earlier layer failed.
    #[default]
    NotReached,
    /// The hop does not have it: the name of an address literal, the TLS of a plain http target.
    NotApplicable,
    Done(LayerResult<Facts>),
}

/// A layer that ran: its duration, its facts, and why it failed if it did.
#[derive(Clone, Debug, Serialize)]
pub struct LayerResult<Facts> {
    #[serde(rename = "duration_seconds", serialize_with = "seconds")]
    pub duration: Duration,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Reason>,
    pub facts: Facts,
}

impl<Facts> Layer<Facts> {
    pub fn ran(&self) -> Option<&LayerResult<Facts>> {
        match self {
            Self::Done(ran) => Some(ran),
            Self::NotReached | Self::NotApplicable => None,
        }
    }

    pub fn facts(&self) -> Option<&Facts> {
        self.ran().map(|ran| &ran.facts)
    }

    fn outcome(&self) -> Option<LayerOutcome> {
        self.ran().map(|ran| LayerOutcome {
            duration: ran.duration,
            failure: ran.failure,
        })
    }
}

/// The outcome of a layer, without its facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerOutcome {
    pub duration: Duration,
    pub failure: Option<Reason>,
}

/// The verdict of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Verdict {
    /// No layer failed.
    Good { page: PageVerdict },
    /// The first failing layer and why.
    Failed { layer: LayerName, reason: Reason },
}

/// Whether a good verdict includes the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PageVerdict {
    /// Checks are configured and pass.
    Checked,
    /// No check is configured; HTTP was the last layer.
    Unchecked,
}

impl Verdict {
    pub fn of(reason: Reason) -> Self {
        Self::Failed {
            layer: reason.layer(),
            reason,
        }
    }

    pub fn is_good(&self) -> bool {
        matches!(self, Self::Good { .. })
    }

    /// No layer failed and the page was checked: what counts as verification of the connection (the
    /// circular's Appendix: "the below screen should be seen").
    pub fn is_full_pass(&self) -> bool {
        matches!(
            self,
            Self::Good {
                page: PageVerdict::Checked
            }
        )
    }

    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Good { .. } => None,
            Self::Failed { reason, .. } => Some(*reason),
        }
    }
}

impl Report {
    /// A layer over all hops: their total duration and the first failure. `None` if no hop reached
    /// it, and for a page without checks.
    pub fn layer(&self, name: LayerName) -> Option<LayerOutcome> {
        let of_hop = |hop: &Hop| match name {
            LayerName::Dns => hop.dns.outcome(),
            LayerName::Tcp => hop.tcp.outcome(),
            LayerName::Proxy => hop.proxy.outcome(),
            LayerName::Tls => hop.tls.outcome(),
            LayerName::Http => hop.http.outcome(),
            LayerName::Page => None,
        };
        if name == LayerName::Page {
            return self
                .page
                .facts()
                .filter(|facts| !facts.checks.is_empty())
                .and_then(|_| self.page.outcome());
        }
        self.hops
            .iter()
            .filter_map(of_hop)
            .reduce(|sum, one| LayerOutcome {
                duration: sum.duration + one.duration,
                failure: sum.failure.or(one.failure),
            })
    }

    /// The response that ended the probe, if any.
    pub fn response(&self) -> Option<&HttpFacts> {
        self.hops.last().and_then(|hop| hop.http.facts())
    }

    /// The certificate of the target's own host, also of one that failed.
    pub fn certificate(&self) -> Option<&Certificate> {
        let tls = self.hops.first()?.tls.facts()?;
        tls.representative()?.chain.first().map(AsRef::as_ref)
    }

    /// Who sent the last response; `Unknown` without one.
    pub fn answered_by(&self) -> AnsweredBy {
        let proxy = self.hops.last().and_then(|hop| hop.proxy.facts());
        if proxy.is_some_and(|facts| facts.attempts.iter().any(|one| one.status.is_some())) {
            return AnsweredBy::Proxy;
        }
        self.response()
            .map_or(AnsweredBy::Unknown, |facts| facts.answered_by)
    }

    /// Whether the verdict shows if the login page is reachable.
    pub fn is_login(&self) -> bool {
        self.role == Role::Login
    }

    /// How long the next probe waits because the server asked for it, and until when.
    pub fn pause(&self) -> Option<(Duration, Timestamp)> {
        let asked = self.response()?.retry_after?;
        let pause = asked.min(MAX_PAUSE);
        let until = self.started.checked_add(self.duration + pause).ok()?;
        Some((pause, until))
    }

    /// Whether the last hop went, or would have gone, through a web proxy.
    pub fn proxied(&self) -> bool {
        let last = self.hops.last();
        last.is_some_and(|hop| !matches!(hop.proxy, Layer::NotApplicable))
    }

    pub fn has(&self, finding: Finding) -> bool {
        self.findings.iter().any(|found| found.finding == finding)
    }
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Measurements have a resolution of microseconds.
    let seconds = (duration.as_secs_f64() * 1e6).round() / 1e6;
    serializer.serialize_f64(seconds)
}

fn optional_seconds<S: serde::Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => seconds(duration, serializer),
        None => serializer.serialize_none(),
    }
}

/// A report for unit tests.
#[cfg(test)]
pub(crate) fn example(started: Timestamp, failure: Option<Reason>) -> Report {
    let good = Verdict::Good {
        page: PageVerdict::Checked,
    };
    Report {
        target: "sso".to_owned(),
        url: "https://sso.lab.test/".to_owned(),
        role: Role::Login,
        module: "login_page".to_owned(),
        expect: Expectation::Reachable,
        group: None,
        site: None,
        started,
        duration: Duration::ZERO,
        timeout: Duration::ZERO,
        verdict: failure.map_or(good, Verdict::of),
        hops: Vec::new(),
        page: Layer::NotReached,
        findings: Vec::new(),
        browser: None,
        browser_not_started: None,
    }
}
