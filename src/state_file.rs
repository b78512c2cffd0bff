//! The state file: each target's history, saved in the data directory across restarts.
//!
//! It is read at startup and replaced atomically. A file of an older version is migrated. One with
//! invalid contents, or of a newer version, is moved aside with a warning, and the service starts
//! without history; a file that cannot be read is left alone.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing::warn;

use crate::input_file::{self, InputFile};
use crate::ownership;
use crate::replacement::replace;
use crate::report::history::{SavedState, TargetHistory};

const NAME: &str = "state.json";
/// The ending of a file that is being written.
const TEMPORARY: &str = "new";
/// Incremented when the meaning of the file changes. Version 1 has no minutes and hours, and does not
/// know when nothing probed.
const SCHEMA: u32 = 2;
/// A correction of the network time may set the clock back by less.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(1);

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

    /// Creates a file in the directory and removes it again.
    ///
    /// # Errors
    /// The directory cannot be written to.
    pub fn check_writable(&self) -> io::Result<()> {
        let (_, path) = self.create_temporary()?;
        fs::remove_file(path)
    }

    /// Reads the file. A missing file is an empty state; an unreadable one too, with a warning.
    pub fn load(&self) -> SavedState {
        self.read().unwrap_or_else(|error| {
            warn!(file = %self.path.display(), %error, "cannot read the state file");
            SavedState::default()
        })
    }

    /// Reads the file as [`Self::load`] does, but renames a file with invalid contents to `*.corrupt` and one
    /// of a newer version to `*.newer`. One with times ahead of `now` is renamed to `*.ahead` and used.
    ///
    /// # Errors
    /// The file cannot be read, or not be renamed: a save would destroy what is in it.
    pub fn load_or_quarantine(&self, now: Timestamp) -> io::Result<SavedState> {
        let (error, suffix) = match self.read() {
            Ok(saved) if saved.is_ahead_of(now + CLOCK_TOLERANCE) => {
                let kept_as = self.with_suffix("ahead");
                fs::rename(&self.path, &kept_as)?;
                warn!(
                    file = %self.path.display(),
                    kept_as = %kept_as.display(),
                    "times in the state file are ahead of the clock and are not used; check the clock. To \
                     use them again, stop the exporter and move the file back"
                );
                return Ok(saved);
            }
            Ok(saved) => return Ok(saved),
            Err(StateError::Unreadable(error)) => return Err(error),
            Err(error @ StateError::Newer(_)) => (error, "newer"),
            Err(error @ StateError::Invalid(_)) => (error, "corrupt"),
        };
        let moved_to = self.with_suffix(suffix);
        fs::rename(&self.path, &moved_to)?;
        warn!(
            file = %self.path.display(),
            moved_to = %moved_to.display(),
            %error,
            "cannot read the state file, it was moved; starting without history"
        );
        Ok(SavedState::default())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the file atomically: a reader sees the old or the new contents.
    ///
    /// # Errors
    /// The new file cannot be written or renamed; the old one is unchanged.
    pub fn save(&self, state: &SavedState) -> io::Result<()> {
        let text = to_json(state)?;
        let (mut file, new) = self.create_temporary()?;
        let replaced = file
            .write_all(&text)
            .and_then(|()| file.sync_all())
            .and_then(|()| replace(&new, &self.path));
        replaced.inspect_err(|_| {
            let _ = fs::remove_file(new);
        })
    }

    /// A new file in the same directory. Its name is random: in containers that share a volume, process
    /// ids repeat.
    fn create_temporary(&self) -> io::Result<(File, PathBuf)> {
        let random = RandomState::new().hash_one(std::process::id());
        let path = self.with_suffix(&format!("{random:016x}.{TEMPORARY}"));
        let file =
            input_file::open_to_write(&path, OpenOptions::new().write(true).create_new(true))?;
        ownership::inherit_access(&path);
        Ok((file, path))
    }

    /// Removes what killed processes left behind. Only for the process that uses the directory alone.
    pub fn remove_temporaries(&self) -> io::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let prefix = format!("{NAME}.");
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(&prefix) && name.ends_with(TEMPORARY) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn read(&self) -> Result<SavedState, StateError> {
        match input_file::read(InputFile::State, &self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(SavedState::default()),
            other => parse(&other?.bytes),
        }
    }

    fn with_suffix(&self, suffix: &str) -> PathBuf {
        self.path.with_extension(format!("json.{suffix}"))
    }
}

fn to_json(state: &SavedState) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Contents {
        schema: SCHEMA,
        targets: &state.targets,
    })
}

fn parse(text: &[u8]) -> Result<SavedState, StateError> {
    #[derive(Deserialize)]
    struct Version {
        schema: u32,
    }
    // A newer version may have another form.
    let Version { schema } = serde_json::from_slice(text)?;
    if schema > SCHEMA {
        return Err(StateError::Newer(schema));
    }
    let contents: Contents<BTreeMap<String, TargetHistory>> = serde_json::from_slice(text)?;
    let targets = contents.targets.into_iter();
    Ok(SavedState {
        targets: targets
            .map(|(name, history)| (name, Arc::new(history.migrated())))
            .collect(),
    })
}

/// What a save writes of what was read from these bytes; `None` if they are no state.
#[cfg(any(test, fuzzing))]
pub(crate) fn rewritten(text: &[u8]) -> Option<Vec<u8>> {
    to_json(&parse(text).ok()?).ok()
}
