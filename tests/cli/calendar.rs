//! Business days of Hong Kong. Every expected value was determined by hand.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic fails the test"
)]

use ccass_2fa_exporter::calendar::{Calendar, CalendarError, date_at, day_end, midnight};
use jiff::Timestamp;
use jiff::civil::{Date, date};

fn hong_kong() -> Calendar {
    Calendar::embedded()
}

fn parse_error(table: &str) -> String {
    Calendar::parse(table).unwrap_err().to_string()
}

#[test]
fn each_year_has_the_published_number_of_business_days() {
    for (year, days) in [
        (2022, 246),
        (2023, 246),
        (2024, 247),
        (2025, 246),
        (2026, 247),
        (2027, 248),
    ] {
        let counted = hong_kong().business_days(date(year, 1, 1), date(year, 12, 31));
        assert_eq!(counted, Some(days), "{year}");
    }
}

#[test]
fn april_2023_has_the_right_business_days() {
    let business_days: Vec<i8> = (1..=30)
        .filter(|&day| hong_kong().is_business_day(date(2023, 4, day)) == Some(true))
        .collect();
    assert_eq!(
        business_days,
        [
            3, 4, 6, 11, 12, 13, 14, 17, 18, 19, 20, 21, 24, 25, 26, 27, 28
        ]
    );
}

#[test]
fn good_friday_and_easter_monday_are_holidays() {
    assert_eq!(hong_kong().is_business_day(date(2023, 4, 7)), Some(false));
    assert_eq!(hong_kong().is_business_day(date(2023, 4, 10)), Some(false));
}

#[test]
fn last_business_day_before_skips_holidays_weekends_and_the_date() {
    let before = |day| hong_kong().last_business_day_before(day);
    assert_eq!(before(date(2023, 4, 28)), Some(date(2023, 4, 27)));
    assert_eq!(before(date(2023, 4, 11)), Some(date(2023, 4, 6)));
    assert_eq!(before(date(2024, 1, 2)), Some(date(2023, 12, 29)));
    assert_eq!(before(date(2028, 1, 1)), Some(date(2027, 12, 31)));
}

#[test]
fn dates_outside_the_table_have_no_answer() {
    let calendar = hong_kong();
    assert_eq!(calendar.is_business_day(date(2021, 12, 31)), None);
    assert_eq!(calendar.is_business_day(date(2028, 1, 1)), None);
    assert_eq!(
        calendar.business_days(date(2021, 12, 31), date(2022, 1, 31)),
        None
    );
    assert_eq!(
        calendar.business_days(date(2027, 12, 1), date(2028, 1, 1)),
        None
    );
    assert_eq!(calendar.last_business_day_before(date(2022, 1, 3)), None);
    assert_eq!(calendar.last_business_day_before(date(2028, 1, 2)), None);
    assert_eq!(calendar.is_business_day(Date::MAX), None);
    assert_eq!(calendar.last_business_day_before(Date::MIN), None);
}

#[test]
fn reversed_range_has_no_business_days() {
    assert_eq!(
        hong_kong().business_days(date(2023, 4, 28), date(2023, 4, 27)),
        Some(0)
    );
    assert_eq!(
        hong_kong().business_days(date(2022, 12, 30), date(2023, 1, 3)),
        Some(2)
    );
}

#[test]
fn table_is_valid_until_2028_begins_in_hong_kong() {
    assert_eq!(hong_kong().years(), 2022..=2027);
    assert_eq!(hong_kong().valid_until().as_second(), 1_830_268_800);
}

#[test]
fn hong_kong_day_begins_at_1600_utc() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    assert_eq!(date_at(at("2023-04-27T15:59:59Z")), date(2023, 4, 27));
    assert_eq!(date_at(at("2023-04-27T16:00:00Z")), date(2023, 4, 28));
    assert_eq!(midnight(date(2023, 4, 28)), at("2023-04-27T16:00:00Z"));
    assert_eq!(day_end(date(2022, 12, 31)), at("2022-12-31T16:00:00Z"));
    assert_eq!(midnight(Date::MIN), Timestamp::MIN);
    assert_eq!(day_end(Date::MAX), midnight(Date::MAX));
}

#[test]
fn holidays_of_a_year_are_sorted() {
    let calendar = hong_kong();
    let holidays = calendar.holidays(2027);
    assert_eq!(holidays.len(), 17);
    assert_eq!(holidays[0].date, date(2027, 1, 1));
    assert_eq!(holidays[16].name, "The first weekday after Christmas Day");
    assert!(calendar.holidays(2028).is_empty());
}

