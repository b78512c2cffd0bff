//! Hong Kong's business days: Monday to Friday, except general holidays.
//!
//! The holidays come from an embedded table, a file of the same form or the official feed, adjusted by
//! a firm's own closures and openings. General holidays include Good Friday and Easter Monday, which
//! the statutory ones do not; settlement days are narrower; weather is not modelled. Outside the years
//! of the table every result is `None`. Nothing is downloaded.

mod holiday_table;
mod hong_kong_time;
#[cfg(test)]
mod properties;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use thiserror::Error;

pub use hong_kong_time::{HKT, date_at, day_end, instant, midnight, parse_date};

const EMBEDDED: &str = include_str!("hk-general-holidays.csv");

/// The holidays of whole years, with a firm's own exceptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    first_year: i16,
    last_year: i16,
    holidays: BTreeMap<Date, String>,
    extra_closed: BTreeSet<Date>,
    extra_open: BTreeSet<Date>,
}

/// A date that is closed, and the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holiday<'a> {
    pub date: Date,
    pub name: &'a str,
}

/// Why a table or its overrides are invalid, and what to do.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CalendarError {
    /// A line of the CSV file or an event of the feed is invalid.
    #[error("{position}: {message}")]
    Entry { position: String, message: String },
    #[error(
        "the table has no holidays; add at least one line `date,weekday,name`, or use the JSON of the \
         official feed"
    )]
    Empty,
    #[error("the table covers {first} to {last} but has no holidays in {missing}; add that year")]
    MissingYear { first: i16, last: i16, missing: i16 },
    #[error(
        "{date} is outside the calendar's years {first} to {last}; remove it, or load a table with that \
         year"
    )]
    OutsideTable { date: Date, first: i16, last: i16 },
    #[error("{date} is in both extra_closed and extra_open; remove it from one of them")]
    ClosedAndOpen { date: Date },
}

impl Calendar {
    /// The embedded table: Hong Kong's general holidays 2022 to 2027.
    #[expect(
        clippy::expect_used,
        reason = "the embedded table is a constant that tests parse"
    )]
    pub fn embedded() -> Self {
        Self::parse(EMBEDDED).expect("the embedded table is valid")
    }

    /// Parses a table: CSV with the header `date,weekday,name`, or the JSON of the official feed
    /// (`vcalendar[].vevent[]` with `dtstart[0]` and `summary`), with or without a byte order mark. The
    /// table covers the years from its first to its last date.
    ///
    /// # Errors
    /// An invalid or duplicate date, a weekday that contradicts its date, no entries, or a year in
    /// between without entries.
    pub fn parse(text: &str) -> Result<Self, CalendarError> {
        let holidays = holiday_table::parse(text)?;
        let (Some((first, _)), Some((last, _))) =
            (holidays.first_key_value(), holidays.last_key_value())
        else {
            return Err(CalendarError::Empty);
        };
        let (first, last) = (first.year(), last.year());
        let present: BTreeSet<i16> = holidays.keys().map(|date| date.year()).collect();
        if let Some(missing) = (first..=last).find(|year| !present.contains(year)) {
            return Err(CalendarError::MissingYear {
                first,
                last,
                missing,
            });
        }
        Ok(Self {
            first_year: first,
            last_year: last,
            holidays,
            extra_closed: BTreeSet::new(),
            extra_open: BTreeSet::new(),
        })
    }

    /// Adds a firm's own exceptions: weekdays on which it is closed, and holidays or weekend days on
    /// which it works, such as a drill on a Saturday.
    ///
    /// # Errors
    /// A date is outside the table's years, or in both lists.
    pub fn with_overrides(
        mut self,
        extra_closed: impl IntoIterator<Item = Date>,
        extra_open: impl IntoIterator<Item = Date>,
    ) -> Result<Self, CalendarError> {
        self.extra_closed.extend(extra_closed);
        self.extra_open.extend(extra_open);
        for &date in self.extra_closed.iter().chain(&self.extra_open) {
            if !self.years().contains(&date.year()) {
                return Err(CalendarError::OutsideTable {
                    date,
                    first: self.first_year,
                    last: self.last_year,
                });
            }
        }
        match self.extra_closed.intersection(&self.extra_open).next() {
            Some(&date) => Err(CalendarError::ClosedAndOpen { date }),
            None => Ok(self),
        }
    }

    /// Whether a date is a business day; `None` outside the table's years.
    pub fn is_business_day(&self, date: Date) -> Option<bool> {
        if !self.years().contains(&date.year()) {
            return None;
        }
        let is_weekend = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
        let is_closed =
            is_weekend || self.holidays.contains_key(&date) || self.extra_closed.contains(&date);
        Some(self.extra_open.contains(&date) || !is_closed)
    }

    /// The number of business days between two dates, both included: 0 if `from` is the later one,
    /// `None` if either is outside the table's years.
    pub fn business_days(&self, from: Date, to_inclusive: Date) -> Option<u32> {
        self.is_business_day(from)?;
        self.is_business_day(to_inclusive)?;
        let mut count = 0;
        let mut date = from;
        while date <= to_inclusive {
            count += u32::from(self.is_business_day(date)?);
            date = date.tomorrow().ok()?;
        }
        Some(count)
    }

    /// The last business day before a date; `None` if it is outside the table's years.
    pub fn last_business_day_before(&self, date: Date) -> Option<Date> {
        let mut day = date.yesterday().ok()?;
        while !self.is_business_day(day)? {
            day = day.yesterday().ok()?;
        }
        Some(day)
    }

    /// The first business day after a date; `None` if it is outside the table's years.
    pub fn next_business_day_after(&self, date: Date) -> Option<Date> {
        let mut day = date.tomorrow().ok()?;
        while !self.is_business_day(day)? {
            day = day.tomorrow().ok()?;
        }
        Some(day)
    }

    /// The closed dates of a year in order: those of the table without `extra_open`, and `extra_closed`.
    /// Weekends are not listed.
    pub fn holidays(&self, year: i16) -> Vec<Holiday<'_>> {
        let closed = self.extra_closed.iter();
        let closed = closed.map(|date| (*date, "closed by configuration"));
        let holidays = self.holidays.iter();
        let holidays = holidays.map(|(date, name)| (*date, name.as_str()));
        let days: BTreeMap<Date, &str> = closed
            .chain(holidays.filter(|(date, _)| !self.extra_open.contains(date)))
            .filter(|(date, _)| date.year() == year)
            .collect();
        days.into_iter()
            .map(|(date, name)| Holiday { date, name })
            .collect()
    }

    /// The years that the table covers.
    pub fn years(&self) -> RangeInclusive<i16> {
        self.first_year..=self.last_year
    }

    /// The end of the table's last year in Hong Kong.
    pub fn valid_until(&self) -> Timestamp {
        let newest = self.holidays.keys().next_back();
        day_end(newest.map_or(Date::MAX, |date| date.last_of_year()))
    }
}
