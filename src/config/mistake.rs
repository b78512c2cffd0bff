//! What is wrong in a file that the user wrote: where, which key, and what would be right.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_saphyr::{Location, Spanned};

use crate::personal::withheld;

/// One mistake. It never quotes the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub file: PathBuf,
    /// Counted from 1; absent where the mistake has no place of its own.
    pub place: Option<Place>,
    /// The path of the key, for example `targets[0].url`; empty for the file as a whole.
    pub key: String,
    pub message: String,
    pub line: Line,
}

/// Whether the line of the file may be shown with the mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    Shown,
    /// It holds a secret.
    Hidden,
}

/// A line and a column, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: u64,
    pub column: u64,
}

impl Place {
    fn of(location: Location) -> Option<Self> {
        (location.line() > 0).then(|| Self {
            line: location.line(),
            column: location.column(),
        })
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(Place { line, column }) = self.place {
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
pub struct Mistakes {
    file: PathBuf,
    text: String,
    list: Vec<Mistake>,
}

impl Mistakes {
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
            Place::of(value.referenced),
            key.into(),
            message.into(),
            Line::Shown,
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
            Place::of(value.referenced),
            key.into(),
            message.into(),
            Line::Hidden,
        );
    }

    /// The same of something whose place in the file is not known.
    pub fn without_place(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.push(None, key.into(), message.into(), Line::Shown);
    }

    /// Notes a mistake that the YAML reader found.
    pub fn syntax(&mut self, error: &serde_saphyr::Error) {
        let place = error.location().and_then(Place::of);
        let mut message = error.without_snippet().to_string();
        if let Some(Place { line, column }) = place {
            let tail = format!(" at line {line}, column {column}");
            if let Some(short) = message.strip_suffix(&tail) {
                message = short.to_owned();
            }
        }
        if let Some((_, plain)) = PLAINLY.iter().find(|(part, _)| message.contains(part)) {
            message = (*plain).to_owned();
        }
        self.push(place, String::new(), message, Line::Shown);
    }

    fn push(&mut self, place: Option<Place>, key: String, message: String, line: Line) {
        // In the order of the file, whatever the order of the reading.
        let after = self.list.partition_point(|mistake| mistake.place <= place);
        self.list.insert(
            after,
            Mistake {
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
        self.list.iter().any(|mistake| {
            mistake.line == Line::Hidden && mistake.place.is_some_and(|place| place.line == line)
        })
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn list(&self) -> &[Mistake] {
        &self.list
    }
}

impl fmt::Display for Mistakes {
    /// Each mistake on a line, followed by the line of the file and a caret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            f.write_str(&withheld(&mistake.to_string()))?;
            let place = mistake.place.filter(|place| !self.hides(place.line));
            let line = place.and_then(|Place { line, column }| {
                let text = self
                    .text
                    .lines()
                    .nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
                Some((line, column, text))
            });
            if let Some((line, column, text)) = line {
                let margin = " ".repeat(line.to_string().len());
                let indent = " ".repeat(usize::try_from(column).unwrap_or(1).saturating_sub(1));
                let text = withheld(text);
                write!(f, "\n {line} | {text}\n {margin} | {indent}^")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
