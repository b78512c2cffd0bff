//! The configuration file: YAML in, a [`Config`] with valid values out, or [`Diagnostics`] that name
//! file, line, column and key of every error.
//!
//! `raw` is the file as serde reads it; each other module validates one part of it through a
//! `Section`. Nothing downstream checks a value again. The web configuration of the listener is a
//! separate file ([`WebConfig`]).

mod allowed_hosts;
pub mod blackbox;
mod browser;
mod contacts;
mod dates;
mod environment;
mod file_snapshot;
mod limits;
mod module;
mod raw;
mod section;
mod target;
mod value;
mod web;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::calendar::Calendar;
use crate::diagnostics::{Diagnostics, unknown_value};
use crate::input_file::{self, InputFile};
use crate::label;
use crate::readiness;
use crate::redact;
use crate::service_hours::ServiceHours;
use crate::timetable::Timetable;
pub use allowed_hosts::AllowedHosts;
pub use browser::BrowserChecks;
pub use contacts::{Contacts, one_line};
pub use file_snapshot::FileSnapshot;
pub use limits::ProbeLimits;
pub use module::{
    AsWritten, CaFile, Credentials, FetchIntermediates, HttpPolicy, MinVersion, PageChecks,
    PolicyAction, ProbeModule, Proxy, ProxyPolicy, ProxyScheme, Redirects, Resolver, Route,
    SystemResolvers, TlsPolicy, Transport,
};
use raw::{RawConfig, RawReadiness};
use section::Section;
pub use target::{LOGIN_MODULE, LOGIN_TARGET, LOGIN_URL, Scheme, Target, Targets};
pub use value::{age, duration};
pub use web::{ClientCertificate, RateLimit, WebConfig};

/// The validated configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of this site.
    pub site: Option<String>,
    /// Where state and evidence are written; without it, state lasts as long as the process and no
    /// evidence is recorded.
    pub data_directory: Option<PathBuf>,
    pub contacts: Contacts,
    pub probe: ProbeLimits,
    pub modules: BTreeMap<String, Arc<ProbeModule>>,
    pub targets: Targets,
    pub calendar: Calendar,
    /// Includes the user's overrides.
    pub timetable: Timetable,
    /// Where the counts of accounts come from.
    pub readiness: Option<readiness::Source>,
    /// The CCASS Terminals at which the login page is checked manually; unique.
    pub terminals: Vec<String>,
    /// What `/probe` may connect to in addition to the targets.
    pub allowed_hosts: Arc<AllowedHosts>,
    pub service_hours: ServiceHours,
    /// How many sites should report.
    pub expected_sites: Option<u32>,
    /// What `serve` opens in a browser of this host.
    pub browser: Option<BrowserChecks>,
}

/// Why a configuration file cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Invalid(#[from] Diagnostics),
}

impl ConfigError {
    /// The message without text of the file, for clients that may not read the file.
    pub fn without_file_content(&self) -> String {
        match self {
            Self::Unreadable { .. } => self.to_string(),
            Self::Invalid(diagnostics) => diagnostics.without_file_content(),
        }
    }
}

impl Config {
    /// Reads `path`, or returns the defaults if there is none; `site` replaces the file's.
    ///
    /// # Errors
    /// The file cannot be read or is invalid. All errors are reported, except that a syntax error ends
    /// the parsing.
    pub fn load(path: Option<&Path>, site: Option<&str>) -> Result<Self, ConfigError> {
        let mut config = match path {
            None => Self::parse("", Path::new("built-in")),
            Some(path) => Self::parse(&read_file(path, InputFile::Config)?, path),
        }?;
        if let Some(site) = site {
            config.site = Some(site.to_owned());
        }
        Ok(config)
    }

    /// Parses the text of `path`; the files it names are relative to it.
    ///
    /// # Errors
    /// The text is invalid, or a variable that it names is not in the environment.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        Self::parse_with(text, path, &|name| std::env::var(name).ok())
    }

    fn parse_with(
        text: &str,
        path: &Path,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut diagnostics = Diagnostics::new(path, text);
        let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
        let config = diagnostics
            .parse_yaml::<RawConfig>(options)
            .and_then(|mut raw| {
                let mut section = Section::of_file(path, &mut diagnostics);
                let is_complete = environment::substitute(&mut raw, &mut section, variable);
                is_complete.then(|| validate(&raw, &mut section)).flatten()
            });
        Ok(diagnostics.finish(config)?)
    }
}

