//! Advice: what a failure or a finding means, whom to contact, and what to do.
//!
//! Input is a [`Report`], or a bare [`Reason`] or [`Finding`], which gives the generic form with
//! placeholders ("this host") that `docs/reasons.md` shows. The matches are exhaustive: a reason
//! without advice does not compile. Contact names and numbers come from the configuration.

mod action;
mod details;
mod findings;
mod meaning;
mod values;

use serde::Serialize;
use strum::IntoStaticStr;

use super::{AnsweredBy, Finding, LayerName, Reason, Report};
pub use details::{Detail, details_to_send};
use values::Values;
pub use values::{date, instant};

/// Who can repair a failure. The configuration's `contacts` has their names and numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Contact {
    Dns,
    Firewall,
    Proxy,
    Security,
    Desk,
    Hkex,
}

impl Contact {
    /// The team's name, as the reader of a report would say it.
    pub fn team(self) -> &'static str {
        match self {
            Self::Dns => "your DNS team",
            Self::Firewall => "your firewall team",
            Self::Proxy => "your web-proxy team",
            Self::Security => "your security team",
            Self::Desk => "the administrator of this host",
            Self::Hkex => "the CCASS Hotline",
        }
    }
}

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
    pub information_to_provide: Option<String>,
}

/// The advice for a failed report, with its values. It sends nobody to the Hotline for a response
/// that a proxy or an interceptor may have sent.
pub fn of_report(report: &Report) -> Option<Advice> {
    let reason = report.verdict.reason()?;
    let values = Values::of(report, Some(reason));
    let advice = for_reason(reason, &values);
    let layer = reason.layer();
    if report.proxied() && layer == LayerName::Tcp {
        return Some(action::on_the_way_to_proxy(advice, &values));
    }
    if report.proxied() && layer == LayerName::Tls {
        return Some(action::behind_proxy(advice, &values));
    }
    if advice.contact == Contact::Hkex
        && matches!(layer, LayerName::Http | LayerName::Page)
        && report.answered_by() != AnsweredBy::Origin
    {
        return Some(action::unproven_peer(advice, &values));
    }
    Some(advice)
}

/// The advice for a finding of this report, with its values.
pub fn of_finding_in(report: &Report, finding: Finding) -> Advice {
    findings::advice(finding, &Values::of(report, None))
}

/// The generic advice for a reason.
pub fn of_reason(reason: Reason) -> Advice {
    for_reason(reason, &Values::default())
}

/// The generic advice for a finding.
pub fn of_finding(finding: Finding) -> Advice {
    findings::advice(finding, &Values::default())
}

fn for_reason(reason: Reason, values: &Values) -> Advice {
    let (contact, action) = action::action(reason, values);
    Advice {
        meaning: values::capitalized(meaning::meaning(reason, values)),
        contact,
        action,
        information_to_provide: action::information_to_provide(reason, values),
    }
}
