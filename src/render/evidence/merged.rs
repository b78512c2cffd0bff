//! The evidence of several sites in one report.

use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::civil::Date;
use maud::{Markup, html};
use serde::Serialize;

use super::super::html::{Icon, document, generated_by, scrolling, thead};
use super::super::page::instant;
use super::{Selected, count, csv, html as site_html, json};
use crate::evidence::{Audit, KeptHead};

/// Raised when a field changes its meaning or goes away.
const SCHEMA: u32 = 1;

/// Several copies of evidence.
pub struct Merged {
    /// By firm and site.
    pub sites: Vec<SiteEvidence>,
    /// What Prometheus stored of exporters whose evidence was not given.
    pub other_heads: Vec<KeptHead>,
    pub period: Range<Timestamp>,
    pub from: Option<Date>,
    pub to: Option<Date>,
    pub generated: Timestamp,
}

/// The copy of one site's evidence.
pub struct SiteEvidence {
    pub firm: Option<String>,
    /// Site and host of the newest record.
    pub site: Option<String>,
    pub host: Option<String>,
    pub directory: PathBuf,
    pub audit: Audit,
    /// Business days on which nothing shows that the login page was reached.
    pub gaps: Vec<RangeInclusive<Date>>,
    /// What Prometheus stored as newest records, and the copy does not contain.
    pub lost_heads: Vec<KeptHead>,
    /// The highest number of a record that Prometheus stored, if the copy ends before it.
    pub newer_record: Option<u64>,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    generated: Timestamp,
    sites: Vec<Site<'a>>,
    /// Exporters whose evidence was not given, as far as Prometheus knows them.
    not_given: Vec<String>,
}

#[derive(Serialize)]
struct Site<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    firm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    directory: String,
    gaps: Vec<Gap>,
    lost_hashes: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newer_record: Option<u64>,
    /// As `evidence report --format json` prints it.
    evidence: json::Document<'a>,
}

#[derive(Serialize)]
struct Gap {
    from: Date,
    to: Date,
}

impl SiteEvidence {
    /// `firm, site`, as far as they are known.
    fn name(&self) -> String {
        let site = self.site.as_deref().unwrap_or("unnamed site");
        match &self.firm {
            Some(firm) => format!("{firm}, {site}"),
            None => site.to_owned(),
        }
    }

    fn faults(&self) -> Vec<String> {
        let faults = self.audit.faults.iter().map(ToString::to_string);
        let lost = self.lost_heads.iter().map(|head| {
            format!(
                "Prometheus stored record {} with hash {}, and no record has them: records were removed \
                 or altered",
                head.number, head.hash
            )
        });
        faults.chain(lost).collect()
    }

    fn note(&self) -> Option<String> {
        let newer = self.newer_record?;
        Some(format!(
            "The copy ends with record {}; Prometheus knows record {newer}. Copy it again.",
            self.audit.head.number
        ))
    }

    fn gaps_text(&self) -> String {
        let gaps = self.gaps.iter().map(|gap| {
            if gap.start() == gap.end() {
                gap.start().to_string()
            } else {
                format!("{} to {}", gap.start(), gap.end())
            }
        });
        gaps.collect::<Vec<_>>().join(", ")
    }
}

impl Merged {
    /// Every fault with the directory it is in.
    pub fn faults(&self) -> Vec<String> {
        let faults = self.sites.iter().flat_map(|site| {
            let directory = site.directory.display().to_string();
            let faults = site.faults().into_iter();
            faults.map(move |fault| format!("{directory}: {fault}"))
        });
        faults.collect()
    }

    /// What is no fault and should be known, with the directory.
    pub fn notes(&self) -> Vec<String> {
        let notes = self.sites.iter().filter_map(|site| {
            let directory = site.directory.display();
            Some(format!("{directory}: {}", site.note()?))
        });
        let not_given = self.not_given();
        let missing = (!not_given.is_empty()).then(|| {
            let names = not_given.join("; ");
            format!("Prometheus knows exporters whose evidence is not in this report: {names}")
        });
        let backward = self.sites.iter().flat_map(|site| {
            let directory = site.directory.display();
            let backward = site.audit.backward.iter();
            backward.map(move |place| format!("{directory}: {place}"))
        });
        notes.chain(missing).chain(backward).collect()
    }

    fn selected<'a>(&'a self, site: &'a SiteEvidence) -> Selected<'a> {
        let records = site.audit.records.iter();
        Selected {
            audit: &site.audit,
            records: records
                .filter(|record| self.period.contains(&record.recorded))
                .collect(),
            from: self.from,
            to: self.to,
            of: None,
            targets: &[],
            terminals: &[],
            site: site.site.as_deref(),
            pictures: std::collections::BTreeMap::new(),
            generated: self.generated,
        }
    }

