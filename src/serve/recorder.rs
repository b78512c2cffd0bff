//! Records evidence of the scheduler's probes: each login target's first successful probe of a Hong
//! Kong day, and the beginning and end of its outages.
//!
//! Records that cannot be written are queued, in order and bounded, and retried. Probes never wait.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::state::ServiceState;
use super::task::{FileTask, poll_interval};
use crate::calendar::date_at;
use crate::config::Target;
use crate::evidence::{
    Content, EvidenceState, Failure, Ledger, LedgerError, LedgerStatus, Origin, Outage, OutageEnd,
    Receipt, Verification,
};
use crate::input_file::InputFile;
use crate::report::Report;

/// Of reports that wait for the recorder, and of records that wait for the disk.
pub const MAX_QUEUED: usize = 4096;
const POLL_INTERVAL: Duration = Duration::from_secs(2);
const POLLS_BETWEEN_RETRIES: u32 = 5;
/// For the last records after the stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Records what the reports show until `stop`, and follows what other processes add to the ledger.
pub async fn run(
    ledger: Ledger,
    state: &ServiceState,
    mut reports: mpsc::Receiver<Arc<Report>>,
    stop: CancellationToken,
) {
    let mut recorder = Recorder {
        ledger,
        status: &state.ledger,
        trackers: OutageTrackers::default(),
        queue: VecDeque::new(),
        writing: FileTask::new(InputFile::Evidence),
        in_flight: Vec::new(),
        reading: FileTask::new(InputFile::Evidence),
        is_failing: false,
        is_unreadable: false,
    };
    let targets = state.active_config().config.targets.clone();
    state
        .ledger
        .send_modify(|status| status.write_errors = Some(0));
    stop.run_until_cancelled(recorder.catch_up()).await;
    recorder.resume(&targets);
    let mut ticks = poll_interval(POLL_INTERVAL);
    let mut polls = 0_u32;
    loop {
        tokio::select! {
            report = reports.recv() => {
                let Some(report) = report else { break };
                recorder.observe(&report);
                recorder.observe_all(&mut reports);
                if !recorder.is_failing {
                    stop.run_until_cancelled(recorder.write()).await;
                }
            }
            _ = ticks.tick() => {
                polls = polls.wrapping_add(1);
                let poll = async {
                    if polls.is_multiple_of(POLLS_BETWEEN_RETRIES) {
                        recorder.write().await;
                    }
                    recorder.catch_up().await;
                };
                stop.run_until_cancelled(poll).await;
            }
            () = stop.cancelled() => break,
        }
    }
    recorder.observe_all(&mut reports);
    let last_writes = async {
        // The first call waits for a write that the stop interrupted.
        recorder.write().await;
        recorder.write().await;
    };
    let _ = timeout(SHUTDOWN_TIMEOUT, last_writes).await;
    let records = recorder.queue.len() + recorder.in_flight.len();
    if records > 0 {
        error!(
            records,
            "evidence lost at shutdown, queued records could not be written"
        );
    }
}

struct Recorder<'a> {
    ledger: Ledger,
    status: &'a watch::Sender<LedgerStatus>,
    trackers: OutageTrackers,
    queue: VecDeque<Content>,
    writing: FileTask<Result<Vec<Receipt>, LedgerError>>,
    /// What `writing` appends.
    in_flight: Vec<Content>,
    /// The state, if it has changed.
    reading: FileTask<Result<Option<EvidenceState>, LedgerError>>,
    is_failing: bool,
    is_unreadable: bool,
}

