//! Hong Kong time: UTC+8 all year.
//!
//! A fixed offset instead of a time zone database: Hong Kong has had no daylight saving time since 1979,
//! and every host computes the same, independent of its time zone and its files.

use jiff::civil::{Date, Time};
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};

/// Hong Kong's offset from UTC.
pub const HKT: Offset = Offset::constant(8);

/// The date in Hong Kong.
pub fn date_at(at: Timestamp) -> Date {
    HKT.to_datetime(at).date()
}

/// The start (00:00) of a day in Hong Kong.
pub fn midnight(date: Date) -> Timestamp {
    instant(date, Time::midnight())
}

/// The end of a day in Hong Kong: 00:00 of the next day.
pub fn day_end(date: Date) -> Timestamp {
    midnight(date.saturating_add(1.day()))
}

/// The instant of a time of day in Hong Kong. Dates that have no timestamp return the first or the last
/// one.
pub fn instant(date: Date, time: Time) -> Timestamp {
    HKT.to_timestamp(date.to_datetime(time))
        .unwrap_or(if date.year() < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        })
}

/// Parses a date in the form `YYYY-MM-DD`.
///
/// # Errors
/// The text has another form, or the date does not exist.
pub fn parse_date(text: &str) -> Result<Date, String> {
    parse_exactly(text, "%Y-%m-%d")
        .ok_or_else(|| format!("invalid date {text:?}; use YYYY-MM-DD, such as 2023-04-28"))
}

/// Parses a value that formats back to the same text, so that `2023-4-7` is not a date.
pub(super) fn parse_exactly(text: &str, format: &str) -> Option<Date> {
    let date = Date::strptime(format, text).ok()?;
    (date.strftime(format).to_string() == text).then_some(date)
}
