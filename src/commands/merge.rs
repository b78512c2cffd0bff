//! `evidence merge`: one report of the evidence of several sites. Each chain is verified by itself, and
//! nothing is written to the copies.

use std::path::Path;

use anyhow::Context;
use jiff::ToSpan;

use super::evidence::audit;
use super::{ExitStatus, usage_error, write_output};
use crate::calendar::{date_at, day_end, midnight};
use crate::cli::{EvidenceFormat, MergeArgs};
use crate::clock::Clock;
use crate::config::Config;
use crate::evidence::{Audit, KeptHead, KnownHashes, Ledger, gaps};
use crate::input_file::{self, InputFile};
use crate::label;
use crate::redact::print_error;
use crate::render::evidence::{Merged, SiteEvidence};
use crate::terminal::single_line;

/// Reads every copy and prints the report.
///
/// # Errors
/// An argument is invalid, a copy or Prometheus cannot be read, or the output cannot be written.
pub async fn run(config: &Config, args: &MergeArgs, clock: Clock) -> anyhow::Result<ExitStatus> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from > to
    {
        return Err(usage_error(format!(
            "--from {from} is later than --to {to}; exchange them"
        )));
    }
    let kept_heads = match &args.prometheus {
        Some(url) => KeptHead::in_prometheus(url).await?,
        None => Vec::new(),
    };
    let mut sites = Vec::new();
    for argument in &args.directories {
        let (firm, directory) = split(argument);
        let audit = read(directory, clock)?;
        let newest = audit.records.last();
        let site = newest.and_then(|record| record.site.clone());
        // Until today is over, nothing is missing.
        let last_day = args
            .to
            .unwrap_or(date_at(clock.now()).saturating_sub(1.day()));
        let first_day = args.from.or_else(|| {
            let oldest = audit.records.first()?;
            Some(date_at(oldest.recorded))
        });
        sites.push(SiteEvidence {
            firm: firm.map(str::to_owned),
            site,
            host: newest.map(|record| record.host.clone()),
            gaps: first_day.map_or_else(Vec::new, |first_day| {
                gaps(&audit, &config.calendar, first_day, last_day)
            }),
            lost_heads: Vec::new(),
            newer_record: None,
            directory: directory.to_owned(),
            audit,
        });
    }
    sites.sort_by(|a, b| (&a.firm, &a.site).cmp(&(&b.firm, &b.site)));
    let other_heads = compare(&mut sites, kept_heads);
    let merged = Merged {
        sites,
        other_heads,
        period: args.from.map_or(jiff::Timestamp::MIN, midnight)
            ..args.to.map_or(jiff::Timestamp::MAX, day_end),
        from: args.from,
        to: args.to,
        generated: clock.now(),
    };
    let text = match args.format {
        EvidenceFormat::Html => merged.html(),
        EvidenceFormat::Json => merged.json()?,
        EvidenceFormat::Csv => merged.csv()?,
    };
    write_output(&text, args.output.as_deref())?;
    let faults = merged.faults();
    for line in faults.iter().chain(&merged.notes()) {
        print_error(single_line(line));
    }
    Ok(if faults.is_empty() {
        ExitStatus::Success
    } else {
        ExitStatus::CheckFailed
    })
}

/// Adds to the first copy of each site's evidence what no copy of it contains. Returns what is of sites
/// without a copy.
fn compare(sites: &mut [SiteEvidence], kept_heads: Vec<KeptHead>) -> Vec<KeptHead> {
    let mut others = Vec::new();
    for head in kept_heads {
        let is_of =
            |copy: &&mut SiteEvidence| head.is_of(copy.firm.as_deref(), copy.site.as_deref());
        let mut copies: Vec<&mut SiteEvidence> = sites.iter_mut().filter(is_of).collect();
        let is_lost = copies.iter().all(|copy| head.is_lost(&copy.audit));
        let is_newer = copies
            .iter()
            .all(|copy| head.number > copy.audit.head.number);
        match copies.first_mut() {
            None => others.push(head),
            Some(first) if is_newer => {
                first.newer_record = first.newer_record.max(Some(head.number))
            }
            Some(first) if is_lost => first.lost_heads.push(head),
            Some(_) => {}
        }
    }
    others
}

/// The firm and the directory of `FIRM=DIRECTORY` or `DIRECTORY`.
fn split(argument: &str) -> (Option<&str>, &Path) {
    match argument.split_once('=') {
        Some((firm, directory)) if label::check(firm).is_ok() => (Some(firm), Path::new(directory)),
        _ => (None, Path::new(argument)),
    }
}

fn read(directory: &Path, clock: Clock) -> anyhow::Result<Audit> {
    let problem = |problem: &str| usage_error(format!("{} {problem}", directory.display()));
    if !input_file::is_directory(InputFile::Evidence, directory) {
        return Err(problem("is not a directory"));
    }
    let audit = audit(&Ledger::copy(directory, clock), KnownHashes::default())
        .with_context(|| format!("cannot read the evidence in {}", directory.display()))?;
    if audit.files.is_empty() {
        return Err(problem(
            "contains no evidence: name a copy of a data directory, or of the directory of its files",
        ));
    }
    Ok(audit)
}