impl Recorder<'_> {
    /// Continues from what earlier processes recorded.
    fn resume(&mut self, targets: &[Arc<Target>]) {
        let status = self.status.borrow();
        let Some(state) = &status.state else { return };
        for target in targets {
            let key = (target.name.clone(), target.url.to_string());
            let tracker = self.trackers.0.entry(key).or_default();
            tracker.last_day = state.last_day(target);
            tracker.outage = state.open_outage(target).cloned();
        }
    }

    fn observe_all(&mut self, reports: &mut mpsc::Receiver<Arc<Report>>) {
        while let Ok(report) = reports.try_recv() {
            self.observe(&report);
        }
    }

    fn observe(&mut self, report: &Report) {
        for content in self.trackers.observe(report) {
            if self.queue.len() >= MAX_QUEUED {
                error!("evidence lost, the queue is full");
                self.queue.pop_front();
                self.count_error();
            }
            self.queue.push_back(content);
        }
    }

    /// Appends what is queued, or waits for the append that runs.
    async fn write(&mut self) {
        if !self.writing.is_running() {
            if self.queue.is_empty() {
                return;
            }
            self.in_flight.extend(self.queue.drain(..));
            let (ledger, contents) = (self.ledger.clone(), self.in_flight.clone());
            self.writing.start(move || ledger.append(&contents));
        }
        match self.writing.wait().await {
            Ok(Ok(receipts)) => {
                let written = std::mem::take(&mut self.in_flight);
                for (receipt, content) in receipts.iter().zip(&written) {
                    let subject = content.subject().unwrap_or_default();
                    let number = receipt.head.number;
                    info!(number, kind = content.kind(), subject, "evidence recorded");
                }
                if std::mem::take(&mut self.is_failing) {
                    info!(records = written.len(), "evidence writes recovered");
                }
                self.catch_up().await;
            }
            Ok(Err(error)) => {
                self.requeue();
                self.on_write_error(&error);
            }
            Err(error) => {
                if !self.writing.is_running() {
                    self.requeue();
                }
                self.on_write_error(&error);
            }
        }
    }

    fn requeue(&mut self) {
        for content in self.in_flight.drain(..).rev() {
            self.queue.push_front(content);
        }
    }

    fn on_write_error(&mut self, error: &dyn std::fmt::Display) {
        self.count_error();
        let records = self.queue.len() + self.in_flight.len();
        if !std::mem::replace(&mut self.is_failing, true) {
            error!(%error, records, "cannot write evidence, records are queued");
        }
    }

    fn count_error(&self) {
        self.status.send_modify(|status| {
            status.write_errors = status.write_errors.map(|errors| errors + 1);
        });
    }

    /// Reads what this and other processes added to the ledger.
    async fn catch_up(&mut self) {
        let before = self.status.borrow().state.clone();
        let is_first = before.is_none();
        let before = before.unwrap_or_default();
        let known_faults = before.faults;
        let ledger = self.ledger.clone();
        let read = move || -> Result<Option<EvidenceState>, LedgerError> {
            if before.is_current(&ledger) {
                return Ok(None);
            }
            let mut state = EvidenceState::clone(&before);
            Ok(state.catch_up(&ledger)?.then_some(state))
        };
        if !self.reading.is_running() {
            self.reading.start(read);
        }
        let result = self.reading.wait().await;
        let result = result.map_err(|error| error.to_string());
        let result = result.and_then(|read| {
            read.map_err(|error| {
                InputFile::Evidence.count_failure();
                error.to_string()
            })
        });
        let was_unreadable = std::mem::replace(&mut self.is_unreadable, result.is_err());
        match &result {
            Ok(_) if was_unreadable => info!("evidence can be read again"),
            Err(error) if !was_unreadable => warn!(%error, "cannot read the evidence"),
            Ok(_) | Err(_) => {}
        }
        match result {
            Ok(None) if !is_first => {}
            Ok(state) => {
                let state = Arc::new(state.unwrap_or_default());
                if state.faults > known_faults {
                    error!(
                        faults = state.faults,
                        "evidence was altered or cut off, run `evidence check` for details"
                    );
                }
                self.status.send_modify(|status| status.state = Some(state));
            }
            Err(_) => {}
        }
    }
}

/// By the name and URL of the target.
#[derive(Default)]
struct OutageTrackers(HashMap<(String, String), OutageTracker>);

#[derive(Default)]
struct OutageTracker {
    /// The day of the newest daily record.
    last_day: Option<Date>,
    /// The first failed probe, which is not yet an outage.
    first_failure: Option<(Timestamp, Failure)>,
    outage: Option<Outage>,
}

impl OutageTrackers {
    /// Returns what to record of a report.
    fn observe(&mut self, report: &Report) -> Vec<Content> {
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
        let ended = ended.map(|outage| Content::OutageEnded(OutageEnd { outage, until }));
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
}
