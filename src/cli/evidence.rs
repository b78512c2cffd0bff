//! The subcommands of `evidence`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use jiff::civil::Date;
use url::Url;

use super::{hash, url};
use crate::calendar::parse_date;

#[derive(Debug, Subcommand)]
pub enum EvidenceCommand {
    /// List records, one per line
    List(EvidenceSelection),
    /// Verify the hash chain and print every line that is incomplete, altered, missing or out of order
    Check {
        /// Hash of a record known from elsewhere, for example from Prometheus, that must be present
        #[arg(long, value_name = "HASH", value_parser = hash)]
        head: Option<String>,
        #[command(flatten)]
        source: EvidenceSource,
    },
    /// Report the evidence of several sites: each chain is verified by itself, days without proof are named
    Merge(MergeArgs),
    /// Print a report of the verification to be filed
    Report {
        /// Output format; html is a self-contained page that prints on A4
        #[arg(long, value_name = "FORMAT", default_value = "html")]
        format: EvidenceFormat,
        /// Write to a file instead of standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        selection: EvidenceSelection,
    },
}

/// Which copies to report, and how.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Copies of data directories; FIRM=DIRECTORY adds the name of the firm
    #[arg(required = true, value_name = "[FIRM=]DIRECTORY")]
    pub directories: Vec<String>,
    /// Output format; html is a self-contained page
    #[arg(long, value_name = "FORMAT", default_value = "html")]
    pub format: EvidenceFormat,
    /// Write to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// First day to include (Hong Kong time)
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    pub from: Option<Date>,
    /// Last day to include (Hong Kong time); yesterday for gaps by default
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    pub to: Option<Date>,
    /// Prometheus that scraped the sites: the newest hashes it stored in 90 days must be in the copies
    #[arg(long, value_name = "URL", value_parser = url)]
    pub prometheus: Option<Url>,
}

/// Which records to include.
#[derive(Debug, Args)]
pub struct EvidenceSelection {
    /// First day to include (Hong Kong time)
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    pub from: Option<Date>,
    /// Last day to include (Hong Kong time)
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    pub to: Option<Date>,
    /// Only records of this target or terminal
    #[arg(long, value_name = "NAME")]
    pub of: Option<String>,
    #[command(flatten)]
    pub source: EvidenceSource,
}

#[derive(Debug, Args)]
pub struct EvidenceSource {
    /// Data directory, a copy of it, or a directory of evidence files; the configured one by default
    #[arg(long, value_name = "DIRECTORY")]
    pub data_directory: Option<PathBuf>,
    /// Hash of the last record of earlier years that were moved away
    #[arg(long, value_name = "HASH", value_parser = hash)]
    pub after: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EvidenceFormat {
    Html,
    Json,
    Csv,
}
