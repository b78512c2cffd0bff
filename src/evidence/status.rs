//! The evidence as the service last read it, for metrics and the status page.

use std::sync::Arc;

use super::state::EvidenceState;
use crate::config::Config;
use crate::timetable::Timetable;

#[derive(Clone, Debug, Default)]
pub struct LedgerStatus {
    /// Absent without a data directory, and until the ledger could be read.
    pub state: Option<Arc<EvidenceState>>,
    /// Failed appends since the start; absent without a data directory.
    pub write_errors: Option<u64>,
}

impl LedgerStatus {
    /// The configured timetable, with what the records show as done.
    pub fn timetable(&self, config: &Config) -> Timetable {
        match &self.state {
            None => config.timetable.clone(),
            Some(state) => {
                state.with_evidence(&config.timetable, &config.targets, &config.terminals)
            }
        }
    }
}
