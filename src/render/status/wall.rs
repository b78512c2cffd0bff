//! The page for a screen on the wall: the verdict, what fails and the team to call, readable from five
//! meters.

use maud::{Markup, html};

use super::super::html::state;
use super::super::text::contact_name;
use super::overall::{Login, OverallStatus};
use super::time::{approximate, clock_with_day};
use super::{StatusPage, latest};
use crate::report::advice;

/// More do not fit on a screen.
const MAX_LINES: usize = 6;

impl StatusPage<'_> {
    pub(super) fn wall(&self, status: &OverallStatus<'_>, logins: &[Login<'_>]) -> Markup {
        let since = logins.iter().filter_map(|login| {
            if login.is_down() {
                login.down_since()
            } else {
                None
            }
        });
        let newest = self
            .known
            .iter()
            .filter_map(|(_, known)| Some(latest(known)?.started))
            .max();
        let sorted = self.failing_first();
        html! {
            main class={ "wall banner " (status.class()) } {
                p.eyebrow {
                    "CCASS 2FA login"
                    @if let Some(site) = &self.config.site { " · " (site) }
                }
                h1 { (status.title()) }
                @if let Some(since) = since.min() {
                    p.large { "since " (clock_with_day(since, self.now)) ", " (approximate(self.age(since))) }
                }
                ul.plain {
                    @for (target, known) in sorted.iter().take(MAX_LINES) {
                        @let report = latest(known);
                        li {
                            strong { (target.name) } " " (state(report))
                            @if let Some((report, advice)) = report.and_then(|report| Some((report, advice::of_report(report)?))) {
                                div { "Contact: " (contact_name(advice.contact, &self.config.contacts)) }
                                @if report.is_login() { (self.day(target, &known.history)) }
                            } @else {
                                (self.day(target, &known.history))
                            }
                        }
                    }
                }
                @if sorted.len() > MAX_LINES { p { "and " (sorted.len() - MAX_LINES) " more targets" } }
                p {
                    @if let Some(newest) = newest { "Last probe " (approximate(self.age(newest))) " ago · " }
                    (clock_with_day(self.now, self.now)) " HKT"
                }
                p.small { a href="?" { "Status page" } }
            }
        }
    }
}
