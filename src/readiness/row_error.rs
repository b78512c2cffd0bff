//! What can be wrong with a readiness file, said without repeating a cell.

use std::io;

use thiserror::Error;

use super::MAX_BYTES;

/// That many are told at once.
pub(super) const MAX_ERRORS: usize = 20;

/// What is wrong with a file. It never repeats a cell.
#[derive(Debug, Error)]
pub enum ReadinessError {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("is larger than {} MiB", MAX_BYTES >> 20)]
    TooLarge,
    #[error("is empty; its first line is kind,email,created_after_launch")]
    Empty,
    #[error(
        "is an Excel workbook; save it as CSV (in Excel: Save As, CSV UTF-8), or give the name of the CSV"
    )]
    Workbook,
    #[error("is UTF-16 without a mark; save it as CSV UTF-8")]
    Utf16,
    /// At least one, at most [`MOST_MISTAKES`].
    #[error("{}", told(.0))]
    Lines(Vec<RowError>),
}

/// A mistake in one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {what}")]
pub struct RowError {
    pub line: u64,
    pub what: RowErrorKind,
}

fn told(errors: &[RowError]) -> String {
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let more = match errors.len() {
        MAX_ERRORS => "; and perhaps more",
        _ => "",
    };
    format!("{}{more}", errors.join("; "))
}

/// What is wrong in one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RowErrorKind {
    #[error(
        "these are no column heads; the first line is kind,email,created_after_launch, in these words"
    )]
    Heads,
    #[error(
        "column {} is none of kind, email, created_after_launch, count; names and addresses do not \
         belong into this file: counts and states are all it needs",
        column(*.0)
    )]
    Column(usize),
    #[error("column {} is there twice", column(*.0))]
    Twice(usize),
    #[error("the column {0} is missing; the first line is kind,email,created_after_launch")]
    NoColumn(&'static str),
    #[error(
        "it has {found} cells, and the first line {wanted}: is a separator missing, or a cell with one in \
         it not in quotes?"
    )]
    Cells { found: usize, wanted: usize },
    #[error("kind is one of user, delegated_admin")]
    Kind,
    #[error("email is one of missing, submitted, confirmed")]
    Email,
    #[error("an address stands in it: email is one of missing, submitted, confirmed")]
    Address,
    #[error("created_after_launch is yes or no")]
    AfterLaunch,
    #[error("count is a number from 0 to 1000000")]
    Count,
    #[error("it cannot be read as CSV: is a quote open?")]
    Form,
}

/// A column by its number, and as a spreadsheet heads it.
fn column(number: usize) -> String {
    let letter = u8::try_from(number)
        .ok()
        .filter(|number| (1..=26).contains(number));
    match letter {
        Some(number) => format!("{number} ({})", char::from(b'A' + number - 1)),
        None => number.to_string(),
    }
}
