//! Service hours and announced maintenance: when an outage pages, and when it can wait.
//!
//! This module only computes whether the service is open at an instant; the alert rules decide what
//! follows from it.

use jiff::Timestamp;
use jiff::civil::{Date, Time, Weekday};
use serde::Deserialize;

use crate::calendar::{Calendar, HKT};

/// Daily hours in Hong Kong time, minus announced maintenance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceHours {
    pub hours: Hours,
    pub maintenance: Vec<Maintenance>,
}

/// The daily hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hours {
    #[default]
    Always,
    /// From `from` to just before `to`.
    Daily { days: Days, from: Time, to: Time },
}

/// The days with service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Days {
    /// Hong Kong business days. Outside the years of the calendar, Monday to Friday: an unnecessary page
    /// costs less than a missing one.
    Business,
    Every,
}

/// Announced maintenance, from `from` to just before `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintenance {
    pub from: Timestamp,
    pub to: Timestamp,
    /// The ticket or circular that announced it.
    pub reference: Option<String>,
}

impl ServiceHours {
    /// Whether `at` is within the daily hours and not during maintenance.
    pub fn open(&self, at: Timestamp, calendar: &Calendar) -> bool {
        let in_maintenance = |it: &Maintenance| it.from <= at && at < it.to;
        self.hours.contain(at, calendar) && !self.maintenance.iter().any(in_maintenance)
    }
}

impl Hours {
    fn contain(self, at: Timestamp, calendar: &Calendar) -> bool {
        let Self::Daily { days, from, to } = self else {
            return true;
        };
        let local = HKT.to_datetime(at);
        (from..to).contains(&local.time()) && days.contain(local.date(), calendar)
    }
}

impl Days {
    fn contain(self, date: Date, calendar: &Calendar) -> bool {
        let is_weekend = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
        self == Self::Every || calendar.is_business_day(date).unwrap_or(!is_weekend)
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
    fn business_hours_start_and_end_exactly_in_hong_kong_time() {
        let hours = business();
        // Monday 23 November 2026.
        assert!(!open(&hours, "2026-11-22T22:59:59Z"));
        assert!(open(&hours, "2026-11-22T23:00:00Z"));
        assert!(open(&hours, "2026-11-23T11:59:59Z"));
        assert!(!open(&hours, "2026-11-23T12:00:00Z"));
    }

    #[test]
    fn business_days_exclude_holidays_and_outside_the_calendar_only_weekends() {
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
    fn maintenance_closes_a_service_that_is_always_open() {
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
