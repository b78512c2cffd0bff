//! Readiness on the status page: accounts, and the recorded verification.

use maud::{Markup, html};

use super::super::page::instant;
use super::super::readiness::{contradiction, lines, remark};
use super::StatusPage;
use crate::evidence::TerminalOutcome;
use crate::readiness::{Readiness, Source};

impl StatusPage<'_> {
    /// Empty without a readiness file and a data directory.
    pub(super) fn ready(&self) -> Markup {
        let accounts = self.config.readiness.as_ref();
        html! {
            @if accounts.is_some() || self.evidence.state.is_some() {
                section.card aria-label="Readiness" {
                    h2 { "Readiness" }
                    @if let Some(source) = accounts { (self.accounts(source)) }
                    (self.recorded())
                }
            }
        }
    }

    fn accounts(&self, source: &Source) -> Markup {
        let readiness_state = self.readiness_state;
        html! {
            h3 { "Accounts with a registered e-mail address" }
            @if !readiness_state.is_readable {
                p {
                    span.state.bad { "the readiness file is invalid" }
                    " The log and "
                    code { "ccass-2fa-exporter check" }
                    " name the row. "
                    @match &readiness_state.readiness {
                        Some(_) => "The counts below are from the last valid file.",
                        None => "No valid file was read since the start.",
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

    /// Differences between the readiness file and the configuration.
    fn contradictions(&self, readiness: &Readiness, source: &Source) -> Vec<String> {
        let done = |id: &str| self.config.timetable.is_done(id);
        let found = readiness
            .accounts
            .contradictions(&source.expected_total, done);
        found.into_iter().map(contradiction).collect()
    }

    fn recorded(&self) -> Markup {
        let Some(state) = &self.evidence.state else {
            return html! {};
        };
        let config = self.config;
        let logins = || config.targets.iter().filter(|target| target.is_login());
        let passes = || logins().filter_map(|target| state.last_pass(target));
        html! {
            h3 { "Evidence" }
            p {
                "Verified by a full pass: " (passes().count()) " of " (logins().count())
                " login targets"
                @if let Some(newest) = passes().max() { ", latest " (instant(newest)) }
                "."
            }
            @if !config.terminals.is_empty() {
                p {
                    "Login page seen at "
                    (state.count_terminals(&config.terminals, TerminalOutcome::Seen, &config.timetable)) " of "
                    (config.terminals.len()) " CCASS Terminals."
                }
            }
            @if state.head.number > 0 {
                p { (state.head.number) " records, newest hash " code { (state.head.hash) } "." }
            }
            @if state.faults > 0 {
                p {
                    span.state.bad { "altered or incomplete" } " The evidence has faults; "
                    code { "ccass-2fa-exporter evidence check" } " lists them."
                }
            }
            @if let Some(errors) = self.evidence.write_errors.filter(|errors| *errors > 0) {
                p { span.state.bad { "not recorded" } " " (errors) " attempts to write since the start failed." }
            }
        }
    }
}
