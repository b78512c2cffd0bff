//! The command line. Values that depend on the configuration are validated in `commands`, and so are
//! those that may be personal: clap would quote an invalid one.

mod evidence;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::Timestamp;
use strum::IntoStaticStr;
use tracing::level_filters::LevelFilter;
use url::Url;

use crate::calendar::{midnight, parse_date};
use crate::config::duration;
use crate::evidence::TerminalOutcome;
use crate::terminal;
pub use evidence::{EvidenceCommand, EvidenceFormat, EvidenceSelection, EvidenceSource, MergeArgs};

/// Prometheus exporter that probes the CCASS 2FA login server and reports which layer fails, why, and
/// who to contact; it never logs in
#[derive(Debug, Parser)]
#[command(
    name = "ccass-2fa-exporter",
    version = VERSION,
    propagate_version = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 success, 1 check failed, 2 usage or configuration error, 3 internal error"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub flags: Flags,
}

/// The version with the commit, its date and the target.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("CCASS2FA_BUILD"), ")");

/// Flags of every command, named as in Prometheus.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Flags {
    /// Configuration file; the built-in configuration by default
    #[arg(
        long = "config.file",
        env = "CCASS2FA_CONFIG_FILE",
        global = true,
        value_name = "FILE"
    )]
    pub config_file: Option<PathBuf>,
    /// Name of this site, instead of the configuration's
    #[arg(long, env = "CCASS2FA_SITE", global = true, value_name = "NAME")]
    pub site: Option<String>,
    /// Address to listen on; repeat the flag or separate addresses with commas
    #[arg(
        long = "web.listen-address",
        env = "CCASS2FA_WEB_LISTEN_ADDRESS",
        global = true,
        value_name = "ADDRESS",
        value_delimiter = ',',
        value_parser = listen_address,
        default_value = DEFAULT_LISTEN_ADDRESS
    )]
    pub web_listen_address: Vec<String>,
    /// Web configuration file in Prometheus's format: TLS, basic authentication, rate limit
    #[arg(
        long = "web.config.file",
        env = "CCASS2FA_WEB_CONFIG_FILE",
        global = true,
        value_name = "FILE"
    )]
    pub web_config_file: Option<PathBuf>,
    /// URL under which the exporter is reachable from outside, for example behind a reverse proxy
    #[arg(
        long = "web.external-url",
        env = "CCASS2FA_WEB_EXTERNAL_URL",
        global = true,
        value_name = "URL"
    )]
    pub web_external_url: Option<String>,
    /// Path prefix of all HTTP routes; the path of --web.external-url by default
    #[arg(
        long = "web.route-prefix",
        env = "CCASS2FA_WEB_ROUTE_PREFIX",
        global = true,
        value_name = "PATH"
    )]
    pub web_route_prefix: Option<String>,
    /// Colors in the output: on a terminal unless NO_COLOR is set, always, or never
    #[arg(
        long,
        env = "CCASS2FA_COLOR",
        global = true,
        value_name = "WHEN",
        default_value = "auto"
    )]
    pub color: ColorChoice,
    /// Minimum severity of log messages
    #[arg(
        long = "log.level",
        env = "CCASS2FA_LOG_LEVEL",
        global = true,
        value_name = "LEVEL",
        default_value = "info",
        value_parser = PossibleValuesParser::new(["error", "warn", "info", "debug"])
            .try_map(|level| level.parse::<LevelFilter>())
    )]
    pub log_level: LevelFilter,
    /// Format of log messages, which go to standard error
    #[arg(
        long = "log.format",
        env = "CCASS2FA_LOG_FORMAT",
        global = true,
        value_name = "FORMAT",
        default_value = "logfmt"
    )]
    pub log_format: LogFormat,
}

/// 10000 + 0x2FA.
pub const DEFAULT_LISTEN_ADDRESS: &str = ":10762";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Logfmt,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    Auto,
    Always,
    Never,
}

