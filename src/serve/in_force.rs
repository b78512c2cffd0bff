//! What is in force: everything that is read from files, replaced as a whole by a reload.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::flights::Flights;
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::probe::{Engine, Roots};

/// The files that the command line names; what they name is read with them.
#[derive(Clone, Debug, Default)]
pub struct Files {
    pub config: Option<PathBuf>,
}

/// The files as they were at one instant, with everything built that can fail.
#[derive(Debug)]
pub struct InForce {
    pub config: Config,
    /// When the files were read.
    pub read_at: Timestamp,
    pub flights: Flights,
}

impl InForce {
    /// Reads every file, this host's root certificates among them.
    ///
    /// # Errors
    /// A file cannot be read, or holds mistakes.
    pub fn read(files: &Files, clock: Clock) -> Result<Arc<Self>, ConfigError> {
        let config = Config::load(files.config.as_deref())?;
        let roots = Roots::load();
        let engine = Engine::new(&config.modules, &roots, config.site.clone(), clock);
        Ok(Arc::new(Self {
            config,
            read_at: clock.now(),
            flights: Flights::new(engine),
        }))
    }
}
