//! What a browser of this host showed of a target, and how it differs from the probe.
//!
//! `protocol` is what the browser check returns. It judges nothing that the exporter cannot explain: an
//! error without a reason keeps the browser's name for it.

mod differences;
pub mod protocol;
mod run;

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{Finding, Found, LayerResult, PageFacts, Reason, Report};
use differences::differences;
use protocol::{NotRun, Observation, Stop};
pub use run::BrowserRun;

/// The result of one browser check of one target.
#[derive(Clone, Debug, Serialize)]
pub struct BrowserCheck {
    pub started: Timestamp,
    /// `None` if the page was shown and its checks hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<BrowserFailure>,
    #[serde(skip)]
    pub seen: Observation,
    /// What was seen, as the check returned it.
    #[serde(rename = "seen")]
    pub json: Value,
    /// PNG, for a page that shows it and for the evidence.
    #[serde(skip)]
    pub screenshot: Option<Arc<[u8]>>,
    /// The same page checks as the probe's, on the page as the browser drew it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<PageFacts>,
    /// How it differs from the probe, each with its explanation.
    pub differences: Vec<String>,
}

/// Why the browser did not show the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BrowserFailure {
    /// Absent if none of the exporter's reasons fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The browser's error, such as `ERR_NAME_NOT_RESOLVED`, or the rule of the check that stopped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl BrowserFailure {
    /// Its code in metrics and evidence: the reason, else the browser's error in lower case.
    pub fn code(&self) -> String {
        match (self.reason, &self.error) {
            (Some(reason), _) => reason.to_string(),
            (None, Some(error)) => error.to_lowercase(),
            (None, None) => "unknown".to_owned(),
        }
    }
}

impl NotRun {
    /// Its code in metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BrowserNotFound { .. } => "browser_not_found",
            Self::BrowserTooOld { .. } => "browser_too_old",
            Self::DebuggingForbidden { .. } => "debugging_forbidden",
            Self::NoSandbox { .. } => "no_sandbox",
            Self::NoDisplay { .. } => "no_display",
            Self::ProfileNotWritable { .. } => "profile_not_writable",
            Self::NotStarted { .. } => "not_started",
            Self::CheckerFailed { .. } => "checker_failed",
        }
    }
}

/// What the exporter's rules say about a page that was received.
pub struct Judged {
    pub is_valid_status: bool,
    pub page: Option<LayerResult<PageFacts>>,
}

impl BrowserCheck {
    pub fn of(started: Timestamp, mut seen: Observation, json: Value, judged: Judged) -> Self {
        // It is judged and not passed on.
        seen.html = None;
        let page_failure = judged.page.as_ref().and_then(|page| page.failure);
        let failure = failure(&seen, judged.is_valid_status, page_failure);
        Self {
            started,
            failure,
            screenshot: seen.screenshot.take().and_then(picture),
            seen,
            json,
            page: judged.page.map(|page| page.facts),
            differences: Vec::new(),
        }
    }

    pub fn is_good(&self) -> bool {
        self.failure.is_none()
    }

    /// Whether one of browser and probe reaches the page and the other does not.
    pub fn differs_from(&self, report: &Report) -> bool {
        self.is_good() != report.verdict.is_good()
    }

    /// Becomes part of the report of the target's probe, with the differences and the finding.
    pub fn add_to(mut self, report: &mut Report) {
        self.differences = differences(report, &self);
        if self.differs_from(report)
            && let Some(detail) = self.differences.first()
        {
            report.findings.push(Found {
                finding: Finding::BrowserDiffers,
                detail: detail.clone(),
            });
        }
        report.browser = Some(Box::new(self));
    }
}

impl Report {
    /// Takes out what is known from a browser.
    pub fn remove_browser(&mut self) {
        self.browser = None;
        self.browser_not_started = None;
        self.findings
            .retain(|found| found.finding != Finding::BrowserDiffers);
    }
}

/// The bytes of a PNG file in base64.
fn picture(base64: String) -> Option<Arc<[u8]>> {
    const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
    let png = BASE64.decode(base64).ok()?;
    png.starts_with(SIGNATURE).then(|| png.into())
}

fn failure(
    seen: &Observation,
    is_valid_status: bool,
    page_failure: Option<Reason>,
) -> Option<BrowserFailure> {
    if let Some(stop) = seen.stopped {
        let (reason, rule) = stopped(stop);
        return Some(BrowserFailure {
            reason: known_reason(seen).or(reason),
            error: Some(rule.to_owned()),
        });
    }
    if let Some(error) = &seen.error {
        return Some(BrowserFailure {
            reason: known_reason(seen),
            error: Some(error.clone()),
        });
    }
    let reason = if seen.status.is_some() && !is_valid_status {
        Some(Reason::HttpStatus)
    } else {
        page_failure
    };
    reason.map(|reason| BrowserFailure {
        reason: Some(reason),
        error: None,
    })
}

/// The reason that the check names. The browser has one error for a connection that ends, before and
/// after the handshake.
fn known_reason(seen: &Observation) -> Option<Reason> {
    let code = seen.reason.as_deref()?;
    let reason = Reason::ALL.iter().copied();
    let reason = reason
        .into_iter()
        .find(|reason| reason.into_str() == code)?;
    let is_before_tls = seen.certificate.is_none() && seen.url.starts_with("https:");
    Some(match reason {
        Reason::HttpReset if is_before_tls => Reason::TlsReset,
        Reason::HttpClosed if is_before_tls => Reason::TlsClosed,
        other => other,
    })
}

fn stopped(stop: Stop) -> (Option<Reason>, &'static str) {
    match stop {
        Stop::OffHost => (Some(Reason::HttpRedirectOffHost), "off_host"),
        Stop::Insecure => (Some(Reason::HttpRedirectInsecure), "insecure"),
        Stop::TooManyRedirects => (Some(Reason::HttpTooManyRedirects), "too_many_redirects"),
        Stop::TimedOut => (Some(Reason::HttpTimedOut), "timed_out"),
        Stop::Unresponsive => (None, "unresponsive"),
        Stop::TooManyBytes => (Some(Reason::HttpBodyTooLarge), "too_many_bytes"),
        Stop::TooMuchMemory => (None, "too_much_memory"),
        Stop::Crashed => (None, "crashed"),
        Stop::Download => (Some(Reason::PageMismatch), "download"),
    }
}
