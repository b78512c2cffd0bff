//! The circular's dates on the status page.

use maud::{Markup, html};

use super::super::page::instant;
use super::super::readiness::{contradiction, lines};
use super::super::timetable::{Explain, told};
use super::StatusPage;
use crate::evidence::Sighting;
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

    /// What is recorded of the verification.
    fn evidence(&self) -> Markup {
        let Some(standing) = &self.evidence.standing else {
            return html! {};
        };
        let config = self.config;
        let logins = || config.targets.iter().filter(|target| target.is_login());
        let passes = || logins().filter_map(|target| standing.last_pass(target));
        html! {
            h3 { "Recorded" }
            p {
                "Verified by a full pass: " (passes().count()) " of " (logins().count())
                " login targets"
                @if let Some(newest) = passes().max() { ", the newest " (instant(newest)) }
                "."
            }
            @if !config.terminals.is_empty() {
                p {
                    "The login page was seen at "
                    (standing.sighted(&config.terminals, Sighting::Seen, &config.timetable)) " of "
                    (config.terminals.len()) " CCASS Terminals."
                }
            }
            @if standing.head.number > 0 {
                p { (standing.head.number) " records, newest hash " code { (standing.head.hash) } "." }
            }
            @if let Some(errors) = self.evidence.errors.filter(|errors| *errors > 0) {
                p { span.state.bad { "not recorded" } " " (errors) " tries since the start put nothing on disk." }
            }
        }
    }

    /// What is due, with the countdown in business days; folded once all of it is past.
    pub(super) fn dates(&self) -> Markup {
        let timetable = &self.evidence.laid_over(self.config);
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
                (self.evidence())
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
