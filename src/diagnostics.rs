//! Errors in files that a user writes, each with file, line, column, key and the line itself.
//!
//! Every YAML file (configuration, web configuration, timetable, `blackbox.yml`) is read through
//! [`Diagnostics::parse_yaml`] and therefore reports errors in the same form. The YAML library's own
//! messages address programmers and are replaced here. Lines that hold a secret are never printed.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_saphyr::{Error as YamlError, Location, Options, Spanned, UserMessageFormatter};

use crate::redact::redact_emails;

/// A string with its position in the file.
pub type Text = Spanned<String>;

/// One error in a file. It never quotes the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// [`Location::UNKNOWN`] if the error has no position of its own.
    pub location: Location,
    /// The path of the key, for example `targets[0].url`; empty for the file as a whole.
    pub key: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl Diagnostic {
    /// An error in `value`.
    pub fn at<T>(value: &Spanned<T>, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            location: value.referenced,
            key: key.into(),
            message: message.into(),
        }
    }

    /// The same error with its key below `prefix`.
    #[must_use]
    pub fn below(mut self, prefix: &str) -> Self {
        self.key = format!("{prefix}.{}", self.key);
        self
    }

    fn position(&self) -> (u64, u64) {
        (self.location.line(), self.location.column())
    }

    fn of_yaml(error: &YamlError, text: &str) -> Self {
        let error = error.without_snippet();
        let location = error.location().unwrap_or(Location::UNKNOWN);
        Self {
            location,
            key: if is_about_a_value(error) {
                key_before(location, text).to_owned()
            } else {
                String::new()
            },
            message: yaml_message(error),
        }
    }
}

/// The errors of one file, with the file's text to print the lines from.
#[derive(Debug)]
pub struct Diagnostics {
    file: PathBuf,
    text: String,
    list: Vec<Diagnostic>,
    secret_lines: BTreeSet<u64>,
    /// The errors of files that this one refers to.
    included: Vec<Diagnostics>,
}

impl Diagnostics {
    pub fn new(file: &Path, text: &str) -> Self {
        Self {
            file: file.to_owned(),
            text: text.to_owned(),
            list: Vec::new(),
            secret_lines: BTreeSet::new(),
            included: Vec::new(),
        }
    }

