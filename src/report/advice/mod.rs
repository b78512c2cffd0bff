//! Advice: what a failure or a finding means, the team to contact, and what to do.
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
use values::{Advised, Values};
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
    /// The certificate that is outside its dates is a root of this host or of `ca_file`.
    OwnRoot,
}

impl Intermediary {
    fn of(report: &Report, layer: LayerName) -> Self {
        let handshakes = report.hops.last().and_then(|hop| hop.tls.facts());
        let handshake = handshakes.and_then(|facts| facts.representative());
        let outside_dates = handshake.and_then(|one| one.outside_dates.as_ref());
        match layer {
            LayerName::Tls if outside_dates.is_some_and(|one| one.is_root) => Self::OwnRoot,
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
    let values = Values::of(report, Advised::Reason(reason));
    Some(advice(
        reason,
        Intermediary::of(report, reason.layer()),
        &values,
    ))
}

/// The contact that [`of_report`] names.
pub fn contact(report: &Report) -> Option<Contact> {
    let reason = report.verdict.reason()?;
    Some(Contact::of(
        reason,
        Intermediary::of(report, reason.layer()),
    ))
}

/// The advice for a finding of this report, with its values.
pub fn of_finding_in(report: &Report, finding: Finding) -> Advice {
    findings::advice(finding, &Values::of(report, Advised::Finding(finding)))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{
        AddressAttempt, Hop, HttpFacts, Layer, LayerResult, ProxyAttempt, ProxyFacts, TcpFacts,
        example,
    };
    use super::*;

    fn done<F>(facts: F, failure: Option<Reason>) -> Layer<F> {
        Layer::Done(LayerResult {
            duration: Duration::ZERO,
            failure,
            facts,
        })
    }

    fn failed(reason: Reason, change: impl FnOnce(&mut Hop)) -> Report {
        let started = "2026-11-24T00:45:22Z".parse().unwrap();
        let mut report = example(started, Some(reason));
        let mut hop = Hop {
            url: report.url.clone(),
            host: "sso.lab.test".to_owned(),
            ..Hop::default()
        };
        let attempt = AddressAttempt {
            address: "203.0.113.20".parse().unwrap(),
            source: "10.20.0.5".parse().ok(),
            duration: Duration::ZERO,
            failure: Some(reason).filter(|reason| reason.layer() == LayerName::Tcp),
            not_tried: false,
        };
        let failure = attempt.failure;
        let tcp = TcpFacts {
            port: 443,
            addresses: vec![attempt],
            addresses_skipped: 0,
        };
        hop.tcp = done(tcp, failure);
        hop.proxy = Layer::NotApplicable;
        change(&mut hop);
        report.hops.push(hop);
        report
    }

    fn response(status: u16, answered_by: AnsweredBy) -> Layer<HttpFacts> {
        let facts = HttpFacts {
            answered_by,
            status: Some(status),
            ..HttpFacts::default()
        };
        done(facts, Some(Reason::HttpStatus))
    }

    #[test]
    fn action_names_the_connection() {
        let report = failed(Reason::TcpTimedOut, |_| {});
        let advice = of_report(&report).unwrap();
        assert_eq!(
            advice.action,
            "Ask the firewall team to allow TCP 443 from 10.20.0.5 to 203.0.113.20, and to check the \
             route (Internet, SDNet/2 or HSN) and the address translation."
        );
        let meaning = "203.0.113.20:443 did not answer the connection from 10.20.0.5. ";
        assert!(advice.meaning.starts_with(meaning), "{}", advice.meaning);
        let details: Vec<String> = details_to_send(&report)
            .iter()
            .map(Detail::to_string)
            .collect();
        assert_eq!(
            details,
            [
                "Source: 10.20.0.5",
                "Destination: 203.0.113.20:443",
                "URL: https://sso.lab.test/",
                "Time: 2026-11-24 08:45:22 HKT",
                "Reason: tcp_timed_out"
            ]
        );
    }

    #[test]
    fn status_comes_first_and_its_sender_decides_the_contact() {
        let of = |answered_by| {
            let report = failed(Reason::HttpStatus, |hop| {
                hop.http = response(503, answered_by);
            });
            of_report(&report).unwrap()
        };
        let advice = of(AnsweredBy::Origin);
        assert_eq!(advice.contact, Contact::Hkex);
        assert_eq!(
            advice.meaning,
            "The server at 203.0.113.20 answered 503 Service Unavailable instead of the login page. \
             Usually that is an incident or maintenance."
        );
        for answered_by in [
            AnsweredBy::Interceptor,
            AnsweredBy::Proxy,
            AnsweredBy::Unknown,
        ] {
            let advice = of(answered_by);
            assert_eq!(advice.contact, Contact::Security);
            assert!(
                advice
                    .action
                    .starts_with("Ask the security team which device answered")
            );
            assert!(
                advice
                    .meaning
                    .starts_with("The host at 203.0.113.20 answered 503")
            );
        }
    }

    #[test]
    fn proxy_team_comes_first_for_connections_through_a_proxy() {
        let report = failed(Reason::TcpRefused, |hop| hop.proxy = Layer::NotReached);
        let advice = of_report(&report).unwrap();
        assert_eq!(advice.contact, Contact::Proxy);
        assert_eq!(
            advice.action,
            "Ask the web-proxy team whether the web proxy accepts connections on 203.0.113.20:443. \
             If it does, ask the firewall team to allow TCP 443 from 10.20.0.5 to 203.0.113.20."
        );
        let report = failed(Reason::TlsReset, |hop| {
            let attempt = ProxyAttempt {
                address: "203.0.113.20".parse().unwrap(),
                duration: Duration::ZERO,
                failure: None,
                status: None,
                detail: None,
                auth_schemes: Vec::new(),
            };
            let facts = ProxyFacts {
                proxy: "http://proxy.lab.test:3128".to_owned(),
                attempts: vec![attempt],
            };
            hop.proxy = done(facts, None);
        });
        let advice = of_report(&report).unwrap();
        assert_eq!(advice.contact, Contact::Proxy);
        let first = "Ask the web-proxy team first whether the web proxy http://proxy.lab.test:3128 \
                     inspects or filters TLS from 10.20.0.5 to sso.lab.test. If it does not: Ask the \
                     firewall team";
        assert!(advice.action.starts_with(first), "{}", advice.action);
    }

    #[test]
    fn generic_advice_has_complete_sentences() {
        let reasons = Reason::ALL.iter().map(|reason| of_reason(*reason));
        let findings = Finding::ALL.iter().map(|finding| of_finding(*finding));
        for advice in reasons.chain(findings) {
            for text in [&advice.meaning, &advice.action] {
                assert!(text.starts_with(char::is_uppercase), "{text}");
                assert!(text.ends_with('.'), "{text}");
                for fault in ["  ", " ,", " .", "()", "..", "the the"] {
                    assert!(!text.contains(fault), "{text}");
                }
            }
        }
    }
}
