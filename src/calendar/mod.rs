//! Hong Kong's business days, counted over a dated table of general holidays.
//!
//! In: a table (the embedded one, or a file of the same form, or the official
//! feed's JSON) and a firm's own closures and openings. Out: whether a date is
//! a business day, and counts of business days. A business day is a Monday to
//! Friday that is not a *general* holiday (the statutory list is shorter: it
//! lacks Good Friday and Easter Monday). It is not a settlement day, which is
//! narrower. Weather is not modelled.
//!
//! Outside the table's years every answer is absent, never a guess. Nothing is
//! downloaded here: who has a newer table hands it in.

mod hkt;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use thiserror::Error;

pub use hkt::{HKT, date_at, day_end, exact_date, instant, midnight};

const EMBEDDED: &str = include_str!("hk-general-holidays.csv");

/// A table of holidays over whole years, with a firm's own exceptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    first_year: i16,
    last_year: i16,
    holidays: BTreeMap<Date, String>,
    extra_closed: BTreeSet<Date>,
    extra_open: BTreeSet<Date>,
}

/// A closed date and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holiday<'a> {
    pub date: Date,
    pub name: &'a str,
}

/// Why a table or its overrides cannot be used, and what would be right.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CalendarError {
    /// One line of the CSV, or one event of the feed, is wrong.
    #[error("{place}: {problem}")]
    Entry { place: String, problem: String },
    #[error(
        "the table has no holidays: give at least one line `date,weekday,name`, \
         or the official feed's JSON with its events"
    )]
    Empty,
    #[error(
        "the table reaches from {first} to {last} but has no holiday in {missing}: add that year"
    )]
    MissingYear { first: i16, last: i16, missing: i16 },
    #[error(
        "{key}: {date} is outside the calendar's years {first} to {last}: remove it, or load a table that has its year"
    )]
    OutsideTable {
        key: &'static str,
        date: Date,
        first: i16,
        last: i16,
    },
    #[error("{date} is in both extra_closed and extra_open: keep it in one of them")]
    ClosedAndOpen { date: Date },
}

impl Calendar {
    /// The table shipped with the program: Hong Kong's general holidays 2022 to 2027.
    #[expect(
        clippy::expect_used,
        reason = "the embedded table is a constant that tests parse"
    )]
    pub fn embedded() -> Self {
        Self::parse(EMBEDDED).expect("the embedded table is valid")
    }

    /// Reads a table: CSV with the header `date,weekday,name`, or the official
    /// feed's JSON (`vcalendar[].vevent[]` with `dtstart[0]` and `summary`). A
    /// byte order mark is tolerated. The years covered are those from the first
    /// date's to the last's.
    ///
    /// # Errors
    /// A line or event with a bad date, a weekday that contradicts its date or a
    /// date given twice; no entry at all; a year in between without any.
    pub fn parse(text: &str) -> Result<Self, CalendarError> {
        let holidays = table::parse(text)?;
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

    /// Adds a firm's own exceptions: weekdays on which it is closed, holidays or
    /// weekend days on which it works (a Saturday drill).
    ///
    /// # Errors
    /// A date outside the table's years, or one in both lists.
    pub fn with_overrides(
        mut self,
        extra_closed: impl IntoIterator<Item = Date>,
        extra_open: impl IntoIterator<Item = Date>,
    ) -> Result<Self, CalendarError> {
        for date in extra_closed {
            self.require_inside("extra_closed", date)?;
            self.extra_closed.insert(date);
        }
        for date in extra_open {
            self.require_inside("extra_open", date)?;
            self.extra_open.insert(date);
        }
        match self.extra_closed.intersection(&self.extra_open).next() {
            Some(&date) => Err(CalendarError::ClosedAndOpen { date }),
            None => Ok(self),
        }
    }

    /// Whether a date is a business day; absent outside the table's years.
    pub fn is_business_day(&self, date: Date) -> Option<bool> {
        if !self.years().contains(&date.year()) {
            return None;
        }
        let by_rule = !is_weekend(date) && !self.holidays.contains_key(&date);
        Some(self.extra_open.contains(&date) || (by_rule && !self.extra_closed.contains(&date)))
    }

    /// The number of business days from one date to another, both included: 0 if
    /// the first is the later one, absent if either is outside the table's years.
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

    /// The last business day strictly before a date; absent where the search
    /// leaves the table's years.
    pub fn last_business_day_before(&self, date: Date) -> Option<Date> {
        let mut day = date.yesterday().ok()?;
        while !self.is_business_day(day)? {
            day = day.yesterday().ok()?;
        }
        Some(day)
    }

    /// The closed dates of a year in order: the table's without those in
    /// `extra_open`, and `extra_closed`. Plain weekends are not listed.
    pub fn holidays(&self, year: i16) -> Vec<Holiday<'_>> {
        let closed = |date| (date, "closed by configuration");
        let tabled = self
            .holidays
            .iter()
            .map(|(&date, name)| (date, name.as_str()));
        let mut days: BTreeMap<Date, &str> =
            self.extra_closed.iter().copied().map(closed).collect();
        days.extend(tabled.filter(|(date, _)| !self.extra_open.contains(date)));
        days.into_iter()
            .filter(|(date, _)| date.year() == year)
            .map(|(date, name)| Holiday { date, name })
            .collect()
    }

    /// The years that the table covers.
    pub fn years(&self) -> RangeInclusive<i16> {
        self.first_year..=self.last_year
    }

    /// The first instant after the table's last year, Hong Kong time.
    pub fn valid_until(&self) -> Timestamp {
        let in_last_year = self.holidays.keys().next_back().copied();
        day_end(in_last_year.unwrap_or(Date::MAX).last_of_year())
    }

    fn require_inside(&self, key: &'static str, date: Date) -> Result<(), CalendarError> {
        if self.years().contains(&date.year()) {
            return Ok(());
        }
        Err(CalendarError::OutsideTable {
            key,
            date,
            first: self.first_year,
            last: self.last_year,
        })
    }
}

fn is_weekend(date: Date) -> bool {
    matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}
