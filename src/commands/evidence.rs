//! `record` adds a manual check to the evidence; `evidence` lists, verifies and reports it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::anyhow;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use jiff::Timestamp;

use super::audit::audit;
use super::{ExitStatus, load_config, merge, usage_error, write_output};
use crate::calendar::{day_end, midnight};
use crate::cli::{
    EvidenceCommand, EvidenceFlags, EvidenceFormat, EvidenceSource, Flags, RecordArgs,
};
use crate::clock::Clock;
use crate::config::Config;
use crate::evidence::{
    Audit, ChainedRecord, Content, KnownHashes, Ledger, Picture, Receipt, Reference, TerminalCheck,
};
use crate::input_file::{self, InputFile};
use crate::label;
use crate::ownership;
use crate::redact::print_error;
use crate::render::evidence::{self as render, Selected};
use crate::terminal::single_line;

/// The ledger that a command appends to, and the ticket it records.
pub(super) struct Recording {
    pub ledger: Ledger,
    pub reference: Option<Reference>,
}

impl Recording {
    /// `None` without `--record`.
    ///
    /// # Errors
    /// `--reference` is invalid, or no data directory is configured.
    pub fn from_flags(
        flags: &EvidenceFlags,
        config: &Config,
        clock: Clock,
    ) -> anyhow::Result<Option<Self>> {
        let recording = || Self::new(config, flags.reference.as_deref(), clock);
        flags.record.then(recording).transpose()
    }

    fn new(config: &Config, reference: Option<&str>, clock: Clock) -> anyhow::Result<Self> {
        let directory = config.data_directory.as_deref().ok_or_else(|| {
            usage_error(
                "cannot record: set data_directory in the configuration, where evidence is kept",
            )
        })?;
        let reference = reference.map(|text| Reference::try_from(text.to_owned()));
        Ok(Self {
            ledger: Ledger::in_directory(directory, config.site.as_deref(), clock),
            reference: reference
                .transpose()
                .map_err(|error| usage_error(format!("--reference: {error}")))?,
        })
    }

    /// Appends the records and prints their hashes once they are on disk.
    ///
    /// # Errors
    /// Nothing was recorded.
    pub fn append(&self, contents: &[Content]) -> anyhow::Result<Vec<Receipt>> {
        let receipts = self.ledger.append_with_deadline(contents);
        let receipts = receipts.map_err(|error| {
            let denied = error.denied_path();
            let command = denied.and_then(ownership::command_of_owner);
            let command =
                command.map_or_else(String::new, |command| format!("; or run: {command}"));
            anyhow!("NOT recorded: {error}{command}")
        })?;
        for Receipt { file, head } in &receipts {
            // Standard output may be a report.
            print_error(format!(
                "recorded as number {} in {}, hash {}",
                head.number,
                file.display(),
                head.hash
            ));
        }
        Ok(receipts)
    }
}

/// Records a manual check at a terminal.
///
/// # Errors
/// The arguments or the configuration are invalid, or the check cannot be recorded.
pub fn record(flags: &Flags, args: &RecordArgs, clock: Clock) -> anyhow::Result<ExitStatus> {
    let config = load_config(flags)?;
    let recording = Recording::new(&config, args.reference.as_deref(), clock)?;
    check_terminal(&config, &args.terminal)?;
    recording.append(&[Content::Terminal(TerminalCheck {
        terminal: args.terminal.clone(),
        outcome: args.outcome,
        reference: recording.reference.clone(),
    })])?;
    Ok(ExitStatus::Success)
}

/// # Errors
/// The terminal is not configured.
pub(super) fn check_terminal(config: &Config, terminal: &str) -> anyhow::Result<()> {
    if config.terminals.iter().any(|known| known == terminal) {
        return Ok(());
    }
    // The argument is not repeated: it may be personal data.
    Err(usage_error(match config.terminals.as_slice() {
        [] => {
            "--terminal: list the terminals in the configuration as evidence.terminals".to_owned()
        }
        known => format!(
            "--terminal: not one of evidence.terminals ({})",
            known.join(", ")
        ),
    }))
}

