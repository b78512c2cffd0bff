//! The past of a target: strips of the last day and the last 30 days, availability, outages, durations
//! by layer, certificates.

use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use maud::{Markup, html};

use super::super::html::{scrolling, thead};
use super::super::layer_name;
use super::super::page::{date, format_duration};
use super::StatusPage;
use super::strip::{Cell, Mark, bar, line, strip};
use super::time::{approximate, clock_set, clock_with_day, day, until};
use crate::calendar::{HKT, date_at, midnight};
use crate::config::Target;
use crate::report::history::{
    Availability, DAY_SECONDS, End, LAYERS, Minute, Outage, Scope, TargetHistory, TargetState,
};
use crate::service_hours::Hours;

/// The newest outages are listed.
const MAX_OUTAGES: usize = 10;
const CELL_MINUTES: i64 = 15;
const DAY_CELLS: i64 = 24 * 60 / CELL_MINUTES;
const MONTH_DAYS: i32 = 30;

impl StatusPage<'_> {
    pub(super) fn past(&self, target: &Target, known: &TargetState) -> Markup {
        let history = &known.history;
        html! {
            @if history.last_probe.is_some() {
                h3 { "Last 24 hours" }
                (self.day(target, history))
                div.axis { span { "24 h ago" } span { "now" } }
                h3 { "Last 30 days" }
                (self.month(&target.name, history))
                div.axis { span { "30 days ago" } span { "today" } }
                p.legend { "▮ good, ! outage, · not watched" }
                (self.availability(history))
                (self.outages(&history.outages()))
                (durations(history, self.now))
                (self.certificates(history))
                (clock_set(history))
            }
        }
    }

    /// Quarters of an hour.
    pub(super) fn day(&self, target: &Target, history: &TargetHistory) -> Markup {
        let newest = self.now.as_second().div_euclid(60 * CELL_MINUTES);
        let max_gap = i64::try_from(self.max_gap(target).as_secs() / 60).unwrap_or(i64::MAX);
        let minutes = &history.timeline.minutes;
        let cells: Vec<Cell> = (newest - DAY_CELLS + 1..=newest)
            .map(|cell| {
                let start = cell * CELL_MINUTES;
                let first = minutes.partition_point(|minute| minute.number < start);
                let within = minutes.range(first..);
                let within = within.take_while(|minute| minute.number < start + CELL_MINUTES);
                let before = first.checked_sub(1).and_then(|index| minutes.get(index));
                // The result of the probe before lasts until the next one.
                let before = before.filter(|minute| start - minute.number <= max_gap);
                day_cell(within, before)
            })
            .collect();
        let label = format!(
            "{}, last 24 hours: {}",
            target.name,
            summary(&cells, "quarters of an hour")
        );
        strip(&label, &cells)
    }

    /// Days in Hong Kong.
    pub(super) fn month(&self, name: &str, history: &TargetHistory) -> Markup {
        let today = date_at(self.now);
        let mut hours = history.timeline.hours.iter().peekable();
        let cells: Vec<Cell> = (0..MONTH_DAYS)
            .rev()
            .map(|ago| {
                let start = midnight(today.saturating_sub(ago.days())).as_second() / 3_600;
                let mut sum = Availability::default();
                while let Some(hour) = hours.next_if(|hour| hour.number < start + 24) {
                    if hour.number >= start {
                        sum = sum.plus(hour.always);
                    }
                }
                self.month_cell(start * 3_600, sum)
            })
            .collect();
        strip(
            &format!("{name}, last 30 days: {}", summary(&cells, "days")),
            &cells,
        )
    }

    fn month_cell(&self, start: i64, sum: Availability) -> Cell {
        let at = Timestamp::from_second(start).unwrap_or(self.now);
        let (mark, text) = match sum.share() {
            None => (Mark::NotWatched, "not watched".to_owned()),
            Some(_) if sum.failed == 0 => (Mark::Good, "good".to_owned()),
            Some(share) => {
                let failed = approximate(Duration::from_secs(sum.failed.into()));
                let day = day(at, self.now);
                (
                    Mark::Failed,
                    format!("{day}: {}, outage of {failed}", percent(share)),
                )
            }
        };
        Cell { mark, text }
    }

    /// Availability and outages of the last 7 and 30 days, in service hours too where they are limited.
    fn availability(&self, history: &TargetHistory) -> Markup {
        let outages = history.outages();
        let has_hours = self.config.service_hours.hours != Hours::Always
            || !self.config.service_hours.maintenance.is_empty();
        let usual = history.timeline.usual_duration(self.before(7));
        html! {
            p {
                @for days in [7, 30] {
                    @let from = self.before(days);
                    @let of = |scope| history.timeline.availability(from, scope).share();
                    @if let Some(share) = of(Scope::Always) {
                        (days) " days: " strong { (percent(share)) } " available"
                        @if has_hours {
                            @match of(Scope::ServiceHours) {
                                Some(share) => { ", " strong { (percent(share)) } " in service hours" },
                                None => ", not watched in service hours",
                            }
                        }
                        ", " (outage_count(&outages, from, self.now)) ". "
                    }
                }
                @if let Some(usual) = usual { "Usual duration " (format_duration(usual)) "." }
            }
        }
    }

    fn before(&self, days: i64) -> Timestamp {
        let second = self.now.as_second().saturating_sub(days * DAY_SECONDS);
        Timestamp::from_second(second).unwrap_or(Timestamp::MIN)
    }

    fn outages(&self, outages: &[Outage]) -> Markup {
        html! {
            h3 { "Outages" }
            @if outages.is_empty() {
                p { "No outage is recorded." }
            } @else {
                (scrolling("Outages", html! {
                    table.cards {
                        (thead(&["Start", "Duration", "Reason", "Ended by"]))
                        tbody {
                            @for outage in outages.iter().rev().take(MAX_OUTAGES) {
                                tr {
                                    th scope="row" { (self.when(outage.start)) }
                                    td data-label="Duration" { (approximate(length(outage, self.now))) }
                                    td.wide data-label="Reason" { (outage_reasons(outage)) }
                                    td.wide data-label="Ended by" { (ended_by(outage)) }
                                }
                            }
                        }
                    }
                }))
                @if outages.len() > MAX_OUTAGES {
                    p { (outages.len() - MAX_OUTAGES) " older ones are in the history as JSON." }
                }
            }
        }
    }

    /// Each certificate from its first to its last day, on one axis.
    fn certificates(&self, history: &TargetHistory) -> Markup {
        let all = || history.certificates.iter();
        let (Some(start), Some(end)) = (
            all().map(|one| one.not_before.as_second()).min(),
            all().map(|one| one.not_after.as_second()).max(),
        ) else {
            return html! {};
        };
        let now = self.now.as_second();
        let (start, end) = (start.min(now), end.max(now));
        let share = |from: i64, to: i64| 100.0 * (to - from) as f64 / (end - start).max(1) as f64;
        html! {
            h3 { "Certificates" }
            ul.plain {
                @for one in all().rev() {
                    @let (from, to) = (one.not_before.as_second(), one.not_after.as_second());
                    @let past = now.clamp(from, to);
                    @let left = until(one.not_after, self.now);
                    @let label = format!("valid {} to {}, {left}", date(one.not_before), date(one.not_after));
                    li {
                        (bar(&label, &[
                            ("none", share(start, from)),
                            ("done", share(from, past)),
                            ("good", share(past, to)),
                        ]))
                        bdi { (one.issuer) } ": " (label) "; seen " (day(one.first_seen, self.now))
                        @if date_at(one.first_seen) != date_at(one.last_seen) {
                            " to " (day(one.last_seen, self.now))
                        }
                    }
                }
            }
        }
    }
}

