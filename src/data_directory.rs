//! The data directory: created at the start of `serve`, and used by one `serve` at a time, which holds a
//! lock on it. Commands that append evidence do not take this lock.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use tracing::info;

use crate::clock::Stopwatch;
use crate::input_file::{self, InputFile};
use crate::ownership;
use crate::state_file::StateFile;

const LOCK: &str = "serve.lock";
/// How long a restart or an upgrade waits for the previous process, whose stop takes at most five
/// seconds. Shorter than the deadline of the whole operation.
const LOCK_TIMEOUT: Duration = Duration::from_secs(8);
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// What is saved in the data directory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recording {
    /// `false` also while the state file cannot be written.
    pub history: bool,
    pub evidence: bool,
}

/// Who uses the directory.
#[derive(Debug)]
pub enum Claim {
    /// This process, until the lock is dropped; the operating system releases it if the process dies.
    Exclusive(Lock),
    /// Another `serve`.
    Taken,
}

/// The lock on the directory.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "open as long as the lock is held")] File);

/// Creates the directory, waits for its lock, checks that files can be written, and removes what a killed
/// process left behind.
///
/// # Errors
/// The directory cannot be created, locked or written to, or does not answer.
pub fn claim(directory: &Path) -> io::Result<Claim> {
    let claim = {
        let directory = directory.to_owned();
        move || claim_now(&directory)
    };
    // The path whose abandoned operation keeps the state file from being read, too.
    let path = StateFile::in_directory(directory).path().to_owned();
    input_file::with_deadline(InputFile::State, &path, claim).flatten()
}

fn claim_now(directory: &Path) -> io::Result<Claim> {
    fs::create_dir_all(directory)?;
    let Some(lock) = lock(directory)? else {
        return Ok(Claim::Taken);
    };
    let state_file = StateFile::in_directory(directory);
    state_file.check_writable()?;
    state_file.remove_temporaries()?;
    Ok(Claim::Exclusive(lock))
}

/// `None` if another process holds the lock for longer than [`LOCK_TIMEOUT`].
fn lock(directory: &Path) -> io::Result<Option<Lock>> {
    let path = directory.join(LOCK);
    let mut writing = OpenOptions::new();
    writing.create(true).truncate(false).write(true);
    let writable = input_file::open_to_write(&path, &writing)?;
    ownership::inherit_access(&path);
    // A file open for writing would keep the disk from being made read-only.
    let readable = input_file::open(&path, OpenOptions::new().read(true))?;
    if let Ok(is_held) = wait_for(&readable, directory) {
        return Ok(is_held.then_some(Lock(readable)));
    }
    // NFS locks only what is open for writing.
    let is_held = wait_for(&writable, directory)?;
    Ok(is_held.then_some(Lock(writable)))
}

fn wait_for(file: &File, directory: &Path) -> io::Result<bool> {
    let watch = Stopwatch::start();
    let mut is_waiting = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if watch.elapsed() > LOCK_TIMEOUT => return Ok(false),
            Err(TryLockError::WouldBlock) => {
                if !std::mem::replace(&mut is_waiting, true) {
                    let directory = directory.display();
                    info!(%directory, "waiting for another exporter that uses data_directory to stop");
                }
                thread::sleep(LOCK_RETRY_INTERVAL);
            }
        }
    }
}
