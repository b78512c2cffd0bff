//! Detects changes of a file by its modification time and size.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

/// Modification time and size of a file when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSnapshot {
    pub path: PathBuf,
    /// `None` if the file does not exist.
    modified: Option<SystemTime>,
    bytes: u64,
}

impl FileSnapshot {
    pub fn take(path: PathBuf) -> Self {
        let metadata = fs::metadata(&path).ok();
        Self {
            path,
            modified: metadata.as_ref().and_then(|file| file.modified().ok()),
            bytes: metadata.map_or(0, |file| file.len()),
        }
    }
}
