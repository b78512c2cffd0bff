//! Times and durations for readers: the day in words, the largest unit.

use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use maud::{Markup, html};

use super::super::page::instant;
use crate::calendar::{HKT, date_at};
use crate::report::history::TargetHistory;

/// A duration in its largest unit: `45 s`, `3 min`, `5 h`, `3 days`.
pub(in crate::render) fn approximate(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// `today`, `yesterday`, `Sat 28 Nov`, `28 Nov 2025`.
pub(super) fn day(at: Timestamp, now: Timestamp) -> String {
    let (date, today) = (date_at(at), date_at(now));
    if date == today {
        "today".to_owned()
    } else if date == today.saturating_sub(1.day()) {
        "yesterday".to_owned()
    } else if date.year() == today.year() {
        date.strftime("%a %-d %b").to_string()
    } else {
        date.strftime("%-d %b %Y").to_string()
    }
}

/// `today 08:01:40`
pub(super) fn clock_with_day(at: Timestamp, now: Timestamp) -> String {
    let clock = HKT.to_datetime(at).strftime("%H:%M:%S").to_string();
    format!("{} {clock}", day(at, now))
}

/// `5 days`, `tomorrow`, `today`, `ended 3 days ago`: the time until the last instant of a validity.
pub(super) fn until(end: Timestamp, now: Timestamp) -> String {
    let seconds = end.as_second().saturating_sub(now.as_second());
    let duration = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 {
        format!("ended {} ago", approximate(duration))
    } else {
        format!("{} left", approximate(duration))
    }
}

/// The newest step of the clock.
pub(super) fn clock_set(history: &TargetHistory) -> Markup {
    html! {
        @if let Some(step) = history.clock_steps.back() {
            p {
                span.state.warn { "clock set" } " The exporter's clock was set from " (instant(step.from))
                " to " (instant(step.to)) ". Earlier times of that process are converted to the new clock."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_is_in_words_where_it_is_near() {
        let now = "2026-11-28T09:00:00+08:00".parse().unwrap();
        let at = |text: &str| clock_with_day(text.parse().unwrap(), now);
        assert_eq!(at("2026-11-28T00:00:00+08:00"), "today 00:00:00");
        assert_eq!(at("2026-11-27T23:59:59+08:00"), "yesterday 23:59:59");
        assert_eq!(at("2026-11-21T08:00:00+08:00"), "Sat 21 Nov 08:00:00");
        assert_eq!(at("2025-12-31T08:00:00+08:00"), "31 Dec 2025 08:00:00");
    }
}
