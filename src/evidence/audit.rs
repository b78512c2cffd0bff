//! The audit: reads every line of every file and reports each fault.
//!
//! Input: a ledger, and optionally hashes of records kept elsewhere, in Prometheus or a filed report.
//! Output: the records in order, the head, the faults. A hash chain alone cannot show that its newest
//! lines were removed; that takes a hash kept elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;

use jiff::Timestamp;

use super::chain::{self, ChainedRecord, Head};
use super::ledger::{Ledger, LedgerError, failed, name};
use crate::input_file::{self, InputFile};

/// The content of all files.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Ordered by number.
    pub records: Vec<ChainedRecord>,
    pub files: Vec<String>,
    /// The newest record, if there is one.
    pub head: Head,
    pub faults: Vec<Fault>,
    /// Where time runs backwards, which is no fault: a clock was set back.
    pub backward: Vec<Backward>,
    /// The number of the record with the known hash.
    pub head_found_at: Option<u64>,
    /// By record number.
    altered: BTreeSet<u64>,
}

/// Hashes kept outside the ledger.
#[derive(Clone, Copy, Debug, Default)]
pub struct KnownHashes<'a> {
    /// The hash of a record that must exist.
    pub head: Option<&'a str>,
    /// The hash of the record before the oldest existing one, if earlier years were moved away.
    pub after: Option<&'a str>,
}

/// File and number of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: String,
    /// Counted from 1.
    pub line: usize,
}

/// A difference from what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The last line has no line break.
    Torn { place: Place, bytes: usize },
    /// The line is not a record.
    Unreadable { place: Place },
    /// The line does not match its own hash or the hash in the next record.
    Altered { place: Place, number: u64 },
    /// Records are missing between two existing ones.
    Missing { numbers: RangeInclusive<u64> },
    /// The record follows one with a higher number.
    OutOfOrder {
        place: Place,
        number: u64,
        after: u64,
    },
    /// Another line has the same number.
    Twice { place: Place, number: u64 },
    /// No record has the known hash.
    HeadUnknown,
}

/// A record with an earlier time than the record before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backward {
    pub place: Place,
    pub number: u64,
    pub recorded: Timestamp,
    /// The time of the record before.
    pub before: Timestamp,
}

impl fmt::Display for Backward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            number,
            recorded,
            before,
        } = self;
        write!(
            f,
            "{place}: time runs backwards: record {number} is of {recorded:.0}, the record before it of \
             {before:.0}; the clock was set back"
        )
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}", self.file, self.line)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Torn { place, bytes } => write!(
                f,
                "{place}: the last line is torn ({bytes} bytes): a crash left it; it was never \
                 acknowledged, and the next record sets it aside"
            ),
            Self::Unreadable { place } => write!(f, "{place}: the line is not a record"),
            Self::Altered { place, number } => {
                write!(f, "{place}: record {number} was altered")
            }
            Self::Missing { numbers } if numbers.start() == numbers.end() => {
                write!(f, "record {} is missing", numbers.start())
            }
            Self::Missing { numbers } => write!(
                f,
                "records {} to {} are missing",
                numbers.start(),
                numbers.end()
            ),
            Self::OutOfOrder {
                place,
                number,
                after,
            } => write!(f, "{place}: record {number} follows record {after}"),
            Self::Twice { place, number } => {
                write!(f, "{place}: record {number} appears a second time")
            }
            Self::HeadUnknown => f.write_str(
                "no record has the hash of --head: the newest records were removed, or the record with \
                 that hash was altered",
            ),
        }
    }
}

/// The parts of a line that the chain check needs.
struct Link {
    place: Place,
    /// Hash of the line as it is in the file.
    computed: String,
    record: ChainedRecord,
}

impl Audit {
    /// Whether a record matches the hash in its line.
    pub fn is_altered(&self, record: &ChainedRecord) -> bool {
        self.altered.contains(&record.number)
    }