impl From<ColorChoice> for anstream::ColorChoice {
    fn from(choice: ColorChoice) -> Self {
        match choice {
            // In CI, the library would color for such a terminal, too.
            ColorChoice::Auto if terminal::is_dumb() => Self::Never,
            ColorChoice::Auto => Self::Auto,
            ColorChoice::Always => Self::Always,
            ColorChoice::Never => Self::Never,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Probe on schedule and serve metrics and the status page (default)
    Serve,
    /// Probe once and print the result, layer by layer
    Verify(VerifyArgs),
    /// Probe once and write a configuration with what the probe learned
    Init(InitArgs),
    /// Print the circular's dates and their status
    Timetable(TimetableArgs),
    /// Validate the configuration and print a summary of it
    Check(CheckArgs),
    /// Record a manual check of the login page at a CCASS Terminal
    Record(RecordArgs),
    /// List, verify or report the recorded evidence
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    /// Send a test alert to Alertmanager end to end
    Drill(DrillArgs),
    /// Query the exporter on this host
    Healthcheck,
    /// Print the completion script of a shell
    Completions {
        /// Shell to complete commands and flags in
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Name of a configured target, or an https URL; all configured targets by default
    pub target: Option<String>,
    /// Output format; html is a self-contained page to print or to send to another team, prometheus a
    /// file for the textfile collector of node_exporter or windows_exporter
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: VerifyFormat,
    /// Write to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print one line: OK or FAILED, then name=ok or name=REASON for each target
    #[arg(long, conflicts_with_all = ["format", "output", "browser"])]
    pub quiet: bool,
    /// Probe every interval and print what changes until Ctrl-C, then a summary
    #[arg(long, conflicts_with_all = ["format", "output", "quiet", "record", "browser"])]
    pub watch: bool,
    /// Open the target in a browser of this host, too, and compare; the exit code follows the browser
    #[arg(long)]
    pub browser: bool,
    /// Program of the browser; by default the first of Edge, Chrome and Chromium that is found
    #[arg(long, value_name = "FILE", requires = "browser")]
    pub browser_path: Option<PathBuf>,
    /// How long the browser may load a page, from 1s to 5m
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = browser_timeout,
        requires = "browser")]
    pub browser_timeout: Duration,
    /// This terminal: with --browser --record, one of evidence.terminals; with --format prometheus, the
    /// label of the metrics, by default the name of the host
    #[arg(long, value_name = "TERMINAL")]
    pub terminal: Option<String>,
    #[command(flatten)]
    pub evidence: EvidenceFlags,
}

fn browser_timeout(text: &str) -> Result<Duration, String> {
    let timeout = duration(text)?;
    let allowed = Duration::from_secs(1)..=Duration::from_secs(300);
    if allowed.contains(&timeout) {
        Ok(timeout)
    } else {
        Err("it is not between 1s and 5m".to_owned())
    }
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// File to write
    #[arg(long, value_name = "FILE", default_value = "ccass.yml")]
    pub output: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    pub force: bool,
    /// Ask nothing; without a terminal, nothing is asked either
    #[arg(long)]
    pub non_interactive: bool,
    /// Prometheus configuration file: print what to add to it and to Alertmanager's
    #[arg(long, value_name = "FILE")]
    pub prometheus: Option<PathBuf>,
}

/// Whether a command adds its result to the evidence.
#[derive(Debug, Args)]
pub struct EvidenceFlags {
    /// Add the result to the evidence in the data directory
    #[arg(long)]
    pub record: bool,
    /// Ticket to record with the result: letters, digits and . - _ / #
    #[arg(long, value_name = "TICKET", requires = "record")]
    pub reference: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VerifyFormat {
    Text,
    Json,
    Html,
    Prometheus,
}

#[derive(Debug, Args)]
pub struct RecordArgs {
    /// Terminal, one of evidence.terminals in the configuration
    #[arg(long, value_name = "TERMINAL")]
    pub terminal: String,
    /// Whether MS Edge showed the login page
    #[arg(long, value_name = "OUTCOME")]
    pub outcome: TerminalOutcome,
    /// Ticket to record with the check: letters, digits and . - _ / #
    #[arg(long, value_name = "TICKET")]
    pub reference: Option<String>,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Convert modules of a blackbox_exporter configuration and list the keys it cannot convert
    #[arg(long, value_name = "FILE")]
    pub from_blackbox: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct DrillArgs {
    /// URL of Alertmanager
    #[arg(long, value_name = "URL", value_parser = url)]
    pub alertmanager: Url,
    /// Severity of the test alert; critical tests the pager itself
    #[arg(long, value_name = "SEVERITY", default_value = "critical")]
    pub severity: DrillSeverity,
    /// How long the alert fires; longer than the route's group_wait
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub hold: Duration,
    /// User name for basic authentication at Alertmanager
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub username: Option<String>,
    /// File that contains the password
    #[arg(long, value_name = "FILE", requires = "username")]
    pub password_file: Option<PathBuf>,
    /// PEM file of CA certificates to trust in addition to the system's
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    #[command(flatten)]
    pub evidence: EvidenceFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum DrillSeverity {
    Critical,
    Warning,
    Info,
}

#[derive(Debug, Args)]
pub struct TimetableArgs {
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: TimetableFormat,
    /// Quote the circular for each date and explain how the date follows from it
    #[arg(long)]
    pub explain: bool,
    /// Years of holidays to print (alertmanager format); this year and the next by default
    #[arg(long, value_name = "YEAR")]
    pub year: Vec<i16>,
    /// Date (00:00 in Hong Kong) or RFC 3339 time to evaluate the timetable at; now by default
    #[arg(long, value_name = "DATE", value_parser = instant)]
    pub at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TimetableFormat {
    Text,
    Json,
    /// The built-in or configured timetable file, as a template for the next circular
    Yaml,
    /// Calendar file for Outlook, Apple Calendar or Google Calendar
    Ics,
    /// Alertmanager time intervals: business hours and general holidays
    Alertmanager,
}

fn url(text: &str) -> Result<Url, String> {
    let error = match text.parse::<Url>() {
        Ok(url) if matches!(url.scheme(), "http" | "https") => return Ok(url),
        Ok(_) => "it begins with neither http:// nor https://".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(format!("{error}; write for example http://localhost:9093"))
}

fn listen_address(text: &str) -> Result<String, &'static str> {
    match text.rsplit_once(':').map(|(_, port)| port.parse::<u16>()) {
        Some(Ok(_)) => Ok(text.to_owned()),
        _ => Err("write HOST:PORT or :PORT, such as :10762"),
    }
}

/// A date is its first instant in Hong Kong.
fn instant(text: &str) -> Result<Timestamp, &'static str> {
    let date = parse_date(text).map(midnight);
    date.or_else(|_| text.parse())
        .ok()
        .ok_or("neither a date (2023-04-27) nor an RFC 3339 time (2023-04-27T08:05:00+08:00)")
}

fn hash(text: &str) -> Result<String, &'static str> {
    if text.len() == 64 && text.bytes().all(|c| c.is_ascii_hexdigit()) {
        return Ok(text.to_owned());
    }
    Err("a hash has 64 hexadecimal digits; metrics, reports and `evidence check` show it")
}
