//! The files of the evidence, one per Hong Kong calendar year, and appending to them.
//!
//! Several programs may write (`serve`, `verify --record`, `record`): each append holds a lock. A record
//! is acknowledged when it is on disk. A failed append leaves the file unchanged. A partial line left by
//! a crash is moved to another file by the next append, which records that.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use thiserror::Error;

use super::chain::{self, Head, Writer};
use super::record::{Content, Repair};
use crate::calendar::date_at;
use crate::clock::{Clock, Stopwatch};
use crate::input_file::{self, InputFile};
use crate::ownership;
use crate::replacement::sync_parent;
use crate::terminal::single_line;

const DIRECTORY: &str = "evidence";
const LOCK: &str = "lock";
const ENDING: &str = "jsonl";
/// How long to wait for a lock held by another writer.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(5);
/// Every line that the exporter writes is shorter.
pub(super) const MAX_LINE_BYTES: u64 = 1 << 20;

/// The evidence in one data directory.
#[derive(Clone, Debug)]
pub struct Ledger {
    directory: PathBuf,
    writer: Writer,
    clock: Clock,
}

/// Confirms that a record is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub file: PathBuf,
    pub head: Head,
}

/// Why a record could not be written. The file is unchanged.
#[derive(Debug, Error)]
pub enum LedgerError {
    #[error("cannot {doing} {}: {cause}{}", single_line(&path.display().to_string()), ownership::advice(path, cause))]
    File {
        doing: &'static str,
        path: PathBuf,
        cause: io::Error,
    },
    #[error(
        "another program has held {} for {} s; end it, or wait until it is done",
        path.display(),
        LOCK_TIMEOUT.as_secs()
    )]
    Locked { path: PathBuf },
    #[error("a record cannot be written as JSON, which is a defect: {0}")]
    Unwritable(#[from] serde_json::Error),
}

impl LedgerError {
    /// The path to which access was denied.
    pub fn denied_path(&self) -> Option<&Path> {
        match self {
            Self::File { path, cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
                Some(path)
            }
            _ => None,
        }
    }
}

/// Adds the failed operation and its path.
pub(super) fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LedgerError {
    let path = path.to_owned();
    move |cause| LedgerError::File { doing, path, cause }
}

/// The end of a file.
pub(super) struct Tail {
    pub head: Head,
    /// The length up to and including the last complete line.
    pub whole: u64,
    pub torn: Vec<u8>,
}

impl Ledger {
    /// The evidence in a data directory, recorded by this host.
    pub fn in_directory(data_directory: &Path, site: Option<&str>, clock: Clock) -> Self {
        Self {
            directory: data_directory.join(DIRECTORY),
            writer: Writer {
                host: host(),
                site: site.map(str::to_owned),
            },
            clock,
        }
    }

    /// A copy of evidence, for reading: a data directory, or the directory with the files.
    pub fn copy(directory: &Path, clock: Clock) -> Self {
        let mut ledger = Self::in_directory(directory, None, clock);
        if !input_file::is_directory(InputFile::Evidence, &ledger.directory) {
            ledger.directory = directory.to_owned();
        }
        ledger
    }

    /// The directory of its files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The existing files, oldest first.
    ///
    /// # Errors
    /// The directory exists and cannot be read.
    pub fn files(&self) -> Result<Vec<PathBuf>, LedgerError> {
        let directory = self.directory.clone();
        let list = move || list(&directory);
        let files = input_file::with_deadline(InputFile::Evidence, &self.directory, list);
        files.flatten().map_err(failed("read", &self.directory))
    }

    /// Appends as [`Self::append`] does, with a deadline.
    ///
    /// # Errors
    /// Nothing was appended before the deadline.
    pub fn append_with_deadline(&self, contents: &[Content]) -> Result<Vec<Receipt>, LedgerError> {
        let (ledger, contents) = (self.clone(), contents.to_vec());
        let append = move || ledger.append(&contents);
        input_file::with_deadline(InputFile::Evidence, &self.directory, append)
            .map_err(failed("write", &self.directory))?
    }

    /// Appends all records or none; they are on disk when it returns.
    ///
    /// # Errors
    /// Nothing was appended, and the file is unchanged.
    pub fn append(&self, contents: &[Content]) -> Result<Vec<Receipt>, LedgerError> {
        if !input_file::is_directory(InputFile::Evidence, &self.directory) {
            fs::create_dir_all(&self.directory).map_err(failed("make", &self.directory))?;
            ownership::inherit_access(&self.directory);
        }
        let _lock = self.lock()?;
        let newest = self.files()?.pop();
        let (mut head, repair) = match &newest {
            None => (Head::none(), None),
            Some(path) => {
                let tail = repair_tail(path)?;
                let repair = (!tail.torn.is_empty()).then(|| quarantine_partial_line(path, &tail));
                (tail.head, repair.transpose()?)
            }
        };
        let now = self.clock.now();
        let year = self
            .directory
            .join(format!("{}.{ENDING}", date_at(now).year()));
        // If the clock goes back, the times in the chain do not.
        let path = match newest.filter(|newest| *newest > year) {
            Some(newest) => newest,
            None => year,
        };
        let mut text = String::new();
        let mut receipts = Vec::new();
        for (index, content) in repair.iter().chain(contents).enumerate() {
            let (line, next) = chain::seal(content, &head, &self.writer, now)?;
            text.push_str(&line);
            head = next;
            if index >= usize::from(repair.is_some()) {
                receipts.push(Receipt {
                    file: path.clone(),
                    head: head.clone(),
                });
            }
        }
        append_atomic(&path, text.as_bytes())?;
        Ok(receipts)
    }

