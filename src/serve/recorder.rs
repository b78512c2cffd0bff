//! The recorder: what the scheduler's probes add to the evidence by themselves: each login target's
//! first good probe of a Hong Kong day, and where its outages begin and end.
//!
//! What cannot be written waits, in order and bounded, and is tried again; probing never waits for it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::active_config::ActiveConfig;
use crate::calendar::date_at;
use crate::config::Target;
use crate::evidence::{
    Content, EvidenceState, Failure, Ledger, LedgerError, Origin, Outage, OutageEnd, Verification,
};
use crate::render::metrics::Evidence;
use crate::report::Report;

/// Reports that wait for the recorder, and records that wait for the disk.
const MAX_QUEUED_REPORTS: usize = 4096;
/// How often the files are looked at, and how often what waits is tried again.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
const POLLS_BETWEEN_RETRIES: u32 = 5;
/// What the last records may take at the stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// The way to the recorder, and its other end.
pub fn channel() -> (mpsc::Sender<Arc<Report>>, mpsc::Receiver<Arc<Report>>) {
    mpsc::channel(MAX_QUEUED_REPORTS)
}

/// Records what the reports show, until `stop`.
pub async fn run(
    ledger: Ledger,
    mut reports: mpsc::Receiver<Arc<Report>>,
    active: watch::Receiver<Arc<ActiveConfig>>,
    told: watch::Sender<Evidence>,
    stop: CancellationToken,
) {
    let mut recorder = Recorder {
        ledger,
        told,
        trackers: OutageTrackers::default(),
        waiting: VecDeque::new(),
        is_failing: false,
    };
    recorder.told.send_modify(|told| told.errors = Some(0));
    let targets = active.borrow().config.targets.clone();
    recorder.catch_up().await;
    recorder.begin(&targets);
    let mut look = interval(POLL_INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = 0_u32;
    loop {
        tokio::select! {
            report = reports.recv() => {
                let Some(report) = report else { break };
                recorder.take(&report);
                while let Ok(report) = reports.try_recv() {
                    recorder.take(&report);
                }
                if !recorder.waiting.is_empty() && !recorder.is_failing {
                    recorder.write().await;
                }
            }
            _ = look.tick() => {
                looks = looks.wrapping_add(1);
                if !recorder.waiting.is_empty() && looks.is_multiple_of(POLLS_BETWEEN_RETRIES) {
                    recorder.write().await;
                }
                recorder.catch_up().await;
            }
            () = stop.cancelled() => break,
        }
    }
    while let Ok(report) = reports.try_recv() {
        recorder.take(&report);
    }
    if !recorder.waiting.is_empty() {
        let _ = timeout(SHUTDOWN_TIMEOUT, recorder.write()).await;
    }
    if !recorder.waiting.is_empty() {
        error!(
            records = recorder.waiting.len(),
            "evidence is lost by the stop: the disk did not take it"
        );
    }
}

struct Recorder {
    ledger: Ledger,
    told: watch::Sender<Evidence>,
    trackers: OutageTrackers,
    waiting: VecDeque<Content>,
    is_failing: bool,
}

impl Recorder {
    /// Goes on from what earlier processes recorded.
    fn begin(&mut self, targets: &[Arc<Target>]) {
        let told = self.told.borrow();
        let Some(standing) = &told.standing else {
            return;
        };
        for target in targets {
            let key = (target.name.clone(), target.url.to_string());
            let tracker = self.trackers.0.entry(key).or_default();
            tracker.day = standing.last_day(target);
            tracker.outage = standing.open_outage(target).cloned();
        }
    }

    fn take(&mut self, report: &Report) {
        for content in self.trackers.take(report) {
            if self.waiting.len() >= MAX_QUEUED_REPORTS {
                error!("evidence is lost: too much of it waits for the disk");
                self.waiting.pop_front();
                self.failed();
            }
            self.waiting.push_back(content);
        }
    }

    async fn write(&mut self) {
        let contents: Vec<Content> = self.waiting.iter().cloned().collect();
        let ledger = self.ledger.clone();
        let written = tokio::task::spawn_blocking(move || ledger.append(&contents)).await;
        match written {
            Ok(Ok(receipts)) => {
                for receipt in &receipts {
                    if let Some(content) = self.waiting.pop_front() {
                        let subject = content.subject().unwrap_or_default();
                        let number = receipt.head.number;
                        info!(number, kind = content.kind(), subject, "recorded");
                    }
                }
                if std::mem::take(&mut self.is_failing) {
                    info!(records = receipts.len(), "evidence is recorded again");
                }
                self.catch_up().await;
            }
            Ok(Err(cause)) => {
                self.failed();
                if !std::mem::replace(&mut self.is_failing, true) {
                    error!(%cause, records = self.waiting.len(), "evidence cannot be recorded; it waits, and probing goes on");
                }
            }
            Err(cause) => {
                self.failed();
                error!(%cause, "recording broke: this is a defect, please report it");
            }
        }
    }

    fn failed(&self) {
        self.told.send_modify(|told| {
            told.errors = Some(told.errors.unwrap_or_default() + 1);
        });
    }

    /// Reads what this and other programs have added.
    async fn catch_up(&self) {
        let before = self.told.borrow().standing.clone().unwrap_or_default();
        let known = before.faults;
        let ledger = self.ledger.clone();
        let read =
            tokio::task::spawn_blocking(move || -> Result<Option<EvidenceState>, LedgerError> {
                if before.is_current(&ledger) {
                    return Ok(None);
                }
                let mut standing = EvidenceState::clone(&before);
                let changed = standing.catch_up(&ledger)?;
                Ok(changed.then_some(standing))
            });
        match read.await {
            Ok(Ok(None)) if self.told.borrow().standing.is_some() => {}
            Ok(Ok(standing)) => {
                let standing = Arc::new(standing.unwrap_or_default());
                if standing.faults > known {
                    error!(
                        faults = standing.faults,
                        "the evidence is not as it was written: evidence check names what was altered or cut off"
                    );
                }
                self.told.send_modify(|told| told.standing = Some(standing));
            }
            Ok(Err(cause)) => warn!(%cause, "the evidence cannot be read"),
            Err(cause) => error!(%cause, "reading broke: this is a defect, please report it"),
        }
    }
}

/// What is noted of each target, by its name and address.
#[derive(Default)]
struct OutageTrackers(HashMap<(String, String), OutageTracker>);

#[derive(Default)]
struct OutageTracker {
    /// The day of the newest daily record.
    day: Option<Date>,
    /// A first failing probe, which is not yet an outage.
    failing: Option<(Timestamp, Failure)>,
    outage: Option<Outage>,
}

impl OutageTrackers {
    /// What a report makes to be recorded.
    fn take(&mut self, report: &Report) -> Vec<Content> {
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
        let mut contents = Vec::new();
        self.failing = None;
        if let Some(outage) = self.outage.take() {
            contents.push(Content::OutageEnded(OutageEnd {
                outage,
                until: report.started,
            }));
        }
        let today = date_at(report.started);
        if self.day != Some(today) {
            self.day = Some(today);
            let verification = Verification::of(report, Origin::Daily, None);
            contents.push(Content::Verification(Box::new(verification)));
        }
        contents
    }

    fn on_failure(&mut self, report: &Report, failure: Failure) -> Option<Content> {
        if self.outage.is_some() {
            return None;
        }
        // One lost probe is not an outage.
        let (since, failure) = *self.failing.get_or_insert((report.started, failure));
        if since == report.started {
            return None;
        }
        let outage = Outage {
            target: report.target.clone(),
            url: report.url.clone(),
            since,
            failure,
        };
        self.outage = Some(outage.clone());
        Some(Content::OutageBegan(outage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Reason;

    fn report(at: &str, failure: Option<Reason>) -> Report {
        crate::report::example(at.parse().unwrap(), failure)
    }

    fn kinds(trackers: &mut OutageTrackers, reports: &[(&str, Option<Reason>)]) -> Vec<String> {
        let taken = reports
            .iter()
            .flat_map(|(at, failure)| trackers.take(&report(at, *failure)));
        taken.map(|content| content.kind().to_owned()).collect()
    }

    #[test]
    fn the_first_good_probe_of_each_hong_kong_day_is_recorded() {
        let mut trackers = OutageTrackers::default();
        let told = kinds(
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
        assert_eq!(told, ["verification", "verification"]);
    }

    #[test]
    fn an_outage_is_two_failing_probes_in_a_row_and_begins_with_the_first() {
        let mut trackers = OutageTrackers::default();
        trackers.take(&report("2026-11-24T01:00:00Z", None));
        assert!(
            trackers
                .take(&report("2026-11-24T01:01:00Z", Some(Reason::DnsTimedOut)))
                .is_empty()
        );
        let began = trackers.take(&report("2026-11-24T01:02:00Z", Some(Reason::TcpRefused)));
        let [Content::OutageBegan(outage)] = began.as_slice() else {
            panic!("{began:?}");
        };
        assert_eq!(outage.since.to_string(), "2026-11-24T01:01:00Z");
        assert_eq!(outage.failure.reason, Reason::DnsTimedOut);
        assert!(
            trackers
                .take(&report("2026-11-24T01:03:00Z", Some(Reason::TcpRefused)))
                .is_empty()
        );
        let ended = trackers.take(&report("2026-11-24T01:04:00Z", None));
        let [Content::OutageEnded(end)] = ended.as_slice() else {
            panic!("{ended:?}");
        };
        assert_eq!(end.outage, *outage);
        assert_eq!(end.until.to_string(), "2026-11-24T01:04:00Z");
    }

    #[test]
    fn one_lost_probe_is_no_outage() {
        let mut trackers = OutageTrackers::default();
        let told = kinds(
            &mut trackers,
            &[
                ("2026-11-24T01:00:00Z", None),
                ("2026-11-24T01:01:00Z", Some(Reason::TcpTimedOut)),
                ("2026-11-24T01:02:00Z", None),
                ("2026-11-24T01:03:00Z", Some(Reason::TcpTimedOut)),
                ("2026-11-24T01:04:00Z", None),
            ],
        );
        assert_eq!(told, ["verification"]);
    }
}
