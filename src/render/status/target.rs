//! A target on the status page: its latest report and its transitions.

use maud::{Markup, html};

use super::super::html::{body, state};
use super::super::page::instant;
use super::{MAX_EXPANDED, StatusPage, approximate};
use crate::config::Target;
use crate::report::history::{TargetHistory, TargetState};

/// The newest transitions are shown.
const MAX_TRANSITIONS: usize = 10;

impl StatusPage<'_> {
    /// The target's details, collapsed if it succeeds and there are many targets.
    pub(super) fn target(&self, target: &Target, known: &TargetState) -> Markup {
        let report = known.stats.latest.as_deref();
        let failing = report.is_some_and(|report| !report.verdict.is_good());
        let requested = self.expanded == Some(target.name.as_str());
        let open = requested || failing || self.known.len() <= MAX_EXPANDED;
        html! {
            details.card id=(target.name) open[open] {
                summary { h2 { (target.name) } " " (state(report)) }
                p { a href=(target.url) rel="noreferrer" { bdi { (target.url) } } }
                @match report {
                    None => p { "Not probed yet." },
                    Some(report) => { (body(report, &self.config.contacts)) }
                }
                (self.transitions(target, &known.history))
            }
        }
    }

    /// Transitions, newest first.
    fn transitions(&self, target: &Target, history: &TargetHistory) -> Markup {
        let newest = history.transitions.iter().rev().take(MAX_TRANSITIONS);
        let ends = std::iter::once(self.now).chain(newest.clone().map(|one| one.at));
        html! {
            @if !history.transitions.is_empty() {
                h3 { "History" }
                ul.plain {
                    @for (one, end) in newest.zip(ends) {
                        li {
                            (instant(one.at)) ": "
                            @match one.failure {
                                None => span.state.good { "OK" },
                                Some(reason) => span.state.bad { (reason.into_str()) },
                            }
                            ", for " (approximate(end.duration_since(one.at).try_into().unwrap_or_default()))
                        }
                    }
                }
                p { a href={ "api/v1/history?target=" (target.name) } { "Complete history as JSON" } }
            }
        }
    }
}
