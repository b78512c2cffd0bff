//! What is true of the circular's timetable at every instant, and of every deadline of another one.

use std::path::Path;

use jiff::civil::{Date, date};
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;

use super::{DeadlineState, EventState, Timetable};
use crate::calendar::{Calendar, date_at, midnight};

/// Instants around the circular's dates, to the second.
fn instants() -> impl Strategy<Value = Timestamp> {
    let from = midnight(date(2022, 6, 1)).as_second();
    (from..from + 900 * 86_400).prop_map(|second| Timestamp::from_second(second).unwrap())
}

fn days() -> impl Strategy<Value = Date> {
    (0..700_i64).prop_map(|day| date(2023, 1, 2).saturating_add(day.days()))
}

/// A timetable with one deadline, said in two ways.
fn timetable(first: &str, second: &str) -> Timetable {
    let due = |form: &str| {
        format!("      - form: {{{form}}}\n        words: w\n        sentences: [s]\n")
    };
    let text = format!(
        "reference: R\nissuer: I\nissued: 2022-12-01\nstatus: confirmed\nsubject: S\ndeadlines:\n  \
         - id: d\n    title: T\n    status: confirmed\n    due:\n{}{}    alert_until: {{on: 2026-12-31}}\n",
        due(first),
        due(second)
    );
    Timetable::parse(&text, Path::new("generated")).expect("the timetable is valid")
}

fn rank(state: DeadlineState) -> usize {
    match state {
        DeadlineState::NotOpen => 0,
        DeadlineState::Open => 1,
        DeadlineState::Disputed => 2,
        DeadlineState::Passed => 3,
        DeadlineState::Done => 4,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn time_only_moves_deadlines_events_and_phases_forward(one in instants(), other in instants()) {
        let (timetable, calendar) = (Timetable::embedded(), Calendar::embedded());
        let (before, after) = (one.min(other), one.max(other));
        let before = timetable.status_at(before, &calendar);
        let after = timetable.status_at(after, &calendar);
        prop_assert!(before.phase <= after.phase);
        prop_assert!(before.historical <= after.historical);
        for (early, late) in before.deadlines.iter().zip(&after.deadlines) {
            prop_assert!(rank(early.state) <= rank(late.state), "{}", early.id);
            prop_assert!(early.business_days_left >= late.business_days_left, "{}", early.id);
            prop_assert_eq!(early.last_day_to_act, late.last_day_to_act);
        }
        for (early, late) in before.events.iter().zip(&after.events) {
            prop_assert!(early.state as u8 <= late.state as u8, "{}", early.id);
            prop_assert!(early.business_days_left >= late.business_days_left, "{}", early.id);
        }
    }

    #[test]
    fn counts_change_at_midnight_in_hong_kong_only(at in instants()) {
        let (timetable, calendar) = (Timetable::embedded(), Calendar::embedded());
        let counts = |at| {
            let status = timetable.status_at(at, &calendar);
            let deadlines = status.deadlines.into_iter().map(|one| one.business_days_left);
            deadlines
                .chain(status.events.into_iter().map(|one| one.business_days_left))
                .collect::<Vec<_>>()
        };
        prop_assert_eq!(counts(midnight(date_at(at))), counts(at));
    }

    #[test]
    fn remaining_days_are_counted_to_the_last_day_to_act(at in instants()) {
        let (timetable, calendar) = (Timetable::embedded(), Calendar::embedded());
        let status = timetable.status_at(at, &calendar);
        for deadline in &status.deadlines {
            let last = deadline.last_day_to_act.unwrap();
            prop_assert!(midnight(last) < deadline.strict);
            prop_assert_eq!(deadline.business_days_left, calendar.business_days(status.today, last));
            prop_assert_eq!(deadline.business_days_left == Some(0), status.today > last);
        }
        for event in &status.events {
            let is_before = event.state == EventState::Upcoming;
            prop_assert_eq!(is_before, at < event.start);
            prop_assert!(is_before || event.business_days_left == Some(0));
        }
    }

    #[test]
    fn of_two_statements_the_earlier_one_counts(day in days(), other in days(), at in instants()) {
        let forms = [format!("before: {day}"), format!("by: {other}")];
        let calendar = Calendar::embedded();
        let deadline = |first: &str, second: &str| {
            timetable(first, second).status_at(at, &calendar).deadlines.remove(0)
        };
        let status = deadline(&forms[0], &forms[1]);
        let bounds = [midnight(day), midnight(other.tomorrow().unwrap())];
        prop_assert_eq!(status.strict, bounds[0].min(bounds[1]));
        prop_assert_eq!(status.outer, bounds[0].max(bounds[1]));
        prop_assert_eq!(status, deadline(&forms[1], &forms[0]));
    }

    #[test]
    fn a_deadline_is_open_until_the_last_nanosecond(day in days()) {
        let form = format!("before: {day}");
        let timetable = timetable(&form, &form);
        let state = |at| timetable.status_at(at, &Calendar::embedded()).deadlines[0].state;
        let due = midnight(day);
        prop_assert_eq!(state(due - SignedDuration::from_nanos(1)), DeadlineState::Open);
        prop_assert_eq!(state(due), DeadlineState::Passed);
    }
}
