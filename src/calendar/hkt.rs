//! Hong Kong time: UTC+8 all year.
//!
//! In: instants and civil dates. Out: the other of the two. A fixed offset and
//! no time zone database, because Hong Kong has kept no summer time since 1979;
//! every host therefore counts alike, whatever its own zone or files say.

use jiff::civil::{Date, Time};
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};

/// Hong Kong's offset from UTC.
pub const HKT: Offset = Offset::constant(8);

/// The date in Hong Kong at an instant.
pub fn date_at(at: Timestamp) -> Date {
    HKT.to_datetime(at).date()
}

/// The instant at which a Hong Kong day begins (00:00).
pub fn midnight(date: Date) -> Timestamp {
    instant(date, Time::midnight())
}

/// The instant at which a Hong Kong day is over: the next day's 00:00.
pub fn day_end(date: Date) -> Timestamp {
    midnight(date.saturating_add(1.day()))
}

/// The instant of a civil time on a Hong Kong day. Dates at the far ends of the
/// representable years give the first or last instant there is.
pub fn instant(date: Date, time: Time) -> Timestamp {
    HKT.to_timestamp(date.to_datetime(time))
        .unwrap_or(if date.year() < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        })
}

/// A date written `YYYY-MM-DD`, and nothing beside it.
pub fn exact_date(written: &str) -> Option<Date> {
    date_in(written, "%Y-%m-%d")
}

/// A date in exactly this form: what is read must print as it was written.
pub(super) fn date_in(written: &str, form: &str) -> Option<Date> {
    let date = Date::strptime(form, written).ok()?;
    (date.strftime(form).to_string() == written).then_some(date)
}
