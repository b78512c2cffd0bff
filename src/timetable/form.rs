//! The forms in which a circular states a date, and their interpretation in Hong Kong time.
//!
//! Every interval is half-open: its end is the first instant after it.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde::{Serialize, Serializer};
use strum::IntoStaticStr;

use crate::calendar::{day_end, midnight};

/// A date as stated by a circular. Forms about a month hold its first day.
#[derive(Clone, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Form {
    Before(Date),
    By(Date),
    On(Date),
    From(Date),
    Early(Date),
    Mid(Date),
    Late(Date),
    Month(Date),
    Range(Box<Form>, Box<Form>),
}

/// From `start` to just before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Interval {
    pub start: Timestamp,
    pub end: Timestamp,
}

/// The precision of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Precision {
    /// A day with times.
    Minute,
    Day,
    /// Early, mid or late in a month.
    ThirdOfMonth,
    Month,
    Range,
}

impl Form {
    pub fn precision(&self) -> Precision {
        match self {
            Self::Before(_) | Self::By(_) | Self::On(_) | Self::From(_) => Precision::Day,
            Self::Early(_) | Self::Mid(_) | Self::Late(_) => Precision::ThirdOfMonth,
            Self::Month(_) => Precision::Month,
            Self::Range(..) => Precision::Range,
        }
    }

    /// The first and the last day of an event; `None` for `before` and `by`, which have no first day.
    /// Early, mid and late mean days 1-10, 11-20 and 21-end: our interpretation, since no circular
    /// defines them.
    pub fn days(&self) -> Option<(Date, Date)> {
        let day = |month: &Date, index: i32| month.saturating_add(index.days());
        Some(match self {
            Self::Before(_) | Self::By(_) => return None,
            Self::On(day) | Self::From(day) => (*day, *day),
            Self::Early(month) => (*month, day(month, 9)),
            Self::Mid(month) => (day(month, 10), day(month, 19)),
            Self::Late(month) => (day(month, 20), month.last_of_month()),
            Self::Month(month) => (*month, month.last_of_month()),
            Self::Range(from, to) => (from.days()?.0, to.days()?.1),
        })
    }

    /// The interval of an event; `None` as for [`Form::days`].
    pub fn interval(&self) -> Option<Interval> {
        self.days().map(|(first, last)| Interval {
            start: midnight(first),
            end: day_end(last),
        })
    }

    /// The earliest and the latest instant at which a deadline can be due: "before D" when D begins,
    /// "by D" and "on D" when D is over, a vague date anywhere in it. `None` for `from`, which states no
    /// deadline.
    pub fn due(&self) -> Option<Interval> {
        let instant = |at| Some(Interval { start: at, end: at });
        match self {
            Self::Before(day) => instant(midnight(*day)),
            Self::By(day) | Self::On(day) => instant(day_end(*day)),
            Self::From(_) => None,
            Self::Early(_) | Self::Mid(_) | Self::Late(_) | Self::Month(_) | Self::Range(..) => {
                self.interval()
            }
        }
    }
}

/// Only the name: the dates are serialized as the instants that they mean.
impl Serialize for Form {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.into_str())
    }
}

impl Interval {
    pub fn contains(self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}
