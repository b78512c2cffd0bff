//! Flags as they are typed. What they mean is decided behind the doors.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use strum::IntoStaticStr;

use crate::evidence::TerminalOutcome;

/// Tells whether the CCASS 2FA login server can be reached from here, and if not, which layer fails,
/// why, and whom to ask. It never logs in.
///
/// Without a command it serves. Exit codes: 0 good, 1 the answer is no, 2 usage or configuration,
/// 3 a failure of its own.
#[derive(Debug, Parser)]
#[command(
    name = "ccass-2fa-exporter",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub flags: Flags,
}

/// Flags that every command takes, in Prometheus's style.
#[derive(Debug, Args)]
pub struct Flags {
    /// The configuration; without it the built-in one.
    #[arg(
        long = "config.file",
        env = "CCASS2FA_CONFIG_FILE",
        global = true,
        value_name = "FILE"
    )]
    pub config_file: Option<PathBuf>,
    /// Where to listen; repeat it for several, or separate them by commas.
    #[arg(
        long = "web.listen-address",
        env = "CCASS2FA_WEB_LISTEN_ADDRESS",
        global = true,
        value_name = "ADDRESS",
        value_delimiter = ',',
        default_value = DEFAULT_LISTEN_ADDRESS
    )]
    pub web_listen_address: Vec<String>,
    /// How the listener is protected: TLS, passwords, a rate limit; in the form that Prometheus's own
    /// exporters take.
    #[arg(
        long = "web.config.file",
        env = "CCASS2FA_WEB_CONFIG_FILE",
        global = true,
        value_name = "FILE"
    )]
    pub web_config_file: Option<PathBuf>,
    /// The address by which others know this exporter, where it lies behind a proxy.
    #[arg(
        long = "web.external-url",
        env = "CCASS2FA_WEB_EXTERNAL_URL",
        global = true,
        value_name = "URL"
    )]
    pub web_external_url: Option<String>,
    /// The path that every address here begins with; the external URL's by default.
    #[arg(
        long = "web.route-prefix",
        env = "CCASS2FA_WEB_ROUTE_PREFIX",
        global = true,
        value_name = "PATH"
    )]
    pub web_route_prefix: Option<String>,
    /// How much to log.
    #[arg(
        long = "log.level",
        env = "CCASS2FA_LOG_LEVEL",
        global = true,
        value_name = "LEVEL",
        default_value = "info"
    )]
    pub log_level: LogLevel,
    /// The form of the log, which goes to standard error.
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
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Logfmt,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Probes on schedule and serves /metrics (the default).
    Serve,
    /// Probes once now and tells what was seen, layer by layer, and whom to ask.
    Verify(Verify),
    /// The circular's dates and where they stand.
    Timetable(TimetableArgs),
    /// Reads every file and says each mistake in it, and what the configuration will do.
    Check(Check),
    /// Records that somebody looked at the login page in Edge on a CCASS Terminal.
    Record(RecordArgs),
    /// What was verified, when, from where and with what outcome: read, checked, told.
    Evidence(EvidenceArgs),
    /// Sends a labelled test alert the real way, sees it in Alertmanager, and resolves it.
    Drill(DrillArgs),
    /// Asks the exporter on this host whether it is alive.
    Healthcheck,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// A configured target's name, or an https address; without it every configured target.
    pub target: Option<String>,
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: VerifyFormat,
    /// Write there instead of to standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub recording: Recording,
}