    /// `firm, site (exporter)` of each exporter whose evidence was not given.
    fn not_given(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .other_heads
            .iter()
            .map(|head| {
                let site = head.site.as_deref().unwrap_or("unnamed site");
                let firm = head.firm.iter().map(|firm| format!("{firm}, "));
                let firm: String = firm.collect();
                format!("{firm}{site} ({})", head.instance)
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// # Errors
    /// A value cannot be serialized (a bug).
    pub fn json(&self) -> anyhow::Result<String> {
        let selected: Vec<Selected<'_>> =
            self.sites.iter().map(|site| self.selected(site)).collect();
        let sites = self.sites.iter().zip(&selected).map(|(site, selected)| {
            let gaps = site.gaps.iter().map(|gap| Gap {
                from: *gap.start(),
                to: *gap.end(),
            });
            let lost = site.lost_heads.iter().map(|head| head.hash.as_str());
            anyhow::Ok(Site {
                firm: site.firm.as_deref(),
                site: site.site.as_deref(),
                host: site.host.as_deref(),
                directory: site.directory.display().to_string(),
                gaps: gaps.collect(),
                lost_hashes: lost.collect(),
                newer_record: site.newer_record,
                evidence: json::Document::of(selected)?,
            })
        });
        json::text(&Document {
            schema: SCHEMA,
            generated: self.generated,
            sites: sites.collect::<Result<_, _>>()?,
            not_given: self.not_given(),
        })
    }

    /// The columns of one site's records after the firm.
    ///
    /// # Errors
    /// A row cannot be serialized (a bug).
    pub fn csv(&self) -> anyhow::Result<String> {
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        writer.write_record(["firm"].into_iter().chain(csv::COLUMNS))?;
        for site in &self.sites {
            for row in csv::rows(&self.selected(site)) {
                let firm = site.firm.clone().unwrap_or_default();
                writer.write_record([firm].into_iter().chain(row))?;
            }
        }
        csv::finished(writer)
    }

    /// A page with one row a site, and then each site's own report.
    pub fn html(&self) -> String {
        let faults = self.faults().len();
        let incomplete = self.sites.iter().filter(|site| !site.gaps.is_empty());
        let (incomplete, notes) = (incomplete.count(), self.notes());
        let class = match (faults, incomplete + notes.len()) {
            (0, 0) => "good",
            (0, _) => "warn",
            _ => "bad",
        };
        let markup = html! {
            main {
                header class={ "banner " (class) } {
                    p.eyebrow { "CCASS 2FA login · " (count(self.sites.len(), "copy")) " of evidence" }
                    h1 { "Evidence of several sites" }
                    p {
                        @if incomplete == 0 { "Every site shows the login page reached on every business day." }
                        @else { (count(incomplete, "site")) " with business days on which nothing shows that the login page was reached." }
                    }
                    p {
                        @if faults == 0 { "Every record in the files is intact." }
                        @else { (count(faults, "fault")) " in the files, listed below." }
                    }
                    @for note in notes { p { (note) } }
                }
                (self.overview())
                @for (index, site) in self.sites.iter().enumerate() {
                    section id={ "site-" (index) } {
                        h1 { (site.name()) }
                        @for fault in site.faults() { p { span.state.bad { "fault" } " " (fault) } }
                        (site_html::sections(&self.selected(site)))
                    }
                }
            }
            footer { (generated_by(&instant(self.generated))) }
        };
        document(
            "CCASS 2FA: evidence of several sites",
            Icon::of(class),
            &markup,
        )
    }

    fn overview(&self) -> Markup {
        html! {
            section.card {
                h2 { "Sites" }
                (scrolling("Sites", html! {
                    table {
                        (thead(&[
                            "Firm and site", "Host", "Records", "Files", "Latest full pass",
                            "Terminals seen", "Business days without proof"
                        ]))
                        tbody {
                            @for (index, site) in self.sites.iter().enumerate() {
                                @let selected = self.selected(site);
                                tr {
                                    th scope="row" { a href={ "#site-" (index) } { (site.name()) } }
                                    td { (site.host.as_deref().unwrap_or_default()) }
                                    td { (selected.records.len()) }
                                    td {
                                        @match site.faults().len() {
                                            0 => span.state.good { "intact" },
                                            faults => span.state.bad { (count(faults, "fault")) },
                                        }
                                    }
                                    td { (latest_pass(&selected)) }
                                    td { (terminals_seen(&selected)) }
                                    td {
                                        @if site.gaps.is_empty() { span.state.good { "none" } }
                                        @else { span.state.warn { (site.gaps_text()) } }
                                    }
                                }
                            }
                        }
                    }
                }))
            }
        }
    }
}

fn latest_pass(selected: &Selected<'_>) -> Markup {
    let passes = selected.passes();
    let latest = passes.iter().filter_map(|(_, _, pass)| *pass);
    html! {
        @match latest.map(|record| record.recorded).max() {
            Some(at) => (instant(at)),
            None => span.state.warn { "none" },
        }
    }
}

fn terminals_seen(selected: &Selected<'_>) -> String {
    let terminals = selected.terminal_checks();
    let seen = terminals
        .iter()
        .filter(|(_, checks)| super::is_seen(checks))
        .count();
    format!("{seen} of {}", terminals.len())
}
