//! Reports for a person at a terminal of 100 columns or in a pipe.

use std::sync::Arc;

use super::facts;
use super::overview;
use super::page::{BAD, FACTS, FAINT, GOOD, Page, STRONG, WARN, instant, span};
use crate::config::Contacts;
use crate::report::advice::{self, Contact};
use crate::report::caveats::{caveats, manual_step};
use crate::report::history::{SavedState, TargetHistory};
use crate::report::overview::Overview;
use crate::report::{Expectation, Hop, Layer, PageVerdict, Report, Verdict};

/// The reports, one below the other, each set against what is remembered of its target.
pub fn reports(reports: &[&Report], contacts: &Contacts, memory: &SavedState) -> String {
    let mut page = Page::default();
    for (index, report) in reports.iter().enumerate() {
        if index > 0 {
            page.line("");
        }
        let history = memory.of(&report.target, &report.url);
        page.report(report, contacts, history.map(Arc::as_ref));
    }
    for (index, (word, text)) in overview::sentences(&Overview::of(reports.iter().copied()))
        .iter()
        .enumerate()
    {
        if index == 0 {
            page.line(&format!("\n{STRONG}Together{STRONG:#}"));
        }
        page.labelled(word, text);
    }
    page.0
}

impl Page {
    fn report(&mut self, report: &Report, contacts: &Contacts, history: Option<&TargetHistory>) {
        self.heading(report);
        let several = report.hops.len() > 1;
        for (index, hop) in report.hops.iter().enumerate() {
            if several {
                let word = if index == 0 { "asked" } else { "redirected to" };
                self.line(&format!("\n  {FAINT}{word}{FAINT:#} {}", hop.url));
            }
            self.hop(hop);
        }
        self.page_layer(report);
        self.line("");
        self.advice(report, contacts);
        if let Some(history) = history {
            self.changes(report, history);
        }
        self.findings(report, contacts);
        self.limits(report);
    }

    fn heading(&mut self, report: &Report) {
        let verdict = match (report.verdict, report.expect) {
            (Verdict::Failed { layer, .. }, _) => {
                format!("{BAD}FAILS at {}{BAD:#}", layer.into_str())
            }
            (Verdict::Good { .. }, Expectation::Unreachable) => {
                format!("{GOOD}CLOSED, as it should be{GOOD:#}")
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
        self.line(&format!("{name}{}  {verdict}", report.url));
        let mut about = vec![instant(report.started)];
        if let Some(site) = &report.site {
            about.push(format!("site {site}"));
        }
        about.push(format!("module {}", report.module));
        about.push(format!(
            "{} of at most {}",
            span(report.duration),
            span(report.timeout)
        ));
        self.line(&format!("{FAINT}{}{FAINT:#}", about.join(" · ")));
        self.line("");
    }

    /// The first line of a layer: its name, state and time, and the first fact beside it.
    fn layer<F>(&mut self, name: &str, layer: &Layer<F>, facts: Vec<String>) {
        let mut facts = facts.into_iter();
        let (style, state, time) = match layer {
            Layer::NotReached => (FAINT, "not reached", String::new()),
            Layer::NotApplicable => (FAINT, "not needed", String::new()),
            Layer::Done(ran) => match ran.failure {
                None => (GOOD, "good", span(ran.duration)),
                Some(_) => (BAD, "FAILS", span(ran.duration)),
            },
        };
        let first = facts.next().unwrap_or_default();
        let time_width = FACTS - 2 - 6 - 6 - 2;
        self.columns_of_facts(
            &format!("  {name:<6}{style}{state:<6}{style:#}{time:>time_width$}  "),
            &first,
        );
        for fact in facts {
            self.fact(&fact);
        }
    }

    fn hop(&mut self, hop: &Hop) {
        let failure = hop.dns.ran().and_then(|ran| ran.failure);
        let facts = hop.dns.facts().map(|facts| facts::dns(facts, failure));
        self.layer("dns", &hop.dns, facts.unwrap_or_default());
        self.layer(
            "tcp",
            &hop.tcp,
            hop.tcp.facts().map(facts::tcp).unwrap_or_default(),
        );
        if !matches!(hop.proxy, Layer::NotApplicable) {
            let facts = hop.proxy.facts().map(facts::proxy);
            self.layer("proxy", &hop.proxy, facts.unwrap_or_default());
        }
        self.layer(
            "tls",
            &hop.tls,
            hop.tls.facts().map(facts::tls).unwrap_or_default(),
        );
        let failure = hop.http.ran().and_then(|ran| ran.failure);
        let facts = hop.http.facts().map(|facts| facts::http(facts, failure));
        self.layer("http", &hop.http, facts.unwrap_or_default());
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
                self.layer("page", layer, facts.unwrap_or_default());
            }
        }
    }

    fn advice(&mut self, report: &Report, contacts: &Contacts) {
        let (Some(reason), Some(advice)) = (report.verdict.reason(), advice::of_report(report))
        else {
            return;
        };
        self.labelled("Why", &format!("{}: {}", reason.into_str(), advice.meaning));
        self.labelled("Ask", &whom(advice.contact, contacts));
        self.labelled("Do", &advice.action);
        if let Some(information) = advice.information_to_provide {
            self.labelled("Provide", information);
        }
        for (index, detail) in advice::details_to_send(report).iter().enumerate() {
            let label = if index == 0 { "Details" } else { "" };
            self.labelled(label, &detail.to_string());
        }
        self.line("");
    }

    /// When it was last good, and what is not as it was then.
    fn changes(&mut self, report: &Report, history: &TargetHistory) {
        let (Some(good), false) = (&history.last_good, report.verdict.is_good()) else {
            return;
        };
        self.labelled("Last good", &instant(good.at));
        let changes = history.diff(report);
        for change in &changes {
            let text = format!(
                "{}: {} then, {} now",
                change.fact.words(),
                change.before,
                change.now
            );
            self.labelled("Changed", &text);
        }
        if changes.is_empty() {
            self.labelled(
                "Changed",
                "nothing of issuer, key and addresses, as far as was seen",
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
                    whom(advice.contact, contacts),
                    advice.action
                ),
            );
        }
        if !report.findings.is_empty() {
            self.line("");
        }
    }

    fn limits(&mut self, report: &Report) {
        for (index, text) in caveats(report).iter().enumerate() {
            self.labelled(if index == 0 { "Not seen" } else { "" }, text);
        }
        self.labelled("By hand", &manual_step(report));
    }
}

/// Whom to ask, by the configuration's name and number where it has one.
pub(super) fn whom(contact: Contact, contacts: &Contacts) -> String {
    match contacts.of(contact) {
        Some(text) if contact == Contact::Hkex => text.to_owned(),
        Some(text) => format!("{} ({text})", contact.team()),
        None => contact.team().to_owned(),
    }
}