    /// Reads and checks everything; calls `progress` with the number of each line.
    ///
    /// # Errors
    /// A file cannot be read, or is locked by a writer for too long.
    pub fn of(
        ledger: &Ledger,
        known: KnownHashes<'_>,
        mut progress: impl FnMut(usize),
    ) -> Result<Self, LedgerError> {
        let lock = ledger.lock_for_reading()?;
        let mut faults = Vec::new();
        let mut links: BTreeMap<u64, Link> = BTreeMap::new();
        let mut files = Vec::new();
        let mut highest = 0;
        let mut count = 0;
        for path in ledger.files()? {
            let contents = input_file::read(InputFile::Evidence, &path);
            let bytes = contents.map_err(failed("read", &path))?.bytes;
            files.push(name(&path));
            for (place, line) in lines(&path, &bytes, &mut faults) {
                count += 1;
                progress(count);
                let Some(record) = chain::read(line) else {
                    faults.push(Fault::Unreadable { place });
                    continue;
                };
                let number = record.number;
                if number < highest {
                    faults.push(Fault::OutOfOrder {
                        place: place.clone(),
                        number,
                        after: highest,
                    });
                }
                highest = highest.max(number);
                let link = Link {
                    computed: chain::hash(line),
                    place: place.clone(),
                    record,
                };
                if let Some(first) = links.insert(number, link) {
                    faults.push(Fault::Twice { place, number });
                    links.insert(number, first);
                }
            }
        }
        drop(lock);
        check_chain(&links, known.after, &mut faults);
        let head_found_at = known.head.and_then(|hash| {
            let has = |link: &&Link| link.computed.eq_ignore_ascii_case(hash);
            links.values().find(has).map(|link| link.record.number)
        });
        if known.head.is_some() && head_found_at.is_none() {
            faults.push(Fault::HeadUnknown);
        }
        let head = links
            .last_key_value()
            .map_or_else(Head::none, |(_, last)| Head {
                number: last.record.number,
                hash: last.computed.clone(),
            });
        let altered = faults.iter().filter_map(|fault| match fault {
            Fault::Altered { number, .. } => Some(*number),
            _ => None,
        });
        Ok(Self {
            altered: altered.collect(),
            backward: backward(&links),
            records: links.into_values().map(|link| link.record).collect(),
            files,
            head,
            faults,
            head_found_at,
        })
    }
}

/// The complete lines of a file; a last line without a line break is a fault.
fn lines<'a>(path: &Path, bytes: &'a [u8], faults: &mut Vec<Fault>) -> Vec<(Place, &'a [u8])> {
    let place = |index: usize| Place {
        file: name(path),
        line: index + 1,
    };
    let mut lines: Vec<(Place, &[u8])> = bytes
        .split(|byte| *byte == b'\n')
        .enumerate()
        .map(|(index, line)| (place(index), line))
        .collect();
    // A complete line without a line break is a record: an editor removed the line break, the next append restores it.
    if let Some((place, torn)) = lines.pop_if(|(_, line)| !chain::is_intact(line))
        && !torn.is_empty()
    {
        faults.push(Fault::Torn {
            place,
            bytes: torn.len(),
        });
    }
    lines
}

/// Checks each record against its own hash and the previous record, and finds gaps.
fn check_chain(links: &BTreeMap<u64, Link>, after: Option<&str>, faults: &mut Vec<Fault>) {
    let none = Head::none();
    let moved =
        |link: &Link| after.is_some_and(|hash| link.record.previous.eq_ignore_ascii_case(hash));
    let mut before: Option<&Link> = None;
    for (number, link) in links {
        let altered = |link: &Link| Fault::Altered {
            place: link.place.clone(),
            number: link.record.number,
        };
        let expected = match before {
            None if moved(link) => *number,
            before => before.map_or(1, |link| link.record.number.saturating_add(1)),
        };
        if *number > expected {
            faults.push(Fault::Missing {
                numbers: expected..=*number - 1,
            });
        }
        if link.record.hash != link.computed {
            faults.push(altered(link));
        } else if *number == expected {
            let follows = match before {
                None => link.record.previous == none.hash || moved(link),
                Some(before) => {
                    [&before.computed, &before.record.hash].contains(&&link.record.previous)
                }
            };
            match before {
                // Both contain their own hashes: the hash of the earlier one was replaced when it was altered.
                Some(before) if !follows => faults.push(altered(before)),
                None if !follows => faults.push(altered(link)),
                Some(_) | None => {}
            }
        }
        before = Some(link);
    }
}

fn backward(links: &BTreeMap<u64, Link>) -> Vec<Backward> {
    let pairs = links.values().zip(links.values().skip(1));
    let backward = pairs.filter(|(before, link)| link.record.recorded < before.record.recorded);
    backward
        .map(|(before, link)| Backward {
            place: link.place.clone(),
            number: link.record.number,
            recorded: link.record.recorded,
            before: before.record.recorded,
        })
        .collect()
}
