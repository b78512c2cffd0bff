//! The fuzz targets: each takes any bytes, reads them as the exporter would, and panics if a promise does
//! not hold.
//!
//! `fuzz/` runs them with libFuzzer (`make fuzz`). The test below replays the seeds and every input that
//! once broke a promise, so that both hold on stable.

use std::path::Path;

use jiff::Timestamp;
use url::form_urlencoded;

use crate::calendar::Calendar;
use crate::config::{Config, FileSnapshot, Scheme, WebConfig, blackbox};
use crate::input_file::InputFile;
use crate::redact::contains_email;
use crate::render::metrics::{self, Format, Outcome, Probed};
use crate::report::Report;
use crate::timetable::Timetable;
use crate::{evidence, label, probe, readiness, serve, state_file};

/// Reads an input; returns the metrics of a probe that received it, where a probe would.
pub type Target = fn(&[u8]) -> Option<String>;

/// The targets by the names of their directories in `fuzz/seeds` and `fuzz/found`.
pub const TARGETS: [(&str, Target); 15] = [
    ("config", |data| without_metrics(config, data)),
    ("web_config", |data| without_metrics(web_config, data)),
    ("blackbox_config", |data| {
        without_metrics(blackbox_config, data)
    }),
    ("dns_answer", |data| {
        Some(rendered(&probe::fuzzing::dns_answer(data)))
    }),
    ("http1", |data| Some(rendered(&probe::fuzzing::http1(data)))),
    ("http2", |data| Some(rendered(&probe::fuzzing::http2(data)))),
    ("body", |data| Some(rendered(&probe::fuzzing::body(data)))),
    ("page", |data| Some(rendered(&probe::fuzzing::page(data)))),
    ("certificates", |data| {
        Some(rendered(&probe::fuzzing::certificates(data)))
    }),
    ("readiness", |data| without_metrics(readiness_file, data)),
    ("evidence", |data| {
        without_metrics(evidence::fuzzing::file, data)
    }),
    ("state", |data| without_metrics(state, data)),
    ("probe_query", |data| without_metrics(probe_query, data)),
    ("timetable", |data| without_metrics(timetable, data)),
    ("calendar", |data| without_metrics(calendar, data)),
];

fn without_metrics(target: fn(&[u8]), data: &[u8]) -> Option<String> {
    target(data);
    None
}

/// A long message would be a way to fill a log.
const MAX_MESSAGE: usize = 256 * 1024;

/// A configuration that is accepted keeps the promises to targets; a message quotes no address.
fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Config::parse(text, Path::new("fuzzed.yml")) {
        Err(error) => check_message(&error.to_string()),
        Ok(config) => {
            assert!(config.probe.interval.as_secs() >= 10);
            assert!(config.probe.timeout <= config.probe.interval);
            for target in config.targets.iter() {
                assert!(label::check(&target.name).is_ok());
                let named = config.targets.named(&target.name).expect("the target");
                assert_eq!(named.url, target.url, "names are unique");
                assert!(target.url.username().is_empty() && target.url.password().is_none());
                let is_plain = target.url.scheme() == "http";
                assert!(!is_plain || target.scheme == Scheme::HttpAllowed);
                assert!(is_plain || target.url.scheme() == "https");
                assert!(target.module.http.max_redirects <= 20);
                assert!(target.module.http.max_body <= 64 << 20);
            }
        }
    }
}

/// Neither a message nor the debug output contains a hash of a password.
fn web_config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let file = FileSnapshot::take(InputFile::WebConfig, "/nowhere/web.yml".into());
    match WebConfig::parse(text, file) {
        Err(error) => {
            let message = error.to_string();
            check_message(&message);
            let quoted = message.replace("($2a$, $2b$ or $2y$)", "");
            assert!(!quoted.contains("$2y$"), "{message}");
        }
        Ok(config) => assert!(!format!("{config:?}").contains("$2y$")),
    }
}

/// What is converted is a valid configuration, except for files that do not exist here.
fn blackbox_config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match blackbox::convert(text, Path::new("blackbox.yml")) {
        Err(error) => check_message(&error.to_string()),
        Ok(converted) => {
            if let Err(error) = Config::parse(&converted.modules, Path::new("converted.yml")) {
                let message = error.to_string();
                let is_known = ["ca_file", "cannot read", "${"];
                assert!(
                    is_known.iter().any(|known| message.contains(known)),
                    "{message}\n{}",
                    converted.modules
                );
            }
        }
    }
}

/// A message names lines, never the text of a cell.
fn readiness_file(data: &[u8]) {
    match readiness::parse(data) {
        Err(error) => {
            let message = error.to_string();
            assert!(
                message.len() < 8 * 1024 && !contains_email(&message),
                "{message}"
            );
        }
        Ok(accounts) => {
            for kind in readiness::Kind::ALL {
                let counts = readiness::Email::ALL.map(|email| accounts.count(kind, email));
                assert_eq!(counts.iter().sum::<u64>(), accounts.total(kind));
            }
        }
    }
}

