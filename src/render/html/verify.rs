//! `verify --format html`: a page to send to another team or to HKEX.

use jiff::Timestamp;
use maud::{Markup, html};

use super::super::layer_name;
use super::super::overview;
use super::super::page::{format_duration, instant};
use super::{body, cause, changes, document, generated_by, state};
use crate::config::Contacts;
use crate::evidence::Receipt;
use crate::report::history::{SavedState, TargetHistory};
use crate::report::overview::Overview;
use crate::report::{Expectation, PageVerdict, Report, Role, Verdict};

/// The reports on one page, each compared with its target's history, with the evidence records made of them.
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
                (section(report, contacts, memory.of(&report.target, &report.url).map(AsRef::as_ref)))
            }
            @if !sentences.is_empty() {
                section.card {
                    h2 { "Summary" }
                    dl {
                        @for (label, sentence) in sentences { dt { (label) } dd { (sentence) } }
                    }
                }
            }
        }
        footer {
            @for receipt in recorded {
                p { "Evidence record " (receipt.head.number) ", hash " code { (receipt.head.hash) } "." }
            }
            (generated_by(&instant(generated)))
        }
    };
    document(&title, &markup)
}

fn section(report: &Report, contacts: &Contacts, history: Option<&TargetHistory>) -> Markup {
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
                (format_duration(report.duration)) ", timeout " (format_duration(report.timeout))
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
        (Verdict::Failed { layer, .. }, _) => {
            format!("{} failed at {}", report.target, layer_name(layer))
        }
        (Verdict::Good { .. }, Expectation::Unreachable) => {
            format!("{} is closed as expected", report.target)
        }
        (
            Verdict::Good {
                page: PageVerdict::Checked,
            },
            Expectation::Reachable,
        ) => format!("{} is reachable", subject(report)),
        (
            Verdict::Good {
                page: PageVerdict::Unchecked,
            },
            Expectation::Reachable,
        ) => format!(
            "{} is reachable, its content is not checked",
            subject(report)
        ),
    }
}

/// A control is another page than the login page.
fn subject(report: &Report) -> String {
    match report.role {
        Role::Login => "The login page".to_owned(),
        Role::Control => format!("The control {}", report.target),
        Role::Closed => format!("The connection {}", report.target),
    }
}
