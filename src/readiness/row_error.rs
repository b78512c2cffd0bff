//! Errors in a readiness file. They never quote a cell, which may hold personal data.

use std::io;

use thiserror::Error;

/// How many errors are reported at once.
pub(super) const MAX_ERRORS: usize = 20;

/// Why a readiness file cannot be used.
#[derive(Debug, Error)]
pub enum ReadinessError {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("is empty; the first line must be kind,email,created_after_launch")]
    Empty,
    #[error("is an Excel workbook; save it as CSV (in Excel: Save As, CSV UTF-8)")]
    Workbook,
    #[error("is UTF-16 without a byte order mark; save it as CSV UTF-8")]
    Utf16,
    /// At least one, at most [`MAX_ERRORS`].
    #[error("{}", join(.0))]
    Rows(Vec<RowError>),
}

/// An error in one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {kind}")]
pub struct RowError {
    pub line: u64,
    pub kind: RowErrorKind,
}

/// What is wrong in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RowErrorKind {
    #[error("no header; the first line must be kind,email,created_after_launch")]
    NoHeader,
    #[error(
        "column {} is not one of kind, email, created_after_launch, count; remove it: the file needs \
         no names and no addresses",
        column(*.0)
    )]
    UnknownColumn(usize),
    #[error("column {} is a duplicate; remove it", column(*.0))]
    DuplicateColumn(usize),
    #[error("missing column {0}; the first line must be kind,email,created_after_launch")]
    MissingColumn(&'static str),
    #[error(
        "{found} cells instead of {expected}; add the missing separator, or quote the cell that \
         contains one"
    )]
    CellCount { found: usize, expected: usize },
    #[error("invalid kind; use user or delegated_admin")]
    Kind,
    #[error("invalid email; use missing, submitted or confirmed")]
    Email,
    #[error("email contains an address; use missing, submitted or confirmed")]
    EmailAddress,
    #[error("invalid created_after_launch; use yes or no")]
    AfterLaunch,
    #[error("invalid count; use a number from 0 to 1000000")]
    Count,
    #[error("invalid CSV; is a quotation mark not closed?")]
    NotCsv,
}

fn join(errors: &[RowError]) -> String {
    let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let more = if errors.len() < MAX_ERRORS {
        ""
    } else {
        "; further errors may follow"
    };
    format!("{}{more}", messages.join("; "))
}

/// A column by its number and by the letter that a spreadsheet shows.
fn column(number: usize) -> String {
    match u8::try_from(number) {
        Ok(index @ 1..=26) => format!("{number} ({})", char::from(b'A' + index - 1)),
        _ => number.to_string(),
    }
}
