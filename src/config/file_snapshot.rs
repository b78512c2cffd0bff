//! Files that are followed: whether one is still what was read.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

/// A file as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSnapshot {
    pub path: PathBuf,
    /// Absent where it was not there.
    changed: Option<SystemTime>,
    bytes: u64,
}

impl FileSnapshot {
    /// The file as it is now.
    pub fn take(path: PathBuf) -> Self {
        let metadata = fs::metadata(&path).ok();
        Self {
            path,
            changed: metadata.as_ref().and_then(|file| file.modified().ok()),
            bytes: metadata.map_or(0, |file| file.len()),
        }
    }
}
