//! Reports as text for a terminal.

use std::sync::Arc;

use super::facts;
use super::layer_name;
use super::overview;
use super::page::{BAD, FACTS, FAINT, GOOD, Page, STRONG, WARN, Width, format_duration, instant};
use crate::config::Contacts;
use crate::report::advice::{self, Contact};
use crate::report::caveats::{caveats, manual_step};
use crate::report::history::{SavedState, TargetHistory};
use crate::report::overview::Overview;
use crate::report::{Expectation, Hop, HopKind, Layer, LayerName, PageVerdict, Report, Verdict};

/// The last line of `verify` without a configuration file.
pub const NO_CONFIGURATION: &str = "\nNo configuration file is in use: `ccass-2fa-exporter init` writes one with \
                                    what a probe learns.\n";

/// One line for scripts: `OK sso=ok`, or `FAILED sso=tcp_timed_out backup=ok`.
pub fn one_line(reports: &[&Report], is_good: bool) -> String {
    let mut line = if is_good { "OK" } else { "FAILED" }.to_owned();
    for report in reports {
        let state = report
            .verdict
            .reason()
            .map_or("ok", |reason| reason.into_str());
        line.push_str(&format!(" {}={state}", report.target));
    }
    line + "\n"
}

/// The reports, one below the other, each compared with its target's history.
pub fn reports(
    reports: &[&Report],
    contacts: &Contacts,
    memory: &SavedState,
    width: Width,
) -> String {
    let mut page = Page::new(width);
    for (index, report) in reports.iter().enumerate() {
        if index > 0 {
            page.line("");
        }
        let history = memory.of(&report.target, &report.url);
        page.report(report, contacts, history.map(Arc::as_ref));
    }
    for (index, (label, text)) in overview::sentences(&Overview::of(reports.iter().copied()))
        .iter()
        .enumerate()
    {
        if index == 0 {
            page.line(&format!("\n{STRONG}Summary{STRONG:#}"));
        }
        page.labelled(label, text);
    }
    page.text
}

impl Page {
    fn report(&mut self, report: &Report, contacts: &Contacts, history: Option<&TargetHistory>) {
        self.heading(report);
        let several = report.hops.len() > 1;
        for (index, hop) in report.hops.iter().enumerate() {
            if several {
                let label = match hop.kind {
                    _ if index == 0 => "request",
                    Some(HopKind::MetaRefresh | HopKind::RefreshHeader) => "refreshed to",
                    Some(HopKind::Redirect) | None => "redirected to",
                };
                self.line(&format!("\n  {FAINT}{label}{FAINT:#} {}", hop.url));
            }
            self.hop(hop);
        }
        self.page_layer(report);
        self.line("");
        self.advice(report, contacts);
        if let Some(history) = history {
            self.changes(report, history);
            if let Some(text) = facts::failing_addresses(history, report.started) {
                self.labelled("Addresses", &text);
                self.line("");
            }
        }
        if let Some(check) = &report.browser {
            self.browser(report, check);
        }
        self.findings(report, contacts);
        self.caveats(report);
    }

    fn heading(&mut self, report: &Report) {
        let verdict = match (report.verdict, report.expect) {
            (Verdict::Failed { layer, .. }, _) => {
                format!("{BAD}FAILED at {}{BAD:#}", layer_name(layer))
            }
            (Verdict::Good { .. }, Expectation::Unreachable) => {
                format!("{GOOD}CLOSED as expected{GOOD:#}")
            }
            (Verdict::Good { page }, Expectation::Reachable) => match page {
                PageVerdict::Checked => format!("{GOOD}REACHED, page checked{GOOD:#}"),
                PageVerdict::Unchecked => {
                    format!("{GOOD}REACHED{GOOD:#}, {WARN}page not checked{WARN:#}")
                }
            },
        };
        let name = if report.target == report.url {
            String::new()
        } else {
            format!("{STRONG}{}{STRONG:#}  ", report.target)
        };
        self.hanging(&format!("{name}{}  {verdict}", report.url));
        let mut about = vec![instant(report.started)];
        if let Some(site) = &report.site {
            about.push(format!("site {site}"));
        }
        about.push(format!("module {}", report.module));
        about.push(format!(
            "{}, timeout {}",
            format_duration(report.duration),
            format_duration(report.timeout)
        ));
        self.hanging(&format!("{FAINT}{}{FAINT:#}", about.join(" · ")));
        self.line("");
    }

