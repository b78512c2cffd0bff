//! The status page: a self-contained HTML document without scripts.
//!
//! Renders the configuration, the state of each target and the time; it reads nothing else.

mod dates;
mod overall;
mod ready;
mod target;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use maud::{Markup, html};

use super::html::{cause, changes, document, scrolling, state};
use super::overview;
use super::page::instant;
use crate::config::{Config, Target};
use crate::evidence::LedgerStatus;
use crate::readiness::ReadinessState;
use crate::report::Role;
use crate::report::history::TargetState;
use crate::report::overview::Overview;
use overall::OverallStatus;

/// With more targets than this, only failing ones are expanded.
const MAX_EXPANDED: usize = 3;

/// What the page shows.
pub struct StatusPage<'a> {
    pub config: &'a Config,
    pub known: &'a [(Arc<Target>, TargetState)],
    pub readiness_state: &'a ReadinessState,
    pub evidence: &'a LedgerStatus,
    pub now: Timestamp,
    /// The target to expand.
    pub expanded: Option<&'a str>,
    pub refresh: Refresh,
}

/// Whether the browser reloads the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    Every(Duration),
    Never,
}

/// The page.
pub fn page(page: &StatusPage<'_>) -> String {
    let latest = page.known.iter();
    let latest = latest.filter_map(|(_, known)| known.stats.latest.as_deref());
    let overview = Overview::of(latest);
    let status = OverallStatus::of(page, &overview);
    let site = page.config.site.as_deref();
    let site = site.map(|site| format!(" · {site}")).unwrap_or_default();
    let title = format!("{}{site} · CCASS 2FA", status.title());
    let markup = html! {
        main {
            (page.banner(status))
            (page.causes())
            (page.comparison(&overview))
            (page.overview())
            @for (target, known) in page.known {
                (page.target(target, known))
            }
            (page.ready())
            (page.dates())
        }
        (page.footer())
    };
    document(&title, &markup)
}

impl StatusPage<'_> {
    /// The login targets.
    fn logins(&self) -> impl Iterator<Item = &TargetState> + Clone {
        let logins = self.known.iter().filter(|(target, _)| target.is_login());
        logins.map(|(_, known)| known)
    }

    fn age(&self, at: Timestamp) -> Duration {
        Duration::try_from(self.now.duration_since(at)).unwrap_or_default()
    }

    /// `2026-11-24 08:05:12 HKT, 3 min ago`.
    fn at(&self, at: Timestamp) -> Markup {
        html! {
            time datetime=(at) { (instant(at)) } ", " (approximate(self.age(at))) " ago"
        }
    }

    fn banner(&self, status: OverallStatus) -> Markup {
        let logins = self.logins();
        let newest = logins.clone();
        let newest = newest.filter_map(|known| Some(known.stats.latest.as_ref()?.started));
        let newest = newest.max();
        let paused = logins.clone();
        let paused = paused.filter_map(|known| known.stats.latest.as_ref()?.pause());
        let paused = paused.filter(|(_, until)| *until > self.now);
        let paused = paused.max_by_key(|(_, until)| *until);
        // Of the failing targets, the one that has failed longest.
        let failing = logins.filter_map(|known| {
            let since = known.history.failing_since()?;
            Some((since, known.history.last_good.as_ref().map(|good| good.at)))
        });
        let (since, last_good) = match failing.min_by_key(|(since, _)| *since) {
            Some((since, good)) => (Some(since), good),
            None => (None, None),
        };
        html! {
            header class={ "banner " (status.class()) } {
                p.eyebrow {
                    "CCASS 2FA login"
                    @if let Some(site) = &self.config.site { " · site " (site) }
                }
                h1 { (status.title()) }
                @if let Some(since) = since {
                    p { "Failing since " (self.at(since)) }
                }
                @if let Some(good) = last_good {
                    p { "Last success " (self.at(good)) }
                }
                @if let Some(newest) = newest {
                    p { "Last probe " (self.at(newest)) }
                    @if let Some((pause, until)) = paused {
                        p {
                            "Paused for " (approximate(pause)) ": the server asked to wait (Retry-After). Next probe about "
                            (instant(until))
                        }
                    }
                } @else {
                    p { "The first probe starts within " (approximate(self.config.probe.interval)) "." }
                }
            }
        }
    }

    /// Reason, contact, action and changes of each failing login target.
    fn causes(&self) -> Markup {
        let failing = self.known.iter().filter_map(|(target, known)| {
            let report = known.stats.latest.as_deref()?;
            let fails = target.role != Role::Control && !report.verdict.is_good();
            fails.then_some((report, &known.history))
        });
        html! {
            @for (report, history) in failing {
                section.card.cause aria-label={ "Failure of " (report.target) } {
                    (cause(report, &self.config.contacts))
                    @if let Some(good) = &history.last_good {
                        (changes(good.at, &history.changes))
                    }
                }
            }
        }
    }

    /// Groups and controls.
    fn comparison(&self, overview: &Overview<'_>) -> Markup {
        let sentences = overview::sentences(overview);
        html! {
            @if !sentences.is_empty() {
                section.card aria-label="Local or remote fault?" {
                    h2 { "Local or remote fault?" }
                    dl {
                        @for (label, sentence) in sentences {
                            dt { (label) }
                            dd { (sentence) }
                        }
                    }
                }
            }
        }
    }

    /// The table of targets.
    fn overview(&self) -> Markup {
        html! {
            section.card aria-label="Targets" {
                h2 { "Targets" }
                (scrolling("Targets", html! {
                    table {
                        thead { tr {
                            th scope="col" { "Target" } th scope="col" { "State" }
                            th scope="col" { "Since" } th scope="col" { "Last probe" }
                            th scope="col" { "Duration" }
                        } }
                        tbody {
                            @for (target, known) in self.known {
                                (self.line(target, known))
                            }
                        }
                    }
                }))
            }
        }
    }

    fn line(&self, target: &Target, known: &TargetState) -> Markup {
        let report = known.stats.latest.as_deref();
        let since = known.history.state().map(|state| state.at);
        html! {
            tr {
                th scope="row" {
                    a href={ "?target=" (target.name) "#" (target.name) } { (target.name) }
                    @if target.role == Role::Control { " (control)" }
                    @if target.role == Role::Closed { " (must be blocked)" }
                }
                td { (state(report)) }
                td { @if let Some(at) = since { (instant(at)) } }
                td { @if let Some(report) = report { (approximate(self.age(report.started))) " ago" } }
                td { @if let Some(report) = report { (super::page::format_duration(report.duration)) } }
            }
        }
    }

    fn footer(&self) -> Markup {
        html! {
            footer {
                p {
                    @match self.refresh {
                        Refresh::Every(period) => {
                            "This page reloads every " (approximate(period)) ". "
                            a href="?refresh=off" { "Stop reloading" }
                        }
                        Refresh::Never => { a href="?" { "Reload automatically" } }
                    }
                    " · generated " (instant(self.now))
                }
                p {
                    a href="metrics" { "Metrics" } " · "
                    a href="-/healthy" { "Healthy" } " · "
                    a href="-/ready" { "Ready" } " · ccass-2fa-exporter " (env!("CARGO_PKG_VERSION"))
                }
                p { "Not affiliated with, endorsed by or known to HKEX or HKSCC." }
            }
        }
    }
}

/// A duration in its largest unit: `45 s`, `3 min`, `5 h`, `3 days`.
fn approximate(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
