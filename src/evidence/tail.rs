//! The end of a file of the evidence.

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::chain::{self, Head};
use crate::input_file;

/// Every line that the exporter writes is shorter.
pub(super) const MAX_LINE_BYTES: u64 = 1 << 20;

/// The end of a file.
pub(super) struct Tail {
    pub head: Head,
    /// The length up to and including the last complete line.
    pub whole: u64,
    pub torn: Vec<u8>,
}

/// Reads the end of a file. Altered lines that are no longer records count as lines of the chain; the
/// audit reports them.
pub(super) fn tail(path: &Path) -> io::Result<Tail> {
    let mut file = input_file::open(path, OpenOptions::new().read(true))?;
    let length = file.metadata()?.len();
    let mut window = 4 * 1024;
    loop {
        let from = length.saturating_sub(window);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        Read::by_ref(&mut file)
            .take(length - from)
            .read_to_end(&mut bytes)?;
        match tail_of(&bytes, from) {
            Some(tail) => return Ok(tail),
            None if from == 0 => {
                // It contains no record: the chain continues after its last complete line.
                let cut = bytes.iter().rposition(|byte| *byte == b'\n');
                let whole = cut.map_or(0, |end| end + 1);
                let torn = bytes.split_off(whole);
                let lines = bytes.split(|byte| *byte == b'\n').rev();
                let last = lines.skip(1).find(|line| !line.is_empty());
                let head = last.map_or_else(Head::none, |line| Head {
                    number: bytes.iter().filter(|byte| **byte == b'\n').count() as u64,
                    hash: chain::hash(line),
                });
                let whole = whole as u64;
                return Ok(Tail { head, whole, torn });
            }
            None => window = (window * 4).min(MAX_LINE_BYTES.max(length)),
        }
    }
}

/// `None` if `bytes`, which begin at `from`, contain no complete record.
pub(super) fn tail_of(bytes: &[u8], from: u64) -> Option<Tail> {
    let cut = bytes.iter().rposition(|byte| *byte == b'\n')?;
    let (whole, torn) = bytes.split_at_checked(cut + 1)?;
    let mut last: Option<&[u8]> = None;
    // The first piece may be a partial line, unless it is the start of the file.
    let mut lines: Vec<&[u8]> = whole.split(|byte| *byte == b'\n').collect();
    lines.pop();
    let known = if from == 0 { 0 } else { 1 };
    for (behind, line) in (0..).zip(lines.get(known..)?.iter().rev()) {
        last = last.or(Some(line));
        if let Some(record) = chain::read(line) {
            return Some(Tail {
                head: Head {
                    number: record.number.saturating_add(behind),
                    hash: chain::hash(last?),
                },
                whole: from + whole.len() as u64,
                torn: torn.to_vec(),
            });
        }
    }
    None
}
