//! What was asked: the configuration file and what it means.
//!
//! In: a file in YAML, or none. Out: a [`Config`] whose values cannot be wrong, or [`Mistakes`] that
//! name file, line, column and key of each. `written` is the file as it stands; the other modules
//! make it what it is meant to be. Nothing downstream checks again.

mod allowed;
pub mod blackbox;
mod dates;
pub mod mistake;
mod module;
mod read_file;
mod target;
mod value;
mod web;
mod written;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::calendar::Calendar;
use crate::personal;
use crate::readiness;
use crate::report::Role;
use crate::report::advice::Contact;
use crate::service_hours::ServiceHours;
use crate::timetable::Timetable;
pub use allowed::AllowedHosts;
use mistake::Mistakes;
pub use module::{
    AsWritten, CaFile, Credentials, HttpPolicy, MinVersion, PageChecks, ProbeModule, Proxy,
    ProxyPolicy, ProxyScheme, Redirects, Resolver, Route, Severity, SystemResolvers, TlsPolicy,
    Transport,
};
pub use read_file::ReadFile;
pub use target::{LOGIN_MODULE, LOGIN_TARGET, LOGIN_URL, Scheme, Target, Targets};
pub use value::{duration, label};
pub use web::{Clients, RateLimit, WebConfig};
use written::{Text, Written};

/// The configuration as it is meant.
#[derive(Clone, Debug)]
pub struct Config {
    /// This vantage's name.
    pub site: Option<String>,
    /// Where memory and evidence are kept; without it the one lasts as long as the process, and there is
    /// none of the other.
    pub data_directory: Option<PathBuf>,
    pub contacts: Contacts,
    pub probe: ProbeLimits,
    pub modules: BTreeMap<String, Arc<ProbeModule>>,
    pub targets: Targets,
    pub calendar: Calendar,
    /// With the user's answers in it.
    pub timetable: Timetable,
    /// Where the counts of accounts come from.
    pub readiness: Option<readiness::Source>,
    /// The CCASS Terminals at which the page is to be seen; unique.
    pub terminals: Vec<String>,
    /// Where `/probe` may go beside the targets.
    pub allowed_hosts: Arc<AllowedHosts>,
    pub service_hours: ServiceHours,
    /// How many sites should report, where that is configured.
    pub expected_sites: Option<u32>,
}

/// How often and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeLimits {
    /// At least [`MIN_INTERVAL`].
    pub interval: Duration,
    /// At most the interval.
    pub timeout: Duration,
    /// Probes under way at once, over all targets.
    pub concurrency: usize,
}

/// Of the readiness file: a working week.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(5 * 24 * 3600);
/// Below this nothing could be measured.
pub const MIN_TIMEOUT: Duration = Duration::from_millis(100);
/// Below this a probe would be a nuisance.
pub const MIN_INTERVAL: Duration = Duration::from_secs(10);

impl Default for ProbeLimits {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            concurrency: 64,
        }
    }
}

/// Names and numbers of the people who can help; shown to people, never in metrics.
#[derive(Clone, Debug)]
pub struct Contacts(BTreeMap<Contact, String>);

/// The circular's enquiry line (CD/OES/CCASS/013/2023).
const HOTLINE: &str = "CCASS Hotline 2979 7111, clearingps@hkex.com.hk";

impl Contacts {
    pub fn of(&self, contact: Contact) -> Option<&str> {
        self.0.get(&contact).map(String::as_str)
    }
}

impl Default for Contacts {
    fn default() -> Self {
        Self(BTreeMap::from([(Contact::Hkex, HOTLINE.to_owned())]))
    }
}

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{0}")]
    Mistaken(Mistakes),
}

impl Config {
    /// Reads `path`, or takes the defaults where there is none.
    ///
    /// # Errors
    /// The file cannot be read, or holds mistakes: all of them, except that a file whose form is
    /// wrong yields the first alone.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else {
            return Self::parse("", Path::new("built-in"));
        };
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// Reads `text`, which stands in `path`; other files are sought beside it.
    ///
    /// # Errors
    /// The text holds mistakes.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::of(path, text);
        let options = serde_saphyr::options! { strict_booleans: true };
        let written = match serde_saphyr::from_str_with_options::<Written>(text, options) {
            Ok(written) => written,
            Err(error) => {
                mistakes.syntax(&error);
                return Err(ConfigError::Mistaken(mistakes));
            }
        };
        let directory = path.parent().unwrap_or(Path::new(""));
        let config = understand(&written, directory, &mut mistakes);
        match config {
            Some(config) if mistakes.is_empty() => Ok(config),
            _ => Err(ConfigError::Mistaken(mistakes)),
        }
    }
}

