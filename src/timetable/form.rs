//! The forms in which a circular gives a date, and how each is read.
//!
//! In: a form with its civil dates. Out: the interval or the two bounds that it
//! means, as instants of Hong Kong time. Every interval is half-open: its end is
//! the first instant that no longer belongs to it. Which form the circular used
//! is left to the timetable's file; how it is told, to the renderers.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde::{Serialize, Serializer};
use strum::IntoStaticStr;

use crate::calendar::{day_end, midnight};

/// A date as a circular writes it. Month forms hold the first day of the month.
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

/// How exactly a date is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Precision {
    /// To the minute: a day with its times.
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

    /// First and last day of something that happens "on", "early in" and so on.
    /// Early, mid and late are days 1-10, 11-20 and 21-end: our reading, since no
    /// circular defines them. Absent for `before` and `by`, which have no first day.
    pub fn days(&self) -> Option<(Date, Date)> {
        match self {
            Self::Before(_) | Self::By(_) => None,
            Self::On(day) | Self::From(day) => Some((*day, *day)),
            Self::Early(month) => Some((*month, month.saturating_add(9.days()))),
            Self::Mid(month) => Some((
                month.saturating_add(10.days()),
                month.saturating_add(19.days()),
            )),
            Self::Late(month) => Some((month.saturating_add(20.days()), month.last_of_month())),
            Self::Month(month) => Some((*month, month.last_of_month())),
            Self::Range(from, to) => Some((from.days()?.0, to.days()?.1)),
        }
    }

    /// The interval of something that happens; absent as for [`Form::days`].
    pub fn interval(&self) -> Option<Interval> {
        self.days().map(|(first, last)| Interval {
            start: midnight(first),
            end: day_end(last),
        })
    }

    /// The earliest and the latest instant at which a duty so dated may be meant
    /// to be due: "before D" when D begins, "by D" and "deadline D" when D is
    /// over, a vague date anywhere in it. Absent for `from`, which dates no duty.
    pub fn due(&self) -> Option<Interval> {
        let exactly = |at| Some(Interval { start: at, end: at });
        match self {
            Self::Before(day) => exactly(midnight(*day)),
            Self::By(day) | Self::On(day) => exactly(day_end(*day)),
            Self::From(_) => None,
            Self::Early(_) | Self::Mid(_) | Self::Late(_) | Self::Month(_) | Self::Range(..) => {
                self.interval()
            }
        }
    }
}

/// A form is told apart by its name; its dates are told by what they mean.
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
