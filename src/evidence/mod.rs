//! Evidence: what was verified, when, from where and with what outcome, kept so that it can be shown
//! years later.
//!
//! In: what happened, as records. Out: an append-only file a year in the data directory, one JSON
//! object a line, each with the hash of the line before, on disk before it is acknowledged. It leaves
//! probing to `probe`, the contents of a report to `report`, and the formatting of a list to `render`.
//!
//! * `record`, `verification`: what is recorded; closed words, numbers and names out of strict character
//!   sets
//! * `line`: a record as a line: its number, its link to the line before, its hash
//! * `ledger`: the files; appends under a lock, mends what a crash left
//! * `audit`: reads every line and names each that is torn, altered, missing or out of its order
//! * `standing`: what follows from the records: who has verified what, which terminals were seen

mod audit;
mod chain;
mod ledger;
mod record;
mod state;
mod status;
mod verification;

pub use audit::{Audit, Fault, KnownHashes};
pub use chain::{ChainedRecord, Head};
pub use ledger::{Ledger, LedgerError, Receipt};
pub use record::{
    Content, Drill, DrillOutcome, Outage, OutageEnd, Repair, TerminalCheck, TerminalOutcome,
};
pub use state::{EvidenceState, VERIFICATION};
pub use status::LedgerStatus;
pub use verification::{
    CertificateSeen, Check, Failure, LayerSeen, LayerState, Origin, Outcome, Reference,
    Verification,
};