    /// A layer: its name, state, duration and facts.
    fn layer<F>(&mut self, name: LayerName, layer: &Layer<F>, facts: Vec<String>) {
        let mut facts = facts.into_iter();
        let (style, state, time) = match layer {
            Layer::NotReached => (FAINT, "not tried", String::new()),
            Layer::NotApplicable => (FAINT, "n/a", String::new()),
            Layer::Done(result) => match result.failure {
                None => (GOOD, "OK", format_duration(result.duration)),
                Some(_) => (BAD, "FAILED", format_duration(result.duration)),
            },
        };
        let first = facts.next().unwrap_or_default();
        let time_width = FACTS - 2 - 6 - 7 - 2;
        self.fact_after(
            &format!(
                "  {:<6}{style}{state:<7}{style:#}{time:>time_width$}  ",
                layer_name(name)
            ),
            &first,
        );
        for fact in facts {
            self.fact(&fact);
        }
    }

    fn hop(&mut self, hop: &Hop) {
        let failure = hop.dns.ran().and_then(|ran| ran.failure);
        let facts = hop.dns.facts().map(|facts| facts::dns(facts, failure));
        self.layer(LayerName::Dns, &hop.dns, facts.unwrap_or_default());
        self.layer(
            LayerName::Tcp,
            &hop.tcp,
            hop.tcp.facts().map(facts::tcp).unwrap_or_default(),
        );
        if !matches!(hop.proxy, Layer::NotApplicable) {
            let facts = hop.proxy.facts().map(facts::proxy);
            self.layer(LayerName::Proxy, &hop.proxy, facts.unwrap_or_default());
        }
        self.layer(
            LayerName::Tls,
            &hop.tls,
            hop.tls.facts().map(facts::tls).unwrap_or_default(),
        );
        let failure = hop.http.ran().and_then(|ran| ran.failure);
        let facts = hop.http.facts().map(|facts| facts::http(facts, failure));
        self.layer(LayerName::Http, &hop.http, facts.unwrap_or_default());
    }

    fn page_layer(&mut self, report: &Report) {
        match &report.page {
            Layer::Done(ran) if ran.facts.checks.is_empty() => {
                let mut facts = facts::page(&ran.facts, None).into_iter();
                let first = facts.next().unwrap_or_default();
                self.line(&format!(
                    "  page  {WARN}{:<16}{WARN:#}{first}",
                    "not configured"
                ));
                for fact in facts {
                    self.fact(&fact);
                }
            }
            layer => {
                let failure = layer.ran().and_then(|ran| ran.failure);
                let facts = layer.facts().map(|facts| facts::page(facts, failure));
                self.layer(LayerName::Page, layer, facts.unwrap_or_default());
            }
        }
    }

    fn advice(&mut self, report: &Report, contacts: &Contacts) {
        let (Some(reason), Some(advice)) = (report.verdict.reason(), advice::of_report(report))
        else {
            return;
        };
        self.labelled("Why", &format!("{}: {}", reason.into_str(), advice.meaning));
        self.labelled("Contact", &contact_name(advice.contact, contacts));
        self.labelled("Action", &advice.action);
        if let Some(information) = advice.information_to_provide {
            self.labelled("Provide", information);
        }
        for (index, detail) in advice::details_to_send(report).iter().enumerate() {
            let label = if index == 0 { "Send" } else { "" };
            self.labelled(label, &detail.to_string());
        }
        self.line("");
    }

    /// The last success, and what differs from it.
    fn changes(&mut self, report: &Report, history: &TargetHistory) {
        let (Some(last_success), false) = (&history.last_good, report.verdict.is_good()) else {
            return;
        };
        self.labelled("Last OK", &instant(last_success.at));
        let changes = history.diff(report);
        for change in &changes {
            let text = format!(
                "{}: {} before, {} now",
                change.fact.title(),
                change.before,
                change.now
            );
            self.labelled("Changed", &text);
        }
        if changes.is_empty() {
            self.labelled(
                "Changed",
                "same certificate, issuer, key and addresses as then, as far as this probe got",
            );
        }
        self.line("");
    }

    fn findings(&mut self, report: &Report, contacts: &Contacts) {
        for found in &report.findings {
            let advice = advice::of_finding_in(report, found.finding);
            self.labelled(
                "Finding",
                &format!(
                    "{}: {}. {} Contact {}. {}",
                    found.finding.into_str(),
                    found.detail,
                    advice.meaning,
                    contact_name(advice.contact, contacts),
                    advice.action
                ),
            );
        }
        if !report.findings.is_empty() {
            self.line("");
        }
    }

    fn caveats(&mut self, report: &Report) {
        for (index, text) in caveats(report).iter().enumerate() {
            self.labelled(if index == 0 { "Not seen" } else { "" }, text);
        }
        self.labelled("Manual", &manual_step(report));
    }
}

/// The contact, with the configured name and number if there is one.
pub(super) fn contact_name(contact: Contact, contacts: &Contacts) -> String {
    match contacts.of(contact) {
        Some(text) if contact == Contact::Hkex => text.to_owned(),
        Some(text) => format!("{} ({text})", contact.team()),
        None => contact.team().to_owned(),
    }
}
