//! A target on the status page: its latest report and its past.

use maud::{Markup, html};

use super::super::html::{body, state};
use super::{MAX_EXPANDED, StatusPage, latest};
use crate::config::Target;
use crate::report::history::TargetState;

impl StatusPage<'_> {
    /// The target's details, collapsed if it succeeds and there are several targets.
    pub(super) fn target(&self, target: &Target, known: &TargetState) -> Markup {
        let report = latest(known);
        let failing = report.is_some_and(|report| !report.verdict.is_good());
        let open = self.is_expanded(&target.name) || failing || self.known.len() <= MAX_EXPANDED;
        html! {
            details.card id=(target.name) open[open] {
                summary { h2 { (target.name) } " " (state(report)) }
                p { a href=(target.url) rel="noreferrer" { bdi { (target.url) } } }
                // The layers first while one fails.
                @if !failing { (self.past(target, known)) }
                @match report {
                    None => p { "Not probed yet." },
                    Some(report) => { (body(report, &self.browser(report, known), &self.config.contacts)) }
                }
                @if failing { (self.past(target, known)) }
                p {
                    a href={ "api/v1/history?target=" (target.name) "&range=24h" } { "History as JSON" }
                    @if report.is_some() {
                        " · " a href={ "report?target=" (target.name) } { "Report to print or to send" }
                    }
                }
                (self.toggle(&target.name))
            }
        }
    }
}
