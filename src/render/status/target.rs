//! One target on the status page: what its latest probe saw, and its transitions.

use maud::{Markup, html};

use super::super::html::{body, state};
use super::super::page::instant;
use super::{SHOWN_WHOLE, StatusPage, rough};
use crate::config::Target;
use crate::report::history::{TargetHistory, TargetState};

/// Of the newest transitions.
const MAX_SHOWN: usize = 10;

impl StatusPage<'_> {
    /// The target as far as it is known, folded where there are many good ones.
    pub(super) fn target(&self, target: &Target, known: &TargetState) -> Markup {
        let report = known.stats.latest.as_deref();
        let failing = report.is_some_and(|report| !report.verdict.is_good());
        let asked = self.opened == Some(target.name.as_str());
        let open = asked || failing || self.known.len() <= SHOWN_WHOLE;
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

    /// The newest first, so that a flap at 07:58 is seen at 08:05.
    fn transitions(&self, target: &Target, history: &TargetHistory) -> Markup {
        let newest = history.transitions.iter().rev().take(MAX_SHOWN);
        let ends = std::iter::once(self.now).chain(newest.clone().map(|one| one.at));
        html! {
            @if !history.transitions.is_empty() {
                h3 { "What happened" }
                ul.plain {
                    @for (one, end) in newest.zip(ends) {
                        li {
                            (instant(one.at)) ": "
                            @match one.failure {
                                None => span.state.good { "good" },
                                Some(reason) => span.state.bad { (reason.into_str()) },
                            }
                            ", for " (rough(end.duration_since(one.at).try_into().unwrap_or_default()))
                        }
                    }
                }
                p { a href={ "api/v1/history?target=" (target.name) } { "The whole history, as JSON" } }
            }
        }
    }
}
