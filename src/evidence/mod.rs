//! Evidence: what was verified, when, from where and with what outcome, kept so that it can be shown
//! years later.
//!
//! Input: events as records. Output: one append-only file per year in the data directory, one JSON
//! object per line with the hash of the previous line, synced to disk before it is acknowledged. Probing
//! is in `probe`, the contents of a report in `report`, and the formatting of lists in `render`.
//!
//! * `record`, `verification`, `terminal_check`: the records: enums, numbers, and names with restricted characters
//! * `chain`: a record as a line: its number, the hash of the previous line, its own hash
//! * `ledger`: the files; appends under a lock, repairs partial lines after a crash
//! * `audit`: reads every line and reports partial, altered, missing and misplaced ones
//! * `gaps`, `kept_heads`: what the records of several sites lack, for `evidence merge`
//! * `state`, `status`: derived from the records: what was verified when, which terminals were checked

mod audit;
mod chain;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod gaps;
mod kept_heads;
mod ledger;
mod record;
mod state;
mod status;
mod tail;
mod terminal_check;
mod verification;

pub use audit::{Audit, Backward, Fault, KnownHashes};
pub use chain::{ChainedRecord, Head};
pub use gaps::gaps;
pub use kept_heads::KeptHead;
pub use ledger::{Ledger, LedgerError, Receipt};
pub use record::{Content, Drill, DrillOutcome, OpenOutage, Outage, OutageEnd, Repair};
pub use state::{EvidenceState, VERIFICATION};
pub use status::LedgerStatus;
pub use terminal_check::{BrowserRecord, Picture, TerminalCheck, TerminalOutcome};
pub use verification::{
    CertificateSeen, Check, Failure, LayerSeen, LayerState, Origin, Outcome, Reference,
    Verification,
};
