//! What is true of every table, every pair of dates and every closure of a firm.

use std::collections::BTreeSet;

use jiff::ToSpan;
use jiff::civil::{Date, Weekday, date};
use proptest::collection::btree_set;
use proptest::prelude::*;

use super::{Calendar, day_end, midnight, parse_date};

/// The years of the tables that are generated.
const FIRST: i16 = 2022;
const LAST: i16 = 2024;

fn days() -> impl Strategy<Value = Date> {
    (0..1096_i64).prop_map(|day| date(FIRST, 1, 1).saturating_add(day.days()))
}

/// A table with a holiday in each year, and a firm's own closures and openings.
fn calendars() -> impl Strategy<Value = (Calendar, BTreeSet<Date>)> {
    (
        btree_set(days(), 0..60),
        btree_set(days(), 0..10),
        btree_set(days(), 0..10),
    )
        .prop_map(|(mut holidays, closed, open)| {
            holidays.extend((FIRST..=LAST).map(|year| date(year, 1, 1)));
            let open: BTreeSet<Date> = open.difference(&closed).copied().collect();
            let lines = holidays
                .iter()
                .map(|day| format!("{day},{},a holiday\n", day.strftime("%a")));
            let table: String = std::iter::once("date,weekday,name\n".to_owned())
                .chain(lines)
                .collect();
            let calendar = Calendar::parse(&table).expect("the table is valid");
            let calendar = calendar
                .with_overrides(closed.iter().copied(), open.iter().copied())
                .expect("the overrides are valid");
            let is_weekend =
                |day: &Date| matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
            let all = (0..1096_i64).map(|day| date(FIRST, 1, 1).saturating_add(day.days()));
            let business = all
                .filter(|day| {
                    let is_closed =
                        is_weekend(day) || holidays.contains(day) || closed.contains(day);
                    open.contains(day) || !is_closed
                })
                .collect();
            (calendar, business)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn business_days_are_the_days_between_that_are_open(
        (calendar, business) in calendars(),
        from in days(),
        to in days(),
    ) {
        let expected = if from <= to { business.range(from..=to).count() } else { 0 };
        prop_assert_eq!(calendar.business_days(from, to), u32::try_from(expected).ok());
        prop_assert_eq!(calendar.is_business_day(from), Some(business.contains(&from)));
    }

    #[test]
    fn counts_of_adjacent_periods_add_up(
        (calendar, _) in calendars(),
        dates in btree_set(days(), 3..=3),
    ) {
        let dates: Vec<Date> = dates.into_iter().collect();
        let (from, middle, to) = (dates[0], dates[1], dates[2]);
        let first = calendar.business_days(from, middle).unwrap();
        let second = calendar.business_days(middle.tomorrow().unwrap(), to).unwrap();
        prop_assert_eq!(calendar.business_days(from, to), Some(first + second));
    }

    #[test]
    fn no_business_day_lies_between_a_day_and_the_last_one_before_it(
        (calendar, business) in calendars(),
        day in days(),
    ) {
        prop_assert_eq!(
            calendar.last_business_day_before(day),
            business.range(..day).next_back().copied()
        );
    }

    #[test]
    fn nothing_is_known_outside_the_years_of_the_table(
        (calendar, _) in calendars(),
        inside in days(),
        away in 0..30_000_i64,
    ) {
        let before = date(FIRST, 1, 1).saturating_sub((away + 1).days());
        let after = date(LAST, 12, 31).saturating_add((away + 1).days());
        for outside in [before, after] {
            prop_assert_eq!(calendar.is_business_day(outside), None);
            prop_assert_eq!(calendar.business_days(inside, outside), None);
            prop_assert_eq!(calendar.business_days(outside, inside), None);
        }
        prop_assert_eq!(calendar.last_business_day_before(before), None);
    }

    #[test]
    fn days_last_24_hours_and_dates_read_back_as_written(day in days()) {
        prop_assert_eq!(day_end(day).duration_since(midnight(day)).as_hours(), 24);
        prop_assert_eq!(parse_date(&day.to_string()), Ok(day));
    }

    #[test]
    fn tables_of_any_text_are_read_or_refused_and_years_have_no_gap(
        text in "(date,weekday,name\n)?([0-9]{4}-[0-9]{2}-[0-9]{2},[A-Z][a-z]*,[^\n]{0,9}\n){0,4}",
    ) {
        if let Ok(calendar) = Calendar::parse(&text) {
            for year in calendar.years() {
                prop_assert!(!calendar.holidays(year).is_empty());
            }
        }
    }
}