/// Reads a configuration file.
///
/// # Errors
/// The file cannot be read, or is not UTF-8.
pub fn read_file(path: &Path, kind: InputFile) -> Result<String, ConfigError> {
    input_file::read_to_string(kind, path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

fn validate(raw: &RawConfig, section: &mut Section<'_>) -> Option<Config> {
    section.optional("site", &raw.site, label::check);
    let probe = ProbeLimits::validate(&raw.probe, section.below("probe"));
    let modules = modules(raw, section);
    let targets = target::validate(raw, &modules, probe.timeout, section);
    let calendar = dates::calendar(&raw.calendar, section.below("calendar"));
    let timetable = dates::timetable(&raw.timetable, section.below("timetable"));
    let browser = raw
        .browser
        .as_ref()
        .map(|raw| BrowserChecks::validate(raw, &targets, section.below("browser")));
    Some(Config {
        site: raw.site.as_ref().map(|site| site.value.clone()),
        data_directory: data_directory(raw, section),
        contacts: Contacts::validate(&raw.contacts, section.below("contacts")),
        probe,
        modules,
        targets,
        calendar: calendar?,
        timetable: timetable?,
        readiness: readiness_source(&raw.readiness, section.below("readiness")),
        terminals: terminals(raw, section.below("evidence")),
        allowed_hosts: Arc::new(AllowedHosts::validate(
            &raw.probe_endpoint.allowed_hosts,
            section.below("probe_endpoint"),
        )),
        service_hours: dates::service_hours(raw, section),
        expected_sites: expected_sites(raw, section),
        browser,
    })
}

fn data_directory(raw: &RawConfig, section: &mut Section<'_>) -> Option<PathBuf> {
    let text = raw.data_directory.as_ref()?;
    if text.value.is_empty() {
        let message = "the name is empty; write a directory, or remove the key";
        section.error(text, "data_directory", message);
        return None;
    }
    let path = section.path(text);
    let found = input_file::metadata(InputFile::State, &path);
    if found.is_ok_and(|found| !found.is_dir()) {
        let message = format!("{} is not a directory", path.display());
        section.error(text, "data_directory", message);
    }
    Some(path)
}

fn modules(raw: &RawConfig, section: &mut Section<'_>) -> BTreeMap<String, Arc<ProbeModule>> {
    let mut section = section.below("modules");
    let built_in = ProbeModule::built_in(LOGIN_MODULE);
    let mut modules = BTreeMap::from([(LOGIN_MODULE.to_owned(), Arc::new(built_in))]);
    for (name, module) in raw.modules.iter() {
        // Any other name is valid, as in blackbox_exporter, whose modules can be converted.
        if redact::contains_email(name) {
            let message = "invalid name; a module's name must not contain an e-mail address";
            section.error_at(None, name, message);
        }
        let module = ProbeModule::validate(name, module, section.below(name));
        modules.insert(name.clone(), Arc::new(module));
    }
    modules
}

/// The file itself is not part of the configuration: it changes while the exporter runs.
fn readiness_source(raw: &RawReadiness, mut section: Section<'_>) -> Option<readiness::Source> {
    /// A working week.
    const DEFAULT_MAX_AGE: Duration = Duration::from_secs(5 * 24 * 3600);
    let kinds = readiness::Kind::ALL;
    let mut expected_total = BTreeMap::new();
    for (name, count) in raw.expected_total.iter() {
        match kinds.into_iter().find(|kind| kind.into_str() == name) {
            Some(kind) => {
                expected_total.insert(kind, count.value);
            }
            None => {
                let message = unknown_value(name, kinds.map(|kind| kind.into_str()));
                section.error(count, &format!("expected_total.{name}"), message);
            }
        }
    }
    let max_age = section.optional("max_age", &raw.max_age, value::age);
    Some(readiness::Source {
        path: section.path(raw.file.as_ref()?),
        max_age: max_age.unwrap_or(DEFAULT_MAX_AGE),
        expected_total,
    })
}

/// The names of the terminals, which are exported as labels.
fn terminals(raw: &RawConfig, mut section: Section<'_>) -> Vec<String> {
    let names = &raw.evidence.terminals;
    if let (Some(first), None) = (names.first(), &raw.data_directory) {
        let message = "checks at terminals are recorded in data_directory; set it";
        section.error(first, "terminals", message);
    }
    let mut unique = Vec::with_capacity(names.len());
    section.list("terminals", names, |name| {
        label::check(name)?;
        if unique.iter().any(|known| known == name) {
            return Err("duplicate terminal; remove it");
        }
        unique.push(name.to_owned());
        Ok(())
    });
    unique
}

fn expected_sites(raw: &RawConfig, section: &mut Section<'_>) -> Option<u32> {
    let count = raw.expected_sites.as_ref()?;
    if count.value == 0 {
        section.error(count, "expected_sites", "0 is too few; the minimum is 1");
    }
    Some(count.value)
}
