//! What is recorded. Every word is out of a closed list, every name out of a strict character set: a
//! record holds no text that a person or a server chose freely.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use strum::IntoStaticStr;

use super::verification::{Failure, Reference, Verification};

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Content {
    /// A probe that proves the connection: made by `verify --record`, or the first successful one of a day.
    Verification(Box<Verification>),
    /// Somebody looked at the page in Edge on a CCASS Terminal (the circular's Appendix).
    Terminal(TerminalCheck),
    OutageBegan(Outage),
    OutageEnded(OutageEnd),
    Drill(Drill),
    /// A crash left half a line, which was set aside.
    Repair(Repair),
    /// Of a later version of this program.
    Unknown(String),
}

impl Content {
    /// The `kind` of the line.
    pub fn kind(&self) -> &str {
        match self {
            Self::Verification(_) => "verification",
            Self::Terminal(_) => "terminal",
            Self::OutageBegan(_) => "outage_began",
            Self::OutageEnded(_) => "outage_ended",
            Self::Drill(_) => "drill",
            Self::Repair(_) => "repair",
            Self::Unknown(kind) => kind,
        }
    }

    /// As it is in its line.
    ///
    /// # Errors
    /// A value cannot be serialized (a bug).
    pub fn written(&self) -> serde_json::Result<Box<RawValue>> {
        match self {
            Self::Verification(content) => serde_json::value::to_raw_value(content),
            Self::Terminal(content) => serde_json::value::to_raw_value(content),
            Self::OutageBegan(content) => serde_json::value::to_raw_value(content),
            Self::OutageEnded(content) => serde_json::value::to_raw_value(content),
            Self::Drill(content) => serde_json::value::to_raw_value(content),
            Self::Repair(content) => serde_json::value::to_raw_value(content),
            Self::Unknown(_) => serde_json::value::to_raw_value(&()),
        }
    }

    /// What does not read as its kind is of a later version.
    pub(super) fn read(kind: &str, text: &str) -> Self {
        fn of<'a, T: Deserialize<'a>>(text: &'a str, content: fn(T) -> Content) -> Option<Content> {
            serde_json::from_str(text).ok().map(content)
        }
        let content = match kind {
            "verification" => of(text, |it| Self::Verification(Box::new(it))),
            "terminal" => of(text, Self::Terminal),
            "outage_began" => of(text, Self::OutageBegan),
            "outage_ended" => of(text, Self::OutageEnded),
            "drill" => of(text, Self::Drill),
            "repair" => of(text, Self::Repair),
            _ => None,
        };
        content.unwrap_or_else(|| Self::Unknown(kind.to_owned()))
    }

    /// The configured name of what it is about, where it is about a target or a terminal.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Verification(it) => Some(&it.target),
            Self::Terminal(it) => Some(&it.terminal),
            Self::OutageBegan(it) => Some(&it.target),
            Self::OutageEnded(it) => Some(&it.outage.target),
            Self::Drill(_) | Self::Repair(_) | Self::Unknown(_) => None,
        }
    }
}

/// The manual step of the circular's Appendix at one terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalCheck {
    /// A name of the configuration's list.
    pub terminal: String,
    pub outcome: TerminalOutcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

/// Whether the login page was seen in Edge.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    IntoStaticStr,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case", const_into_str)]
pub enum TerminalOutcome {
    Seen,
    NotSeen,
}

impl TerminalOutcome {
    pub const ALL: [Self; 2] = [Self::Seen, Self::NotSeen];
}

/// A target's outage: two failing probes in a row, since the first of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    pub target: String,
    pub url: String,
    pub since: Timestamp,
    /// What it began with.
    #[serde(flatten)]
    pub failure: Failure,
}

/// The first good probe after an outage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutageEnd {
    #[serde(flatten)]
    pub outage: Outage,
    pub until: Timestamp,
}

/// A rehearsal of the alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    pub severity: String,
    /// Alertmanager's host and port.
    pub alertmanager: String,
    pub outcome: DrillOutcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

/// Whether Alertmanager took, showed and resolved the test alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrillOutcome {
    Good,
    Failed,
}

/// Half a line that was found at the end of a file: no command had said that it was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// The file that it was cut from.
    pub file: String,
    pub torn_bytes: u64,
    /// Where it was set aside.
    pub aside: String,
}
