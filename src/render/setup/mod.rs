//! The configuration file that `init` writes: what was learned, each line with its source and how to
//! check it. Nothing is decided here. `prometheus` renders what to add to Prometheus and Alertmanager.

mod module;
mod prometheus;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::json;

use super::layer_name;
use super::page::instant;
use super::text::contact_name;
use crate::config::{Config, LOGIN_MODULE, Target};
use crate::readiness::Kind;
use crate::report::advice::{self, Contact};
use crate::report::{Expectation, Report, Role};
pub use prometheus::{Installed, prometheus};

const WIDTH: usize = 100;

/// What a first configuration is made of.
pub struct Setup<'a> {
    /// Where targets, modules and so on come from.
    pub config: &'a Config,
    /// The file of `config`; `None` for the built-in configuration.
    pub file: Option<&'a Path>,
    /// Of every target.
    pub reports: &'a [Report],
    pub site: Option<String>,
    pub data_directory: PathBuf,
    /// The proxy variable of the environment that is set.
    pub proxy_variable: Option<&'static str>,
    pub answers: Answers,
    pub now: Timestamp,
}

/// What only the operator knows.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    pub contacts: BTreeMap<Contact, String>,
    pub terminals: Vec<String>,
    pub accounts: BTreeMap<Kind, u64>,
}

/// The configuration as YAML.
pub fn config(setup: &Setup<'_>) -> String {
    let mut file = Lines::default();
    file.comment(
        0,
        &format!(
            "Configuration of ccass-2fa-exporter, written by `init` on {}. Validate it with \
             `ccass-2fa-exporter check --config.file FILE`; deploy/ccass.yml documents every key. What \
             the probe learned is to be confirmed: the comments say how.",
            instant(setup.now)
        ),
    );
    if let Some(path) = setup.file {
        let text = format!(
            "Site, contacts, data directory, terminals, accounts, targets and modules are those of {}. \
             Copy its other keys by hand.",
            path.display()
        );
        file.comment(0, &text);
    }
    for report in setup.failing() {
        file.failure(report, setup.config);
    }
    file.site(setup);
    file.contacts(setup);
    file.modules(setup);
    file.targets(setup.config);
    file.people(&setup.answers);
    file.0
}

impl Setup<'_> {
    /// The login targets that failed.
    pub fn failing(&self) -> impl Iterator<Item = &Report> {
        let reports = self.reports.iter();
        reports.filter(|one| one.is_login() && !one.verdict.is_good())
    }
}

