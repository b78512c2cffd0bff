//! `verify` as a page, to be handed to a firewall team or to the Hotline.

use jiff::Timestamp;
use maud::{Markup, html};

use super::super::overview;
use super::super::page::{instant, span};
use super::{body, cause, changes, document, made, state};
use crate::config::Contacts;
use crate::evidence::Receipt;
use crate::report::history::{SavedState, TargetHistory};
use crate::report::overview::Overview;
use crate::report::{Expectation, PageVerdict, Report, Verdict};

/// The reports on one page, each set against what is remembered of its target, with what was recorded
/// of them.
pub fn reports(
    reports: &[&Report],
    contacts: &Contacts,
    memory: &SavedState,
    recorded: &[Receipt],
    generated: Timestamp,
) -> String {
    let sentences = overview::sentences(&Overview::of(reports.iter().copied()));
    let title = match reports {
        [one] => format!("{}: {}", one.target, verdict(one)),
        many => format!("CCASS 2FA login: {} targets", many.len()),
    };
    let markup = html! {
        main {
            @for report in reports {
                (told(report, contacts, memory.of(&report.target, &report.url).map(AsRef::as_ref)))
            }
            @if !sentences.is_empty() {
                section.card {
                    h2 { "Together" }
                    dl {
                        @for (word, sentence) in sentences { dt { (word) } dd { (sentence) } }
                    }
                }
            }
        }
        footer {
            @for receipt in recorded {
                p { "Recorded as number " (receipt.head.number) ", hash " code { (receipt.head.hash) } "." }
            }
            (made(&instant(generated)))
        }
    };
    document(&title, &markup)
}

fn told(report: &Report, contacts: &Contacts, history: Option<&TargetHistory>) -> Markup {
    let class = match report.verdict {
        Verdict::Failed { .. } => "bad",
        Verdict::Good {
            page: PageVerdict::Unchecked,
        } if report.expect == Expectation::Reachable => "warn",
        Verdict::Good { .. } => "good",
    };
    let last_good = history.and_then(|history| history.last_good.as_ref());
    html! {
        header class={ "banner " (class) } {
            p.eyebrow {
                "CCASS 2FA login"
                @if let Some(site) = &report.site { " · site " (site) }
            }
            h1 { (verdict(report)) }
            p { bdi { (report.url) } }
            p {
                (instant(report.started)) " · " (report.target) " · module " (report.module) " · "
                (span(report.duration)) " of at most " (span(report.timeout))
            }
        }
        @if !report.verdict.is_good() {
            section.card.cause {
                (cause(report, contacts))
                @if let (Some(good), Some(history)) = (last_good, history) {
                    (changes(good.at, &history.diff(report)))
                }
            }
        }
        section.card {
            h2 { (report.target) " " (state(Some(report))) }
            (body(report, contacts))
        }
    }
}

fn verdict(report: &Report) -> String {
    match (report.verdict, report.expect) {
        (Verdict::Failed { layer, .. }, _) => format!("It fails at {}", layer.into_str()),
        (Verdict::Good { .. }, Expectation::Unreachable) => "Closed, as it should be".to_owned(),
        (
            Verdict::Good {
                page: PageVerdict::Checked,
            },
            Expectation::Reachable,
        ) => "The login page is reached".to_owned(),
        (
            Verdict::Good {
                page: PageVerdict::Unchecked,
            },
            Expectation::Reachable,
        ) => "The login page is reached, its content is not checked".to_owned(),
    }
}