fn understand(written: &Written, directory: &Path, mistakes: &mut Mistakes) -> Option<Config> {
    if let Some(site) = &written.site
        && let Err(message) = value::label(&site.value)
    {
        mistakes.at(site, "site", message);
    }
    let probe = probe_limits(&written.probe, mistakes);
    let modules = modules(&written.modules, directory, mistakes);
    let targets = targets(written, &modules, probe.timeout, mistakes);
    let calendar = dates::calendar(&written.calendar, directory, mistakes);
    let timetable = dates::timetable(&written.timetable, directory, mistakes);
    Some(Config {
        site: written.site.as_ref().map(|site| site.value.clone()),
        data_directory: data_directory(written, directory, mistakes),
        contacts: contacts(&written.contacts, mistakes),
        probe,
        modules,
        targets,
        calendar: calendar?,
        timetable: timetable?,
        readiness: readiness_source(&written.readiness, directory, mistakes),
        terminals: terminals(written, mistakes),
        allowed_hosts: Arc::new(allowed_hosts(&written.probe_endpoint, mistakes)),
        service_hours: dates::service_hours(written, mistakes),
        expected_sites: expected_sites(written, mistakes),
    })
}

/// The names of the terminals; they are metric-safe, and no names of people.
fn terminals(written: &Written, mistakes: &mut Mistakes) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let written_names = &written.evidence.terminals;
    for (index, text) in written_names.iter().enumerate() {
        let key = format!("evidence.terminals[{index}]");
        if let Err(message) = value::label(&text.value) {
            mistakes.at(text, key, message);
        } else if names.contains(&text.value) {
            mistakes.at(text, key, "this terminal is in the list already");
        } else {
            names.push(text.value.clone());
        }
    }
    if let (Some(first), None) = (written_names.first(), &written.data_directory) {
        let message = "checks at terminals are recorded in the data_directory; configure one";
        mistakes.at(first, "evidence.terminals", message);
    }
    names
}

fn data_directory(written: &Written, directory: &Path, mistakes: &mut Mistakes) -> Option<PathBuf> {
    let text = written.data_directory.as_ref()?;
    let path = directory.join(&text.value);
    if path.exists() && !path.is_dir() {
        let message = format!("{} is not a directory", path.display());
        mistakes.at(text, "data_directory", message);
    }
    Some(path)
}

/// The file itself is no part of the configuration: it changes while the exporter runs.
fn readiness_source(
    written: &written::Readiness,
    directory: &Path,
    mistakes: &mut Mistakes,
) -> Option<readiness::Source> {
    let mut expected_total = BTreeMap::new();
    for (name, count) in &written.expected_total {
        match readiness::Kind::ALL
            .into_iter()
            .find(|kind| kind.code() == name)
        {
            Some(kind) => {
                expected_total.insert(kind, count.value);
            }
            None => mistakes.at(
                count,
                format!("readiness.expected_total.{name}"),
                "there are accounts of two kinds, user and delegated_admin",
            ),
        }
    }
    let max_age = written.max_age.as_ref().map(|text| {
        value::age(&text.value).unwrap_or_else(|message| {
            mistakes.at(text, "readiness.max_age", message);
            DEFAULT_MAX_AGE
        })
    });
    let file = written.file.as_ref()?;
    Some(readiness::Source {
        path: directory.join(&file.value),
        max_age: max_age.unwrap_or(DEFAULT_MAX_AGE),
        expected_total,
    })
}

fn allowed_hosts(written: &written::ProbeEndpoint, mistakes: &mut Mistakes) -> AllowedHosts {
    let mut hosts = AllowedHosts::default();
    for (index, text) in written.allowed_hosts.iter().enumerate() {
        if let Err(message) = hosts.add(&text.value) {
            mistakes.at(
                text,
                format!("probe_endpoint.allowed_hosts[{index}]"),
                message,
            );
        }
    }
    hosts
}

fn expected_sites(written: &Written, mistakes: &mut Mistakes) -> Option<u32> {
    let count = written.expected_sites.as_ref()?;
    if count.value == 0 {
        mistakes.at(count, "expected_sites", "at least one site should report");
    }
    Some(count.value)
}

