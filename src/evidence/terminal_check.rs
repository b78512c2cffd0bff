//! Checks of the login page at a terminal: by a person, or automatic in a browser, with its picture. They are
//! two kinds of record.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::verification::Reference;
use crate::hex::sha256;
use crate::input_file::{self, InputFile};
use crate::ownership;
use crate::replacement::replace;

/// Bytes of a picture that are read back.
const MAX_PICTURE: usize = 4 << 20;

/// The manual step of the circular's Appendix at one terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalCheck {
    /// A name in the configuration's list of terminals.
    pub terminal: String,
    pub outcome: TerminalOutcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

/// Whether the login page was seen in Edge.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    IntoStaticStr,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case", const_into_str)]
pub enum TerminalOutcome {
    Seen,
    NotSeen,
}

impl TerminalOutcome {
    pub const ALL: [Self; 2] = [Self::Seen, Self::NotSeen];
}

/// What a browser showed at a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrowserRecord {
    /// A name in the configuration's list of terminals.
    pub terminal: String,
    pub target: String,
    pub url: String,
    pub started: Timestamp,
    /// Seen: the page was shown and its checks hold.
    pub outcome: TerminalOutcome,
    /// The reason, or the browser's error in lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// `Microsoft Edge`, `Google Chrome` or `Chromium`.
    pub browser: String,
    pub browser_version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screenshot: Option<Picture>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

/// A picture in the directory of the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    pub file: String,
    /// Of its bytes, lower-case hexadecimal.
    pub sha256: String,
}

impl Picture {
    /// Writes a picture into the directory of the evidence and syncs it to disk. Its name is its hash, so
    /// that no picture replaces another one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn store(directory: &Path, png: &[u8]) -> io::Result<Self> {
        let sha256 = sha256(png);
        let file = format!("{sha256}.png");
        let path = directory.join(&file);
        if !input_file::is_directory(InputFile::Evidence, directory) {
            fs::create_dir_all(directory)?;
            ownership::inherit_access(directory);
        }
        let new = directory.join(format!("{sha256}.new"));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        let mut output = input_file::open_to_write(&new, &options)?;
        ownership::inherit_access(&new);
        output.write_all(png)?;
        output.sync_all()?;
        drop(output);
        replace(&new, &path)?;
        Ok(Self { file, sha256 })
    }

    /// The bytes, if they are those that were recorded.
    ///
    /// # Errors
    /// The picture cannot be read, or was replaced.
    pub fn load(&self, directory: &Path) -> io::Result<Vec<u8>> {
        let is_hash = self.sha256.len() == 64 && self.sha256.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hash {
            return Err(ErrorKind::InvalidInput.into());
        }
        // The name in the record is not trusted.
        let path = directory.join(format!("{}.png", self.sha256));
        let bytes = input_file::read(InputFile::Evidence, &path)?.bytes;
        if bytes.len() > MAX_PICTURE || sha256(&bytes) != self.sha256 {
            return Err(io::Error::other("it is not the picture that was recorded"));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_that_was_replaced_is_not_returned() {
        let directory = tempfile::tempdir().unwrap();
        let picture = Picture::store(directory.path(), b"picture").unwrap();
        assert_eq!(picture.load(directory.path()).unwrap(), b"picture");
        fs::write(directory.path().join(&picture.file), "other").unwrap();
        let error = picture.load(directory.path()).unwrap_err();
        assert_eq!(error.to_string(), "it is not the picture that was recorded");
    }
}
