//! The key `browser`: which targets `serve` opens in a browser of this host, and how often.

use std::path::PathBuf;
use std::time::Duration;

use super::raw::RawBrowser;
use super::section::Section;
use super::target::Targets;
use super::value::duration;
use crate::input_file::{self, InputFile};
use crate::report::Expectation;

/// The shortest time between two checks of a target: each starts a browser.
const MIN_INTERVAL: Duration = Duration::from_secs(60);
const MAX_INTERVAL: Duration = Duration::from_secs(24 * 3600);
const DEFAULT_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// What a browser of this host opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserChecks {
    /// The program; by default it is searched for.
    pub path: Option<PathBuf>,
    /// At least a minute.
    pub interval: Duration,
    /// Names of targets that must be reachable; unique.
    pub targets: Vec<String>,
}

impl BrowserChecks {
    pub(super) fn validate(raw: &RawBrowser, targets: &Targets, mut section: Section<'_>) -> Self {
        let path = raw.path.as_ref().map(|text| {
            let path = section.path(text);
            let found = input_file::metadata(InputFile::Config, &path);
            let problem = match found {
                Ok(found) if found.is_file() => None,
                Ok(_) => Some("is not a file".to_owned()),
                Err(error) => Some(format!("cannot be found: {error}")),
            };
            if let Some(problem) = problem {
                let message = format!(
                    "{} {problem}; name the browser's program, or remove the key to have it searched for",
                    path.display()
                );
                section.error(text, "path", message);
            }
            path
        });
        let interval = section.optional("interval", &raw.interval, interval);
        Self {
            path,
            interval: interval.unwrap_or(DEFAULT_INTERVAL),
            targets: names(raw, targets, &mut section),
        }
    }
}

fn names(raw: &RawBrowser, targets: &Targets, section: &mut Section<'_>) -> Vec<String> {
    let Some(names) = &raw.targets else {
        let logins = targets.iter().filter(|target| target.is_login());
        return logins.map(|target| target.name.clone()).collect();
    };
    if names.value.is_empty() {
        let message = "no target is named; name one, or remove the key to open every login target";
        section.error(names, "targets", message);
    }
    let mut unique: Vec<String> = Vec::with_capacity(names.value.len());
    section.list("targets", &names.value, |name| {
        let target = targets.named(name).ok_or_else(|| targets.unknown(name))?;
        if target.expect == Expectation::Unreachable {
            return Err("this target must not be reachable; remove it".to_owned());
        }
        if unique.iter().any(|known| known == name) {
            return Err("duplicate target; remove it".to_owned());
        }
        unique.push(name.to_owned());
        Ok(())
    });
    unique
}

fn interval(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        interval if interval < MIN_INTERVAL => Err(format!(
            "{text} is too short; the minimum is 1m, because each check starts a browser"
        )),
        interval if interval > MAX_INTERVAL => {
            Err(format!("{text} is too long; the maximum is 24h"))
        }
        interval => Ok(interval),
    }
}
