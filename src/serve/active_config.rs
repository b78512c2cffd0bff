//! What is in force: everything that is read from files, replaced as a whole by a reload.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::single_flight::SingleFlight;
use crate::clock::Clock;
use crate::config::{Config, ConfigError, WebConfig};
use crate::probe::{Engine, Roots};

/// The files that the command line names; what they name is read with them.
#[derive(Clone, Debug, Default)]
pub struct Files {
    pub config: Option<PathBuf>,
    pub web: Option<PathBuf>,
}

impl Files {
    /// Reads every file, this host's root certificates among them.
    ///
    /// # Errors
    /// A file cannot be read, or holds mistakes.
    pub fn read(&self, clock: Clock) -> Result<(Arc<ActiveConfig>, Arc<WebConfig>), ConfigError> {
        let config = Config::load(self.config.as_deref())?;
        let web = WebConfig::load(self.web.as_deref())?;
        let roots = Roots::load();
        let engine = Engine::new(&config.modules, &roots, config.site.clone(), clock);
        let active = ActiveConfig {
            config,
            loaded_at: clock.now(),
            single_flight: SingleFlight::new(engine),
        };
        Ok((Arc::new(active), Arc::new(web)))
    }
}

/// The files as they were at one instant, with everything built that can fail.
#[derive(Debug)]
pub struct ActiveConfig {
    pub config: Config,
    /// When the files were read.
    pub loaded_at: Timestamp,
    pub single_flight: SingleFlight,
}
