//! The evidence report as an HTML page that prints on A4.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::super::html::{Icon, document, generated_by, scrolling, thead};
use super::super::page::{format_duration, instant};
use super::browser_checks;
use super::{
    Selected, addresses, altered, checks, count, layer, minutes, outcome, reference,
    terminal_outcome,
};
use crate::evidence::{ChainedRecord, Content, OutageEnd, Outcome, TerminalOutcome, Verification};

/// The page.
pub fn html(selected: &Selected<'_>) -> String {
    let audit = selected.audit;
    let missing = selected.missing();
    let class = match (audit.faults.is_empty(), missing.is_empty()) {
        (false, _) => "bad",
        (true, true) => "good",
        (true, false) => "warn",
    };
    let markup = html! {
        main {
            header class={ "banner " (class) } {
                p.eyebrow {
                    "CCASS 2FA login"
                    @if let Some(site) = selected.site { " · site " (site) }
                }
                h1 { "Evidence of verification" }
                p {
                    @if missing.is_empty() {
                        "Every target has a full pass, and the page was seen at every listed terminal."
                    } @else { "Missing in these records: " (missing.join("; ")) "." }
                }
                p {
                    @match audit.faults.len() {
                        0 if audit.records.is_empty() => "There is no record.",
                        0 => "Every record in the files is intact.",
                        faults => { (count(faults, "fault")) " in the files, listed below." },
                    }
                }
                p {
                    (capitalized(&selected.selection())) ": " (selected.records.len()) " of "
                    (audit.records.len()) "."
                }
            }
            (sections(selected))
        }
        footer { (generated_by(&instant(selected.generated))) }
    };
    document(
        "CCASS 2FA: evidence of verification",
        Icon::of(class),
        &markup,
    )
}

