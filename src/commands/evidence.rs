//! `record` and `evidence`: what was seen is kept, and what was kept is read, checked and told.

use std::ops::Range;

use anyhow::Context;
use jiff::Timestamp;

use super::{ExitStatus, configuration, write_output};
use crate::calendar::{day_end, midnight, parse_date};
use crate::cli::{
    EvidenceArgs, EvidenceCommand, EvidenceFormat, EvidencePlace, EvidenceSelection, Flags,
    RecordArgs, Recording,
};
use crate::clock::Clock;
use crate::config::Config;
use crate::evidence::{
    Audit, ChainedRecord, Content, KnownHashes, Ledger, Receipt, Reference, TerminalCheck,
};
use crate::label;
use crate::redact::print_error;
use crate::render::evidence::{self as render, Selected};

const NO_DIRECTORY: &str = "there is nowhere to record it: configure a data_directory, where the \
                            exporter keeps its evidence";

/// Where a command's outcome is to be recorded.
pub(super) struct Recorder {
    ledger: Ledger,
    pub reference: Option<Reference>,
}

impl Recorder {
    /// `None` where nobody asked for it.
    ///
    /// # Errors
    /// What to type or to configure instead.
    pub fn from_args(
        recording: &Recording,
        config: &Config,
        clock: Clock,
    ) -> Result<Option<Self>, String> {
        if !recording.record {
            Ok(None)
        } else {
            Self::of(config, recording.reference.as_deref(), clock).map(Some)
        }
    }

    fn of(config: &Config, reference: Option<&str>, clock: Clock) -> Result<Self, String> {
        let directory = config.data_directory.as_deref().ok_or(NO_DIRECTORY)?;
        let reference = reference.map(|text| Reference::try_from(text.to_owned()));
        Ok(Self {
            ledger: Ledger::in_directory(directory, config.site.as_deref(), clock),
            reference: reference
                .transpose()
                .map_err(|message| format!("--reference: {message}"))?,
        })
    }

