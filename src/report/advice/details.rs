//! The details to send with a request for help: what the exporter knows, as labelled lines.

use std::fmt::{self, Display};
use std::net::SocketAddr;

use serde::Serialize;

use super::super::{DnsFacts, Handshake, Hop, HttpFacts, LayerName, PageFacts, Report};
use super::values::{self, Advised, date, instant};

/// One line of the block: `Source: 10.20.0.5`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detail {
    pub label: &'static str,
    pub value: String,
}

impl Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.label, self.value)
    }
}

/// What the contact needs to know of this report, ready to copy and send. Empty if the report has
/// neither a failure nor a finding.
pub fn details_to_send(report: &Report) -> Vec<Detail> {
    let reason = report.verdict.reason();
    let finding = report.findings.first().map(|found| found.finding);
    let advised = reason
        .map(Advised::Reason)
        .or(finding.map(Advised::Finding));
    let mut details = Details(Vec::new());
    let (Some(advised), hop) = (advised, report.hops.last()) else {
        return details.0;
    };
    if let Some(hop) = hop {
        details.connection(hop, advised);
    }
    details.add("URL", [&report.url]);
    details.add("Time", [instant(report.started)]);
    details.add("Site", &report.site);
    details.add("Reason", reason);
    let findings = report.findings.iter();
    details.add(
        "Finding",
        findings.map(|found| format!("{}: {}", found.finding, found.detail)),
    );
    if let Some(hop) = hop {
        if let Some(facts) = hop.dns.facts()
            && reason.is_some_and(|reason| reason.layer() == LayerName::Dns)
        {
            details.dns(facts);
        }
        if let Some(facts) = hop.proxy.facts() {
            details.add("Proxy", [&facts.proxy]);
            details.add(
                "Proxy answer",
                facts.attempts.iter().filter_map(|one| one.detail.as_ref()),
            );
        }
        if let Some(handshake) = values::handshake(hop, advised) {
            details.add("Server name", [&hop.host]);
            details.certificate(handshake);
        }
        let redirects = report.hops.iter().skip(1);
        details.add("Redirect", redirects.map(|hop| &hop.url));
        if let Some(facts) = hop.http.facts() {
            details.response(facts);
        }
    }
    if let Some(facts) = report.page.facts() {
        details.page(facts);
    }
    details.0
}

struct Details(Vec<Detail>);

impl Details {
    /// A line for each value.
    fn add(&mut self, label: &'static str, values: impl IntoIterator<Item = impl Display>) {
        let values = values.into_iter().map(|value| value.to_string());
        self.0.extend(values.map(|value| Detail { label, value }));
    }

    /// The connections that failed, else the one in use.
    fn connection(&mut self, hop: &Hop, advised: Advised) {
        let attempts = values::attempts(hop, advised);
        let mut sources: Vec<_> = attempts.iter().filter_map(|one| one.source).collect();
        sources.dedup();
        self.add("Source", sources);
        if let Some(tcp) = hop.tcp.facts() {
            let endpoints = attempts
                .iter()
                .map(|one| SocketAddr::new(one.address, tcp.port));
            self.add("Destination", endpoints);
        }
    }

    fn dns(&mut self, facts: &DnsFacts) {
        self.add("Resolution", [&facts.resolution.route]);
        self.add("Resolved to", &facts.resolution.addresses);
        self.add("Resolver error", &facts.resolution.detail);
        self.add(
            "Resolver",
            facts.lookups.iter().map(|lookup| {
                let record: &str = lookup.record.into();
                let rcode = lookup.rcode.as_deref().unwrap_or("no answer");
                match lookup.failure {
                    Some(failure) => format!("{} {record}: {failure} ({rcode})", lookup.resolver),
                    None => format!("{} {record}: {rcode}", lookup.resolver),
                }
            }),
        );
        let sessions = facts
            .lookups
            .iter()
            .find_map(|lookup| lookup.session.as_ref());
        if let Some(session) = sessions {
            self.certificate(session);
        }
    }

    fn certificate(&mut self, handshake: &Handshake) {
        if let Some(leaf) = handshake.chain.first() {
            self.add("Certificate", [&leaf.subject]);
            self.add("Issuer", [&leaf.issuer]);
            let (from, until) = (date(leaf.not_before), date(leaf.not_after));
            self.add("Valid", [format!("{from} to {until}")]);
            self.add("Names", [leaf.names.join(", ")]);
            self.add("Key", [format!("{}, {}", leaf.key, leaf.pin)]);
            self.add("SHA-256", [&leaf.fingerprint_sha256]);
        }
        self.add("TLS error", &handshake.detail);
    }

    fn response(&mut self, facts: &HttpFacts) {
        self.add("Status", facts.status);
        self.add("Answered by", [facts.answered_by.phrase()]);
        self.add("Location", &facts.location);
        self.add(
            "Retry after",
            facts
                .retry_after
                .map(|wait| format!("{} s", wait.as_secs())),
        );
        self.add("Received", [format!("{} bytes", facts.body_bytes)]);
        self.add("Title", &facts.title);
        self.add("HTTP error", &facts.detail);
    }

    fn page(&mut self, facts: &PageFacts) {
        self.add("Title", &facts.title);
        self.add("Form fields", [facts.form_fields.join(", ")]);
        self.add("Failed check", facts.failed_checks());
    }
}