fn day_cell<'a>(within: impl Iterator<Item = &'a Minute>, before: Option<&Minute>) -> Cell {
    let mut newest = None;
    let mut failed = None;
    for minute in within {
        newest = Some(minute);
        failed = failed.or(minute.failure.map(|reason| (minute.number, reason)));
    }
    let before = before.filter(|_| newest.is_none());
    let failed = failed.or(before.and_then(|one| Some((one.number, one.failure?))));
    let (mark, text) = match (failed, newest.or(before)) {
        (Some((minute, reason)), _) => {
            let at = Timestamp::from_second(minute * 60).unwrap_or_default();
            let at = HKT.to_datetime(at).strftime("%H:%M").to_string();
            (Mark::Failed, format!("{at}: {}", reason.into_str()))
        }
        (None, Some(_)) => (Mark::Good, "good".to_owned()),
        (None, None) => (Mark::NotWatched, "not watched".to_owned()),
    };
    Cell { mark, text }
}

/// A strip in words, for those who do not see it.
fn summary(cells: &[Cell], unit: &str) -> String {
    let count = |mark| cells.iter().filter(|cell| cell.mark == mark).count();
    format!(
        "{} {unit} good, {} with an outage, {} not watched",
        count(Mark::Good),
        count(Mark::Failed),
        count(Mark::NotWatched)
    )
}

/// Not rounded up: 100 % means no outage.
pub(super) fn percent(share: f64) -> String {
    if share >= 1.0 {
        return "100 %".to_owned();
    }
    format!("{:.2} %", (share * 10_000.0).floor() / 100.0)
}

fn length(outage: &Outage, now: Timestamp) -> Duration {
    let end = outage.end.unwrap_or(now);
    Duration::try_from(end.duration_since(outage.start)).unwrap_or_default()
}

