//! State derived from the records: what was verified last and when, which terminals were checked, which
//! outages have not ended.
//!
//! Input: records in order. Output: overrides of the timetable, and values of metrics. Reading continues
//! where it stopped, so that a growing file is read only once.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

use super::chain::{self, ChainedRecord, Head};
use super::ledger::{Ledger, LedgerError, failed};
use super::record::{Content, OpenOutage};
use super::tail::MAX_LINE_BYTES;
use super::terminal_check::TerminalOutcome;
use super::verification::{Origin, Outcome};
use crate::calendar::date_at;
use crate::config::Target;
use crate::input_file::{self, InputFile};
use crate::timetable::{Overrides, Timetable};

/// The deadline that records can meet (CD/OES/CCASS/013/2023: verify the connection as in the Appendix).
pub const VERIFICATION: &str = "connection_verification";

/// The key of a target's records.
type Key = (String, String);

/// The state after the newest record.
#[derive(Clone, Debug)]
pub struct EvidenceState {
    pub head: Head,
    passes: BTreeMap<Key, Timestamp>,
    days: BTreeMap<Key, Date>,
    outages: BTreeMap<Key, OpenOutage>,
    terminal_outcomes: BTreeMap<String, (Timestamp, TerminalOutcome)>,
    /// Of automatic checks, which replace no manual one.
    browser_outcomes: BTreeMap<String, (Timestamp, TerminalOutcome)>,
    /// The hash that the newest record contains: not its own if it was altered.
    stored_hash: String,
    /// Lines since the newest record that are no records.
    unreadable: u64,
    /// The position up to which the newest file was read.
    read: Option<(PathBuf, u64)>,
    /// Faults found while reading: altered, missing, misplaced or removed records.
    pub faults: u64,
    /// Later records are ignored.
    until: Timestamp,
}

impl Default for EvidenceState {
    fn default() -> Self {
        Self {
            head: Head::none(),
            passes: BTreeMap::new(),
            days: BTreeMap::new(),
            outages: BTreeMap::new(),
            terminal_outcomes: BTreeMap::new(),
            browser_outcomes: BTreeMap::new(),
            stored_hash: Head::none().hash,
            unreadable: 0,
            read: None,
            faults: 0,
            until: Timestamp::MAX,
        }
    }
}

