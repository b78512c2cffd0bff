//! `init`: probes once and writes a first configuration with what it learned.

mod questions;

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use futures_util::stream::{self, StreamExt};
use serde_json::Value;

use super::{ExitStatus, load_config, output_width, usage_error, write_output};
use crate::cli::{Flags, InitArgs};
use crate::clock::Clock;
use crate::config::{Config, read_file};
use crate::input_file::{self, InputFile};
use crate::label;
use crate::probe::{Engine, Roots};
use crate::redact::print_error;
use crate::render::setup::{self, Answers, Installed, Setup};
use crate::render::text;
use crate::report::Report;
use crate::report::advice::Contact;
use crate::report::history::SavedState;

/// The variables that `proxy: system` reads.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// The packages' data directory.
#[cfg(not(windows))]
const SYSTEM_DATA: &str = "/var/lib/ccass-2fa-exporter";
/// That of docs/terminal-pc.md.
#[cfg(windows)]
const SYSTEM_DATA: &str = r"C:\ccass-2fa-exporter\data";

/// Writes the configuration, also if the probe fails.
///
/// # Errors
/// The output exists, the given configuration or the Prometheus file is invalid, or the output cannot
/// be written.
pub async fn run(flags: &Flags, args: &InitArgs, clock: Clock) -> anyhow::Result<ExitStatus> {
    let output = &args.output;
    if output.symlink_metadata().is_ok() && !args.force {
        return Err(already_exists(output));
    }
    let config = load_config(flags)?;
    let prometheus = args.prometheus.as_deref();
    let installed = prometheus.map(read_prometheus).transpose()?;
    let reports = probe(&config, clock).await?;
    let host = gethostname::gethostname().to_string_lossy().into_owned();
    let mut answers = known_answers(&config);
    if !args.non_interactive && io::stdin().is_terminal() {
        questions::ask(&mut answers).context("cannot read the answers")?;
    }
    let setup = Setup {
        config: &config,
        file: flags.config_file.as_deref(),
        reports: &reports,
        site: config.site.clone().or_else(|| site_of_host(&host)),
        data_directory: data_directory(&config),
        proxy_variable: proxy_variable(),
        answers,
        now: clock.now(),
    };
    let text = setup::config(&setup);
    Config::parse(&text, output)
        .context("nothing was written: the new configuration would be invalid; report this bug")?;
    write(output, &text, args.force)?;
    write_output(&next_steps(output, &setup), None)?;
    if let (Some(file), Some(installed)) = (prometheus, installed) {
        let address = format!("{host}:{}", port(flags));
        let site = setup.site.as_deref().unwrap_or("head-office");
        let parts = setup::prometheus(&file.display().to_string(), installed, &address, site);
        write_output(&parts, None)?;
    }
    Ok(ExitStatus::Success)
}

fn already_exists(output: &Path) -> anyhow::Error {
    usage_error(format!(
        "{} exists and was not changed; write another file with --output FILE, or replace it with --force",
        output.display()
    ))
}

/// Probes every target once and prints the reports.
async fn probe(config: &Config, clock: Clock) -> anyhow::Result<Vec<Report>> {
    for target in config.targets.iter() {
        print_error(format!("probing {} ...", target.url));
    }
    let engine = Engine::new(&config.modules, &Roots::load(), config.site.clone(), clock);
    let probes = config.targets.iter().map(|target| engine.probe(target));
    let probes = stream::iter(probes).buffered(config.probe.concurrency);
    let reports: Vec<Report> = probes.collect().await;
    let all: Vec<&Report> = reports.iter().collect();
    let text = text::reports(
        &all,
        &config.contacts,
        &SavedState::default(),
        output_width(),
    );
    write_output(&text, None)?;
    Ok(reports)
}

fn known_answers(config: &Config) -> Answers {
    let contacts = Contact::ALL.into_iter();
    let known = |contact| Some((contact, config.contacts.of(contact)?.to_owned()));
    let readiness = config.readiness.as_ref();
    Answers {
        contacts: contacts.filter_map(known).collect(),
        terminals: config.terminals.clone(),
        accounts: readiness.map_or_else(Default::default, |source| source.expected_total.clone()),
    }
}

/// The given one, that of the packages, or one in the directory of the new file.
fn data_directory(config: &Config) -> PathBuf {
    let given = config.data_directory.as_ref();
    let given = given.and_then(|path| std::path::absolute(path).ok());
    let system = Path::new(SYSTEM_DATA);
    given.unwrap_or_else(|| {
        if input_file::is_directory(InputFile::State, system) {
            system.to_owned()
        } else {
            PathBuf::from("ccass-2fa-exporter-data")
        }
    })
}

fn proxy_variable() -> Option<&'static str> {
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    PROXY_VARIABLES.into_iter().find(is_set)
}

/// The first part of the host's name.
fn site_of_host(host: &str) -> Option<String> {
    let first = host.split('.').next()?;
    label::check(first).ok()?;
    Some(first.to_owned())
}

/// The port on which the exporter will listen with the same flags.
fn port(flags: &Flags) -> &str {
    let first = flags.web_listen_address.first();
    first
        .and_then(|address| address.rsplit(':').next())
        .unwrap_or("10762")
}

/// Creates the file; replaces it only with `force`.
fn write(path: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(force)
        .truncate(force)
        .create_new(!force);
    let file = input_file::open(path, &options);
    match file.and_then(|mut file| file.write_all(text.as_bytes())) {
        // Created while the probe ran.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(already_exists(path)),
        other => other.with_context(|| format!("cannot write {}", path.display())),
    }
}

fn next_steps(output: &Path, setup: &Setup<'_>) -> String {
    let output = output.display();
    let failed = match setup.failing().next() {
        Some(_) => " The probe failed: the file begins with the advice.",
        None => "",
    };
    format!(
        "\nWrote {output}.{failed} Confirm what it learned, then:\n\n  \
         ccass-2fa-exporter check --config.file {output}\n  \
         ccass-2fa-exporter --config.file {output}\n"
    )
}

/// What a Prometheus configuration has already.
fn read_prometheus(path: &Path) -> anyhow::Result<Installed> {
    let text = read_file(path, InputFile::Config).map_err(usage_error)?;
    // Not quoted in an error: the file may hold secrets.
    let options = serde_saphyr::options! { with_snippet: false };
    let value: Value = serde_saphyr::from_str_with_options(&text, options)
        .map_err(|error| usage_error(format!("{}: not a YAML file: {error}", path.display())))?;
    let has = |key: &str, matches: &dyn Fn(&Value) -> bool| {
        let list = value.pointer(key).and_then(Value::as_array);
        list.is_some_and(|list| list.iter().any(matches))
    };
    Ok(Installed {
        scrape_job: has("/scrape_configs", &|job| {
            job.get("job_name").is_some_and(|name| name == "ccass2fa")
        }),
        rules: has("/rule_files", &|file| {
            file.as_str()
                .is_some_and(|file| file.ends_with("reachability.yml"))
        }),
        alertmanager: has("/alerting/alertmanagers", &|_| true),
    })
}

#[cfg(test)]
mod tests {
    use super::site_of_host;

    #[test]
    fn site_is_the_first_part_of_the_host_name_if_it_is_a_valid_name() {
        assert_eq!(site_of_host("central.example").as_deref(), Some("central"));
        assert_eq!(site_of_host("hk-ops-7").as_deref(), Some("hk-ops-7"));
        assert_eq!(site_of_host("büro.example"), None);
        assert_eq!(site_of_host(""), None);
    }
}
