//! The series of the circular's dates, the phase and the calendar.

use super::definitions::*;
use super::family::Families;
use super::{Snapshot, flag, unix};
use crate::timetable::{DeadlineStatus, EventStatus, Phase, Timetable};

/// Adds the dates as of `now`.
pub(super) fn add(families: &mut Families, exposition: &Snapshot<'_>) {
    let (config, now) = (exposition.config, exposition.now);
    let timetable = exposition.evidence.timetable(config);
    let status = timetable.status_at(now, &config.calendar);
    header(families, &timetable);
    for one in &status.deadlines {
        deadline(families, one);
    }
    for one in &status.events {
        event(families, one);
    }
    for phase in Phase::ALL {
        let holds = flag(phase == status.phase);
        families.add(&PHASE, &[phase.into_str()], holds);
    }
    let certain = flag(status.phase_certain);
    families.add(&PHASE_CERTAIN, &[], certain);
    let open = config.service_hours.open(now, &config.calendar);
    families.add(&SERVICE_OPEN, &[], flag(open));
    families.add_optional(&EXPECTED_SITES, &[], config.expected_sites.map(f64::from));
    families.add(
        &CALENDAR_VALID_UNTIL,
        &[],
        unix(config.calendar.valid_until()),
    );
}

fn header(families: &mut Families, timetable: &Timetable) {
    let header = &timetable.header;
    families.add_info(
        &TIMETABLE_INFO,
        &[
            &header.reference,
            &header.issued.to_string(),
            header.status.into_str(),
            timetable.hash(),
        ],
    );
}

fn deadline(families: &mut Families, status: &DeadlineStatus) {
    let id = status.id.as_str();
    families.add(&DEADLINE_START, &[id], unix(status.opens));
    families.add(&DEADLINE_TIMESTAMP, &[id, "strict"], unix(status.strict));
    families.add(&DEADLINE_TIMESTAMP, &[id, "outer"], unix(status.outer));
    families.add(&DEADLINE_ALERT_UNTIL, &[id], unix(status.alert_until));
    let left = status.business_days_left.map(f64::from);
    families.add_optional(&DEADLINE_BUSINESS_DAYS_LEFT, &[id], left);
    families.add(&DEADLINE_DONE, &[id], flag(status.done));
}

fn event(families: &mut Families, status: &EventStatus) {
    let id = status.id.as_str();
    families.add(&EVENT_START, &[id], unix(status.start));
    families.add(&EVENT_END, &[id], unix(status.end));
    let left = status.business_days_left.map(f64::from);
    families.add_optional(&EVENT_BUSINESS_DAYS_LEFT, &[id], left);
    let labels = [id, status.precision.into_str(), status.status.into_str()];
    families.add_info(&EVENT_INFO, &labels);
}
