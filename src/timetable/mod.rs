//! The circular's timetable as data.
//!
//! In: a YAML file (the embedded one of circular CD/OES/CCASS/013/2023, or a
//! later circular's in the same form) and what the firm answered to it. Out: a
//! [`Timetable`] of deadlines and events with exact instants, and its
//! [`Standing`] at any instant. It never asks for the time, counts business
//! days with the [`Calendar`](crate::calendar::Calendar) it is handed, knows
//! nothing of probes, and leaves all wording and formats to the renderers.

mod answers;
mod entry;
mod error;
mod form;
mod raw;
mod status;
mod value;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use answers::{Answers, AnswersError};
pub use entry::{
    Appointment, Deadline, Event, EventKind, Phase, Recommendation, Statement, Status,
};
pub use error::TimetableError;
pub use form::{Form, Interval, Precision};
pub use status::{DeadlineState, DeadlineStatus, EventState, EventStatus, TimetableStatus};

const EMBEDDED: &str = include_str!("ccass-013-2023.yaml");

/// A circular's dates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timetable {
    pub header: Header,
    /// In the file's order.
    pub deadlines: Vec<Deadline>,
    /// Appointments, milestones, then starts of phases, each in the file's order.
    pub events: Vec<Event>,
    written: Arc<str>,
}

/// What the circular is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Header {
    pub reference: String,
    pub issuer: String,
    pub issued: Date,
    /// Whether the circular calls its schedule as a whole tentative.
    pub status: Status,
    pub subject: String,
    /// The reference of the circular that this one replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<String>,
    /// Whom the circular tells its readers to ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enquiry: Option<String>,
    /// The circular's sentence on which language prevails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language_note: Option<String>,
    pub phase_at_issue: Phase,
    /// The first 12 hexadecimal digits of the file's SHA-256.
    pub hash: String,
}

impl Timetable {
    /// The timetable of circular CD/OES/CCASS/013/2023.
    #[expect(
        clippy::expect_used,
        reason = "the embedded timetable is a constant that tests parse"
    )]
    pub fn embedded() -> Self {
        Self::parse(EMBEDDED).expect("the embedded timetable is valid")
    }

    /// Reads a timetable's file.
    ///
    /// # Errors
    /// The mistakes, at least one, in the order of the file: a date that does not
    /// exist, an id of other characters than a-z, 0-9 and _ or given twice, a
    /// reference to an unknown event, phases out of order, alerts that would end
    /// before their deadline. What is no YAML, or lacks a key, is told alone.
    pub fn parse(text: &str) -> Result<Self, Vec<TimetableError>> {
        let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
        serde_saphyr::from_str_with_options::<raw::RawTimetable>(text, options)
            .map_err(|error| vec![TimetableError::from_yaml(&error, text)])?
            .validate(text)
    }

    /// The file as it is written.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The file's hash, by which two sites see whether they hold the same dates.
    pub fn hash(&self) -> &str {
        &self.header.hash
    }

    /// Whether the firm says that it has done what is due by that deadline.
    pub fn is_done(&self, id: &str) -> bool {
        self.deadline(id).is_some_and(|deadline| deadline.done)
    }

    pub fn deadline(&self, id: &str) -> Option<&Deadline> {
        self.deadlines.iter().find(|deadline| deadline.id == id)
    }

    pub fn event(&self, id: &str) -> Option<&Event> {
        self.events.iter().find(|event| event.id == id)
    }

    /// The instant from which every date in it is past: nothing is left to come.
    pub fn ends(&self) -> Timestamp {
        let deadlines = self.deadlines.iter().map(|deadline| deadline.outer);
        let events = self.events.iter().map(|event| event.interval().end);
        let issued = crate::calendar::midnight(self.header.issued);
        deadlines.chain(events).fold(issued, Timestamp::max)
    }
}

fn short_hash(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
