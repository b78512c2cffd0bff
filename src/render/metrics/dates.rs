//! The series of the circular's dates, the phase and the calendar.

use super::definitions::*;
use super::family::SeriesWriter;
use super::{Snapshot, flag, unix};
use crate::timetable::{DeadlineStatus, EventStatus, Phase, Timetable};

/// Adds the dates as of `now`.
pub(super) fn add(series: &mut SeriesWriter<'_>, exposition: &Snapshot<'_>) {
    let (config, now) = (exposition.config, exposition.now);
    let timetable = exposition.evidence.timetable(config);
    let status = timetable.status_at(now, &config.calendar);
    header(series, &timetable);
    for one in &status.deadlines {
        deadline(series, one);
    }
    for one in &status.events {
        event(series, one);
    }
    for phase in Phase::ALL {
        let holds = flag(phase == status.phase);
        series.add(&PHASE, &[phase.into_str()], holds);
    }
    let certain = flag(status.phase_certain);
    series.add(&PHASE_CERTAIN, &[], certain);
    let open = config.service_hours.open(now, &config.calendar);
    series.add(&SERVICE_OPEN, &[], flag(open));
    series.add_optional(&EXPECTED_SITES, &[], config.expected_sites.map(f64::from));
    series.add(
        &CALENDAR_VALID_UNTIL,
        &[],
        unix(config.calendar.valid_until()),
    );
}

fn header(series: &mut SeriesWriter<'_>, timetable: &Timetable) {
    let header = &timetable.header;
    series.add_info(
        &TIMETABLE_INFO,
        &[
            &header.reference,
            &header.issued.to_string(),
            header.status.into_str(),
            timetable.hash(),
        ],
    );
}

fn deadline(series: &mut SeriesWriter<'_>, status: &DeadlineStatus) {
    let id = status.id.as_str();
    series.add(&DEADLINE_START, &[id], unix(status.opens));
    series.add(&DEADLINE_TIMESTAMP, &[id, "strict"], unix(status.strict));
    series.add(&DEADLINE_TIMESTAMP, &[id, "outer"], unix(status.outer));
    series.add(&DEADLINE_ALERT_UNTIL, &[id], unix(status.alert_until));
    let left = status.business_days_left.map(f64::from);
    series.add_optional(&DEADLINE_BUSINESS_DAYS_LEFT, &[id], left);
    series.add(&DEADLINE_DONE, &[id], flag(status.done));
}

fn event(series: &mut SeriesWriter<'_>, status: &EventStatus) {
    let id = status.id.as_str();
    series.add(&EVENT_START, &[id], unix(status.start));
    series.add(&EVENT_END, &[id], unix(status.end));
    let left = status.business_days_left.map(f64::from);
    series.add_optional(&EVENT_BUSINESS_DAYS_LEFT, &[id], left);
    let labels = [id, status.precision.into_str(), status.status.into_str()];
    series.add_info(&EVENT_INFO, &labels);
}
