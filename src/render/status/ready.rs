//! Readiness on the status page: accounts, and the recorded verification.

use maud::{Markup, html};

use super::super::page::instant;
use super::super::readiness::{contradiction, kind_name, remark};
use super::StatusPage;
use super::strip::bar;
use crate::evidence::{EvidenceState, TerminalOutcome};
use crate::readiness::{Accounts, Email, Kind, Readiness, Source};
use crate::timetable::Phase;

impl StatusPage<'_> {
    /// Empty without a readiness file and a data directory.
    pub(super) fn ready(&self) -> Markup {
        let accounts = self.config.readiness.as_ref();
        let timetable = self.evidence.timetable(self.config);
        let phase = timetable.status_at(self.now, &self.config.calendar).phase;
        let title = match phase {
            Phase::Preparation | Phase::ParallelRun => "Readiness",
            Phase::Sole2fa => "Who can log in?",
        };
        html! {
            @if accounts.is_some() || self.evidence.state.is_some() {
                section.card aria-label=(title) {
                    h2 { (title) }
                    @if let Some(source) = accounts { (self.accounts(source, phase)) }
                    (self.recorded())
                }
            }
        }
    }

    fn accounts(&self, source: &Source, phase: Phase) -> Markup {
        let readiness_state = self.readiness_state;
        html! {
            h3 { "Accounts with a registered e-mail address" }
            @if !readiness_state.is_readable {
                p {
                    span.state.bad { "the readiness file is invalid" } " "
                    @if let Some(error) = &readiness_state.error { bdi { (error) } ". " }
                    @match &readiness_state.readiness {
                        Some(_) => "The counts below are from the last valid file.",
                        None => "No valid file was read since the start.",
                    }
                }
            }
            @if let Some(readiness) = &readiness_state.readiness {
                @for kind in Kind::ALL { (account_bar(&readiness.accounts, kind, phase)) }
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

    /// A terminal, and the newest check of the login page at it.
    fn terminal(&self, terminal: &str, state: &EvidenceState) -> Markup {
        html! {
            strong { (terminal) } ": "
            @match state.terminal(terminal) {
                None => span.state.warn { "never checked" },
                Some((at, TerminalOutcome::Seen)) => { span.state.good { "seen" } " " (self.when(at)) },
                Some((at, TerminalOutcome::NotSeen)) => { span.state.bad { "NOT seen" } " " (self.when(at)) },
            }
        }
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
                    (counted(config.terminals.len(), "CCASS Terminal")) ":"
                }
                ul.plain {
                    @for terminal in &config.terminals { li { (self.terminal(terminal, state)) } }
                }
            }
            @if state.head.number > 0 {
                p { (counted(state.head.number, "record")) ", newest hash " code { (state.head.hash) } "." }
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

/// `users: 31 of 40 confirmed`, as a bar and in words.
fn account_bar(accounts: &Accounts, kind: Kind, phase: Phase) -> Markup {
    let count = |email| accounts.count(kind, email);
    let total = accounts.total(kind);
    let share = |email| 100.0 * count(email) as f64 / total.max(1) as f64;
    let (confirmed, missing) = (count(Email::Confirmed), count(Email::Missing));
    let label = format!(
        "{}: {confirmed} of {total} confirmed, {} submitted, {missing} missing",
        kind_name(kind),
        count(Email::Submitted)
    );
    html! {
        p {
            (bar(&label, &[("good", share(Email::Confirmed)), ("part", share(Email::Submitted))]))
            (label)
            @if missing > 0 {
                ": "
                span.state.warn {
                    @match phase {
                        Phase::Sole2fa => { (missing) " cannot log in" },
                        Phase::Preparation | Phase::ParallelRun => { (missing) " to register" },
                    }
                }
            }
            @if accounts.created_after_launch(kind) > 0 {
                "; " (accounts.created_after_launch(kind)) " created since the launch, without a smartcard"
            }
        }
    }
}

/// `1 record`, `2 records`
fn counted(count: impl TryInto<u64>, noun: &str) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}
