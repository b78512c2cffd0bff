//! The memory's file: read at the start, replaced as a whole, never half written.
//!
//! In: the data directory. Out: a [`Memory`], or an empty one; a file that cannot be read is set aside
//! with a warning, for a person to look at, and is never fatal.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::report::history::{SavedState, TargetHistory};

const NAME: &str = "memory.json";
/// Raised when the file changes its meaning; another number is not understood.
const SCHEMA: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Document<Targets> {
    schema: u32,
    targets: Targets,
}

/// Where the memory is kept.
#[derive(Clone, Debug)]
pub struct StateFile {
    path: PathBuf,
}

impl StateFile {
    /// In `directory`, which is made if it is not there.
    ///
    /// # Errors
    /// The directory cannot be made, or nothing can be written into it.
    pub fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let file = Self::beside(directory);
        // Better now than at the first outage.
        File::create(file.with_ending("try"))?;
        fs::remove_file(file.with_ending("try"))?;
        Ok(file)
    }

    /// In `directory`, to be read only.
    pub fn beside(directory: &Path) -> Self {
        Self {
            path: directory.join(NAME),
        }
    }

    /// Reads it; a file that is not there is an empty memory.
    pub fn load(&self) -> SavedState {
        self.read().unwrap_or_else(|error| {
            warn!(file = %self.path.display(), %error, "the memory cannot be read");
            SavedState::default()
        })
    }

    /// Reads it, and sets aside what cannot be read.
    pub fn load_or_quarantine(&self) -> SavedState {
        self.read().unwrap_or_else(|error| {
            let aside = self.with_ending("corrupt");
            let moved = fs::rename(&self.path, &aside);
            warn!(
                file = %self.path.display(),
                aside = %aside.display(),
                moved = moved.is_ok(),
                %error,
                "the memory cannot be read and is set aside: what was last good is forgotten"
            );
            SavedState::default()
        })
    }

    fn read(&self) -> io::Result<SavedState> {
        let text = match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(SavedState::default());
            }
            other => other?,
        };
        let document: Document<BTreeMap<String, Arc<TargetHistory>>> =
            serde_json::from_slice(&text)?;
        if document.schema != SCHEMA {
            let text = format!("its schema is {}, not {SCHEMA}", document.schema);
            return Err(io::Error::other(text));
        }
        Ok(SavedState {
            targets: document.targets,
        })
    }

    /// Replaces the file: whoever reads it sees the old or the new one, whatever happens meanwhile.
    ///
    /// # Errors
    /// The new file cannot be written or put into place; the old one is then as it was.
    pub fn save(&self, memory: &SavedState) -> io::Result<()> {
        let new = self.with_ending("new");
        let document = Document {
            schema: SCHEMA,
            targets: &memory.targets,
        };
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(&document)?)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)
    }

    fn with_ending(&self, ending: &str) -> PathBuf {
        self.path.with_extension(format!("json.{ending}"))
    }
}