    /// Parses the file's text. A syntax error or a value of the wrong type is reported, and ends the
    /// parsing.
    pub fn parse_yaml<T: DeserializeOwned>(&mut self, options: Options) -> Option<T> {
        serde_saphyr::from_str_with_options(&self.text, options)
            .map_err(|error| self.push(Diagnostic::of_yaml(&error, &self.text)))
            .ok()
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// The value of a result whose error is reported here.
    pub fn ok<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|diagnostic| self.push(diagnostic)).ok()
    }

    /// Adds the errors of a file that this one refers to.
    pub fn include(&mut self, other: Self) {
        self.included.push(other);
    }

    /// Never prints the lines on which `value` begins: it holds a secret.
    pub fn hide<T>(&mut self, value: &Spanned<T>) {
        self.secret_lines
            .extend([value.referenced.line(), value.defined.line()]);
    }

    /// Prints no line of the file: any of them may hold a secret.
    pub fn hide_all(&mut self) {
        self.text.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.included.is_empty()
    }

    /// The errors of this file in its order.
    pub fn list(&self) -> Vec<&Diagnostic> {
        let mut list: Vec<_> = self.list.iter().collect();
        list.sort_by_key(|diagnostic| diagnostic.position());
        list
    }

    /// # Errors
    /// All errors so far, if there are any.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.is_empty() => Ok(value),
            _ => Err(self),
        }
    }

    fn write(&self, diagnostic: &Diagnostic, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = diagnostic.position();
        let mut head = self.file.display().to_string();
        if line > 0 {
            head += &format!(":{line}:{column}");
        }
        if !diagnostic.key.is_empty() {
            head += &format!(": {}", diagnostic.key);
        }
        f.write_str(&redact_emails(&format!("{head}: {}", diagnostic.message)))?;
        let is_secret = self.secret_lines.contains(&line);
        if let Some(text) = nth_line(&self.text, line).filter(|_| !is_secret) {
            let margin = " ".repeat(line.to_string().len());
            let indent = " ".repeat(index(column).unwrap_or_default());
            let text = redact_emails(text);
            write!(f, "\n {line} | {text}\n {margin} | {indent}^")?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostics {
    /// Each error on a line, followed by the line of the file and a caret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for diagnostic in self.list() {
            f.write_str(separator)?;
            self.write(diagnostic, f)?;
            separator = "\n";
        }
        for other in &self.included {
            write!(f, "{separator}{other}")?;
            separator = "\n";
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// "unknown value "5"; use one of any, 4, 6".
pub fn unknown_value<'a>(value: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<_> = known.into_iter().collect();
    match known.as_slice() {
        [only] => format!("unknown value {value:?}; use {only}"),
        [first, second] => format!("unknown value {value:?}; use {first} or {second}"),
        all => format!("unknown value {value:?}; use one of {}", all.join(", ")),
    }
}

fn yaml_message(error: &YamlError) -> String {
    match error {
        YamlError::SerdeUnknownField {
            field, expected, ..
        } => format!("unknown key {field:?}; known keys: {}", expected.join(", ")),
        YamlError::SerdeMissingField { field, .. } => format!("missing key {field:?}; add it"),
        YamlError::SerdeUnknownVariant {
            variant, expected, ..
        } => unknown_value(variant, expected.iter().copied()),
        YamlError::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or_default();
            format!("duplicate key {key:?}; remove one of the two")
        }
        YamlError::Unexpected { expected, .. } if expected.starts_with("mapping") => {
            "expected keys with values, such as {key: value}".to_owned()
        }
        YamlError::Unexpected { expected, .. } if expected.starts_with("sequence") => {
            "expected a list, such as [one, two]".to_owned()
        }
        YamlError::Unexpected { expected, .. } if expected.contains("scalar") => {
            "expected a single value".to_owned()
        }
        YamlError::Unexpected { expected, .. } => format!("expected {expected}"),
        YamlError::InvalidBooleanStrict { .. } => "expected true or false".to_owned(),
        YamlError::InvalidScalar { ty, .. } => match *ty {
            "boolean" => "expected true or false".to_owned(),
            ty if ty.starts_with('u') => "expected a whole number from 0".to_owned(),
            ty => format!("expected a value of type {ty}"),
        },
        YamlError::SerdeInvalidType { expected, .. }
        | YamlError::SerdeInvalidValue { expected, .. } => format!("expected {expected}"),
        YamlError::NullIntoString { .. } => {
            "missing value; add it, or remove the key if it is optional".to_owned()
        }
        YamlError::Eof { .. } => "the file is empty or incomplete".to_owned(),
        YamlError::MultipleDocuments { .. } => "a second YAML document begins; keep one".to_owned(),
        other => {
            let message = other.render_with_formatter(&UserMessageFormatter);
            let message = message.split(" at line ").next().unwrap_or_default();
            if message.contains("escape") || message.contains("hexadecimal") {
                "invalid escape sequence; a backslash begins one in double quotes, use single quotes"
                    .to_owned()
            } else {
                format!("invalid YAML: {message}")
            }
        }
    }
}

fn is_about_a_value(error: &YamlError) -> bool {
    matches!(
        error,
        YamlError::Unexpected { .. }
            | YamlError::InvalidBooleanStrict { .. }
            | YamlError::InvalidScalar { .. }
            | YamlError::NullIntoString { .. }
            | YamlError::SerdeInvalidType { .. }
            | YamlError::SerdeInvalidValue { .. }
            | YamlError::SerdeUnknownVariant { .. }
    )
}

/// The key in front of a value: `concurrency` in `probe: {concurrency: many}`.
fn key_before(location: Location, text: &str) -> &str {
    let line = nth_line(text, location.line()).unwrap_or_default();
    let column = index(location.column()).unwrap_or_default();
    let end = line
        .char_indices()
        .nth(column)
        .map_or(line.len(), |at| at.0);
    let before = line.get(..end).unwrap_or_default().trim_end();
    before
        .strip_suffix(':')
        .and_then(|key| key.rsplit(['{', ',', ' ']).next())
        .unwrap_or_default()
        .trim_matches(['"', '\''])
}

fn nth_line(text: &str, number: u64) -> Option<&str> {
    text.lines().nth(index(number)?)
}

/// The index from 0 of what is counted from 1.
fn index(number: u64) -> Option<usize> {
    usize::try_from(number).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only errors are examined")]
    struct Example {
        name: String,
        count: Option<u32>,
        enabled: Option<bool>,
        list: Option<Vec<String>>,
        map: Option<BTreeMap<String, String>>,
    }

    #[test]
    fn yaml_errors_name_line_column_key_and_remedy() {
        let mut differences = Vec::new();
        for (text, expected) in [
            (
                "nam: x",
                "a.yml:1:1: unknown key \"nam\"; known keys: name, count, enabled, list, map",
            ),
            ("count: 1", "a.yml:1:1: missing key \"name\"; add it"),
            (
                "name: null",
                "a.yml:1:7: name: missing value; add it, or remove the key if it is optional",
            ),
            (
                "{name: x, \"count\": many}",
                "a.yml:1:20: count: expected a whole number from 0",
            ),
            (
                "name: x\nenabled: 1",
                "a.yml:2:10: enabled: expected true or false",
            ),
            (
                "name: x\nlist: y",
                "a.yml:2:7: list: expected a list, such as [one, two]",
            ),
            (
                "name: x\nmap: y",
                "a.yml:2:6: map: expected keys with values, such as {key: value}",
            ),
            ("name: [x]", "a.yml:1:7: name: expected a single value"),
            (
                "name: x\nname: y",
                "a.yml:2:1: duplicate key \"name\"; remove one of the two",
            ),
            (
                "name: x\n---\nname: y",
                "a.yml:3:1: a second YAML document begins; keep one",
            ),
            ("", "a.yml:1:1: the file is empty or incomplete"),
            ("name: \"\\d\"", "a.yml:1:7: invalid escape sequence"),
            (
                "name: \"\\xg\"",
                "a.yml:1:7: invalid escape sequence; a backslash begins one in double quotes, use single quotes",
            ),
            ("[", "a.yml:1:1: invalid YAML: unclosed bracket '['"),
            (
                "name: x: y",
                "a.yml:1:8: invalid YAML: mapping values are not allowed",
            ),
        ] {
            let mut diagnostics = Diagnostics::new(Path::new("a.yml"), text);
            let options = serde_saphyr::options! { strict_booleans: true };
            let parsed = diagnostics.parse_yaml::<Example>(options);
            assert!(parsed.is_none(), "{text}");
            let message = diagnostics.to_string();
            if !message.starts_with(expected) {
                differences.push(format!("{text}\n{message}\nis not\n{expected}"));
            }
        }
        assert!(differences.is_empty(), "{}", differences.join("\n\n"));
    }
}
