//! The circular's timetable: deadlines and events with exact instants, and their status at any instant.
//!
//! This file is the whole interface; the submodules are private. A timetable is read from YAML: the
//! embedded one of circular CD/OES/CCASS/013/2023, or a later circular's in the same form. The module
//! reads no clock, does not depend on probes, and leaves texts and formats to `render`.

mod entry;
mod form;
mod overrides;
#[cfg(test)]
mod properties;
mod raw;
mod status;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::calendar::midnight;
use crate::diagnostics::Diagnostics;
pub use entry::{
    Appointment, Deadline, Event, EventKind, Phase, Recommendation, Statement, Status,
};
pub use form::{Form, Interval, Precision};
pub use overrides::{OverrideError, OverrideKey, Overrides};
pub use status::{DeadlineState, DeadlineStatus, EventState, EventStatus, TimetableStatus};

const EMBEDDED: &str = include_str!("ccass-013-2023.yaml");

/// The dates of a circular.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timetable {
    pub header: Header,
    /// In the order of the file.
    pub deadlines: Vec<Deadline>,
    /// Appointments, milestones, then phases, each in the order of the file.
    pub events: Vec<Event>,
    source: Arc<str>,
}

/// The circular itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Header {
    pub reference: String,
    pub issuer: String,
    pub issued: Date,
    /// Whether the circular calls its whole schedule tentative.
    pub status: Status,
    pub subject: String,
    /// The reference of the circular that this one replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<String>,
    /// The contact that the circular names for questions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enquiry: Option<String>,
    /// The circular's sentence about the language that prevails.
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
        Self::parse(EMBEDDED, Path::new("built-in")).expect("the embedded timetable is valid")
    }

    /// Parses the text of `path`.
    ///
    /// # Errors
    /// A date does not exist, an id has other characters than a-z, 0-9 and _ or is a duplicate, a
    /// referenced event does not exist, the phases are not in order, or alerts end before their deadline.
    /// All errors are reported, except that a syntax error ends the parsing.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Diagnostics> {
        let mut diagnostics = Diagnostics::new(path, text);
        let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
        let timetable = diagnostics
            .parse_yaml::<raw::RawTimetable>(options)
            .and_then(|raw| raw.validate(text, &mut diagnostics));
        diagnostics.finish(timetable)
    }

    /// The text of the file.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The hash of the file, by which two sites compare their timetables.
    pub fn hash(&self) -> &str {
        &self.header.hash
    }

    /// Whether the deadline is marked as done.
    pub fn is_done(&self, id: &str) -> bool {
        self.deadline(id).is_some_and(|deadline| deadline.done)
    }

    pub fn deadline(&self, id: &str) -> Option<&Deadline> {
        self.deadlines.iter().find(|deadline| deadline.id == id)
    }

    pub fn event(&self, id: &str) -> Option<&Event> {
        self.events.iter().find(|event| event.id == id)
    }

    /// The instant from which all dates are past.
    pub fn ends(&self) -> Timestamp {
        let deadlines = self.deadlines.iter().map(|deadline| deadline.outer);
        let events = self.events.iter().map(|event| event.interval().end);
        let issued = midnight(self.header.issued);
        deadlines.chain(events).fold(issued, Timestamp::max)
    }

    /// The phases with the events that begin them.
    fn phase_starts(&self) -> impl Iterator<Item = (&Event, Phase)> {
        self.events.iter().filter_map(|event| match event.kind {
            EventKind::PhaseStart { begins } => Some((event, begins)),
            EventKind::Appointment(_) | EventKind::Milestone { .. } => None,
        })
    }
}
