//! What was asked: the configuration file and what it means.
//!
//! In: a file in YAML, or none. Out: a [`Config`] whose values cannot be wrong, or [`Mistakes`] that
//! name file, line, column and key of each. `written` is the file as it stands; the other modules
//! make it what it is meant to be. Nothing downstream checks again.

mod allowed;
pub mod blackbox;
mod dates;
pub mod diagnostic;
mod file_snapshot;
mod module;
mod raw;
mod target;
mod value;
mod web;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::calendar::Calendar;
use crate::readiness;
use crate::redact;
use crate::report::Role;
use crate::report::advice::Contact;
use crate::service_hours::ServiceHours;
use crate::timetable::Timetable;
pub use allowed::AllowedHosts;
use diagnostic::Diagnostics;
pub use file_snapshot::FileSnapshot;
pub use module::{
    AsWritten, CaFile, Credentials, HttpPolicy, MinVersion, PageChecks, ProbeModule, Proxy,
    ProxyPolicy, ProxyScheme, Redirects, Resolver, Route, Severity, SystemResolvers, TlsPolicy,
    Transport,
};
use raw::{Raw, Text};
pub use target::{LOGIN_MODULE, LOGIN_TARGET, LOGIN_URL, Scheme, Target, Targets};
pub use value::{duration, label};
pub use web::{Clients, RateLimit, WebConfig};

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
    Mistaken(Diagnostics),
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
        let mut diagnostics = Diagnostics::of(path, text);
        let options = serde_saphyr::options! { strict_booleans: true };
        let raw = match serde_saphyr::from_str_with_options::<Raw>(text, options) {
            Ok(raw) => raw,
            Err(error) => {
                diagnostics.syntax(&error);
                return Err(ConfigError::Mistaken(diagnostics));
            }
        };
        let directory = path.parent().unwrap_or(Path::new(""));
        let config = validate(&raw, directory, &mut diagnostics);
        match config {
            Some(config) if diagnostics.is_empty() => Ok(config),
            _ => Err(ConfigError::Mistaken(diagnostics)),
        }
    }
}

fn validate(raw: &Raw, directory: &Path, diagnostics: &mut Diagnostics) -> Option<Config> {
    if let Some(site) = &raw.site
        && let Err(message) = value::label(&site.value)
    {
        diagnostics.at(site, "site", message);
    }
    let probe = probe_limits(&raw.probe, diagnostics);
    let modules = modules(&raw.modules, directory, diagnostics);
    let targets = targets(raw, &modules, probe.timeout, diagnostics);
    let calendar = dates::calendar(&raw.calendar, directory, diagnostics);
    let timetable = dates::timetable(&raw.timetable, directory, diagnostics);
    Some(Config {
        site: raw.site.as_ref().map(|site| site.value.clone()),
        data_directory: data_directory(raw, directory, diagnostics),
        contacts: contacts(&raw.contacts, diagnostics),
        probe,
        modules,
        targets,
        calendar: calendar?,
        timetable: timetable?,
        readiness: readiness_source(&raw.readiness, directory, diagnostics),
        terminals: terminals(raw, diagnostics),
        allowed_hosts: Arc::new(allowed_hosts(&raw.probe_endpoint, diagnostics)),
        service_hours: dates::service_hours(raw, diagnostics),
        expected_sites: expected_sites(raw, diagnostics),
    })
}

/// The names of the terminals; they are metric-safe, and no names of people.
fn terminals(raw: &Raw, diagnostics: &mut Diagnostics) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let written_names = &raw.evidence.terminals;
    for (index, text) in written_names.iter().enumerate() {
        let key = format!("evidence.terminals[{index}]");
        if let Err(message) = value::label(&text.value) {
            diagnostics.at(text, key, message);
        } else if names.contains(&text.value) {
            diagnostics.at(text, key, "this terminal is in the list already");
        } else {
            names.push(text.value.clone());
        }
    }
    if let (Some(first), None) = (written_names.first(), &raw.data_directory) {
        let message = "checks at terminals are recorded in the data_directory; configure one";
        diagnostics.at(first, "evidence.terminals", message);
    }
    names
}

fn data_directory(raw: &Raw, directory: &Path, diagnostics: &mut Diagnostics) -> Option<PathBuf> {
    let text = raw.data_directory.as_ref()?;
    let path = directory.join(&text.value);
    if path.exists() && !path.is_dir() {
        let message = format!("{} is not a directory", path.display());
        diagnostics.at(text, "data_directory", message);
    }
    Some(path)
}

