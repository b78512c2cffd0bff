//! The status page: a self-contained HTML document without scripts.
//!
//! Renders the configuration, the state of each target and the time; it reads nothing else. `overall`
//! is the verdict, `banner` and `causes` what an on-call engineer needs first, `targets`, `target` and
//! `browser` the details, `past` the history, `wall` the page for a screen on the wall.

mod banner;
mod browser;
mod causes;
mod dates;
mod overall;
mod past;
mod ready;
mod strip;
mod target;
mod targets;
mod time;
mod wall;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use maud::{Markup, html};

use super::html::{Icon, document};
use super::page::instant;
use crate::config::{Config, Target};
use crate::evidence::LedgerStatus;
use crate::readiness::ReadinessState;
use crate::report::Report;
use crate::report::history::{TargetState, Watch};
use crate::report::overview::Overview;
use overall::{Login, OverallStatus};
pub(super) use time::approximate;

/// With more targets than this, only those in question are expanded.
const MAX_EXPANDED: usize = 1;

/// What the page shows.
pub struct StatusPage<'a> {
    pub config: &'a Config,
    pub known: &'a [(Arc<Target>, TargetState)],
    pub readiness_state: &'a ReadinessState,
    pub evidence: &'a LedgerStatus,
    pub now: Timestamp,
    /// The sections to expand: names of targets, and `dates`.
    pub expanded: &'a [String],
    pub refresh: Refresh,
    pub view: View,
}

/// Whether the browser reloads the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    Every(Duration),
    Never,
}

/// The reader of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// A person at a screen.
    Desk,
    /// A screen on the wall, readable from five meters.
    Wall,
}

/// The page.
pub fn page(page: &StatusPage<'_>) -> String {
    let reports = page.known.iter();
    let reports = reports.filter_map(|(_, known)| known.stats.latest.as_deref());
    let overview = Overview::of(reports);
    let logins = Login::all(page);
    let status = OverallStatus::of(&logins);
    let title = match &page.config.site {
        Some(site) => format!("{} · {site} · CCASS login", status.word()),
        None => format!("{} · CCASS login", status.word()),
    };
    let markup = match page.view {
        View::Wall => page.wall(&status, &logins),
        View::Desk => html! {
            main {
                (page.banner(&status, &logins))
                (page.comparison(&overview))
                (page.causes())
                (page.targets())
                @for (target, known) in page.failing_first() {
                    (page.target(target, known))
                }
                (page.ready())
                (page.dates())
            }
            (page.footer())
        },
    };
    document(&title, Icon::of(status.class()), &markup)
}

/// When to load the page again: soon after the next probe of a login target, so that a result is seen
/// when it is known.
pub fn next_refresh(
    known: &[(Arc<Target>, TargetState)],
    interval: Duration,
    now: Timestamp,
) -> Duration {
    /// The jitter of the scheduler, and most of the time that a probe takes.
    const AFTER: Duration = Duration::from_secs(5);
    const MIN: Duration = Duration::from_secs(5);
    let logins = known.iter().filter(|(target, _)| target.is_login());
    let next = logins.filter_map(|(_, known)| {
        let started = known.stats.latest.as_ref()?.started;
        let age = Duration::try_from(now.duration_since(started)).unwrap_or_default();
        Some((interval + AFTER).saturating_sub(age))
    });
    let next = next.min().unwrap_or(MIN);
    Duration::from_secs(next.clamp(MIN, interval + AFTER).as_secs())
}

impl StatusPage<'_> {
    fn age(&self, at: Timestamp) -> Duration {
        Duration::try_from(self.now.duration_since(at)).unwrap_or_default()
    }

    /// `today 08:05:12 HKT, 3 min ago`.
    fn at(&self, at: Timestamp) -> Markup {
        html! {
            time datetime=(at) title=(instant(at)) { (time::clock_with_day(at, self.now)) " HKT" }
            ", " span.nowrap { (approximate(self.age(at))) " ago" }
        }
    }

    /// `today 08:05:12`, as in tables.
    fn when(&self, at: Timestamp) -> Markup {
        html! { time datetime=(at) title=(instant(at)) { (time::clock_with_day(at, self.now)) } }
    }

    /// A result older than this is not the present state.
    fn max_gap(&self, target: &Target) -> Duration {
        Watch::max_gap(self.config.probe.interval, target.timeout)
    }

    fn failing_first(&self) -> Vec<&(Arc<Target>, TargetState)> {
        let mut sorted: Vec<_> = self.known.iter().collect();
        sorted.sort_by_key(|(_, known)| latest(known).is_none_or(|one| one.verdict.is_good()));
        sorted
    }

    fn is_expanded(&self, section: &str) -> bool {
        self.expanded.iter().any(|one| one == section)
    }

    /// A link to this page with `section` expanded or collapsed, also after the page reloads.
    fn toggle(&self, section: &str) -> Markup {
        let is_expanded = self.is_expanded(section);
        let others = self.expanded.iter().filter(|one| *one != section);
        let mut open: Vec<&str> = others.map(String::as_str).collect();
        if !is_expanded {
            open.push(section);
        }
        html! {
            p.toggle {
                a href={ (self.query(&open)) "#" (section) } {
                    @if is_expanded { "Collapse when the page reloads" }
                    @else { "Keep open when the page reloads" }
                }
            }
        }
    }

    /// The query of this page with these sections expanded.
    fn query(&self, open: &[&str]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if !open.is_empty() {
            query.append_pair("open", &open.join(","));
        }
        if self.refresh == Refresh::Never {
            query.append_pair("refresh", "off");
        }
        format!("?{}", query.finish())
    }

    fn footer(&self) -> Markup {
        html! {
            footer {
                p {
                    @match self.refresh {
                        Refresh::Every(period) => {
                            "This page loads again in " (approximate(period)) ", after the next probe. "
                            a href="?refresh=off" { "Stop reloading" }
                        }
                        Refresh::Never => { a href="?" { "Reload automatically" } }
                    }
                    " · " a href="?view=wall" { "Wall display" }
                    " · generated " (instant(self.now)) ". Times without a zone are Hong Kong time."
                }
                p {
                    a href="metrics" { "Metrics" } " · "
                    a href="api/v1/reports" { "Reports as JSON" } " · "
                    a href="-/healthy" { "Healthy" } " · "
                    a href="-/ready" { "Ready" } " · ccass-2fa-exporter " (env!("CARGO_PKG_VERSION"))
                }
                p { "Not affiliated with, endorsed by or known to HKEX or HKSCC." }
            }
        }
    }
}

fn latest(known: &TargetState) -> Option<&Report> {
    known.stats.latest.as_deref()
}
