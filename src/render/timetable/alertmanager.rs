//! The calendar as Alertmanager's time intervals, to be pasted into its configuration.

use std::fmt::Write;

use crate::calendar::Calendar;

/// Business hours, and the general holidays of `years`.
pub fn alertmanager(calendar: &Calendar, years: &[i16]) -> String {
    let mut text = String::from(
        "time_intervals:
  - name: hk-business-hours
    time_intervals:
      - weekdays: ['monday:friday']
        times: [{start_time: '08:00', end_time: '18:00'}]
        location: Asia/Hong_Kong
  - name: hk-general-holidays
    time_intervals:
",
    );
    for holiday in years.iter().flat_map(|year| calendar.holidays(*year)) {
        let date = holiday.date;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "      - {{years: ['{}'], months: ['{}'], days_of_month: ['{}'], \
             location: Asia/Hong_Kong}}  # {}, {}",
            date.year(),
            date.month(),
            date.day(),
            date.strftime("%a"),
            holiday.name.replace(char::is_control, " "),
        );
    }
    text
}
