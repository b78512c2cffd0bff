//! What fails and the team to contact, and whether the fault is local or remote.

use maud::{Markup, html};

use super::super::html::{cause, changes};
use super::super::overview;
use super::super::page::instant;
use super::{StatusPage, latest};
use crate::report::Role;
use crate::report::overview::Overview;

impl StatusPage<'_> {
    /// Reason, contact, action and changes of each failing login target.
    pub(super) fn causes(&self) -> Markup {
        let failing = self.known.iter().filter_map(|(target, known)| {
            let report = latest(known)?;
            let fails = target.role != Role::Control && !report.verdict.is_good();
            fails.then_some((report, &known.history))
        });
        html! {
            @for (report, history) in failing {
                @let good = history.last_good.as_ref().map(|good| good.at);
                @let times = [
                    history.failing_since().map(|at| format!("Failing since: {}", instant(at))),
                    good.map(|at| format!("Last success: {}", instant(at))),
                ];
                section.card.cause aria-label={ "Failure of " (report.target) } {
                    (cause(report, &self.config.contacts, times.into_iter().flatten()))
                    @if let Some(good) = good {
                        (changes(good, &history.changes))
                    }
                    p { a href={ "report?target=" (report.target) } { "Report of this probe, to print or to send" } }
                }
            }
        }
    }

    /// The paths of each group, and the controls; nothing while every one of them is good.
    pub(super) fn comparison(&self, overview: &Overview<'_>) -> Markup {
        let sentences = overview::sentences(overview);
        html! {
            @if !overview.is_good() && !sentences.is_empty() {
                section.card aria-label="Local or remote fault?" {
                    h2 { "Local or remote fault?" }
                    dl {
                        @for (label, sentence) in sentences {
                            dt { (label) }
                            dd { bdi { (sentence) } }
                        }
                    }
                }
            }
        }
    }
}
