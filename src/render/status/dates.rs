//! The circular's dates on the status page.

use maud::{Markup, html};

use super::super::page::instant;
use super::super::readiness::{contradiction, lines};
use super::super::timetable::{Explain, told};
use super::StatusPage;
use crate::readiness::Accounts;

impl StatusPage<'_> {
    /// What the readiness file and the configuration say differently.
    fn contradictions(&self, accounts: &Accounts) -> Vec<String> {
        let Some(source) = &self.config.readiness else {
            return Vec::new();
        };
        let done = |id: &str| self.config.timetable.is_done(id);
        let found = accounts.contradictions(&source.expected_total, done);
        found.into_iter().map(contradiction).collect()
    }

    /// What is due, with the countdown in business days; folded once all of it is past.
    pub(super) fn dates(&self) -> Markup {
        let timetable = &self.config.timetable;
        let standing = timetable.standing(self.now, &self.config.calendar);
        let header = &timetable.header;
        html! {
            details.card id="dates" open[!standing.historical] {
                summary {
                    h2 { "Dates of the circular" }
                    @if standing.historical { " all are past" }
                }
                p {
                    (header.issuer) ", " (header.reference) ", issued " (header.issued) ". Phase: "
                    (standing.phase.code().replace('_', " "))
                    @if !standing.phase_certain { ", by its earliest date" }
                    "."
                }
                @if let Some(readiness) = &self.counted.readiness {
                    h3 { "Accounts with an e-mail address" }
                    @for line in lines(&readiness.accounts) {
                        p { (line) }
                    }
                    @for text in self.contradictions(&readiness.accounts) {
                        p { span.state.warn { "contradiction" } " " (text) }
                    }
                    p { "As of " (instant(readiness.updated)) "." }
                }
                dl.dates {
                    @for (date, paragraphs) in told(timetable, &standing, Explain::DatesOnly) {
                        dt { (date) }
                        dd {
                            @for (index, text) in paragraphs.iter().enumerate() {
                                @if index == 0 { p { strong { (text) } } } @else { p { (text) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
