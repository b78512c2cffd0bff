//! The details to send with a request for help: what the exporter knows, as labelled lines.

use std::fmt;

use serde::Serialize;

use super::super::{Hop, LayerName, Reason, Report};
use super::values::{self, Values, date, instant};

/// One line of the block: `Source: 10.20.0.5`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detail {
    pub label: &'static str,
    pub value: String,
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.label, self.value)
    }
}

/// What the contact needs to know of this report, ready to copy and send.
pub fn details_to_send(report: &Report) -> Vec<Detail> {
    let reason = report.verdict.reason();
    let mut details = Details(Vec::new());
    if let Some(hop) = report.hops.last() {
        details.connection(hop, reason);
    }
    details.add("URL", &report.url);
    details.add("Time", instant(report.started));
    details.add_optional("Site", report.site.as_ref());
    details.add_optional("Reason", reason);
    for found in &report.findings {
        details.add("Finding", format!("{}: {}", found.finding, found.detail));
    }
    if let Some(hop) = report.hops.last() {
        details.hop(hop, report, reason);
    }
    details.page(report);
    details.0
}

struct Details(Vec<Detail>);

impl Details {
    fn add(&mut self, label: &'static str, value: impl ToString) {
        let value = value.to_string();
        self.0.push(Detail { label, value });
    }

    fn add_optional(&mut self, label: &'static str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.add(label, value);
        }
    }

    /// Sources and destinations of the connections that failed, else of the one in use.
    fn connection(&mut self, hop: &Hop, reason: Option<Reason>) {
        let attempts = values::attempts(hop, reason);
        let mut sources: Vec<_> = attempts.iter().filter_map(|one| one.source).collect();
        sources.dedup();
        for source in sources {
            self.add("Source", source);
        }
        let port = hop.tcp.facts().map_or(0, |facts| facts.port);
        for attempt in attempts {
            let destination = std::net::SocketAddr::new(attempt.address, port);
            self.add("Destination", destination);
        }
    }

    fn hop(&mut self, hop: &Hop, report: &Report, reason: Option<Reason>) {
        let layer = reason.map(Reason::layer);
        if layer == Some(LayerName::Dns)
            && let Some(facts) = hop.dns.facts()
        {
            if !report.proxied() {
                self.add("Name", &hop.host);
            }
            for lookup in &facts.lookups {
                let outcome = match (lookup.failure, &lookup.rcode) {
                    (Some(failure), Some(rcode)) => format!("{failure}, {rcode}"),
                    (Some(failure), None) => failure.to_string(),
                    (None, _) if lookup.answers.is_empty() => "no address".to_owned(),
                    (None, _) => values::listed(&lookup.answers),
                };
                let record: &str = lookup.record.into();
                self.add(
                    "Resolver",
                    format!("{} {record}: {outcome}", lookup.resolver),
                );
            }
            self.add_optional("Error", facts.resolution.detail.as_ref());
        }
        if let Some(facts) = hop.proxy.facts() {
            self.add("Proxy", &facts.proxy);
            for attempt in facts.attempts.iter().filter(|one| one.failure.is_some()) {
                self.add_optional("Proxy answer", attempt.detail.as_ref());
            }
        }
        if let Some(handshake) = values::handshake(hop, reason) {
            self.add("Server name", &hop.host);
            if let Some(leaf) = handshake.chain.first() {
                self.add("Certificate", &leaf.subject);
                self.add("Issuer", &leaf.issuer);
                let (from, until) = (date(leaf.not_before), date(leaf.not_after));
                self.add("Valid", format!("{from} to {until}"));
                self.add("Names", leaf.names.join(", "));
                self.add("Key", format!("{}, {}", leaf.key, leaf.pin));
                self.add("SHA-256", &leaf.fingerprint_sha256);
            }
            self.add_optional("TLS error", handshake.detail.as_ref());
        }
        if let Some(facts) = hop.http.facts() {
            self.add_optional("Status", Values::of(report, reason).status_line());
            self.add("Answered by", <&str>::from(facts.answered_by));
            self.add_optional(
                "Retry after",
                facts
                    .retry_after
                    .map(|wait| format!("{} s", wait.as_secs())),
            );
            self.add_optional("Title", facts.title.as_ref());
            self.add_optional("HTTP error", facts.detail.as_ref());
            for hop in report.hops.iter().skip(1) {
                self.add("Redirect", &hop.url);
            }
            self.add_optional("Redirect", facts.location.as_ref());
            if layer == Some(LayerName::Http) {
                self.add("Received", format!("{} bytes", facts.body_bytes));
            }
        }
    }

    fn page(&mut self, report: &Report) {
        let Some(facts) = report.page.facts() else {
            return;
        };
        self.add_optional("Title", facts.title.as_ref());
        self.add("Form fields", facts.form_fields.join(", "));
        let failed: Vec<&str> = facts.failed_checks().collect();
        if !failed.is_empty() {
            self.add("Failed checks", failed.join(", "));
        }
    }
}