/// A state that was read is written and read back the same.
fn state(data: &[u8]) {
    if let Some(once) = state_file::rewritten(data) {
        let twice = state_file::rewritten(&once).expect("what was saved can be read");
        assert_eq!(once, twice);
    }
}

/// A query leads only to configured targets and allowed hosts.
fn probe_query(data: &[u8]) {
    let config = probe_config();
    let values = form_urlencoded::parse(data);
    for (_, target) in values.filter(|(name, _)| name == "target") {
        match serve::probe_endpoint::allowed_url(&config, &target) {
            Err(message) => assert!(message.len() <= 2048 + 12 * target.len()),
            Ok(url) => {
                assert_eq!(url.scheme(), "https");
                assert!(url.username().is_empty() && url.password().is_none());
                let host = url.host_str().expect("a host");
                let port = url.port_or_known_default();
                let is_private = host.starts_with("10.1.") && port == Some(443);
                assert!(
                    matches!(
                        (host, port),
                        ("sso.example.com" | "login.example.com", Some(443))
                            | ("other.example.com", Some(8443))
                            | ("[2001:db8::1]", _)
                    ) || is_private,
                    "{url}"
                );
            }
        }
    }
}

fn probe_config() -> Config {
    const TEXT: &str = "
targets:
  - {name: sso, url: 'https://sso.example.com/sso'}
probe_endpoint:
  allowed_hosts: [login.example.com, 'other.example.com:8443', 10.1.0.0/16, '[2001:db8::1]:*']
";
    thread_local! {
        static CONFIG: Config =
            Config::parse(TEXT, Path::new("fuzzing")).expect("a configuration");
    }
    CONFIG.with(Clone::clone)
}

/// Of a timetable that is accepted, every deadline has its bounds in order, at any time.
fn timetable(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Timetable::parse(text, Path::new("timetable.yml")) {
        Err(error) => check_message(&error.to_string()),
        Ok(timetable) => {
            let calendar = Calendar::embedded();
            let mut instants = vec![Timestamp::MIN, Timestamp::MAX, timetable.ends()];
            for deadline in &timetable.deadlines {
                assert!(deadline.strict <= deadline.outer);
                instants.extend([deadline.strict, deadline.outer]);
            }
            for event in &timetable.events {
                let interval = event.interval();
                assert!(interval.start <= interval.end);
            }
            for at in instants.into_iter().take(16) {
                let status = timetable.status_at(at, &calendar);
                assert_eq!(status.deadlines.len(), timetable.deadlines.len());
                assert_eq!(status.historical, timetable.ends() <= at);
            }
        }
    }
}

/// Of a table that is accepted, each year has a holiday, and no holiday is a business day.
fn calendar(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Calendar::parse(text) {
        Err(error) => check_message(&error.to_string()),
        Ok(calendar) => {
            for year in calendar.years() {
                let holidays = calendar.holidays(year);
                assert!(!holidays.is_empty());
                for holiday in holidays {
                    assert_eq!(calendar.is_business_day(holiday.date), Some(false));
                }
            }
        }
    }
}

fn check_message(message: &str) {
    assert!(
        !message.is_empty() && message.len() <= MAX_MESSAGE,
        "{}",
        message.len()
    );
}

/// The metrics in both formats, and JSON; returns the text format.
fn rendered(report: &Report) -> String {
    let probed = Probed {
        outcome: Outcome::Report(report),
        limit: report.timeout,
    };
    for format in [Format::OpenMetrics, Format::Text] {
        let text = String::from_utf8(metrics::probe(&probed, format)).expect("UTF-8");
        for line in text.lines() {
            // A label has at most 256 characters of up to four bytes, a series at most eight of them.
            assert!(line.len() <= 8 * 1024, "{line}");
            assert!(!line.chars().any(char::is_control), "{line:?}");
            assert!(!contains_email(line), "{line}");
        }
        if format == Format::Text {
            return text;
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::TARGETS;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "files of the repository")]
    fn seeds_and_inputs_that_once_failed_hold_their_promises() {
        let fuzz = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz");
        for (name, target) in TARGETS {
            let mut count = 0;
            for directory in ["seeds", "found"] {
                let Ok(files) = fs::read_dir(format!("{fuzz}/{directory}/{name}")) else {
                    continue;
                };
                for file in files {
                    let path = file.unwrap().path();
                    println!("{}", path.display());
                    target(&fs::read(path).unwrap());
                    count += 1;
                }
            }
            assert!(count > 0, "{name} has no seed");
        }
    }
}