/// Whether what a command saw becomes evidence.
#[derive(Debug, Args)]
pub struct Recording {
    /// Add the outcome, whatever it is, to the evidence in the data directory.
    #[arg(long)]
    pub record: bool,
    /// The ticket that it belongs to: letters, digits and . - _ / #
    #[arg(long, value_name = "TICKET", requires = "record")]
    pub reference: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VerifyFormat {
    Text,
    Json,
    /// One self-contained page, to be printed or handed to a firewall team or to the Hotline.
    Html,
}

#[derive(Debug, Args)]
pub struct RecordArgs {
    /// One of the configuration's evidence.terminals.
    #[arg(long, value_name = "TERMINAL")]
    pub terminal: String,
    /// Whether the login page was seen there in MS Edge.
    #[arg(long, value_name = "OUTCOME")]
    pub outcome: TerminalOutcome,
    /// The ticket that it belongs to: letters, digits and . - _ / #
    #[arg(long, value_name = "TICKET")]
    pub reference: Option<String>,
}

#[derive(Debug, Args)]
pub struct EvidenceArgs {
    #[command(subcommand)]
    pub command: EvidenceCommand,
}

#[derive(Debug, Subcommand)]
pub enum EvidenceCommand {
    /// Every record in a line.
    List(EvidenceSelection),
    /// Reads every line, and names each that is torn, altered, missing or out of its order.
    Check {
        /// The hash of a record that is known from elsewhere (Prometheus, a filed report): it must be
        /// there.
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
        #[command(flatten)]
        place: EvidencePlace,
    },
    /// What was verified, to be filed.
    Report {
        #[arg(long, value_name = "FORMAT", default_value = "html")]
        format: EvidenceFormat,
        /// Write there instead of to standard output.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        selection: EvidenceSelection,
    },
}

/// Which records.
#[derive(Debug, Args)]
pub struct EvidenceSelection {
    /// From this Hong Kong day on.
    #[arg(long, value_name = "DATE")]
    pub from: Option<String>,
    /// Up to and with this Hong Kong day.
    #[arg(long, value_name = "DATE")]
    pub to: Option<String>,
    /// Of this target or terminal alone.
    #[arg(long, value_name = "NAME")]
    pub of: Option<String>,
    #[command(flatten)]
    pub place: EvidencePlace,
}

#[derive(Debug, Args)]
pub struct EvidencePlace {
    /// The data directory, a copy of it, or the files alone, instead of the configured one.
    #[arg(long, value_name = "DIRECTORY")]
    pub data_directory: Option<PathBuf>,
    /// Earlier years were moved away: the hash of the last record among them.
    #[arg(long, value_name = "HASH")]
    pub after: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EvidenceFormat {
    /// One self-contained page that prints on A4.
    Html,
    Json,
    Csv,
}

#[derive(Debug, Args)]
pub struct Check {
    /// Read a configuration of blackbox_exporter instead, print modules of ours that do the same, and
    /// name what cannot be carried over.
    #[arg(long, value_name = "FILE")]
    pub from_blackbox: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct DrillArgs {
    /// Alertmanager's address.
    #[arg(long, value_name = "URL")]
    pub alertmanager: String,
    /// How grave: critical rehearses the pager itself.
    #[arg(long, value_name = "SEVERITY", default_value = "critical")]
    pub severity: Severity,
    /// How long the alert stands: longer than the route's group_wait.
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub hold: String,
    /// For basic authentication at Alertmanager.
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub username: Option<String>,
    /// A file that holds the password.
    #[arg(long, value_name = "FILE", requires = "username")]
    pub password_file: Option<PathBuf>,
    /// A CA that Alertmanager's certificate is of, beside those of this host.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    #[command(flatten)]
    pub recording: Recording,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Severity {
    Critical,
    Warning,
    Info,
}

#[derive(Debug, Args)]
pub struct TimetableArgs {
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: TimetableFormat,
    /// Show the circular's sentence and what is read in it.
    #[arg(long)]
    pub explain: bool,
    /// Of which years the holidays are wanted (alertmanager); this one and the next by default.
    #[arg(long, value_name = "YEAR")]
    pub year: Vec<i16>,
    /// As of a date (00:00 in Hong Kong) or an instant (RFC 3339), instead of now.
    #[arg(long, value_name = "DATE")]
    pub at: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TimetableFormat {
    Text,
    Json,
    /// The file itself, from which the next circular's can be made.
    Yaml,
    /// For a calendar program: Outlook, Apple's, Google's.
    Ics,
    /// Time intervals for Alertmanager: business hours and general holidays.
    Alertmanager,
}