/// `3 outages, longest 21 min`
fn outage_count(outages: &[Outage], from: Timestamp, now: Timestamp) -> String {
    let outages = outages.iter();
    let lengths: Vec<Duration> = outages
        .filter(|outage| outage.end.is_none_or(|end| end >= from))
        .map(|outage| length(outage, now))
        .collect();
    let longest = lengths.iter().max().map(|one| approximate(*one));
    match (lengths.len(), longest) {
        (0, _) | (_, None) => "no outage".to_owned(),
        (1, Some(longest)) => format!("1 outage of {longest}"),
        (count, Some(longest)) => format!("{count} outages, longest {longest}"),
    }
}

/// `today 16:53:40, 2 min`
pub(super) fn outage_times(outage: &Outage, now: Timestamp) -> String {
    let start = clock_with_day(outage.start, now);
    format!("{start}, {}", approximate(length(outage, now)))
}

/// `HTTP: http_status, then TLS: tls_expired`
pub(super) fn outage_reasons(outage: &Outage) -> String {
    /// The first and the last one matter most.
    const MAX_LISTED: usize = 4;
    let reasons = outage.reasons.iter();
    let mut names: Vec<String> = reasons
        .map(|reason| format!("{}: {}", layer_name(reason.layer()), reason.into_str()))
        .collect();
    if names.len() > MAX_LISTED {
        let last = names.len() - 1;
        let more = last - (MAX_LISTED - 1);
        names.splice(MAX_LISTED - 1..last, [format!("{more} more")]);
    }
    names.join(", then ")
}

fn ended_by(outage: &Outage) -> String {
    match &outage.ended_by {
        None => "not ended".to_owned(),
        Some(End::NotWatched) => "unknown: nothing probed when it ended".to_owned(),
        Some(End::Success { changed }) if changed.is_empty() => {
            "a successful probe of the same server".to_owned()
        }
        Some(End::Success { changed }) => {
            let changed: Vec<&str> = changed.iter().map(|fact| fact.title()).collect();
            format!("a successful probe; changed: {}", changed.join(", "))
        }
    }
}

/// A line for each layer over the last day, with its median, maximum and present value.
fn durations(history: &TargetHistory, now: Timestamp) -> Markup {
    let newest = now.as_second().div_euclid(60 * CELL_MINUTES);
    let minutes = &history.timeline.minutes;
    let layers = LAYERS.iter().enumerate().filter_map(|(index, layer)| {
        let value = |minute: &Minute| minute.layers.get(index).copied().filter(|value| *value > 0);
        let mut all: Vec<u32> = minutes.iter().filter_map(value).collect();
        all.sort_unstable();
        let (median, max) = (*all.get(all.len() / 2)?, *all.last()?);
        let cells = (newest - DAY_CELLS + 1..=newest).map(|cell| {
            let start = cell * CELL_MINUTES;
            let first = minutes.partition_point(|minute| minute.number < start);
            let within = minutes.range(first..);
            let within = within.take_while(|minute| minute.number < start + CELL_MINUTES);
            within.filter_map(value).max()
        });
        let now = minutes.back().and_then(value);
        Some((
            layer_name(*layer),
            cells.collect::<Vec<_>>(),
            median,
            max,
            now,
        ))
    });
    let layers: Vec<_> = layers.collect();
    html! {
        @if !layers.is_empty() {
            h3 { "Durations, last 24 hours" }
            (scrolling("Durations", html! {
                table.cards.durations {
                    (thead(&["Layer", "Maximum of each 15 min", "Median", "Maximum", "Now"]))
                    tbody {
                        @for (name, cells, median, max, now) in &layers {
                            tr {
                                th scope="row" { (name) }
                                td data-label="15 min" {
                                    (line(&format!("{name}: median {}, maximum {}", tenths(*median), tenths(*max)), cells))
                                }
                                td data-label="Median" { (tenths(*median)) }
                                td data-label="Maximum" { (tenths(*max)) }
                                td data-label="Now" {
                                    @match now {
                                        None => "",
                                        Some(now) if is_slow(*now, *median) => span.state.warn { (tenths(*now)) " slow" },
                                        Some(now) => (tenths(*now)),
                                    }
                                }
                            }
                        }
                    }
                }
            }))
        }
    }
}

/// Far from usual, and long enough to be felt.
fn is_slow(now: u32, median: u32) -> bool {
    const FELT: u32 = 5_000;
    now > FELT && now > median.saturating_mul(5)
}

fn tenths(value: u32) -> String {
    format_duration(Duration::from_micros(u64::from(value) * 100))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Reason::*;

    #[test]
    fn first_and_last_reasons_of_an_outage_are_named() {
        let outage = Outage {
            start: Timestamp::UNIX_EPOCH,
            end: None,
            ended_by: None,
            reasons: vec![
                TcpReset, TlsClosed, HttpReset, HttpClosed, TcpReset, HttpStatus,
            ],
        };
        let expected = "TCP: tcp_reset, then TLS: tls_closed, then HTTP: http_reset, then 2 more, then \
                        HTTP: http_status";
        assert_eq!(outage_reasons(&outage), expected);
    }
}