/// Lists, verifies or reports the evidence.
///
/// # Errors
/// The arguments or the configuration are invalid, a file cannot be read, or the output cannot be
/// written.
pub async fn run(
    flags: &Flags,
    command: &EvidenceCommand,
    clock: Clock,
) -> anyhow::Result<ExitStatus> {
    let config = load_config(flags)?;
    let (source, selection, head) = match command {
        EvidenceCommand::List(selection) | EvidenceCommand::Report { selection, .. } => {
            (&selection.source, Some(selection), None)
        }
        EvidenceCommand::Check { head, source } => (source, None, head.as_deref()),
        EvidenceCommand::Merge(args) => return merge::run(&config, args, clock).await,
    };
    let subject = selection.and_then(|selection| selection.of.as_deref());
    if let Some(Err(error)) = subject.map(label::check) {
        return Err(usage_error(format!("--of: {error}")));
    }
    let (from, to) = selection.map_or((None, None), |selection| (selection.from, selection.to));
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(usage_error(format!(
            "--from {from} is later than --to {to}; exchange them"
        )));
    }
    if source.data_directory.is_none()
        && let Some(directory) = &config.data_directory
    {
        require_directory(directory)?;
    }
    let ledger = ledger(&config, source, clock)?;
    let after = source.after.as_deref();
    let audit = audit(&ledger, KnownHashes { head, after })?;
    if audit.files.is_empty() {
        let directory = ledger.directory().display();
        if source.data_directory.is_some() {
            return Err(usage_error(format!(
                "{directory} contains no evidence: name the data directory or the directory of its files"
            )));
        }
        print_error(format!("no evidence in {directory} yet"));
    }
    let period = from.map_or(Timestamp::MIN, midnight)..to.map_or(Timestamp::MAX, day_end);
    let is_selected = |record: &&ChainedRecord| {
        period.contains(&record.recorded)
            && (subject.is_none() || record.content.subject() == subject)
    };
    let selected = Selected {
        audit: &audit,
        records: audit.records.iter().filter(is_selected).collect(),
        from,
        to,
        of: subject,
        targets: &config.targets,
        terminals: &config.terminals,
        site: config.site.as_deref(),
        pictures: pictures(&ledger, &audit),
        generated: clock.now(),
    };
    let is_empty = selected.records.is_empty() && !audit.records.is_empty();
    // A report also documents that there is no evidence, of a configured name or in a period.
    let is_report = matches!(command, EvidenceCommand::Report { .. });
    let is_documented = is_report && subject.is_none_or(|name| is_configured(&config, name));
    if is_empty && !is_documented {
        return Err(usage_error(format!(
            "no {}; the evidence has {} records, of {}",
            selected.selection(),
            audit.records.len(),
            single_line(&selected.subjects().join(", "))
        )));
    }
    match command {
        EvidenceCommand::List(_) => write_output(&render::list(&selected), None)?,
        EvidenceCommand::Check { .. } => write_output(&render::check(&audit), None)?,
        EvidenceCommand::Report { format, output, .. } => {
            let text = match format {
                EvidenceFormat::Html => render::html(&selected),
                EvidenceFormat::Json => render::json(&selected)?,
                EvidenceFormat::Csv => render::csv(&selected)?,
            };
            write_output(&text, output.as_deref())?;
        }
        EvidenceCommand::Merge(_) => {}
    }
    if selection.is_some() {
        for fault in &audit.faults {
            print_error(single_line(&fault.to_string()));
        }
        for place in &audit.backward {
            print_error(single_line(&place.to_string()));
        }
    }
    Ok(if audit.faults.is_empty() {
        ExitStatus::Success
    } else {
        ExitStatus::CheckFailed
    })
}

/// The newest picture of each terminal. One that is missing or was altered is left out.
fn pictures(ledger: &Ledger, audit: &Audit) -> BTreeMap<String, String> {
    let newest = audit
        .records
        .iter()
        .filter_map(|record| match &record.content {
            Content::TerminalBrowser(it) => Some((it.terminal.as_str(), it.screenshot.as_ref()?)),
            _ => None,
        });
    let newest: BTreeMap<&str, &Picture> = newest.collect();
    let newest = newest.into_values();
    let read = newest.filter_map(|picture| {
        let png = picture.load(ledger.directory()).ok()?;
        Some((picture.sha256.clone(), BASE64.encode(png)))
    });
    read.collect()
}

fn is_configured(config: &Config, name: &str) -> bool {
    config.targets.named(name).is_some() || config.terminals.iter().any(|one| one == name)
}

/// The data directory must exist: evidence on a disk that is not mounted is not "no evidence".
fn require_directory(directory: &Path) -> anyhow::Result<()> {
    let path = directory.display();
    match input_file::metadata(InputFile::Evidence, directory) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(usage_error(format!(
            "data_directory {path} does not exist: mount it, or correct the configuration; the first start \
             of the exporter and the first record create it"
        ))),
        Err(error) => Err(anyhow!(
            "cannot read data_directory {path}: {error}{}",
            ownership::advice(directory, &error)
        )),
    }
}

/// The ledger of `--data-directory`, or of the configuration.
fn ledger(config: &Config, source: &EvidenceSource, clock: Clock) -> anyhow::Result<Ledger> {
    match (&source.data_directory, &config.data_directory) {
        (Some(copy), _) if input_file::is_directory(InputFile::Evidence, copy) => {
            Ok(Ledger::copy(copy, clock))
        }
        (Some(copy), _) => Err(usage_error(format!(
            "{} is not a directory",
            copy.display()
        ))),
        (None, Some(path)) => Ok(Ledger::in_directory(path, config.site.as_deref(), clock)),
        (None, None) => Err(usage_error(
            "no data_directory is configured; name it, or a copy of it, with --data-directory",
        )),
    }
}
