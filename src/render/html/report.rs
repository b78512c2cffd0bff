//! A report as HTML, for the status page and `verify --format html`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use maud::{Markup, html};

use super::super::facts;
use super::super::layer_name;
use super::super::page::{format_duration, instant};
use super::super::text::contact_name;
use super::contact_links::linked;
use super::{scrolling, thead};
use crate::config::Contacts;
use crate::report::advice;
use crate::report::caveats::{caveats, manual_step};
use crate::report::history::Change;
use crate::report::{
    Expectation, Hop, Layer, LayerName, Lookup, PageVerdict, Reason, Report, Verdict,
};

/// The state of a target as a label.
pub fn state(report: Option<&Report>) -> Markup {
    let (class, words) = match report.map(|report| (report.verdict, report.expect)) {
        None => ("warn", "not probed yet".to_owned()),
        Some((Verdict::Good { .. }, Expectation::Unreachable)) => {
            ("good", "closed as expected".to_owned())
        }
        Some((Verdict::Good { page }, Expectation::Reachable)) => match page {
            PageVerdict::Checked => ("good", "OK".to_owned()),
            PageVerdict::Unchecked => ("good", "OK, page not checked".to_owned()),
        },
        Some((Verdict::Failed { layer, reason }, _)) => (
            "bad",
            format!("failed at {}: {}", layer_name(layer), reason.into_str()),
        ),
    };
    html! { span.state.(class) { (words) } }
}

/// The reason, contact, action and details of a failed report; empty for a successful one. `times` are
/// lines for the details: since when it fails.
pub fn cause(
    report: &Report,
    contacts: &Contacts,
    times: impl IntoIterator<Item = String>,
) -> Markup {
    let (Some(reason), Some(advice)) = (report.verdict.reason(), advice::of_report(report)) else {
        return html! {};
    };
    // What this probe saw, before what it usually means.
    let (seen, usually) = match advice.meaning.split_once(". ") {
        Some((seen, usually)) => (seen, usually),
        None => (advice.meaning.trim_end_matches('.'), ""),
    };
    html! {
        h2 {
            (report.target) " failed at " (layer_name(reason.layer())) ": " bdi { (seen) } " "
            small { code { (reason.into_str()) } }
        }
        @if !usually.is_empty() { p { (usually) } }
        dl {
            dt { "Contact" }
            dd { strong { (linked(&contact_name(advice.contact, contacts))) } }
            dt { "Action" }
            dd { (advice.action) }
            @if let Some(information) = &advice.information_to_provide {
                dt { "Provide" }
                dd { (information) }
            }
            dt { "Details to send" }
            dd {
                pre.copy {
                    @for detail in advice::details_to_send(report) { (detail.to_string()) "\n" }
                    @for time in times { (time) "\n" }
                }
            }
            @if report.response().is_some() {
                dt { "Response from" }
                dd { (report.answered_by().phrase()) }
            }
        }
    }
}

/// What differs from the last successful probe.
pub fn changes(last_good: Timestamp, changes: &[Change]) -> Markup {
    html! {
        h3 { "Changes since the last success, " (instant(last_good)) }
        @if changes.is_empty() {
            p { "Same certificate, issuer, key and addresses as then, as far as this probe got." }
        } @else {
            (scrolling("Changes", html! {
                table.changes {
                    (thead(&["Fact", "Before", "Now", "First seen"]))
                    tbody {
                        @for change in changes {
                            tr {
                                th scope="row" { (change.fact.title()) }
                                td data-label="Before" { bdi { (change.before) } }
                                td data-label="Now" { bdi { (change.now) } }
                                td data-label="First seen" { (instant(change.since)) }
                            }
                        }
                    }
                }
            }))
        }
    }
}

/// The layers of a probe, hop by hop, what a browser shows, the findings and caveats.
pub fn body(report: &Report, browser: &Markup, contacts: &Contacts) -> Markup {
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
        (browser)
        @if !report.findings.is_empty() {
            h3 { "Findings" }
            dl {
                @for found in &report.findings {
                    @let advice = advice::of_finding_in(report, found.finding);
                    dt { code { (found.finding.into_str()) } }
                    dd {
                        bdi { (found.detail) } ". " (advice.meaning)
                        " Contact " (linked(&contact_name(advice.contact, contacts))) ". " (advice.action)
                    }
                }
            }
        }
        h3 { "Not checked" }
        ul { @for text in caveats(report) { li { (text) } } }
        p { strong { "Manual check: " } (manual_step(report)) }
    }
}

/// The layers of a hop with duration and facts; the last hop includes the page.
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
                (thead(&["Layer", "State", "Duration", "Facts"]))
                tbody {
                    (row(LayerName::Dns, &hop.dns, dns))
                    (row(LayerName::Tcp, &hop.tcp, hop.tcp.facts().map(facts::tcp)))
                    @if !matches!(hop.proxy, Layer::NotApplicable) {
                        (row(LayerName::Proxy, &hop.proxy, hop.proxy.facts().map(facts::proxy)))
                    }
                    (row(LayerName::Tls, &hop.tls, hop.tls.facts().map(facts::tls)))
                    (row(LayerName::Http, &hop.http, http))
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
                td { (lines_of_text(lines)) }
            }
        } @else {
            (row(LayerName::Page, &report.page, lines))
        }
    }
}

fn row<Facts>(name: LayerName, layer: &Layer<Facts>, lines: Option<Vec<String>>) -> Markup {
    let (class, words) = match layer {
        Layer::NotReached => ("faint", "not tried"),
        Layer::NotApplicable => ("faint", "n/a"),
        Layer::Done(ran) if ran.failure.is_some() => ("bad", "failed"),
        Layer::Done(_) => ("good", "OK"),
    };
    html! {
        tr {
            th scope="row" { (layer_name(name)) }
            td { span.state.(class) { (words) } }
            td { @if let Some(ran) = layer.ran() { (format_duration(ran.duration)) } }
            td { (lines_of_text(lines)) }
        }
    }
}

/// The lines of `verify`, without colors.
fn lines_of_text(lines: Option<Vec<String>>) -> Markup {
    html! {
        ul.plain {
            @for line in lines.into_iter().flatten() {
                li { bdi { (anstream::adapter::strip_str(&line)) } }
            }
        }
    }
}

/// Which resolver returns which address, and whether the address works.
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
                // This host resolves only the proxy's name.
                Layer::NotReached | Layer::Done(_) => "the proxy",
            }
        }
        (scrolling("Resolvers and addresses", html! {
            table {
                thead { tr {
                    th scope="col" { "Resolver" }
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
                        tr { th scope="row" { "TCP" } @for one in &addresses { td { (outcome(tcp(one))) } } }
                        tr { th scope="row" { "TLS" } @for one in &addresses { td { (outcome(tls(one))) } } }
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

fn outcome(outcome: Option<Option<Reason>>) -> Markup {
    match outcome {
        None => html! { span.state.faint { "not tried" } },
        Some(None) => html! { span.state.good { "OK" } },
        Some(Some(reason)) => html! { span.state.bad { (reason.into_str()) } },
    }
}