/// A YAML file with comments. Values are written as JSON, which is YAML.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, indent: usize, text: &str) {
        self.0.push_str(&format!("{:indent$}{text}\n", ""));
    }

    fn blank(&mut self) {
        self.0.push('\n');
    }

    fn comment(&mut self, indent: usize, text: &str) {
        let margin = format!("{:indent$}# ", "");
        let options = textwrap::Options::new(WIDTH)
            .initial_indent(&margin)
            .subsequent_indent(&margin)
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        for line in textwrap::wrap(text, options) {
            self.0.push_str(line.trim_end());
            self.0.push('\n');
        }
    }

    fn failure(&mut self, report: &Report, config: &Config) {
        let (Some(reason), Some(advice)) = (report.verdict.reason(), advice::of_report(report))
        else {
            return;
        };
        self.blank();
        let failed = format!(
            "THE PROBE OF {} FAILED at {} ({}). {}",
            report.target,
            layer_name(reason.layer()),
            reason.into_str(),
            advice.meaning
        );
        self.comment(0, &failed);
        let contact = contact_name(advice.contact, &config.contacts);
        self.comment(0, &format!("Contact: {contact}. {}", advice.action));
        self.comment(
            0,
            "When it works, run `init --config.file` with this file and another --output: it adds what could \
             not be learned now.",
        );
    }

    fn site(&mut self, setup: &Setup<'_>) {
        self.blank();
        let source = match (&setup.config.site, &setup.site) {
            (Some(_), _) => "As in the given file.",
            (None, Some(_)) => {
                "The first part of this host's name. The scrape job must have the same site label."
            }
            (None, None) => "This site's name, which is also the site label of the scrape job.",
        };
        self.comment(0, source);
        match &setup.site {
            Some(site) => self.line(0, &format!("site: {}", json!(site))),
            None => self.line(0, "# site: head-office"),
        }
        self.blank();
        self.comment(
            0,
            "Evidence and the history of the status page. A relative path is relative to this file.",
        );
        let directory = setup.data_directory.to_string_lossy();
        self.line(0, &format!("data_directory: {}", json!(directory)));
    }

    fn contacts(&mut self, setup: &Setup<'_>) {
        self.blank();
        self.comment(
            0,
            "Printed with the advice when a probe fails; never in metrics. The Hotline's number is from the \
             circular.",
        );
        self.line(0, "contacts:");
        for contact in Contact::ALL {
            let key = contact.into_str();
            match setup.answers.contacts.get(&contact) {
                Some(text) => self.line(2, &format!("{key}: {}", json!(text))),
                None => self.line(2, &format!("# {key}: \"name, telephone number\"")),
            }
        }
    }

    fn modules(&mut self, setup: &Setup<'_>) {
        self.blank();
        self.line(0, "modules:");
        for (name, module) in &setup.config.modules {
            let is_used = setup
                .config
                .targets
                .iter()
                .any(|one| one.module.name == *name);
            if !is_used && name == LOGIN_MODULE {
                continue;
            }
            let mut reports = setup.reports.iter();
            let learned = reports.find(|one| one.module == *name && one.is_login());
            if name == LOGIN_MODULE {
                self.line(2, &format!("{name}:"));
            } else {
                self.line(2, &format!("{}:", json!(name)));
            }
            self.module(module, learned, setup);
        }
    }

    fn targets(&mut self, config: &Config) {
        let is_control = |target: &Target| target.role == Role::Control;
        self.blank();
        self.line(0, "targets:");
        for target in config.targets.iter().filter(|one| !is_control(one)) {
            self.target(target);
        }
        self.blank();
        self.comment(
            0,
            "Other sites that this site reaches: if they fail too, the fault is in this site's network.",
        );
        let mut controls = config
            .targets
            .iter()
            .filter(|one| is_control(one))
            .peekable();
        if controls.peek().is_none() {
            self.line(
                0,
                "# controls: [{name: hkex, url: \"https://www.hkex.com.hk/\"}]",
            );
        } else {
            self.line(0, "controls:");
        }
        for target in controls {
            self.target(target);
        }
    }

    fn target(&mut self, target: &Target) {
        self.line(2, &format!("- name: {}", json!(target.name)));
        self.line(4, &format!("url: {}", json!(target.url.as_str())));
        if target.module.name != LOGIN_MODULE {
            self.line(4, &format!("module: {}", json!(target.module.name)));
        }
        if target.expect == Expectation::Unreachable {
            self.line(4, "expect: unreachable");
        }
        if let Some(group) = &target.group {
            self.line(4, &format!("group: {}", json!(group)));
        }
        if target.url.scheme() == "http" {
            self.line(4, "allow_http: true");
        }
    }

    /// Terminals and accounts.
    fn people(&mut self, answers: &Answers) {
        self.blank();
        self.comment(
            0,
            "CCASS Terminals at which the page is checked in Edge: ccass-2fa-exporter record --terminal NAME \
             --outcome seen",
        );
        if answers.terminals.is_empty() {
            self.line(0, "# evidence: {terminals: [head-office-1]}");
        } else {
            self.line(
                0,
                &format!("evidence: {{terminals: {}}}", json!(answers.terminals)),
            );
        }
        self.blank();
        self.comment(
            0,
            "A CSV file with one line per account, without names: which have registered an e-mail address \
             (docs/readiness.md). Write it, then remove the \"#\" before file.",
        );
        if answers.accounts.is_empty() {
            self.line(
                0,
                "# readiness: {file: accounts.csv, expected_total: {user: 40, delegated_admin: 2}}",
            );
            return;
        }
        self.line(0, "readiness:");
        self.line(2, "# file: accounts.csv");
        self.line(2, "expected_total:");
        for (kind, count) in &answers.accounts {
            self.line(4, &format!("{}: {count}", kind.into_str()));
        }
    }
}
