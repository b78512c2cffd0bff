//! What the tasks of the service share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use tokio::sync::watch;

use super::report_store::ReportStore;
use super::single_flight::SingleFlight;
use crate::clock::Clock;
use crate::config::{Config, WebConfig};
use crate::data_directory::Recording;
use crate::evidence::LedgerStatus;
use crate::readiness::ReadinessState;
use crate::report::history::SavedState;

/// A validated configuration, with everything built from it that can fail.
#[derive(Debug)]
pub struct ActiveConfig {
    pub config: Config,
    pub loaded_at: Timestamp,
    pub single_flight: SingleFlight,
}

pub struct ServiceState {
    pub clock: Clock,
    pub active: watch::Sender<Arc<ActiveConfig>>,
    pub web: watch::Sender<Arc<WebConfig>>,
    /// Whether the files could be read when they were last read.
    pub is_reload_successful: watch::Sender<bool>,
    pub readiness: watch::Sender<ReadinessState>,
    pub ledger: watch::Sender<LedgerStatus>,
    pub reports: ReportStore,
    /// Absent without a data directory.
    pub recording: watch::Sender<Option<Recording>>,
    clock_steps: AtomicU64,
}

impl ServiceState {
    pub fn new(
        active: Arc<ActiveConfig>,
        web: Arc<WebConfig>,
        saved: &SavedState,
        recording: Option<Recording>,
        clock: Clock,
    ) -> Self {
        Self {
            clock,
            reports: ReportStore::new(&active.config.targets, saved),
            active: watch::Sender::new(active),
            web: watch::Sender::new(web),
            is_reload_successful: watch::Sender::new(true),
            readiness: watch::Sender::default(),
            ledger: watch::Sender::default(),
            recording: watch::Sender::new(recording),
            clock_steps: AtomicU64::new(0),
        }
    }

    /// Steps of the host's clock since the start.
    pub fn clock_steps(&self) -> u64 {
        self.clock_steps.load(Ordering::Relaxed)
    }

    pub fn count_clock_step(&self) {
        self.clock_steps.fetch_add(1, Ordering::Relaxed);
    }

    pub fn active_config(&self) -> Arc<ActiveConfig> {
        Arc::clone(&self.active.borrow())
    }
}
