//! What is wrong in a file that the user wrote: where, which key, and what would be right.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_saphyr::{Location, Spanned};

use crate::redact::redact_emails;

/// One mistake. It never quotes the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub file: PathBuf,
    /// Counted from 1; absent where the mistake has no place of its own.
    pub place: Option<Position>,
    /// The path of the key, for example `targets[0].url`; empty for the file as a whole.
    pub key: String,
    pub message: String,
    pub line: Snippet,
}

/// Whether the line of the file may be shown with the mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Snippet {
    Show,
    /// It holds a secret.
    Redact,
}

/// A line and a column, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: u64,
    pub column: u64,
}

impl Position {
    fn of(location: Location) -> Option<Self> {
        (location.line() > 0).then(|| Self {
            line: location.line(),
            column: location.column(),
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(Position { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// What the YAML reader says to programmers, and what a person is told instead.
const PLAINLY: [(&str, &str); 3] = [
    (
        "expected mapping start",
        "keys with values are wanted here, such as {key: value}, and not a single value",
    ),
    (
        "expected sequence start",
        "a list is wanted here, such as [one, two]",
    ),
    (
        "expected hexadecimal number",
        "in double quotes a backslash begins a code; write the text in single quotes",
    ),
];

/// The mistakes of one file with its text, so that each can be shown with its line.
#[derive(Debug)]
pub struct Diagnostics {
    file: PathBuf,
    text: String,
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    pub fn of(file: &Path, text: &str) -> Self {
        Self {
            file: file.to_owned(),
            text: text.to_owned(),
            list: Vec::new(),
        }
    }

    /// Notes a mistake in `value`, which stands under `key`.
    pub fn at<T>(
        &mut self,
        value: &Spanned<T>,
        key: impl Into<String>,
        message: impl Into<String>,
    ) {
        self.push(
            Position::of(value.referenced),
            key.into(),
            message.into(),
            Snippet::Show,
        );
    }

    /// The same of a value that holds a secret, so that its line is not repeated.
    pub fn at_secret<T>(
        &mut self,
        value: &Spanned<T>,
        key: impl Into<String>,
        message: impl Into<String>,
    ) {
        self.push(
            Position::of(value.referenced),
            key.into(),
            message.into(),
            Snippet::Redact,
        );
    }

    /// The same of something whose place in the file is not known.
    pub fn without_place(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.push(None, key.into(), message.into(), Snippet::Show);
    }

    /// Notes a mistake that the YAML reader found.
    pub fn syntax(&mut self, error: &serde_saphyr::Error) {
        let place = error.location().and_then(Position::of);
        let mut message = error.without_snippet().to_string();
        if let Some(Position { line, column }) = place {
            let tail = format!(" at line {line}, column {column}");
            if let Some(short) = message.strip_suffix(&tail) {
                message = short.to_owned();
            }
        }
        if let Some((_, plain)) = PLAINLY.iter().find(|(part, _)| message.contains(part)) {
            message = (*plain).to_owned();
        }
        self.push(place, String::new(), message, Snippet::Show);
    }

    fn push(&mut self, place: Option<Position>, key: String, message: String, line: Snippet) {
        // In the order of the file, whatever the order of the reading.
        let after = self
            .list
            .partition_point(|diagnostic| diagnostic.place <= place);
        self.list.insert(
            after,
            Diagnostic {
                file: self.file.clone(),
                place,
                key,
                message,
                line,
            },
        );
    }

    /// Whether a secret stands in that line.
    fn hides(&self, line: u64) -> bool {
        self.list.iter().any(|diagnostic| {
            diagnostic.line == Snippet::Redact
                && diagnostic.place.is_some_and(|place| place.line == line)
        })
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }
}

impl fmt::Display for Diagnostics {
    /// Each mistake on a line, followed by the line of the file and a caret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            f.write_str(&redact_emails(&diagnostic.to_string()))?;
            let place = diagnostic.place.filter(|place| !self.hides(place.line));
            let line = place.and_then(|Position { line, column }| {
                let text = self
                    .text
                    .lines()
                    .nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
                Some((line, column, text))
            });
            if let Some((line, column, text)) = line {
                let margin = " ".repeat(line.to_string().len());
                let indent = " ".repeat(usize::try_from(column).unwrap_or(1).saturating_sub(1));
                let text = redact_emails(text);
                write!(f, "\n {line} | {text}\n {margin} | {indent}^")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