/// Everything that the records say.
pub(super) fn sections(selected: &Selected<'_>) -> Markup {
    html! {
        (targets(selected))
        (terminals(selected))
        (browser_checks::section(selected))
        (verifications(selected))
        (outages(selected))
        (others(selected))
        (chain(selected))
    }
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// Each target with its latest full pass.
fn targets(selected: &Selected<'_>) -> Markup {
    let passes = selected.passes();
    html! {
        section.card {
            h2 { "Targets" }
            @if passes.is_empty() { p { "These records contain no probe." } }
            @else {
                (scrolling("Targets", html! {
                    table {
                        (thead(&["Target", "Address", "Latest full pass"]))
                        tbody {
                            @for (target, url, pass) in passes {
                                tr {
                                    th scope="row" { (target) }
                                    td.wide { bdi { (url) } }
                                    td {
                                        @match pass {
                                            Some(record) => span.state.good { (instant(record.recorded)) " (" (record.number) ")" },
                                            None => span.state.warn { "none in these records" },
                                        }
                                    }
                                }
                            }
                        }
                    }
                }))
                p {
                    "A full pass means that every layer succeeded and the page was checked, from the host \
                     named below. That host may have another network, source address and proxy \
                     than a CCASS Terminal."
                }
            }
        }
    }
}

fn terminals(selected: &Selected<'_>) -> Markup {
    let terminals = selected.terminal_checks();
    html! {
        @if !terminals.is_empty() {
            section.card {
                h2 { "CCASS Terminals" }
                p {
                    "Whether the login page was seen in MS Edge, as the circular's Appendix requires. The \
                     latest check of each terminal counts and is listed first."
                }
                (scrolling("CCASS Terminals", html! {
                    table {
                        (thead(&["Terminal", "Login page", "Recorded", "Number", "Reference"]))
                        tbody {
                            @for (terminal, checks) in terminals {
                                @if checks.is_empty() {
                                    tr {
                                        th scope="row" { (terminal) }
                                        td { span.state.warn { "no check in these records" } }
                                        td {} td {} td {}
                                    }
                                }
                                @for record in checks {
                                    tr {
                                        th scope="row" { (terminal) }
                                        td { (seen(record)) }
                                        td { (instant(record.recorded)) }
                                        td { (record.number) }
                                        td { (reference(&record.content).unwrap_or_default()) }
                                    }
                                }
                            }
                        }
                    }
                }))
            }
        }
    }
}

fn seen(record: &ChainedRecord) -> Markup {
    match &record.content {
        Content::Terminal(check) => html! {
            span.state.(if check.outcome == TerminalOutcome::Seen { "good" } else { "bad" }) {
                (terminal_outcome(check.outcome))
            }
        },
        _ => html! {},
    }
}

/// Every recorded probe, newest first, layer by layer.
fn verifications(selected: &Selected<'_>) -> Markup {
    let records = selected.records.iter().rev();
    html! {
        section.card {
            h2 { "Probes" }
            @for record in records {
                @if let Content::Verification(it) = &record.content {
                    (probe(record, it, selected.audit.is_altered(record)))
                }
            }
        }
    }
}

fn probe(record: &ChainedRecord, it: &Verification, is_altered: bool) -> Markup {
    let class = match it.outcome {
        Outcome::FullPass | Outcome::Closed => "good",
        Outcome::PageUnchecked => "warn",
        Outcome::Failed => "bad",
    };
    let took = std::time::Duration::try_from_secs_f64(it.duration_seconds).unwrap_or_default();
    html! {
        article.record {
            h3 {
                (record.number) ". " (instant(it.started)) " · " (it.target) " "
                @if is_altered { (altered()) }
                @else { span.state.(class) { (outcome(it)) } }
            }
            p.layers-line {
                @for (index, one) in it.layers.iter().enumerate() {
                    @if index > 0 { " · " }
                    strong { (one.layer.into_str()) } " " (layer(one))
                }
            }
            p {
                (capitalized(it.origin.title())) ". From " (record.host)
                @if let Some(site) = &record.site { ", site " (site) }
                @if !it.sources.is_empty() { ", source address " (addresses(&it.sources)) }
                ", by version " (record.version) ", module " (it.module)
                @if !it.addresses.is_empty() { "; to " (addresses(&it.addresses)) }
                "; duration " (format_duration(took))
                @if let Some(reference) = &it.reference { "; reference " (reference) }
                "."
            }
            @if let Some(certificate) = &it.certificate {
                p {
                    "Certificate " code { (certificate.fingerprint_sha256) } ", issued by "
                    bdi { (certificate.issuer) } ", valid until " (instant(certificate.not_after)) "."
                }
            }
            @if let Some(page) = &it.page_sha256 {
                p {
                    "Page " code { (page) }
                    @if !it.checks.is_empty() { ", checks: " (checks(it)) }
                    "."
                }
            }
            @if !it.findings.is_empty() {
                p {
                    "Findings:"
                    @for finding in &it.findings { " " code { (finding.into_str()) } }
                    "."
                }
            }
        }
    }
}

/// Outages, those without a recorded end included.
fn outages(selected: &Selected<'_>) -> Markup {
    let mut outages = BTreeMap::new();
    for record in selected.intact() {
        match &record.content {
            Content::OutageBegan(it) => {
                outages.insert((it.since, it.target.as_str()), (it, None));
            }
            Content::OutageEnded(it) => {
                outages.insert(
                    (it.outage.since, it.outage.target.as_str()),
                    (&it.outage, Some(it)),
                );
            }
            _ => {}
        }
    }
    html! {
        @if !outages.is_empty() {
            section.card {
                h2 { "Outages" }
                (scrolling("Outages", html! {
                    table {
                        (thead(&["Target", "From", "To", "Duration", "First failure"]))
                        tbody {
                            @for (outage, until) in outages.values() {
                                tr {
                                    th scope="row" { (outage.target) }
                                    td { (instant(outage.since)) }
                                    @match until {
                                        Some(end) => {
                                            td { (instant(end.until)) }
                                            td { (minutes(duration_seconds(end))) }
                                        },
                                        None => { td { "no end recorded" } td {} },
                                    }
                                    td { (outage.failure.layer.into_str()) ": " code { (outage.failure.reason) } }
                                }
                            }
                        }
                    }
                }))
            }
        }
    }
}

/// By the monotonic clock; in records of earlier versions by both times.
fn duration_seconds(end: &OutageEnd) -> i64 {
    let by_clock = end.until.as_second() - end.outage.since.as_second();
    end.duration_seconds.unwrap_or(by_clock)
}

/// Drills, steps of the clock, repairs and unknown records.
fn others(selected: &Selected<'_>) -> Markup {
    let others: Vec<&ChainedRecord> = selected
        .records
        .iter()
        .copied()
        .filter(|record| {
            matches!(
                record.content,
                Content::Drill(_)
                    | Content::ClockStepped(_)
                    | Content::Repair(_)
                    | Content::Unknown(_)
            )
        })
        .collect();
    html! {
        @if !others.is_empty() {
            section.card {
                h2 { "Drills and other records" }
                ul {
                    @for record in others {
                        li {
                            (record.number) ". " (instant(record.recorded)) ": "
                            (super::describe(record))
                            @if selected.audit.is_altered(record) { " " (altered()) }
                        }
                    }
                }
            }
        }
    }
}

/// The values that prove integrity.
fn chain(selected: &Selected<'_>) -> Markup {
    let audit = selected.audit;
    html! {
        section.card {
            h2 { "Integrity" }
            @for fault in &audit.faults {
                p { span.state.bad { "fault" } " " (fault) }
            }
            @for place in &audit.backward {
                p { span.state.warn { "clock" } " " (place) }
            }
            dl {
                dt { "Records" } dd { (audit.head.number) }
                dt { "Newest hash" } dd { code { (audit.head.hash) } }
                dt { "Files" } dd { (audit.files.join(", ")) }
            }
            p {
                "Each record contains the hash of the previous one. A hash that was kept elsewhere, on an \
                 earlier report or in Prometheus as ccass2fa_evidence_head_info, proves that no later \
                 record was removed. Check it with "
                code { "ccass-2fa-exporter evidence check --head HASH" } "."
            }
        }
    }
}
