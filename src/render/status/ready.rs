//! Whether the firm is ready, on the status page: its accounts, and what is recorded of the verification.

use maud::{Markup, html};

use super::super::page::instant;
use super::super::readiness::{contradiction, lines, remark};
use super::StatusPage;
use crate::evidence::TerminalOutcome;
use crate::readiness::{Readiness, Source};

impl StatusPage<'_> {
    /// Nothing where neither a readiness file nor a data directory is configured.
    pub(super) fn ready(&self) -> Markup {
        let accounts = self.config.readiness.as_ref();
        html! {
            @if accounts.is_some() || self.evidence.standing.is_some() {
                section.card aria-label="Will we be ready?" {
                    h2 { "Will we be ready?" }
                    @if let Some(source) = accounts { (self.accounts(source)) }
                    (self.recorded())
                }
            }
        }
    }

    fn accounts(&self, source: &Source) -> Markup {
        let readiness_state = self.readiness_state;
        html! {
            h3 { "Accounts with an e-mail address" }
            @if !readiness_state.is_readable {
                p {
                    span.state.bad { "the readiness file cannot be read" }
                    " as it is now; the log and "
                    code { "ccass-2fa-exporter check" }
                    " name the line. "
                    @match &readiness_state.readiness {
                        Some(_) => "What follows is of the last good file.",
                        None => "It could not be read since the start.",
                    }
                }
            }
            @if let Some(readiness) = &readiness_state.readiness {
                @for line in lines(&readiness.accounts) { p { (line) } }
                @for text in self.contradictions(readiness, source) {
                    p { span.state.warn { "contradiction" } " " (text) }
                }
                @if let Some(remark) = remark(&readiness.accounts) {
                    p { span.state.warn { "note" } " " (remark) }
                }
                p {
                    "As of " (self.at(readiness.updated)) "."
                    @if self.age(readiness.updated) > source.max_age {
                        " " span.state.warn { "older than readiness.max_age" }
                    }
                }
            }
        }
    }

    /// What the readiness file and the configuration say differently.
    fn contradictions(&self, readiness: &Readiness, source: &Source) -> Vec<String> {
        let done = |id: &str| self.config.timetable.is_done(id);
        let found = readiness
            .accounts
            .contradictions(&source.expected_total, done);
        found.into_iter().map(contradiction).collect()
    }

    fn recorded(&self) -> Markup {
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
                    (standing.count_terminals(&config.terminals, TerminalOutcome::Seen, &config.timetable)) " of "
                    (config.terminals.len()) " CCASS Terminals."
                }
            }
            @if standing.head.number > 0 {
                p { (standing.head.number) " records, newest hash " code { (standing.head.hash) } "." }
            }
            @if standing.faults > 0 {
                p {
                    span.state.bad { "not as it was written" } " the evidence has faults; "
                    code { "ccass-2fa-exporter evidence check" } " names them."
                }
            }
            @if let Some(errors) = self.evidence.errors.filter(|errors| *errors > 0) {
                p { span.state.bad { "not recorded" } " " (errors) " tries since the start put nothing on disk." }
            }
        }
    }
}