    /// Records, and says so once it is on disk.
    ///
    /// # Errors
    /// Nothing is recorded.
    pub fn record(&self, contents: &[Content]) -> anyhow::Result<Vec<Receipt>> {
        let receipts = self.ledger.append(contents).context("it is NOT recorded")?;
        for Receipt { file, head } in &receipts {
            // On standard error: standard output holds the report.
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

/// Adds a manual check at a terminal.
///
/// # Errors
/// It cannot be recorded.
pub fn record(flags: &Flags, args: &RecordArgs, clock: Clock) -> anyhow::Result<ExitStatus> {
    let Some(config) = configuration(flags) else {
        return Ok(ExitStatus::UsageError);
    };
    let recorder = match Recorder::of(&config, args.reference.as_deref(), clock) {
        Ok(recorder) => recorder,
        Err(message) => {
            print_error(&message);
            return Ok(ExitStatus::UsageError);
        }
    };
    if !config.terminals.contains(&args.terminal) {
        // What was typed instead may be anything, and is not repeated.
        print_error(match config.terminals.as_slice() {
            [] => "--terminal: list the terminals as evidence.terminals in the configuration"
                .to_owned(),
            known => format!(
                "--terminal: it is none of evidence.terminals ({})",
                known.join(", ")
            ),
        });
        return Ok(ExitStatus::UsageError);
    }
    let content = Content::Terminal(TerminalCheck {
        terminal: args.terminal.clone(),
        outcome: args.outcome,
        reference: recorder.reference.clone(),
    });
    recorder.record(&[content])?;
    Ok(ExitStatus::Success)
}

/// Reads the evidence.
///
/// # Errors
/// A file cannot be read, or the output not be written.
pub fn evidence(flags: &Flags, args: &EvidenceArgs, clock: Clock) -> anyhow::Result<ExitStatus> {
    let Some(config) = configuration(flags) else {
        return Ok(ExitStatus::UsageError);
    };
    let query = match EvidenceQuery::of(args, &config, clock) {
        Ok(query) => query,
        Err(message) => {
            print_error(&message);
            return Ok(ExitStatus::UsageError);
        }
    };
    let audit = Audit::of(&query.ledger, query.known)?;
    if audit.files.is_empty() {
        let place = query.ledger.directory().display();
        if query.is_copy {
            print_error(format!(
                "{place} holds no evidence: name the data directory, or its files"
            ));
            return Ok(ExitStatus::UsageError);
        }
        print_error(format!("nothing is recorded in {place} yet"));
    }
    let selected = Selected {
        audit: &audit,
        records: select_records(&audit, &query),
        from: query.selection.and_then(|one| one.from.as_deref()),
        to: query.selection.and_then(|one| one.to.as_deref()),
        of: query.of,
        targets: &config.targets,
        terminals: &config.terminals,
        site: config.site.as_deref(),
        generated: clock.now(),
    };
    match &args.command {
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
    }
    if query.selection.is_some() {
        for fault in &audit.faults {
            print_error(fault);
        }
    }
    Ok(if audit.faults.is_empty() {
        ExitStatus::Success
    } else {
        ExitStatus::Negative
    })
}

/// What of which evidence is wanted.
struct EvidenceQuery<'a> {
    ledger: Ledger,
    /// It is named on the command line.
    is_copy: bool,
    known: KnownHashes<'a>,
    selection: Option<&'a EvidenceSelection>,
    period: Range<Timestamp>,
    of: Option<&'a str>,
}

impl<'a> EvidenceQuery<'a> {
    fn of(args: &'a EvidenceArgs, config: &Config, clock: Clock) -> Result<Self, String> {
        let (place, selection, head) = match &args.command {
            EvidenceCommand::List(selection) | EvidenceCommand::Report { selection, .. } => {
                (&selection.place, Some(selection), None)
            }
            EvidenceCommand::Check { head, place } => (place, None, head.as_deref()),
        };
        let of = selection.and_then(|selection| selection.of.as_deref());
        if let Some(Err(message)) = of.map(label::check) {
            return Err(format!("--of: {message}"));
        }
        let after = place.after.as_deref();
        for (flag, text) in [("--head", head), ("--after", after)] {
            let is_hash =
                |text: &str| text.len() == 64 && text.bytes().all(|c| c.is_ascii_hexdigit());
            if text.is_some_and(|text| !is_hash(text)) {
                return Err(format!(
                    "{flag}: a hash has 64 hexadecimal digits; metrics, reports and `evidence check` show it"
                ));
            }
        }
        Ok(Self {
            ledger: ledger(config, place, clock)?,
            is_copy: place.data_directory.is_some(),
            known: KnownHashes { head, after },
            selection,
            period: selection.map_or(Ok(Timestamp::MIN..Timestamp::MAX), period)?,
            of,
        })
    }
}

fn ledger(config: &Config, place: &EvidencePlace, clock: Clock) -> Result<Ledger, String> {
    if let Some(copy) = &place.data_directory {
        return if copy.is_dir() {
            Ok(Ledger::copy(copy, clock))
        } else {
            Err(format!("{} is not a directory", copy.display()))
        };
    }
    let directory = config
        .data_directory
        .as_deref()
        .ok_or("no data_directory is configured; name it, or a copy of it, by --data-directory")?;
    Ok(Ledger::in_directory(
        directory,
        config.site.as_deref(),
        clock,
    ))
}

/// From the first instant of a Hong Kong day to the end of another.
fn period(selection: &EvidenceSelection) -> Result<Range<Timestamp>, String> {
    let day = |flag: &str, text: &Option<String>| {
        let date = text.as_deref().map(|text| parse_date(text).map_err(|_| ()));
        date.transpose()
            .map_err(|()| format!("{flag}: write a date, for example 2023-04-27"))
    };
    let from = day("--from", &selection.from)?;
    let to = day("--to", &selection.to)?;
    Ok(from.map_or(Timestamp::MIN, midnight)..to.map_or(Timestamp::MAX, day_end))
}

fn select_records<'a>(audit: &'a Audit, query: &EvidenceQuery<'_>) -> Vec<&'a ChainedRecord> {
    let within = |record: &&ChainedRecord| {
        query.period.contains(&record.recorded)
            && query
                .of
                .is_none_or(|name| record.content.subject() == Some(name))
    };
    audit.records.iter().filter(within).collect()
}
