//! The audit of a ledger, with its progress on a terminal.

use super::status_lines::StatusLines;
use crate::evidence::{Audit, KnownHashes, Ledger};

/// Reads the whole ledger; on a terminal, shows how far it is.
pub(super) fn audit(ledger: &Ledger, known: KnownHashes<'_>) -> anyhow::Result<Audit> {
    /// A fraction of a second's work.
    const STEP: usize = 10_000;
    let mut lines = StatusLines::on_terminal();
    let audit = Audit::of(ledger, known, |count| {
        if let Some(lines) = &mut lines
            && count % STEP == 0
        {
            lines.show(&[format!("checking the evidence: {count} records")]);
        }
    });
    Ok(audit?)
}