fn probe_limits(written: &written::Probe, mistakes: &mut Mistakes) -> ProbeLimits {
    let defaults = ProbeLimits::default();
    let mut span = |text: &Option<Text>, key: &str, default: Duration| {
        let Some(text) = text else { return default };
        value::duration(&text.value).unwrap_or_else(|message| {
            mistakes.at(text, key, message);
            default
        })
    };
    let limits = ProbeLimits {
        interval: span(&written.interval, "probe.interval", defaults.interval),
        timeout: span(&written.timeout, "probe.timeout", defaults.timeout),
        concurrency: defaults.concurrency,
    };
    if let Some(text) = &written.interval
        && limits.interval < MIN_INTERVAL
    {
        mistakes.at(
            text,
            "probe.interval",
            format!(
                "{} is too often; the login server is probed at most every {}s",
                text.value,
                MIN_INTERVAL.as_secs()
            ),
        );
    }
    if let Some(text) = written.timeout.as_ref().or(written.interval.as_ref()) {
        if limits.timeout < MIN_TIMEOUT {
            mistakes.at(text, "probe.timeout", "a probe needs at least 100ms");
        } else if limits.timeout > limits.interval && limits.interval >= MIN_INTERVAL {
            mistakes.at(
                text,
                "probe.timeout",
                format!(
                    "the limit of a probe ({:?}) is longer than the interval ({:?})",
                    limits.timeout, limits.interval
                ),
            );
        }
    }
    match &written.concurrency {
        None => limits,
        Some(count) => {
            if !(1..=1024).contains(&count.value) {
                mistakes.at(count, "probe.concurrency", "write a number from 1 to 1024");
            }
            ProbeLimits {
                concurrency: count.value.clamp(1, 1024) as usize,
                ..limits
            }
        }
    }
}

fn contacts(written: &written::Contacts, mistakes: &mut Mistakes) -> Contacts {
    let mut contacts = Contacts::default();
    for (contact, text) in [
        (Contact::Dns, &written.dns),
        (Contact::Firewall, &written.firewall),
        (Contact::Proxy, &written.proxy),
        (Contact::Security, &written.security),
        (Contact::Desk, &written.desk),
        (Contact::Hkex, &written.hkex),
    ] {
        let Some(text) = text else { continue };
        if text.value.chars().any(char::is_control) || text.value.chars().count() > 200 {
            let key = format!("contacts.{}", contact.code());
            mistakes.at(text, key, "a contact is one line of at most 200 characters");
        }
        contacts.0.insert(contact, text.value.clone());
    }
    contacts
}

fn modules(
    written: &BTreeMap<String, Option<written::Module>>,
    directory: &Path,
    mistakes: &mut Mistakes,
) -> BTreeMap<String, Arc<ProbeModule>> {
    let mut modules = BTreeMap::from([(
        LOGIN_MODULE.to_owned(),
        Arc::new(ProbeModule::built_in(LOGIN_MODULE)),
    )]);
    let nothing = written::Module::default();
    for (name, module) in written {
        // blackbox_exporter takes any name, and its modules are carried over.
        if personal::is_in(name) {
            let message = "an e-mail address is no name for a module";
            mistakes.without_place(format!("modules.{name}"), message);
        }
        let module = module.as_ref().unwrap_or(&nothing);
        let module = ProbeModule::understand(name, module, directory, mistakes);
        modules.insert(name.clone(), Arc::new(module));
    }
    modules
}

fn targets(
    written: &Written,
    modules: &BTreeMap<String, Arc<ProbeModule>>,
    timeout: Duration,
    mistakes: &mut Mistakes,
) -> Targets {
    let surroundings = target::Surroundings { modules, timeout };
    let mut targets = match &written.targets {
        Some(list) => target::understand(list, Role::Login, &surroundings, mistakes),
        None => modules
            .get(LOGIN_MODULE)
            .and_then(|module| Target::built_in(Arc::clone(module), timeout).ok())
            .into_iter()
            .collect(),
    };
    targets.extend(target::understand(
        &written.controls,
        Role::Control,
        &surroundings,
        mistakes,
    ));
    refuse_twins(written, mistakes);
    targets.into_iter().collect()
}

fn refuse_twins(written: &Written, mistakes: &mut Mistakes) {
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    if written.targets.is_none() {
        seen.insert(LOGIN_TARGET, 0);
    }
    let lists = [
        ("targets", written.targets.as_deref()),
        ("controls", Some(&*written.controls)),
    ];
    for (list, targets) in lists {
        for (index, target) in targets.unwrap_or_default().iter().enumerate() {
            let name = target.name.value.as_str();
            let line = target.name.referenced.line();
            match seen.insert(name, line) {
                None => {}
                Some(0) => mistakes.at(
                    &target.name,
                    format!("{list}[{index}].name"),
                    format!("{name:?} is the built-in target's name; choose another"),
                ),
                Some(first) => mistakes.at(
                    &target.name,
                    format!("{list}[{index}].name"),
                    format!(
                        "{name:?} is the name of the target in line {first} too; choose another"
                    ),
                ),
            }
        }
    }
}
