//! Business days on which nothing shows that the login page was reached.

use std::ops::RangeInclusive;

use jiff::civil::Date;

use super::audit::Audit;
use super::record::Content;
use super::verification::Outcome;
use crate::calendar::{Calendar, date_at};

/// The business days of `from` to `to` without an intact record of a login page that was reached, as
/// ranges between whose ends no business day has one. Days outside the calendar are left out.
pub fn gaps(audit: &Audit, calendar: &Calendar, from: Date, to: Date) -> Vec<RangeInclusive<Date>> {
    let reached = |day: Date| {
        audit.records.iter().any(|record| {
            let is_reached = match &record.content {
                Content::Verification(it) => {
                    matches!(it.outcome, Outcome::FullPass | Outcome::PageUnchecked)
                }
                _ => false,
            };
            is_reached && date_at(record.recorded) == day && !audit.is_altered(record)
        })
    };
    let mut gaps: Vec<RangeInclusive<Date>> = Vec::new();
    let mut continues = false;
    for day in from
        .series(jiff::Span::new().days(1))
        .take_while(|day| *day <= to)
    {
        if calendar.is_business_day(day) != Some(true) {
            continue;
        }
        if reached(day) {
            continues = false;
            continue;
        }
        match gaps.last_mut() {
            Some(gap) if continues => *gap = *gap.start()..=day,
            _ => gaps.push(day..=day),
        }
        continues = true;
    }
    gaps
}
