//! The banner: the verdict, since when, the last outage, announced maintenance, and notes on what does
//! not stop the login but should be seen.

use jiff::Timestamp;
use maud::{Markup, html};

use super::super::facts::failing_addresses;
use super::overall::{Login, OverallStatus};
use super::past::{outage_reasons, outage_times};
use super::time::{approximate, until};
use super::{StatusPage, latest};
use crate::report::Report;
use crate::service_hours::Maintenance;

/// The thresholds of `Ccass2faCertificateExpiresSoon`, in seconds.
const CERTIFICATE_WARNING: i64 = 14 * 86_400;
const CERTIFICATE_CRITICAL: i64 = 3 * 86_400;
/// A maintenance that begins later is not shown.
const MAX_AHEAD_SECONDS: i64 = 7 * 86_400;

impl StatusPage<'_> {
    pub(super) fn banner(&self, status: &OverallStatus<'_>, logins: &[Login<'_>]) -> Markup {
        let newest = self.known.iter().filter(|(target, _)| target.is_login());
        let newest = newest
            .filter_map(|(_, known)| Some(latest(known)?.started))
            .max();
        html! {
            header class={ "banner " (status.class()) } {
                p.eyebrow {
                    "CCASS 2FA login"
                    @if let Some(site) = &self.config.site { " · site " (site) }
                }
                h1 { (status.title()) }
                (self.since(status, logins))
                @if let Some(newest) = newest {
                    p { "Last probe " (self.at(newest)) }
                } @else {
                    p { "The first probe starts within " (approximate(self.config.probe.interval)) "." }
                }
                (self.pause())
                (self.maintenance())
                (self.notes())
            }
        }
    }

    /// Since when the state lasts, and what was before.
    fn since(&self, status: &OverallStatus<'_>, logins: &[Login<'_>]) -> Markup {
        let down: Vec<&Login<'_>> = logins.iter().filter(|login| login.is_down()).collect();
        html! {
            @match status {
                OverallStatus::NotReached { .. } => {
                    @for login in &down {
                        @if let Some(since) = login.down_since() {
                            p {
                                @if down.len() > 1 || logins.len() > 1 { (login.name) ": failing since " }
                                @else { "Failing since " }
                                (self.at(since))
                            }
                        }
                        @match login.last_good() {
                            Some(good) => p { "Last success " (self.at(good)) },
                            None => p { "No success is recorded." },
                        }
                    }
                }
                OverallStatus::PartlyReached { .. } => {
                    @for (target, known) in logins.iter().flat_map(Login::failing) {
                        @if let Some(since) = known.history.failing_since() {
                            p { (target.name) " failing since " (self.at(since)) }
                        }
                    }
                }
                OverallStatus::Reached(_) => (self.good_since(logins)),
                OverallStatus::NothingProbed | OverallStatus::NotYet | OverallStatus::Stale => {}
            }
        }
    }

    fn good_since(&self, logins: &[Login<'_>]) -> Markup {
        let since = logins.iter().filter_map(Login::good_since).max();
        let outages = logins.iter().flat_map(Login::outages);
        let last = outages
            .filter(|outage| outage.end.is_some())
            .max_by_key(|outage| outage.end);
        html! {
            p {
                @if let Some(since) = since { "Since " (self.at(since)) " · " }
                @match last {
                    Some(outage) => {
                        "last outage " (outage_times(&outage, self.now))
                        " (" (outage_reasons(&outage)) ")"
                    }
                    None => "no outage is recorded",
                }
            }
        }
    }

    /// That the server asked for no probes.
    fn pause(&self) -> Markup {
        let logins = self.known.iter().filter(|(target, _)| target.is_login());
        let paused = logins.filter_map(|(_, known)| latest(known)?.pause());
        let paused = paused.filter(|(_, until)| *until > self.now);
        html! {
            @if let Some((pause, until)) = paused.max_by_key(|(_, until)| *until) {
                p {
                    "Paused for " (approximate(pause)) ": the server asked to wait (Retry-After). Next probe about "
                    (self.when(until)) " HKT"
                }
            }
        }
    }

    /// The announced maintenance that is active, and the next one.
    fn maintenance(&self) -> Markup {
        let all = self.config.service_hours.maintenance.iter();
        let active = all
            .clone()
            .find(|one| one.from <= self.now && self.now < one.to);
        let ahead = |at: Timestamp| at.as_second().saturating_sub(self.now.as_second());
        let next = all
            .filter(|one| (1..=MAX_AHEAD_SECONDS).contains(&ahead(one.from)))
            .min_by_key(|one| one.from);
        html! {
            @if let Some(one) = active {
                p { strong { "Announced maintenance " (reference(one)) } " until " (self.when(one.to)) " HKT" }
            }
            @if let Some(one) = next {
                p {
                    "Next announced maintenance " (reference(one)) ": " (self.when(one.from)) " to "
                    (self.when(one.to)) " HKT"
                }
            }
        }
    }

    /// Certificates that end soon, and findings.
    fn notes(&self) -> Markup {
        let mut notes: Vec<(String, &str)> = Vec::new();
        for (target, known) in self.known {
            let Some(report) = latest(known) else {
                continue;
            };
            if let Some((end, class)) = self.certificate_end(report)
                && class != "good"
            {
                let left = until(end, self.now);
                notes.push((
                    format!("{}: certificate, {left}", target.name),
                    &target.name,
                ));
            }
            if let Some(text) = failing_addresses(&known.history, self.now) {
                notes.push((format!("{}: {text}", target.name), &target.name));
            }
            if report.verdict.is_good() {
                for found in &report.findings {
                    let finding = <&str>::from(found.finding).replace('_', " ");
                    notes.push((
                        format!("{}: {finding}, {}", target.name, found.detail),
                        &target.name,
                    ));
                }
            }
        }
        html! {
            @if !notes.is_empty() {
                div.notes {
                    strong { @if notes.len() == 1 { "1 note" } @else { (notes.len()) " notes" } }
                    ul {
                        @for (text, target) in &notes {
                            li { a href={ (self.query(&[target])) "#" (target) } { bdi { (text) } } }
                        }
                    }
                }
            }
        }
    }

    /// When the certificate ends, and the class of the time left by the alert's thresholds.
    pub(super) fn certificate_end(&self, report: &Report) -> Option<(Timestamp, &'static str)> {
        let end = report.certificate()?.not_after;
        let left = end.as_second().saturating_sub(self.now.as_second());
        let class = match left {
            ..CERTIFICATE_CRITICAL => "bad",
            CERTIFICATE_CRITICAL..CERTIFICATE_WARNING => "warn",
            _ => "good",
        };
        Some((end, class))
    }
}

fn reference(maintenance: &Maintenance) -> &str {
    maintenance
        .reference
        .as_deref()
        .unwrap_or("without a reference")
}
