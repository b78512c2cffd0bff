//! One report as HTML: the status page and `verify --format html` show the same.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use maud::{Markup, html};

use super::super::facts;
use super::super::page::{instant, span};
use super::super::text::whom;
use super::scrolling;
use crate::config::Contacts;
use crate::report::advice;
use crate::report::caveats::{caveats, manual_step};
use crate::report::history::Change;
use crate::report::{Expectation, Hop, Layer, Lookup, PageVerdict, Reason, Report, Verdict};

/// How a target stands, in a word.
pub fn state(report: Option<&Report>) -> Markup {
    let (class, words) = match report.map(|report| (report.verdict, report.expect)) {
        None => ("warn", "not probed yet".to_owned()),
        Some((Verdict::Good { .. }, Expectation::Unreachable)) => {
            ("good", "closed, as it should be".to_owned())
        }
        Some((Verdict::Good { page }, Expectation::Reachable)) => match page {
            PageVerdict::Checked => ("good", "good".to_owned()),
            PageVerdict::Unchecked => ("good", "good, page not checked".to_owned()),
        },
        Some((Verdict::Failed { layer, reason }, _)) => (
            "bad",
            format!("fails at {}: {}", layer.into_str(), reason.into_str()),
        ),
    };
    html! { span.state.(class) { (words) } }
}

/// Why it fails, whom to ask and what to hand them; nothing of a report that is good.
pub fn cause(report: &Report, contacts: &Contacts) -> Markup {
    let (Some(reason), Some(advice)) = (report.verdict.reason(), advice::of_report(report)) else {
        return html! {};
    };
    html! {
        h2 {
            (report.target) " fails at " (reason.layer().into_str())
            ": " code { (reason.into_str()) }
        }
        p { (advice.meaning) }
        dl {
            dt { "Ask" }
            dd { strong { (whom(advice.contact, contacts)) } }
            dt { "Do" }
            dd { (advice.action) }
            @if let Some(information) = &advice.information_to_provide {
                dt { "Provide" }
                dd { (information) }
            }
            dt { "Details to send" }
            dd { pre { @for detail in advice::details_to_send(report) { (detail.to_string()) "\n" } } }
            @if report.response().is_some() {
                dt { "Answered by" }
                dd { (report.answered_by().into_str()) }
            }
        }
    }
}

/// What is not as it was at the last good probe.
pub fn changes(last_good: Timestamp, changes: &[Change]) -> Markup {
    html! {
        h3 { "What changed since it was last good, " (instant(last_good)) }
        @if changes.is_empty() {
            p { "Nothing of issuer, key and addresses, as far as was seen." }
        } @else {
            (scrolling("What changed", html! {
                table.changes {
                    thead { tr {
                        th scope="col" { "What" } th scope="col" { "Before" }
                        th scope="col" { "Now" } th scope="col" { "Seen since" }
                    } }
                    tbody {
                        @for change in changes {
                            tr {
                                th scope="row" { (change.fact.words()) }
                                td data-label="Before" { bdi { (change.before) } }
                                td data-label="Now" { bdi { (change.now) } }
                                td data-label="Seen since" { (instant(change.since)) }
                            }
                        }
                    }
                }
            }))
        }
    }
}

/// What one probe saw, hop by hop, with what it could not see.
pub fn body(report: &Report, contacts: &Contacts) -> Markup {
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
                    @let advice = advice::of_finding_in(report, found.finding);
                    dt { code { (found.finding.into_str()) } }
                    dd {
                        bdi { (found.detail) } ". " (advice.meaning)
                        " Contact " (whom(advice.contact, contacts)) ". " (advice.action)
                    }
                }
            }
        }
        h3 { "Not seen from here" }
        ul { @for text in caveats(report) { li { (text) } } }
        p { strong { "By hand: " } (manual_step(report)) }
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
                    @if !matches!(hop.proxy, Layer::NotApplicable) {
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
        Layer::NotApplicable => ("faint", "not needed"),
        Layer::Done(ran) if ran.failure.is_some() => ("bad", "fails"),
        Layer::Done(_) => ("good", "good"),
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
    let mut addresses: Vec<IpAddr> = dns.resolution.addresses.clone();
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
                Layer::NotApplicable => bdi { (hop.host) },
                // With a proxy in between, it is the proxy's name that is resolved here.
                Layer::NotReached | Layer::Done(_) => "the proxy",
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
            td colspan=(addresses.len().max(1)) { span.state.bad { (reason.into_str()) } }
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
        Some(Some(reason)) => html! { span.state.bad { (reason.into_str()) } },
    }
}
