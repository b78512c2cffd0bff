//! The state file: each target's history, saved in the data directory across restarts.
//!
//! It is read at startup and replaced atomically. A file of an older version is migrated. One that
//! is unreadable, or of a newer version, is moved aside with a warning, and the service starts
//! without history.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing::warn;

use crate::report::history::{SavedState, TargetHistory};

const NAME: &str = "state.json";
/// Incremented when the meaning of the file changes. Version 1 has no minutes and hours, and does not
/// know when nothing probed.
const SCHEMA: u32 = 2;

#[derive(Serialize, Deserialize)]
struct Contents<Targets> {
    schema: u32,
    targets: Targets,
}

/// Why a state file cannot be used.
#[derive(Debug, Error)]
enum StateError {
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    #[error(transparent)]
    Invalid(#[from] serde_json::Error),
    #[error(
        "the file has version {0}, written by a newer release; this release reads up to version {SCHEMA}. \
         To use it again, stop this release, move the file back and start the newer one"
    )]
    Newer(u32),
}

#[derive(Clone, Debug)]
pub struct StateFile {
    path: PathBuf,
}

impl StateFile {
    /// The file in `directory`, without access to either.
    pub fn in_directory(directory: &Path) -> Self {
        Self {
            path: directory.join(NAME),
        }
    }

    /// Creates the directory, and a file in it and removes it again.
    ///
    /// # Errors
    /// The directory cannot be created or written to.
    pub fn check_writable(&self) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let probe = self.with_suffix("try");
        File::create(&probe)?;
        fs::remove_file(probe)
    }

    /// Reads the file. A missing file is an empty state; an unreadable one too, with a warning.
    pub fn load(&self) -> SavedState {
        self.read().unwrap_or_else(|error| {
            warn!(file = %self.path.display(), %error, "cannot read the state file");
            SavedState::default()
        })
    }

    /// Reads the file as [`Self::load`] does, but renames an unreadable file to `*.corrupt` and one of a
    /// newer version to `*.newer`.
    pub fn load_or_quarantine(&self) -> SavedState {
        self.read().unwrap_or_else(|error| {
            let is_newer = matches!(error, StateError::Newer(_));
            let moved_to = self.with_suffix(if is_newer { "newer" } else { "corrupt" });
            let renamed = fs::rename(&self.path, &moved_to).is_ok();
            warn!(
                file = %self.path.display(),
                moved_to = %moved_to.display(),
                renamed,
                %error,
                "cannot read the state file, starting without history"
            );
            SavedState::default()
        })
    }

    /// Replaces the file atomically: a reader sees the old or the new contents.
    ///
    /// # Errors
    /// The new file cannot be written or renamed; the old one is unchanged.
    pub fn save(&self, state: &SavedState) -> io::Result<()> {
        let new = self.with_suffix("new");
        let contents = Contents {
            schema: SCHEMA,
            targets: &state.targets,
        };
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(&contents)?)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)
    }

    fn read(&self) -> Result<SavedState, StateError> {
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let text = match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(SavedState::default());
            }
            other => other?,
        };
        // A newer version may have another form.
        let Version { schema } = serde_json::from_slice(&text)?;
        if schema > SCHEMA {
            return Err(StateError::Newer(schema));
        }
        let contents: Contents<BTreeMap<String, TargetHistory>> = serde_json::from_slice(&text)?;
        let targets = contents.targets.into_iter();
        Ok(SavedState {
            targets: targets
                .map(|(name, history)| (name, Arc::new(history.migrated())))
                .collect(),
        })
    }

    fn with_suffix(&self, suffix: &str) -> PathBuf {
        self.path.with_extension(format!("json.{suffix}"))
    }
}