#[test]
fn overrides_close_weekdays_and_open_saturdays() {
    let (typhoon, drill, may_day) = (date(2023, 7, 17), date(2023, 5, 20), date(2023, 5, 1));
    let calendar = hong_kong()
        .with_overrides([typhoon], [drill, may_day])
        .unwrap();
    assert_eq!(calendar.is_business_day(typhoon), Some(false));
    assert_eq!(calendar.is_business_day(drill), Some(true));
    assert_eq!(calendar.is_business_day(may_day), Some(true));
    assert_eq!(
        calendar.business_days(date(2023, 1, 1), date(2023, 12, 31)),
        Some(247)
    );
    let closed: Vec<Date> = calendar
        .holidays(2023)
        .iter()
        .map(|holiday| holiday.date)
        .collect();
    assert!(closed.contains(&typhoon) && !closed.contains(&may_day));
}

#[test]
fn contradictory_or_out_of_range_overrides_are_rejected() {
    let both = hong_kong().with_overrides([date(2023, 5, 2)], [date(2023, 5, 2)]);
    assert_eq!(
        both.unwrap_err().to_string(),
        "2023-05-02 is in both extra_closed and extra_open; remove it from one of them"
    );
    let late = hong_kong().with_overrides([], [date(2030, 1, 5)]);
    assert_eq!(
        late.unwrap_err().to_string(),
        "2030-01-05 is outside the calendar's years 2022 to 2027; remove it, or load a table with that year"
    );
}

#[test]
fn official_feed_with_byte_order_mark_is_parsed() {
    let feed = "\u{feff}{\"vcalendar\": [{\"prodid\": \"-//1823\", \"vevent\": [\
        {\"dtstart\": [\"20230405\", {\"value\": \"DATE\"}], \"uid\": \"a\", \"summary\": \"Ching Ming Festival\"},\
        {\"dtstart\": [\"20240101\", {\"value\": \"DATE\"}], \"summary\": \"The first day of January\"}]}]}";
    let calendar = Calendar::parse(feed).unwrap();
    assert_eq!(calendar.years(), 2023..=2024);
    assert_eq!(calendar.is_business_day(date(2023, 4, 5)), Some(false));
    assert_eq!(calendar.holidays(2023)[0].name, "Ching Ming Festival");
}

#[test]
fn table_with_byte_order_mark_and_crlf_is_parsed() {
    let calendar = Calendar::parse(
        "\u{feff}date,weekday,name\r\n2023-04-05,Wed,\"Ching Ming, a Wednesday\"\r\n",
    )
    .unwrap();
    assert_eq!(calendar.holidays(2023)[0].name, "Ching Ming, a Wednesday");
}

#[test]
fn invalid_table_is_rejected_with_line_and_expected_format() {
    let header = "date,weekday,name\n2023-04-05,Wed,Ching Ming\n";
    for (table, message) in [
        (
            format!("{header}2023-02-30,Thu,x"),
            "line 3: invalid date \"2023-02-30\"; use YYYY-MM-DD, such as 2023-04-28",
        ),
        (
            format!("{header}2023-4-7,Fri,x"),
            "line 3: invalid date \"2023-4-7\"; use YYYY-MM-DD, such as 2023-04-28",
        ),
        (
            format!("{header}2023-04-07,Thu,x"),
            "line 3: 2023-04-07 is a Fri, not `Thu`; correct the date or the weekday",
        ),
        (
            format!("{header}2023-04-05,Wed,x"),
            "line 3: duplicate date 2023-04-05, already used for `Ching Ming`; remove one",
        ),
        (
            format!("{header}2023-04-07,Fri"),
            "line 3: 2 fields instead of three: date,weekday,name (quote a name that has a comma)",
        ),
        (
            format!("{header}2025-04-04,Fri,x"),
            "the table covers 2023 to 2025 but has no holidays in 2024; add that year",
        ),
        (
            "day,name\n".to_owned(),
            "line 1: the header is `day,name`; it must be `date,weekday,name`",
        ),
    ] {
        assert_eq!(parse_error(&table), message);
    }
    for empty in [
        "",
        "\u{feff}\n",
        "date,weekday,name\n",
        "{\"vcalendar\": []}",
    ] {
        assert_eq!(
            Calendar::parse(empty).unwrap_err(),
            CalendarError::Empty,
            "{empty:?}"
        );
    }
}

#[test]
fn invalid_feed_is_rejected_with_event_or_line() {
    let event = |start: &str| {
        format!(
            "{{\"vcalendar\": [{{\"vevent\": [{{\"dtstart\": {start}, \"summary\": \"New Year\"}}]}}]}}"
        )
    };
    assert_eq!(
        parse_error(&event("[\"20230230\"]")),
        "event 1 (`New Year`): dtstart is \"20230230\"; its first element must be a date YYYYMMDD, such as \"20230405\""
    );
    assert_eq!(
        parse_error(&event("[]")),
        "event 1 (`New Year`): dtstart is empty; its first element must be a date YYYYMMDD, such as \"20230405\""
    );
    assert!(parse_error("{\n\"events\": []}").starts_with("line 2: missing field `vcalendar`"));
}
