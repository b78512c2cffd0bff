//! The table of targets: state, since when, the last 30 days, the certificate.

use maud::{Markup, html};

use super::super::html::{scrolling, state, thead};
use super::super::page::format_duration;
use super::time::{approximate, until};
use super::{StatusPage, latest};
use crate::config::Target;
use crate::report::Role;
use crate::report::history::{TargetHistory, TargetState};

impl StatusPage<'_> {
    pub(super) fn targets(&self) -> Markup {
        html! {
            section.card aria-label="Targets" {
                h2 { "Targets" }
                (scrolling("Targets", html! {
                    table.cards {
                        (thead(&[
                            "Target", "State", "In this state since", "Last 30 days",
                            "Certificate", "Last probe"
                        ]))
                        tbody {
                            @for (target, known) in self.failing_first() {
                                (self.line(target, known))
                            }
                        }
                    }
                }))
            }
        }
    }

    fn line(&self, target: &Target, known: &TargetState) -> Markup {
        let report = latest(known);
        let since = in_state_since(&known.history);
        html! {
            tr {
                th scope="row" {
                    a href={ (self.query(&[&target.name])) "#" (target.name) } { (target.name) }
                    @match target.role {
                        Role::Login => {},
                        Role::Control => " (control)",
                        Role::Closed => " (must be blocked)",
                    }
                }
                td data-label="State" { (state(report)) }
                td data-label="Since" { @if let Some(at) = since { (self.when(at)) } }
                td data-label="30 days" { (self.month(&target.name, &known.history)) }
                td data-label="Certificate" {
                    @if let Some((end, class)) = report.and_then(|report| self.certificate_end(report)) {
                        span.state.(class) { (until(end, self.now)) }
                    }
                }
                td data-label="Last probe" {
                    @if let Some(report) = report {
                        (approximate(self.age(report.started))) " ago, " (format_duration(report.duration))
                    }
                }
            }
        }
    }
}

fn in_state_since(history: &TargetHistory) -> Option<jiff::Timestamp> {
    history.failing_since().or(history.good_since())
}
