//! What follows from the records: what was verified last and when, which terminals were seen, which
//! outages have not ended.
//!
//! In: records, in their order. Out: answers to the timetable, and what is shown as metrics. It goes on
//! from where it stopped, so that a file that grows is read once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

use super::chain::{self, ChainedRecord, Head};
use super::ledger::{Ledger, LedgerError, MAX_LINE_BYTES};
use super::record::{Content, Outage, TerminalOutcome};
use super::verification::{Origin, Outcome};
use crate::calendar::date_at;
use crate::config::Target;
use crate::timetable::{Overrides, Timetable};

/// The deadline that records answer to (CD/OES/CCASS/013/2023: verify the connection by the Appendix).
pub const VERIFICATION: &str = "connection_verification";

/// A target as it is known by its records.
type Key = (String, String);

/// What the records say up to the newest.
#[derive(Clone, Debug)]
pub struct EvidenceState {
    pub head: Head,
    passes: BTreeMap<Key, Timestamp>,
    days: BTreeMap<Key, Date>,
    outages: BTreeMap<Key, Outage>,
    terminal_outcomes: BTreeMap<String, (Timestamp, TerminalOutcome)>,
    /// How far the newest file was read.
    read: Option<(PathBuf, u64)>,
    /// What was read and is not as it was written: altered, missing before the next, out of order, or gone
    /// since it was read.
    pub faults: u64,
    /// What was recorded later is passed over.
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
            read: None,
            faults: 0,
            until: Timestamp::MAX,
        }
    }
}

impl EvidenceState {
    /// What the records say that had been made at an instant.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn at(ledger: &Ledger, until: Timestamp) -> Result<Self, LedgerError> {
        let mut standing = Self {
            until,
            ..Self::default()
        };
        standing.catch_up(ledger)?;
        Ok(standing)
    }

    /// Reads what was added since it was read last; from the beginning, where what it had read is no
    /// longer there. Says whether anything changed.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn catch_up(&mut self, ledger: &Ledger) -> Result<bool, LedgerError> {
        let before = (self.read.clone(), self.faults);
        let _lock = ledger.lock_for_reading()?;
        let files = ledger.files()?;
        let is_there = |(path, offset): &(PathBuf, u64)| {
            let length = std::fs::metadata(path).map_or(0, |file| file.len());
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
                *read == newest && std::fs::metadata(newest).is_ok_and(|file| file.len() == *offset)
            }
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// Line by line, so that years of records need no memory; says where the last whole line ends.
    fn read_from(&mut self, path: &Path, from: u64) -> Result<u64, LedgerError> {
        let failed = |cause| LedgerError::File {
            doing: "read",
            path: path.to_owned(),
            cause,
        };
        let mut file = File::open(path).map_err(failed)?;
        file.seek(SeekFrom::Start(from)).map_err(failed)?;
        let mut reader = BufReader::new(file);
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
            self.follow(&line);
        }
    }

    /// Takes a line in, if it is as it was written: nothing else counts.
    fn follow(&mut self, line: &[u8]) {
        let hash = chain::hash(line);
        let Some(record) = chain::read(line) else {
            self.faults += 1;
            return;
        };
        let head = Head {
            number: record.number,
            hash,
        };
        // Where earlier years were moved away, nothing is known of what the oldest follows.
        let follows = self.head.number == 0
            || record.number == self.head.number.saturating_add(1)
                && record.previous == self.head.hash;
        let is_intact = record.hash == head.hash;
        self.faults += u64::from(!follows) + u64::from(!is_intact);
        self.head = head;
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
                self.outages.insert((it.target.clone(), it.url.clone()), it);
            }
            Content::OutageEnded(it) => {
                self.outages.remove(&(it.outage.target, it.outage.url));
            }
            Content::Drill(_) | Content::Repair(_) | Content::Unknown(_) => {}
        }
    }

    /// When the newest recorded full pass began.
    pub fn last_pass(&self, target: &Target) -> Option<Timestamp> {
        self.passes.get(&key(target)).copied()
    }

    /// The Hong Kong day of the newest daily record.
    pub fn last_day(&self, target: &Target) -> Option<Date> {
        self.days.get(&key(target)).copied()
    }

    /// An outage of which no end is recorded.
    pub fn open_outage(&self, target: &Target) -> Option<&Outage> {
        self.outages.get(&key(target))
    }

    /// How many of these terminals have that as their newest outcome, since the verification of
    /// `timetable` opened.
    pub fn count_terminals(
        &self,
        terminals: &[String],
        outcome: TerminalOutcome,
        timetable: &Timetable,
    ) -> usize {
        let opened = timetable
            .deadline(VERIFICATION)
            .map_or(Timestamp::MIN, |deadline| deadline.opens);
        let is = |terminal: &&String| {
            let newest = self.terminal_outcomes.get(*terminal);
            newest.is_some_and(|(at, newest)| *newest == outcome && *at >= opened)
        };
        terminals.iter().filter(is).count()
    }

    /// The timetable with the verification done, where the records say so: every login target has a
    /// full pass, and every terminal was seen, from its opening to the end of its alerts. What the
    /// configuration says is done stays done.
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

fn key(target: &Target) -> Key {
    (target.name.clone(), target.url.to_string())
}
