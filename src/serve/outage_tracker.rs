//! What to record of the scheduler's reports: each login target's first successful probe of a Hong Kong
//! day, and the beginning and end of its outages.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::calendar::date_at;
use crate::config::Target;
use crate::evidence::{Content, EvidenceState, Failure, OpenOutage, Origin, Outage, Verification};
use crate::report::Report;
use crate::report::history::ClockStep;

/// By the name and URL of the target.
#[derive(Default)]
pub(super) struct OutageTrackers(HashMap<(String, String), OutageTracker>);

#[derive(Default)]
struct OutageTracker {
    /// The day of the newest daily record.
    last_day: Option<Date>,
    /// The first failed probe, which is not yet an outage.
    first_failure: Option<(Timestamp, Failure)>,
    outage: Option<OpenOutage>,
}

impl OutageTrackers {
    /// Continues from what earlier processes recorded.
    pub(super) fn resume(&mut self, targets: &[Arc<Target>], state: &EvidenceState) {
        for target in targets {
            let key = (target.name.clone(), target.url.to_string());
            let tracker = self.0.entry(key).or_default();
            tracker.last_day = state.last_day(target);
            tracker.outage = state.open_outage(target).cloned();
        }
    }

    /// Converts what is not recorded yet to the new clock.
    pub(super) fn apply(&mut self, step: ClockStep) {
        for tracker in self.0.values_mut() {
            if let Some((at, _)) = &mut tracker.first_failure {
                step.apply(Timestamp::MIN, at);
            }
            if let Some(outage) = &mut tracker.outage {
                outage.stepped += step.length();
            }
        }
    }

    /// Returns what to record of a report.
    pub(super) fn observe(&mut self, report: &Report) -> Vec<Content> {
        if !report.is_login() {
            return Vec::new();
        }
        let key = (report.target.clone(), report.url.clone());
        let tracker = self.0.entry(key).or_default();
        match Failure::of(report.verdict) {
            Some(failure) => tracker.on_failure(report, failure).into_iter().collect(),
            None => tracker.on_success(report),
        }
    }
}

impl OutageTracker {
    fn on_success(&mut self, report: &Report) -> Vec<Content> {
        self.first_failure = None;
        let until = report.started;
        let ended = self.outage.take();
        let ended = ended.map(|outage| Content::OutageEnded(outage.end(until)));
        let today = date_at(report.started);
        let daily = (self.last_day.replace(today) != Some(today)).then(|| {
            let verification = Verification::of(report, Origin::Daily, None);
            Content::Verification(Box::new(verification))
        });
        ended.into_iter().chain(daily).collect()
    }

    /// An outage begins with the second failed probe in a row, and dates from the first.
    fn on_failure(&mut self, report: &Report, failure: Failure) -> Option<Content> {
        if self.outage.is_some() {
            return None;
        }
        let Some((since, failure)) = self.first_failure else {
            self.first_failure = Some((report.started, failure));
            return None;
        };
        let outage = Outage {
            target: report.target.clone(),
            url: report.url.clone(),
            since,
            failure,
        };
        self.outage = Some(OpenOutage::of(outage.clone()));
        Some(Content::OutageBegan(outage))
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;
    use crate::report::Reason;

    fn report(at: &str, failure: Option<Reason>) -> Report {
        crate::report::example(at.parse().unwrap(), failure)
    }

    fn kinds(trackers: &mut OutageTrackers, reports: &[(&str, Option<Reason>)]) -> Vec<String> {
        let contents = reports
            .iter()
            .flat_map(|(at, failure)| trackers.observe(&report(at, *failure)));
        contents.map(|content| content.kind().to_owned()).collect()
    }

    #[test]
    fn first_successful_probe_of_each_hong_kong_day_is_recorded() {
        let mut trackers = OutageTrackers::default();
        let recorded = kinds(
            &mut trackers,
            &[
                ("2026-11-24T15:58:00Z", None),
                ("2026-11-24T15:59:00Z", None),
                // 00:00 in Hong Kong.
                ("2026-11-24T16:00:00Z", Some(Reason::TcpRefused)),
                ("2026-11-24T16:01:00Z", None),
                ("2026-11-24T16:02:00Z", None),
            ],
        );
        assert_eq!(recorded, ["verification", "verification"]);
    }

    #[test]
    fn outage_is_two_failures_in_a_row_and_dates_from_the_first() {
        let mut trackers = OutageTrackers::default();
        trackers.observe(&report("2026-11-24T01:00:00Z", None));
        assert!(
            trackers
                .observe(&report("2026-11-24T01:01:00Z", Some(Reason::DnsTimedOut)))
                .is_empty()
        );
        let began = trackers.observe(&report("2026-11-24T01:02:00Z", Some(Reason::TcpRefused)));
        let [Content::OutageBegan(outage)] = began.as_slice() else {
            panic!("{began:?}");
        };
        assert_eq!(outage.since.to_string(), "2026-11-24T01:01:00Z");
        assert_eq!(outage.failure.reason, Reason::DnsTimedOut);
        assert!(
            trackers
                .observe(&report("2026-11-24T01:03:00Z", Some(Reason::TcpRefused)))
                .is_empty()
        );
        let ended = trackers.observe(&report("2026-11-24T01:04:00Z", None));
        let [Content::OutageEnded(end)] = ended.as_slice() else {
            panic!("{ended:?}");
        };
        assert_eq!(end.outage, *outage);
        assert_eq!(end.until.to_string(), "2026-11-24T01:04:00Z");
    }

    #[test]
    fn single_failed_probe_is_not_an_outage() {
        let mut trackers = OutageTrackers::default();
        let recorded = kinds(
            &mut trackers,
            &[
                ("2026-11-24T01:00:00Z", None),
                ("2026-11-24T01:01:00Z", Some(Reason::TcpTimedOut)),
                ("2026-11-24T01:02:00Z", None),
                ("2026-11-24T01:03:00Z", Some(Reason::TcpTimedOut)),
                ("2026-11-24T01:04:00Z", None),
            ],
        );
        assert_eq!(recorded, ["verification"]);
    }

    #[test]
    fn outage_lasts_as_long_as_it_did_whatever_the_clock_does() {
        let mut trackers = OutageTrackers::default();
        let refused = Some(Reason::TcpRefused);
        let step = |from: &str, to: &str| ClockStep {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
        };
        trackers.observe(&report("2025-10-24T01:00:00Z", refused));
        // Before the outage is recorded, and after it.
        trackers.apply(step("2025-10-24T01:00:05Z", "2026-11-28T01:00:05Z"));
        let began = trackers.observe(&report("2026-11-28T01:00:10Z", refused));
        let [Content::OutageBegan(outage)] = began.as_slice() else {
            panic!("{began:?}");
        };
        assert_eq!(outage.since.to_string(), "2026-11-28T01:00:00Z");
        trackers.apply(step("2026-11-28T01:00:15Z", "2031-11-28T01:00:15Z"));
        let ended = trackers.observe(&report("2031-11-28T01:00:20Z", None));
        let Some(Content::OutageEnded(end)) = ended.first() else {
            panic!("{ended:?}");
        };
        assert_eq!(end.duration_seconds, Some(20));
        assert_eq!(end.outage, *outage);
        assert!(end.until > outage.since + (4 * 365 * 24).hours());
    }
}
