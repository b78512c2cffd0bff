//! What is wrong with a timetable's file: where, at which key, and what would be right.
//!
//! In: a place in the file, or the YAML reader's own complaint. Out: one line
//! for a person. Which file it was is left to whoever opened it.

use serde_saphyr::Spanned;
use thiserror::Error;

/// A mistake in a timetable's file. Lines and columns count from 1.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}, column {column}: {key}: {problem}")]
pub struct TimetableError {
    pub line: u64,
    pub column: u64,
    /// The key, as exactly as it is known: `deadlines.connection_verification.due.form.before`.
    pub key: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl TimetableError {
    pub(super) fn at<T>(
        place: &Spanned<T>,
        key: impl Into<String>,
        problem: impl Into<String>,
    ) -> Self {
        Self {
            line: place.referenced.line(),
            column: place.referenced.column(),
            key: key.into(),
            problem: problem.into(),
        }
    }

    pub(super) fn from_yaml(error: &serde_saphyr::Error, source: &str) -> Self {
        let (line, column) = error
            .location()
            .map_or((1, 1), |location| (location.line(), location.column()));
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        let missing = message
            .strip_prefix("missing field `")
            .and_then(|rest| rest.split_once('`'));
        if let Some((key, _)) = missing {
            let problem = "this key is missing; add it beside the one on this line".to_owned();
            let key = key.to_owned();
            return Self {
                line,
                column,
                key,
                problem,
            };
        }
        Self {
            line,
            column,
            key: key_on(line, source),
            problem: in_plain_words(message),
        }
    }
}

/// The reader's messages that speak to programmers, for people.
fn in_plain_words(message: &str) -> String {
    if message.starts_with("cannot deserialize null into string") {
        return "the value is missing; write it, or leave an optional key out".to_owned();
    }
    match message.split_once(", set DuplicateKeyPolicy") {
        Some((duplicate, _)) => format!("{duplicate}; keep one of the two"),
        None => message.to_owned(),
    }
}

/// The key that a line of YAML begins with, or the file as a whole.
fn key_on(line: u64, source: &str) -> String {
    let written = usize::try_from(line)
        .ok()
        .and_then(|line| source.lines().nth(line.saturating_sub(1)));
    let key = written
        .and_then(|text| text.split_once(':'))
        .map(|(key, _)| key.trim_start_matches(['-', ' ']).trim());
    match key {
        Some(key) if !key.is_empty() => key.to_owned(),
        _ => "the file".to_owned(),
    }
}
