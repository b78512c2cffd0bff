//! The records. Words are enums and names have restricted characters: a record contains no free text
//! of a person or a server.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::terminal_check::{BrowserRecord, TerminalCheck};
use super::verification::{Failure, Reference, Verification};
use crate::report::history::ClockStep;

/// An event.
#[derive(Debug, Clone)]
pub enum Content {
    /// A probe that proves the connection: made by `verify --record`, or the first successful one of a day.
    Verification(Box<Verification>),
    /// A manual check of the page in Edge on a CCASS Terminal (the circular's Appendix).
    Terminal(TerminalCheck),
    /// An automatic check of the page in a browser at a terminal; it replaces no manual check.
    TerminalBrowser(Box<BrowserRecord>),
    OutageBegan(Outage),
    OutageEnded(OutageEnd),
    Drill(Drill),
    /// The host's clock was set.
    ClockStepped(ClockStep),
    /// A partial line left by a crash was moved away.
    Repair(Repair),
    /// Written by a later version of this program.
    Unknown(String),
}

impl Content {
    /// The `kind` of the line.
    pub fn kind(&self) -> &str {
        match self {
            Self::Verification(_) => "verification",
            Self::Terminal(_) => "terminal",
            Self::TerminalBrowser(_) => "terminal_browser",
            Self::OutageBegan(_) => "outage_began",
            Self::OutageEnded(_) => "outage_ended",
            Self::Drill(_) => "drill",
            Self::ClockStepped(_) => "clock_stepped",
            Self::Repair(_) => "repair",
            Self::Unknown(kind) => kind,
        }
    }

    /// The JSON of the record in its line.
    ///
    /// # Errors
    /// A value cannot be serialized (a bug).
    pub fn written(&self) -> serde_json::Result<Box<RawValue>> {
        match self {
            Self::Verification(content) => serde_json::value::to_raw_value(content),
            Self::Terminal(content) => serde_json::value::to_raw_value(content),
            Self::TerminalBrowser(content) => serde_json::value::to_raw_value(content),
            Self::OutageBegan(content) => serde_json::value::to_raw_value(content),
            Self::OutageEnded(content) => serde_json::value::to_raw_value(content),
            Self::Drill(content) => serde_json::value::to_raw_value(content),
            Self::ClockStepped(content) => serde_json::value::to_raw_value(content),
            Self::Repair(content) => serde_json::value::to_raw_value(content),
            Self::Unknown(_) => serde_json::value::to_raw_value(&()),
        }
    }

    /// A record that does not parse as its kind was written by a later version.
    pub(super) fn read(kind: &str, text: &str) -> Self {
        fn of<'a, T: Deserialize<'a>>(text: &'a str, content: fn(T) -> Content) -> Option<Content> {
            serde_json::from_str(text).ok().map(content)
        }
        let content = match kind {
            "verification" => of(text, |it| Self::Verification(Box::new(it))),
            "terminal" => of(text, Self::Terminal),
            "terminal_browser" => of(text, |it| Self::TerminalBrowser(Box::new(it))),
            "outage_began" => of(text, Self::OutageBegan),
            "outage_ended" => of(text, Self::OutageEnded),
            "drill" => of(text, Self::Drill),
            "clock_stepped" => of(text, Self::ClockStepped),
            "repair" => of(text, Self::Repair),
            _ => None,
        };
        content.unwrap_or_else(|| Self::Unknown(kind.to_owned()))
    }

    /// The configured name of the target or terminal, if the record concerns one.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Verification(it) => Some(&it.target),
            Self::Terminal(it) => Some(&it.terminal),
            Self::TerminalBrowser(it) => Some(&it.terminal),
            Self::OutageBegan(it) => Some(&it.target),
            Self::OutageEnded(it) => Some(&it.outage.target),
            Self::Drill(_) | Self::ClockStepped(_) | Self::Repair(_) | Self::Unknown(_) => None,
        }
    }
}

/// A target's outage: two failing probes in a row, since the first of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    pub target: String,
    pub url: String,
    pub since: Timestamp,
    /// The first failure.
    #[serde(flatten)]
    pub failure: Failure,
}

/// The first successful probe after an outage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutageEnd {
    #[serde(flatten)]
    pub outage: Outage,
    pub until: Timestamp,
    /// By the monotonic clock, in whole seconds; absent in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<i64>,
}

/// An outage without an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOutage {
    pub outage: Outage,
    /// The sum of the clock's steps since it was recorded.
    pub stepped: SignedDuration,
}

impl OpenOutage {
    pub fn of(outage: Outage) -> Self {
        Self {
            outage,
            stepped: SignedDuration::ZERO,
        }
    }

    pub fn end(self, until: Timestamp) -> OutageEnd {
        // As both times are shown, in whole seconds.
        let by_clock = until.as_second() - self.outage.since.as_second();
        OutageEnd {
            outage: self.outage,
            until,
            duration_seconds: Some(by_clock - self.stepped.as_secs()),
        }
    }
}

/// A test alert sent by `drill`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    pub severity: String,
    /// Alertmanager's host and port.
    pub alertmanager: String,
    pub outcome: DrillOutcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

/// Whether Alertmanager accepted, listed and resolved the test alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrillOutcome {
    Good,
    Failed,
}

/// A partial line found at the end of a file; its append was never acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// The file that it was removed from.
    pub file: String,
    pub torn_bytes: u64,
    /// The file that it was moved to.
    pub aside: String,
}
