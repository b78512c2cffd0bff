//! `verify --format html`: a page to send to another team or to HKEX.

use jiff::Timestamp;
use maud::{Markup, html};

use super::super::layer_name;
use super::super::overview;
use super::super::page::{format_duration, instant};
use super::{Icon, Picture, body, browser, cause, changes, document, generated_by, state};
use crate::config::Contacts;
use crate::evidence::Receipt;
use crate::report::history::{SavedState, TargetHistory};
use crate::report::overview::{Overview, Share};
use crate::report::{Expectation, PageVerdict, Report, Role, Verdict};

/// The reports on one page, each compared with its target's history, with the evidence records made of them.
pub fn reports(
    reports: &[&Report],
    contacts: &Contacts,
    memory: &SavedState,
    recorded: &[Receipt],
    generated: Timestamp,
) -> String {
    let overview = Overview::of(reports.iter().copied());
    let sentences = overview::sentences(&overview);
    let (class, headline) = headline(reports, &overview);
    let markup = html! {
        main {
            @if reports.len() > 1 {
                header class={ "banner " (class) } {
                    p.eyebrow {
                        "CCASS 2FA login"
                        @if let Some(site) = reports.iter().find_map(|one| one.site.as_ref()) { " · site " (site) }
                    }
                    h1 { (headline) }
                    ul.plain {
                        @for report in reports { li { (report.target) " " (state(Some(report))) } }
                    }
                }
                @if !sentences.is_empty() {
                    section.card {
                        h2 { "Summary" }
                        dl {
                            @for (label, sentence) in sentences { dt { (label) } dd { bdi { (sentence) } } }
                        }
                    }
                }
            }
            @for report in reports {
                (section(
                    report,
                    reports.len() == 1,
                    contacts,
                    memory.of(&report.target, &report.url).map(AsRef::as_ref),
                ))
            }
        }
        footer {
            @for receipt in recorded {
                p { "Evidence record " (receipt.head.number) ", hash " code { (receipt.head.hash) } "." }
            }
            (generated_by(&instant(generated)))
        }
    };
    document(&headline, Icon::of(class), &markup)
}

/// The class and the verdict of one report, or of all login targets.
fn headline(reports: &[&Report], overview: &Overview<'_>) -> (&'static str, String) {
    if let [one] = reports {
        return (class(one), verdict(one));
    }
    let logins = || reports.iter().filter(|one| one.is_login());
    let failing: Vec<&&Report> = logins().filter(|one| !one.verdict.is_good()).collect();
    let has_other_path = |report: &Report| {
        let mut groups = overview.groups.iter();
        groups
            .any(|group| Some(group.name) == report.group.as_deref() && group.good() == Share::Some)
    };
    match (logins().count(), &failing[..]) {
        (0, _) => (
            "warn",
            format!("{} targets, none of which is a login page", reports.len()),
        ),
        (_, []) if logins().all(|one| one.verdict.is_full_pass()) => {
            ("good", "Login page reachable".to_owned())
        }
        (_, []) => (
            "warn",
            "Login page reachable, its content is not checked".to_owned(),
        ),
        (_, failing) if failing.iter().all(|one| has_other_path(one)) => (
            "warn",
            "Login page reachable, but not on every path".to_owned(),
        ),
        (all, failing) if failing.len() < all => (
            "bad",
            format!("{} of {all} login targets NOT reachable", failing.len()),
        ),
        _ => ("bad", "Login page NOT reachable".to_owned()),
    }
}

fn class(report: &Report) -> &'static str {
    match report.verdict {
        Verdict::Failed { .. } => "bad",
        Verdict::Good {
            page: PageVerdict::Unchecked,
        } if report.expect == Expectation::Reachable => "warn",
        Verdict::Good { .. } => "good",
    }
}

/// A report; `is_only` makes its verdict the page's.
fn section(
    report: &Report,
    is_only: bool,
    contacts: &Contacts,
    history: Option<&TargetHistory>,
) -> Markup {
    let last_good = history.and_then(|history| history.last_good.as_ref());
    html! {
        header class=(if is_only { format!("banner {}", class(report)) } else { "card".to_owned() }) {
            @if is_only {
                p.eyebrow {
                    "CCASS 2FA login"
                    @if let Some(site) = &report.site { " · site " (site) }
                }
                h1 { (verdict(report)) }
            } @else {
                h2 { (verdict(report)) }
            }
            p { bdi { (report.url) } }
            p {
                (instant(report.started)) " · " (report.target) " · module " (report.module) " · "
                (format_duration(report.duration)) ", timeout " (format_duration(report.timeout))
            }
        }
        @if !report.verdict.is_good() {
            section.card.cause {
                (cause(report, contacts, std::iter::empty()))
                @if let (Some(good), Some(history)) = (last_good, history) {
                    (changes(good.at, &history.diff(report)))
                }
            }
        }
        section.card {
            h2 { (report.target) " " (state(Some(report))) }
            (body(report, &in_browser(report), contacts))
        }
    }
}

fn in_browser(report: &Report) -> Markup {
    html! {
        @if let Some(check) = &report.browser { (browser(report, check, &Picture::Inline)) }
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
