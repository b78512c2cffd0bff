//! One target on the status page: layers, hops, the resolvers by address, the chain, transitions.

use std::collections::BTreeMap;
use std::net::IpAddr;

use maud::{Markup, html};

use super::super::facts;
use super::super::page::{instant, span};
use super::super::text::whom;
use super::{SHOWN_WHOLE, StatusPage, rough, scrolling, state};
use crate::config::Target;
use crate::report::advice;
use crate::report::limits::{manual_step, not_checked};
use crate::report::memory::{Known, Remembered};
use crate::report::{Hop, Layer, Lookup, Reason, Report};

/// Of the newest transitions.
const MAX_SHOWN: usize = 10;

impl StatusPage<'_> {
    /// The target as far as it is known, folded where there are many good ones.
    pub(super) fn target(&self, target: &Target, known: &Known) -> Markup {
        let report = known.tally.latest.as_deref();
        let failing = report.is_some_and(|report| !report.verdict.is_good());
        let asked = self.opened == Some(target.name.as_str());
        let open = asked || failing || self.known.len() <= SHOWN_WHOLE;
        html! {
            details.card id=(target.name) open[open] {
                summary { h2 { (target.name) } " " (state(report)) }
                p { a href=(target.url) rel="noreferrer" { bdi { (target.url) } } }
                @match report {
                    None => p { "Not probed yet." },
                    Some(report) => { (self.report(report)) }
                }
                (self.transitions(target, &known.remembered))
            }
        }
    }

    fn report(&self, report: &Report) -> Markup {
        html! {
            @for (index, hop) in report.hops.iter().enumerate() {
                @if index > 0 {
                    h3 { "Redirected to " bdi { (hop.url) } }
                }
                (layers(hop, (index + 1 == report.hops.len()).then_some(report)))
            }
            @for hop in &report.hops {
                (matrix(hop))
            }
            @if !report.findings.is_empty() {
                h3 { "Findings" }
                dl {
                    @for found in &report.findings {
                        @let advice = advice::of_finding(found.finding);
                        dt { code { (found.finding.code()) } }
                        dd {
                            bdi { (found.detail) } ". " (advice.meaning)
                            " Ask " (whom(advice.ask, &self.config.contacts)) "."
                        }
                    }
                }
            }
            h3 { "Not seen from here" }
            ul { @for text in not_checked(report) { li { (text) } } }
            p { strong { "By hand: " } (manual_step(report)) }
        }
    }

    /// The newest first, so that a flap at 07:58 is seen at 08:05.
    fn transitions(&self, target: &Target, remembered: &Remembered) -> Markup {
        let newest = remembered.transitions.iter().rev().take(MAX_SHOWN);
        let ends = std::iter::once(self.now).chain(newest.clone().map(|one| one.at));
        html! {
            @if !remembered.transitions.is_empty() {
                h3 { "What happened" }
                ul.plain {
                    @for (one, end) in newest.zip(ends) {
                        li {
                            (instant(one.at)) ": "
                            @match one.failure {
                                None => span.state.good { "good" },
                                Some(reason) => span.state.bad { (reason.code()) },
                            }
                            ", for " (rough(end.duration_since(one.at).try_into().unwrap_or_default()))
                        }
                    }
                }
                p { a href={ "api/v1/history?target=" (target.name) } { "The whole history, as JSON" } }
            }
        }
    }
}

/// The layers of a hop, each with its time and what was seen; with the page's, where it ends there.
fn layers(hop: &Hop, report: Option<&Report>) -> Markup {
    let dns = hop.dns.ran().map(|ran| facts::dns(&ran.facts, ran.failure));
    let http = hop
        .http
        .ran()
        .map(|ran| facts::http(&ran.facts, ran.failure));
    scrolling(
        "Layers",
        html! {
            table.layers {
                thead { tr {
                    th scope="col" { "Layer" } th scope="col" { "State" }
                    th scope="col" { "Took" } th scope="col" { "What was seen" }
                } }
                tbody {
                    (row("dns", &hop.dns, dns))
                    (row("tcp", &hop.tcp, hop.tcp.facts().map(facts::tcp)))
                    @if !matches!(hop.proxy, Layer::NotNeeded) {
                        (row("proxy", &hop.proxy, hop.proxy.facts().map(facts::proxy)))
                    }
                    (row("tls", &hop.tls, hop.tls.facts().map(facts::tls)))
                    (row("http", &hop.http, http))
                    @if let Some(report) = report { (page_row(report)) }
                }
            }
        },
    )
}