/// The file itself is no part of the configuration: it changes while the exporter runs.
fn readiness_source(
    raw: &raw::Readiness,
    directory: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<readiness::Source> {
    let mut expected_total = BTreeMap::new();
    for (name, count) in &raw.expected_total {
        match readiness::Kind::ALL
            .into_iter()
            .find(|kind| kind.into_str() == name)
        {
            Some(kind) => {
                expected_total.insert(kind, count.value);
            }
            None => diagnostics.at(
                count,
                format!("readiness.expected_total.{name}"),
                "there are accounts of two kinds, user and delegated_admin",
            ),
        }
    }
    let max_age = raw.max_age.as_ref().map(|text| {
        value::age(&text.value).unwrap_or_else(|message| {
            diagnostics.at(text, "readiness.max_age", message);
            DEFAULT_MAX_AGE
        })
    });
    let file = raw.file.as_ref()?;
    Some(readiness::Source {
        path: directory.join(&file.value),
        max_age: max_age.unwrap_or(DEFAULT_MAX_AGE),
        expected_total,
    })
}

fn allowed_hosts(raw: &raw::ProbeEndpoint, diagnostics: &mut Diagnostics) -> AllowedHosts {
    let mut hosts = AllowedHosts::default();
    for (index, text) in raw.allowed_hosts.iter().enumerate() {
        if let Err(message) = hosts.add(&text.value) {
            diagnostics.at(
                text,
                format!("probe_endpoint.allowed_hosts[{index}]"),
                message,
            );
        }
    }
    hosts
}

fn expected_sites(raw: &Raw, diagnostics: &mut Diagnostics) -> Option<u32> {
    let count = raw.expected_sites.as_ref()?;
    if count.value == 0 {
        diagnostics.at(count, "expected_sites", "at least one site should report");
    }
    Some(count.value)
}

fn probe_limits(raw: &raw::Probe, diagnostics: &mut Diagnostics) -> ProbeLimits {
    let defaults = ProbeLimits::default();
    let mut span = |text: &Option<Text>, key: &str, default: Duration| {
        let Some(text) = text else { return default };
        value::duration(&text.value).unwrap_or_else(|message| {
            diagnostics.at(text, key, message);
            default
        })
    };
    let limits = ProbeLimits {
        interval: span(&raw.interval, "probe.interval", defaults.interval),
        timeout: span(&raw.timeout, "probe.timeout", defaults.timeout),
        concurrency: defaults.concurrency,
    };
    if let Some(text) = &raw.interval
        && limits.interval < MIN_INTERVAL
    {
        diagnostics.at(
            text,
            "probe.interval",
            format!(
                "{} is too often; the login server is probed at most every {}s",
                text.value,
                MIN_INTERVAL.as_secs()
            ),
        );
    }
    if let Some(text) = raw.timeout.as_ref().or(raw.interval.as_ref()) {
        if limits.timeout < MIN_TIMEOUT {
            diagnostics.at(text, "probe.timeout", "a probe needs at least 100ms");
        } else if limits.timeout > limits.interval && limits.interval >= MIN_INTERVAL {
            diagnostics.at(
                text,
                "probe.timeout",
                format!(
                    "the limit of a probe ({:?}) is longer than the interval ({:?})",
                    limits.timeout, limits.interval
                ),
            );
        }
    }
    match &raw.concurrency {
        None => limits,
        Some(count) => {
            if !(1..=1024).contains(&count.value) {
                diagnostics.at(count, "probe.concurrency", "write a number from 1 to 1024");
            }
            ProbeLimits {
                concurrency: count.value.clamp(1, 1024) as usize,
                ..limits
            }
        }
    }
}

fn contacts(raw: &raw::Contacts, diagnostics: &mut Diagnostics) -> Contacts {
    let mut contacts = Contacts::default();
    for (contact, text) in [
        (Contact::Dns, &raw.dns),
        (Contact::Firewall, &raw.firewall),
        (Contact::Proxy, &raw.proxy),
        (Contact::Security, &raw.security),
        (Contact::Desk, &raw.desk),
        (Contact::Hkex, &raw.hkex),
    ] {
        let Some(text) = text else { continue };
        if text.value.chars().any(char::is_control) || text.value.chars().count() > 200 {
            let key = format!("contacts.{}", contact.into_str());
            diagnostics.at(text, key, "a contact is one line of at most 200 characters");
        }
        contacts.0.insert(contact, text.value.clone());
    }
    contacts
}

fn modules(
    raw: &BTreeMap<String, Option<raw::Module>>,
    directory: &Path,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<String, Arc<ProbeModule>> {
    let mut modules = BTreeMap::from([(
        LOGIN_MODULE.to_owned(),
        Arc::new(ProbeModule::built_in(LOGIN_MODULE)),
    )]);
    let nothing = raw::Module::default();
    for (name, module) in raw {
        // blackbox_exporter takes any name, and its modules are carried over.
        if redact::contains_email(name) {
            let message = "an e-mail address is no name for a module";
            diagnostics.without_place(format!("modules.{name}"), message);
        }
        let module = module.as_ref().unwrap_or(&nothing);
        let module = ProbeModule::validate(name, module, directory, diagnostics);
        modules.insert(name.clone(), Arc::new(module));
    }
    modules
}

fn targets(
    raw: &Raw,
    modules: &BTreeMap<String, Arc<ProbeModule>>,
    timeout: Duration,
    diagnostics: &mut Diagnostics,
) -> Targets {
    let context = target::TargetContext { modules, timeout };
    let mut targets = match &raw.targets {
        Some(list) => target::validate(list, Role::Login, &context, diagnostics),
        None => modules
            .get(LOGIN_MODULE)
            .and_then(|module| Target::built_in(Arc::clone(module), timeout).ok())
            .into_iter()
            .collect(),
    };
    targets.extend(target::validate(
        &raw.controls,
        Role::Control,
        &context,
        diagnostics,
    ));
    check_duplicates(raw, diagnostics);
    targets.into_iter().collect()
}

fn check_duplicates(raw: &Raw, diagnostics: &mut Diagnostics) {
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    if raw.targets.is_none() {
        seen.insert(LOGIN_TARGET, 0);
    }
    let lists = [
        ("targets", raw.targets.as_deref()),
        ("controls", Some(&*raw.controls)),
    ];
    for (list, targets) in lists {
        for (index, target) in targets.unwrap_or_default().iter().enumerate() {
            let name = target.name.value.as_str();
            let line = target.name.referenced.line();
            match seen.insert(name, line) {
                None => {}
                Some(0) => diagnostics.at(
                    &target.name,
                    format!("{list}[{index}].name"),
                    format!("{name:?} is the built-in target's name; choose another"),
                ),
                Some(first) => diagnostics.at(
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
