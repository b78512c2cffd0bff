//! Errors in files that a user writes, each with file, line, column, key and the line itself.
//!
//! Every YAML file (configuration, web configuration, timetable, `blackbox.yml`) is read through
//! [`Diagnostics::parse_yaml`] and therefore reports errors in the same form. The YAML library's own
//! messages address programmers and are replaced here. Lines that hold a secret are never printed.

mod yaml;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;
use serde::de::DeserializeOwned;
use serde_saphyr::{Location, Options, Spanned};

use crate::redact::redact_emails;

#[expect(clippy::expect_used, reason = "a test builds it")]
static QUOTATION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#""(?:[^"\\]|\\.)*""#).expect("a valid expression"));

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

    /// Parses the file's text, or reports its structural errors: wrong syntax, unknown keys, values of
    /// the wrong type.
    pub fn parse_yaml<T: DeserializeOwned>(&mut self, options: Options) -> Option<T> {
        yaml::parse(&self.text, &options)
            .map_err(|errors| self.list.extend(errors))
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

    /// Prints no line of the file and no key that may be a password hash in the wrong place.
    pub fn hide_all(&mut self) {
        self.text.clear();
        for diagnostic in &mut self.list {
            if diagnostic.message.contains("$2") {
                diagnostic.message = unquoted(&diagnostic.message);
            }
        }
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

    /// Each error with file, line, column and key, but without text of the file: quotations in messages
    /// are replaced. For clients that may not read the file.
    pub fn without_file_content(&self) -> String {
        let mut lines = Vec::new();
        for diagnostic in self.list() {
            lines.push(self.head(diagnostic) + &unquoted(&diagnostic.message));
        }
        lines.extend(self.included.iter().map(Self::without_file_content));
        redact_emails(&lines.join("\n")).into_owned()
    }

    /// `file:line:column: key: `
    fn head(&self, diagnostic: &Diagnostic) -> String {
        let (line, column) = diagnostic.position();
        let mut head = self.file.display().to_string();
        if line > 0 {
            head += &format!(":{line}:{column}");
        }
        if !diagnostic.key.is_empty() {
            head += &format!(": {}", diagnostic.key);
        }
        head + ": "
    }

    fn write(&self, diagnostic: &Diagnostic, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = diagnostic.position();
        let head = self.head(diagnostic);
        f.write_str(&redact_emails(&format!("{head}{}", diagnostic.message)))?;
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

/// A message without what it quotes from the file.
fn unquoted(message: &str) -> String {
    QUOTATION.replace_all(message, "\"…\"").into_owned()
}

/// "unknown value "5"; use one of any, 4, 6".
pub fn unknown_value<'a>(value: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<_> = known.into_iter().collect();
    match known.as_slice() {
        [only] => format!("unknown value {value:?}; use {only}"),
        [first, second] => format!("unknown value {value:?}; use {first} or {second}"),
        all => format!("unknown value {value:?}; use one of {}", all.join(", ")),
    }
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

    #[test]
    fn rare_yaml_errors_are_reported_without_the_words_of_the_library() {
        for (text, expected) in [
            ("name: *x", "the anchor is not defined"),
            ("name: !!binary \"%\"", "a tag (!name) is not allowed"),
            ("name: x\nmap: {<<: 5}", "a merge key"),
        ] {
            let mut diagnostics = Diagnostics::new(Path::new("a.yml"), text);
            let options = serde_saphyr::options! { strict_booleans: true };
            assert!(diagnostics.parse_yaml::<Example>(options).is_none());
            let message = diagnostics.to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
