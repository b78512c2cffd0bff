//! When an outage is a page and when it can wait: the firm's service hours and announced maintenance.
//!
//! In: what the configuration says, an instant, the calendar. Out: open or not. What is done about it
//! is left to the alert rules.

use jiff::Timestamp;
use jiff::civil::{Date, Time, Weekday};

use crate::calendar::{Calendar, HKT};

/// Hours of each week in Hong Kong time, less announced maintenance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceHours {
    pub hours: Hours,
    pub maintenance: Vec<Maintenance>,
}

/// The hours of service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hours {
    #[default]
    Always,
    /// From `from` up to, and without, `to` on the days that count.
    Daily { days: Days, from: Time, to: Time },
}

/// The days that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Days {
    /// Hong Kong business days; Monday to Friday beyond the calendar's end, since an outage that
    /// pages in vain costs less than one that does not.
    Business,
    Every,
}

/// Announced maintenance: from `from` up to, and without, `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintenance {
    pub from: Timestamp,
    pub to: Timestamp,
    /// A ticket or a circular.
    pub reference: Option<String>,
}

impl ServiceHours {
    /// Whether `at` lies inside the hours and outside maintenance.
    pub fn open(&self, at: Timestamp, calendar: &Calendar) -> bool {
        let in_maintenance = |one: &Maintenance| one.from <= at && at < one.to;
        self.hours.contain(at, calendar) && !self.maintenance.iter().any(in_maintenance)
    }
}

impl Hours {
    fn contain(&self, at: Timestamp, calendar: &Calendar) -> bool {
        match self {
            Self::Always => true,
            Self::Daily { days, from, to } => {
                let local = HKT.to_datetime(at);
                (*from..*to).contains(&local.time()) && days.count(local.date(), calendar)
            }
        }
    }
}

impl Days {
    fn count(self, date: Date, calendar: &Calendar) -> bool {
        match self {
            Self::Every => true,
            Self::Business => calendar
                .is_business_day(date)
                .unwrap_or_else(|| !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::time;

    use super::*;

    fn open(hours: &ServiceHours, at: &str) -> bool {
        hours.open(at.parse().unwrap(), &Calendar::embedded())
    }

    fn business() -> ServiceHours {
        ServiceHours {
            hours: Hours::Daily {
                days: Days::Business,
                from: time(7, 0, 0, 0),
                to: time(20, 0, 0, 0),
            },
            maintenance: Vec::new(),
        }
    }

    #[test]
    fn business_hours_begin_and_end_on_the_minute_in_hong_kong() {
        let hours = business();
        // Monday 23 November 2026.
        assert!(!open(&hours, "2026-11-22T22:59:59Z"));
        assert!(open(&hours, "2026-11-22T23:00:00Z"));
        assert!(open(&hours, "2026-11-23T11:59:59Z"));
        assert!(!open(&hours, "2026-11-23T12:00:00Z"));
    }

    #[test]
    fn weekends_and_general_holidays_are_closed_and_beyond_the_calendar_weekdays_count() {
        let hours = business();
        assert!(!open(&hours, "2026-11-22T10:00:00+08:00"), "a Sunday");
        assert!(
            !open(&hours, "2026-12-25T10:00:00+08:00"),
            "Christmas Day, a Friday"
        );
        assert!(
            open(&hours, "2031-01-02T10:00:00+08:00"),
            "a Thursday outside the table"
        );
        assert!(
            !open(&hours, "2031-01-04T10:00:00+08:00"),
            "a Saturday outside the table"
        );
    }

    #[test]
    fn maintenance_closes_even_what_is_always_open() {
        let hours = ServiceHours {
            hours: Hours::Always,
            maintenance: vec![Maintenance {
                from: "2026-12-05T08:00:00+08:00".parse().unwrap(),
                to: "2026-12-05T18:00:00+08:00".parse().unwrap(),
                reference: None,
            }],
        };
        assert!(open(&hours, "2026-12-05T07:59:59+08:00"));
        assert!(!open(&hours, "2026-12-05T08:00:00+08:00"));
        assert!(open(&hours, "2026-12-05T18:00:00+08:00"));
    }
}
