//! `evidence merge`: one report of the evidence of several sites. Each chain is verified by itself, and
//! nothing is written to the copies.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use jiff::ToSpan;

use super::audit::audit;
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

/// Adds to the copies of each exporter's evidence, to the first if there are several, what none of them
/// contains. Returns a head of each exporter whose evidence was not given.
fn compare(sites: &mut [SiteEvidence], kept_heads: Vec<KeptHead>) -> Vec<KeptHead> {
    let mut exporters: BTreeMap<_, BTreeMap<String, Vec<KeptHead>>> = BTreeMap::new();
    for head in kept_heads {
        let site = exporters.entry((head.firm.clone(), head.site.clone()));
        let heads = site.or_default().entry(head.instance.clone());
        heads.or_default().push(head);
    }
    let mut others = Vec::new();
    for ((firm, site), exporters) in exporters {
        let is_of_site = |copy: &&mut SiteEvidence| {
            copy.site == site && (firm.is_none() || copy.firm.is_none() || copy.firm == firm)
        };
        let mut copies: Vec<&mut SiteEvidence> = sites.iter_mut().filter(is_of_site).collect();
        // Prometheus does not know which copy is whose: a common record shows it.
        let is_whose = |copy: &SiteEvidence, heads: &[KeptHead]| {
            heads.iter().any(|head| head.is_in(&copy.audit))
        };
        let (known, unknown): (Vec<_>, Vec<_>) = exporters
            .into_values()
            .partition(|heads| copies.iter().any(|copy| is_whose(copy, heads)));
        let mut rest = Vec::new();
        for copy in copies.drain(..) {
            match known.iter().find(|heads| is_whose(copy, heads)) {
                Some(heads) => add_missing(&mut [copy], heads),
                None => rest.push(copy),
            }
        }
        if unknown.len() > rest.len() {
            others.extend(
                unknown
                    .into_iter()
                    .filter_map(|heads| heads.into_iter().next()),
            );
        } else {
            for heads in unknown {
                add_missing(&mut rest, &heads);
            }
        }
    }
    others
}

/// Adds to the first copy what no copy contains: lost, or newer than all of them.
fn add_missing(copies: &mut [&mut SiteEvidence], heads: &[KeptHead]) {
    for head in heads {
        let is_kept = copies.iter().any(|copy| head.is_in(&copy.audit));
        let is_newer = copies
            .iter()
            .all(|copy| head.number > copy.audit.head.number);
        match copies.first_mut() {
            Some(first) if is_newer => {
                first.newer_record = first.newer_record.max(Some(head.number));
            }
            Some(first) if !is_kept => first.lost_heads.push(head.clone()),
            Some(_) | None => {}
        }
    }
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
