//! The files of the evidence, one per Hong Kong calendar year, and appending to them.
//!
//! Several programs may write (`serve`, `verify --record`, `record`): each append holds a lock. A record
//! is acknowledged when it is on disk. A failed append leaves the file unchanged. A partial line left by
//! a crash is moved to another file by the next append, which records that.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;

use super::chain::{self, Head, Writer};
use super::record::{Content, Repair};
use super::tail::tail;
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
        let mut files = self.files()?;
        let now = self.clock.now();
        let mut head = self.repaired_head(&files, now)?;
        let year = self
            .directory
            .join(format!("{}.{ENDING}", date_at(now).year()));
        // If the clock goes back, the times in the chain do not.
        let path = match files.pop().filter(|newest| *newest > year) {
            Some(newest) => newest,
            None => year,
        };
        let mut text = String::new();
        let mut receipts = Vec::new();
        for content in contents {
            let (line, next) = chain::seal(content, &head, &self.writer, now)?;
            text.push_str(&line);
            head = next;
            receipts.push(Receipt {
                file: path.clone(),
                head: head.clone(),
            });
        }
        append_atomic(&path, text.as_bytes())?;
        Ok(receipts)
    }

    /// The head of the newest of `files` that contains a record, once its end is repaired.
    ///
    /// If only the line break of the last line is missing, it is added: an editor removed it, or a crash
    /// interrupted the write. A partial line is copied to another file and replaced by the record of that:
    /// a crash in between leaves the partial line, and the next append repairs it.
    fn repaired_head(&self, files: &[PathBuf], now: Timestamp) -> Result<Head, LedgerError> {
        let Some((path, older)) = files.split_last() else {
            return Ok(Head::none());
        };
        let tail = tail(path).map_err(failed("read", path))?;
        let head = match tail.whole {
            // A crash interrupted the first record of a year.
            0 => self.repaired_head(older, now)?,
            _ => tail.head,
        };
        if tail.torn.is_empty() {
            return Ok(head);
        }
        if chain::is_intact(&tail.torn) {
            append_atomic(path, b"\n")?;
            return self.repaired_head(files, now);
        }
        let aside = path.with_extension("torn");
        append_atomic(&aside, &[tail.torn.as_slice(), b"\n"].concat())?;
        let repair = Content::Repair(Repair {
            file: name(path),
            torn_bytes: tail.torn.len() as u64,
            aside: name(&aside),
        });
        let (line, head) = chain::seal(&repair, &head, &self.writer, now)?;
        replace_tail(path, tail.whole, &tail.torn, line.as_bytes())?;
        tracing::warn!(
            file = %path.display(),
            aside = %aside.display(),
            bytes = tail.torn.len(),
            "half a line of evidence was left by a crash; it is set aside"
        );
        Ok(head)
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

/// Replaces what follows the first `whole` bytes, and syncs it to disk. If it fails, `torn` is put back;
/// if that fails, too, a partial line remains, which the next append repairs.
fn replace_tail(path: &Path, whole: u64, torn: &[u8], new: &[u8]) -> Result<(), LedgerError> {
    let file = input_file::open_to_write(path, OpenOptions::new().write(true));
    let mut file = file.map_err(failed("open", path))?;
    write_tail(&mut file, whole, new).map_err(|cause| {
        let _ = write_tail(&mut file, whole, torn);
        failed("mend", path)(cause)
    })
}

fn write_tail(file: &mut File, whole: u64, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(whole))?;
    file.write_all(bytes)?;
    file.set_len(whole + bytes.len() as u64)?;
    file.sync_all()
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

/// This host's name, of letters, digits, dots and dashes.
fn host() -> String {
    let name = gethostname::gethostname();
    name.to_string_lossy()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
        .take(64)
        .collect()
}