impl EvidenceState {
    /// The state at an instant, from the records made until then.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn at(ledger: &Ledger, until: Timestamp) -> Result<Self, LedgerError> {
        let mut status = Self {
            until,
            ..Self::default()
        };
        let read = {
            let ledger = ledger.clone();
            move || status.catch_up(&ledger).map(|_| status)
        };
        let directory = ledger.directory();
        input_file::with_deadline(InputFile::Evidence, directory, read)
            .map_err(failed("read", directory))?
    }

    /// Reads records appended since the last call, or everything again if the file was replaced. Returns
    /// whether anything changed.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn catch_up(&mut self, ledger: &Ledger) -> Result<bool, LedgerError> {
        let before = (self.read.clone(), self.faults);
        let _lock = ledger.lock_for_reading()?;
        let files = ledger.files()?;
        let is_there = |(path, offset): &(PathBuf, u64)| {
            let length = input_file::stat(path).map_or(0, |file| file.len());
            length >= *offset
        };
        if !self.read.as_ref().is_none_or(is_there) {
            *self = Self {
                faults: self.faults.saturating_add(1),
                until: self.until,
                ..Self::default()
            };
        }
        for path in files {
            let from = match &self.read {
                Some((read, _)) if path < *read => continue,
                Some((read, offset)) if path == *read => *offset,
                Some(_) | None => 0,
            };
            let offset = self.read_from(&path, from)?;
            self.read = Some((path, offset));
        }
        Ok((&self.read, self.faults) != (&before.0, before.1))
    }

    /// Whether the newest file is as long as it was read; `false` if its metadata cannot be read.
    pub fn is_current(&self, ledger: &Ledger) -> bool {
        let newest = ledger.files().ok().and_then(|mut files| files.pop());
        match (&self.read, newest) {
            (None, None) => true,
            (Some((read, offset)), Some(newest)) => {
                *read == newest && input_file::stat(&newest).is_ok_and(|file| file.len() == *offset)
            }
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// Reads line by line, so that memory does not grow with the file; returns the end of the last complete
    /// line.
    fn read_from(&mut self, path: &Path, from: u64) -> Result<u64, LedgerError> {
        let failed = |cause| failed("read", path)(cause);
        let mut file = input_file::open(path, OpenOptions::new().read(true)).map_err(failed)?;
        file.seek(SeekFrom::Start(from)).map_err(failed)?;
        let max_bytes = InputFile::Evidence.max_bytes();
        let mut reader = BufReader::new(file.take(max_bytes.saturating_sub(from) + 1));
        let (mut end, mut line) = (from, Vec::new());
        loop {
            line.clear();
            let mut bounded = Read::by_ref(&mut reader).take(MAX_LINE_BYTES);
            let length = bounded.read_until(b'\n', &mut line).map_err(failed)? as u64;
            let is_whole = line.pop_if(|byte| *byte == b'\n').is_some();
            if !is_whole && length < MAX_LINE_BYTES {
                return Ok(end);
            }
            end += length;
            if end > max_bytes {
                return Err(failed(input_file::too_large(InputFile::Evidence)));
            }
            self.follow(&line);
        }
    }

    /// Applies a line if it is unaltered; each other line is one fault, and so is a gap.
    pub(super) fn follow(&mut self, line: &[u8]) {
        let hash = chain::hash(line);
        let Some(record) = chain::read(line) else {
            self.faults += 1;
            self.unreadable += 1;
            return;
        };
        let unreadable = std::mem::take(&mut self.unreadable);
        let head = Head {
            number: record.number,
            hash,
        };
        // If earlier years were moved away, the record before the oldest one is unknown.
        let next = self.head.number.saturating_add(1);
        let follows = self.head.number == 0
            || record.number == next
                && [&self.head.hash, &self.stored_hash].contains(&&record.previous)
            // What was on the unreadable lines was counted there.
            || record.number > next && record.number - next <= unreadable;
        let is_intact = record.hash == head.hash;
        self.faults += u64::from(!follows) + u64::from(!is_intact);
        self.head = head;
        self.stored_hash.clone_from(&record.hash);
        if is_intact && record.recorded <= self.until {
            self.take(record);
        }
    }

    fn take(&mut self, record: ChainedRecord) {
        match record.content {
            Content::Verification(it) => {
                let key = (it.target, it.url);
                if it.outcome == Outcome::FullPass {
                    self.passes.insert(key.clone(), it.started);
                }
                if it.origin == Origin::Daily {
                    self.days.insert(key, date_at(it.started));
                }
            }
            Content::Terminal(it) => {
                self.terminal_outcomes
                    .insert(it.terminal, (record.recorded, it.outcome));
            }
            Content::OutageBegan(it) => {
                let key = (it.target.clone(), it.url.clone());
                self.outages.insert(key, OpenOutage::of(it));
            }
            Content::OutageEnded(it) => {
                self.outages.remove(&(it.outage.target, it.outage.url));
            }
            Content::ClockStepped(step) => {
                for outage in self.outages.values_mut() {
                    outage.stepped += step.length();
                }
            }
            Content::TerminalBrowser(it) => {
                self.browser_outcomes
                    .insert(it.terminal, (record.recorded, it.outcome));
            }
            Content::Drill(_) | Content::Repair(_) | Content::Unknown(_) => {}
        }
    }

    /// Start time of the newest recorded full pass.
    pub fn last_pass(&self, target: &Target) -> Option<Timestamp> {
        self.passes.get(&key(target)).copied()
    }

    /// The date in Hong Kong of the newest daily record.
    pub fn last_day(&self, target: &Target) -> Option<Date> {
        self.days.get(&key(target)).copied()
    }

    /// An outage without a recorded end.
    pub fn open_outage(&self, target: &Target) -> Option<&OpenOutage> {
        self.outages.get(&key(target))
    }

    /// The newest check at a terminal.
    pub fn terminal(&self, terminal: &str) -> Option<(Timestamp, TerminalOutcome)> {
        self.terminal_outcomes.get(terminal).copied()
    }

    /// How many of these terminals have this newest outcome, counting records since the verification
    /// period of `timetable` opened.
    pub fn count_terminals(
        &self,
        terminals: &[String],
        outcome: TerminalOutcome,
        timetable: &Timetable,
    ) -> usize {
        count_since_opened(&self.terminal_outcomes, terminals, outcome, timetable)
    }

    /// Like [`Self::count_terminals`], by the newest automatic check of each; `None` if there was none.
    pub fn count_browser_checks(
        &self,
        terminals: &[String],
        outcome: TerminalOutcome,
        timetable: &Timetable,
    ) -> Option<usize> {
        let outcomes = Some(&self.browser_outcomes).filter(|outcomes| !outcomes.is_empty())?;
        Some(count_since_opened(outcomes, terminals, outcome, timetable))
    }

    /// The timetable with the verification marked as done if the records prove it: since it opened, every
    /// login target had a full pass and every terminal was checked. A deadline that the configuration
    /// marks as done stays done.
    pub fn with_evidence(
        &self,
        timetable: &Timetable,
        targets: &[Arc<Target>],
        terminals: &[String],
    ) -> Timetable {
        let Some(deadline) = timetable.deadline(VERIFICATION) else {
            return timetable.clone();
        };
        let window = deadline.opens..deadline.alert_until;
        let mut logins = targets.iter().filter(|target| target.is_login()).peekable();
        let passed = |target: &Arc<Target>| {
            let pass = self.last_pass(target);
            pass.is_some_and(|at| window.contains(&at))
        };
        let is_verified = logins.peek().is_some()
            && logins.all(passed)
            && self.count_terminals(terminals, TerminalOutcome::Seen, timetable) == terminals.len();
        if deadline.done || !is_verified {
            return timetable.clone();
        }
        let mut overrides = Overrides::default();
        overrides.done.insert(VERIFICATION.to_owned(), true);
        let verified = timetable.clone().with_overrides(&overrides);
        verified.unwrap_or_else(|_| timetable.clone())
    }
}

fn count_since_opened(
    outcomes: &BTreeMap<String, (Timestamp, TerminalOutcome)>,
    terminals: &[String],
    outcome: TerminalOutcome,
    timetable: &Timetable,
) -> usize {
    let opened = timetable
        .deadline(VERIFICATION)
        .map_or(Timestamp::MIN, |deadline| deadline.opens);
    let is = |terminal: &&String| {
        let newest = outcomes.get(*terminal);
        newest.is_some_and(|(at, newest)| *newest == outcome && *at >= opened)
    };
    terminals.iter().filter(is).count()
}

fn key(target: &Target) -> Key {
    (target.name.clone(), target.url.to_string())
}