    /// Locks until dropped; the operating system releases the lock if the process dies.
    fn lock(&self) -> Result<File, LedgerError> {
        let path = self.directory.join(LOCK);
        let is_new = input_file::stat(&path).is_err();
        let file = input_file::open_to_write(
            &path,
            OpenOptions::new().create(true).truncate(false).write(true),
        );
        let file = file.map_err(failed("open", &path))?;
        if is_new {
            ownership::inherit_access(&path);
        }
        wait_for(&path, || file.try_lock())?;
        Ok(file)
    }

    /// Prevents reading a line while it is being written. In a read-only copy there is nothing to lock,
    /// and no writer.
    pub(super) fn lock_for_reading(&self) -> Result<Option<File>, LedgerError> {
        let path = self.directory.join(LOCK);
        let lock = {
            let path = path.clone();
            move || {
                let Ok(file) = input_file::open(&path, OpenOptions::new().read(true)) else {
                    return Ok(None);
                };
                wait_for(&path, || file.try_lock_shared())?;
                Ok(Some(file))
            }
        };
        let lock = input_file::with_deadline(InputFile::Evidence, &path, lock);
        lock.map_err(failed("lock", &path))?
    }
}

fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The end of the file at `path`. If only the line break of the last line is missing, it is added: an
/// editor removed it, or a crash interrupted the write.
fn repair_tail(path: &Path) -> Result<Tail, LedgerError> {
    let found = tail(path).map_err(failed("read", path))?;
    if found.torn.is_empty() || !chain::is_intact(&found.torn) {
        return Ok(found);
    }
    append_atomic(path, b"\n")?;
    tail(path).map_err(failed("read", path))
}

/// Removes a partial line after copying it to another file.
fn quarantine_partial_line(path: &Path, tail: &Tail) -> Result<Content, LedgerError> {
    let aside = path.with_extension("torn");
    let mut kept = tail.torn.clone();
    kept.push(b'\n');
    append_atomic(&aside, &kept)?;
    shorten(path, tail.whole).map_err(failed("mend", path))?;
    tracing::warn!(
        file = %path.display(),
        aside = %aside.display(),
        bytes = tail.torn.len(),
        "half a line of evidence was left by a crash; it is set aside"
    );
    Ok(Content::Repair(Repair {
        file: name(path),
        torn_bytes: tail.torn.len() as u64,
        aside: name(&aside),
    }))
}

/// A file's name without its directory.
pub(super) fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Appends all bytes and syncs them to disk, or leaves the file unchanged.
fn append_atomic(path: &Path, bytes: &[u8]) -> Result<(), LedgerError> {
    let file = input_file::open_to_write(path, OpenOptions::new().create(true).append(true));
    let mut file = file.map_err(failed("open", path))?;
    let before = file.metadata().map_err(failed("read", path))?.len();
    if before == 0 {
        ownership::inherit_access(path);
    }
    let mut written = file.write_all(bytes).and_then(|()| file.sync_all());
    if before == 0 {
        written = written.and_then(|()| sync_parent(path));
    }
    drop(file);
    written.map_err(|cause| {
        // If this fails, too, a partial line remains, which the next append moves away.
        let _ = shorten(path, before);
        failed("write", path)(cause)
    })
}

/// Opens the file anew: Windows does not shorten one that is open for appending.
fn shorten(path: &Path, length: u64) -> io::Result<()> {
    let file = input_file::open_to_write(path, OpenOptions::new().write(true))?;
    file.set_len(length)?;
    file.sync_all()
}

fn wait_for(
    path: &Path,
    mut attempt: impl FnMut() -> Result<(), fs::TryLockError>,
) -> Result<(), LedgerError> {
    let watch = Stopwatch::start();
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(fs::TryLockError::Error(cause)) => return Err(failed("lock", path)(cause)),
            Err(fs::TryLockError::WouldBlock) if watch.elapsed() > LOCK_TIMEOUT => {
                return Err(LedgerError::Locked {
                    path: path.to_owned(),
                });
            }
            Err(fs::TryLockError::WouldBlock) => thread::sleep(LOCK_RETRY_INTERVAL),
        }
    }
}

/// Reads the end of a file. Altered lines that are no longer records count as lines of the chain; the
/// audit reports them.
fn tail(path: &Path) -> io::Result<Tail> {
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

/// This host's name, of letters, digits, dots and dashes.
fn host() -> String {
    let name = gethostname::gethostname();
    name.to_string_lossy()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
        .take(64)
        .collect()
}
