//! Detects changes of a file by its modification time and size.

use std::path::PathBuf;
use std::time::SystemTime;

use crate::input_file::{self, InputFile};

/// Modification time and size of a file when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSnapshot {
    file: InputFile,
    pub path: PathBuf,
    /// `None` if the file does not exist.
    modified: Option<SystemTime>,
    bytes: u64,
}

impl FileSnapshot {
    pub fn take(file: InputFile, path: PathBuf) -> Self {
        let metadata = input_file::metadata(file, &path).ok();
        Self {
            file,
            path,
            modified: metadata.as_ref().and_then(|file| file.modified().ok()),
            bytes: metadata.map_or(0, |file| file.len()),
        }
    }

    /// A snapshot of the same file now.
    pub fn retake(self) -> Self {
        Self::take(self.file, self.path)
    }
}
