//! Advice: what a failure or a finding means, whom to contact, and what to do.
//!
//! Input is a [`Report`], or a bare [`Reason`] or [`Finding`], which gives the generic form with
//! placeholders ("this host") that `docs/reasons.md` shows. The matches are exhaustive: a reason
//! without advice does not compile. Contact names and numbers come from the configuration.

mod action;
mod contact;
mod details;
mod findings;
mod meaning;
mod values;

use serde::Serialize;

use super::{AnsweredBy, Finding, LayerName, Reason, Report};
pub use contact::Contact;
pub use details::{Detail, details_to_send};
use values::Values;
pub use values::{date, instant};

/// What to do about a failure or a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// What happened, then the usual cause.
    pub meaning: String,
    pub contact: Contact,
    /// The instruction: who does what, with the addresses and names of this failure.
    pub action: String,
    /// What the reader must collect himself; [`details_to_send`] has what the exporter knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub information_to_provide: Option<&'static str>,
}

/// What stands between this host and the server, and so comes before the usual contact.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Intermediary {
    None,
    /// The connection that failed was to the web proxy.
    ProxyEndpoint,
    /// The session that failed went through the web proxy.
    ProxyTunnel,
    /// No certificate proves that the response is the login server's.
    UnprovenPeer,
}

impl Intermediary {
    fn of(report: &Report, layer: LayerName) -> Self {
        match layer {
            LayerName::Tcp if report.proxied() => Self::ProxyEndpoint,
            LayerName::Tls if report.proxied() => Self::ProxyTunnel,
            LayerName::Http | LayerName::Page if report.answered_by() != AnsweredBy::Origin => {
                Self::UnprovenPeer
            }
            _ => Self::None,
        }
    }
}

/// The advice for a failed report, with its values. It sends nobody to the Hotline for a response
/// that a proxy or an interceptor may have sent.
pub fn of_report(report: &Report) -> Option<Advice> {
    let reason = report.verdict.reason()?;
    let values = Values::of(report, Some(reason));
    Some(advice(
        reason,
        Intermediary::of(report, reason.layer()),
        &values,
    ))
}

/// Whom [`of_report`] names.
pub fn contact(report: &Report) -> Option<Contact> {
    let reason = report.verdict.reason()?;
    Some(Contact::of(
        reason,
        Intermediary::of(report, reason.layer()),
    ))
}

/// The advice for a finding of this report, with its values.
pub fn of_finding_in(report: &Report, finding: Finding) -> Advice {
    findings::advice(finding, &Values::of(report, None))
}

/// The generic advice for a reason.
pub fn of_reason(reason: Reason) -> Advice {
    advice(reason, Intermediary::None, &Values::default())
}

/// The generic advice for a finding.
pub fn of_finding(finding: Finding) -> Advice {
    findings::advice(finding, &Values::default())
}

fn advice(reason: Reason, intermediary: Intermediary, values: &Values) -> Advice {
    Advice {
        meaning: values::capitalized(meaning::meaning(reason, values)),
        contact: Contact::of(reason, intermediary),
        action: action::action(reason, intermediary, values),
        information_to_provide: action::information_to_provide(reason),
    }
}