/// The last row of the last hop's layers.
fn page_row(report: &Report) -> Markup {
    let lines = report.page.ran();
    let lines = lines.map(|ran| facts::page(&ran.facts, ran.failure));
    let facts = report.page.facts();
    html! {
        @if facts.is_some_and(|facts| facts.checks.is_empty()) {
            tr {
                th scope="row" { "page" }
                td { span.state.warn { "not configured" } }
                td {}
                td { (told(lines)) }
            }
        } @else {
            (row("page", &report.page, lines))
        }
    }
}

fn row<Facts>(name: &str, layer: &Layer<Facts>, lines: Option<Vec<String>>) -> Markup {
    let (class, words) = match layer {
        Layer::NotReached => ("faint", "not reached"),
        Layer::NotNeeded => ("faint", "not needed"),
        Layer::Ran(ran) if ran.failure.is_some() => ("bad", "fails"),
        Layer::Ran(_) => ("good", "good"),
    };
    html! {
        tr {
            th scope="row" { (name) }
            td { span.state.(class) { (words) } }
            td { @if let Some(ran) = layer.ran() { (span(ran.duration)) } }
            td { (told(lines)) }
        }
    }
}

/// The lines that `verify` shows, without its colours.
fn told(lines: Option<Vec<String>>) -> Markup {
    html! {
        ul.plain {
            @for line in lines.into_iter().flatten() {
                li { bdi { (anstream::adapter::strip_str(&line)) } }
            }
        }
    }
}

/// Which resolver gives which address, and whether that can be used.
fn matrix(hop: &Hop) -> Markup {
    let Some(dns) = hop.dns.facts().filter(|facts| !facts.lookups.is_empty()) else {
        return html! {};
    };
    let mut by_resolver: BTreeMap<&str, Vec<&Lookup>> = BTreeMap::new();
    for lookup in &dns.lookups {
        by_resolver
            .entry(&lookup.resolver)
            .or_default()
            .push(lookup);
    }
    let mut addresses: Vec<IpAddr> = dns.followed.addresses.clone();
    for lookup in &dns.lookups {
        for address in &lookup.answers {
            if !addresses.contains(address) {
                addresses.push(*address);
            }
        }
    }
    let tcp = |address: &IpAddr| {
        let facts = hop.tcp.facts()?;
        let one = facts.addresses.iter().find(|one| one.address == *address)?;
        Some(one.failure)
    };
    let tls = |address: &IpAddr| {
        let facts = hop.tls.facts()?;
        let one = facts
            .handshakes
            .iter()
            .find(|one| one.address == *address)?;
        Some(one.failure)
    };
    html! {
        h3 {
            "Resolvers and addresses of "
            @match hop.proxy {
                Layer::NotNeeded => bdi { (hop.host) },
                // With a proxy in between, it is the proxy's name that is resolved here.
                Layer::NotReached | Layer::Ran(_) => "the proxy",
            }
        }
        (scrolling("Resolvers and addresses", html! {
            table {
                thead { tr {
                    th scope="col" { "Asked" }
                    @for address in &addresses { th scope="col" { (address) } }
                    @if addresses.is_empty() { th scope="col" { "Answer" } }
                } }
                tbody {
                    @for (resolver, lookups) in &by_resolver {
                        tr {
                            th scope="row" { (resolver) }
                            (answers(lookups, &addresses))
                        }
                    }
                    @if !addresses.is_empty() {
                        tr { th scope="row" { "tcp connects" } @for one in &addresses { td { (tried(tcp(one))) } } }
                        tr { th scope="row" { "tls is good" } @for one in &addresses { td { (tried(tls(one))) } } }
                    }
                }
            }
        }))
    }
}

fn answers(lookups: &[&Lookup], addresses: &[IpAddr]) -> Markup {
    let failure = lookups.iter().find_map(|one| one.failure);
    let gives = |address: &IpAddr| lookups.iter().any(|one| one.answers.contains(address));
    let anything = lookups.iter().any(|one| !one.answers.is_empty());
    html! {
        @if let (Some(reason), false) = (failure, anything) {
            td colspan=(addresses.len().max(1)) { span.state.bad { (reason.code()) } }
        } @else {
            @for address in addresses {
                td { @if gives(address) { span.state.good { "yes" } } @else { span.state.warn { "no" } } }
            }
        }
    }
}

fn tried(outcome: Option<Option<Reason>>) -> Markup {
    match outcome {
        None => html! { span.state.faint { "not tried" } },
        Some(None) => html! { span.state.good { "yes" } },
        Some(Some(reason)) => html! { span.state.bad { (reason.code()) } },
    }
}
