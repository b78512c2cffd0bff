//! Records evidence of the scheduler's probes: each login target's first successful probe of a Hong
//! Kong day, and the beginning and end of its outages.
//!
//! Records that cannot be written are queued, in order and bounded, and retried. Probes never wait.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::outage_tracker::OutageTrackers;
use super::state::ServiceState;
use super::task::{FileTask, poll_interval};
use crate::config::Target;
use crate::evidence::{Content, EvidenceState, Ledger, LedgerError, LedgerStatus, Receipt};
use crate::input_file::InputFile;
use crate::report::Report;
use crate::report::history::ClockStep;

/// Of reports that wait for the recorder, and of records that wait for the disk.
pub const MAX_QUEUED: usize = 4096;
const POLL_INTERVAL: Duration = Duration::from_secs(2);
const POLLS_BETWEEN_RETRIES: u32 = 5;
/// For the last records after the stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// What the recorder is sent.
#[derive(Debug)]
pub enum Observation {
    Report(Arc<Report>),
    ClockStep(ClockStep),
}

/// Records what the reports show until `stop`, and follows what other processes add to the ledger.
pub async fn run(
    ledger: Ledger,
    state: &ServiceState,
    mut observations: mpsc::Receiver<Observation>,
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
            observation = observations.recv() => {
                let Some(observation) = observation else { break };
                recorder.observe(&observation);
                recorder.observe_all(&mut observations);
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
    recorder.observe_all(&mut observations);
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
        if let Some(state) = &self.status.borrow().state {
            self.trackers.resume(targets, state);
        }
    }

    fn observe_all(&mut self, observations: &mut mpsc::Receiver<Observation>) {
        while let Ok(observation) = observations.try_recv() {
            self.observe(&observation);
        }
    }

    fn observe(&mut self, observation: &Observation) {
        let contents = match observation {
            Observation::Report(report) => self.trackers.observe(report),
            Observation::ClockStep(step) => {
                self.trackers.apply(*step);
                vec![Content::ClockStepped(*step)]
            }
        };
        for content in contents {
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
