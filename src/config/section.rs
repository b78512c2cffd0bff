//! Reads the keys under one prefix of the configuration and reports every error in them.

use std::path::{Path, PathBuf};

use serde_saphyr::{Location, Spanned};

use crate::diagnostics::{Diagnostic, Diagnostics, Text, unknown_value};
use crate::input_file::{self, InputFile};

/// The keys under one prefix, for example `modules.login_page.tls`.
pub(super) struct Section<'a> {
    prefix: String,
    /// Relative paths are relative to it.
    directory: &'a Path,
    diagnostics: &'a mut Diagnostics,
}

impl<'a> Section<'a> {
    /// The top level of `file`.
    pub fn of_file(file: &'a Path, diagnostics: &'a mut Diagnostics) -> Self {
        Self {
            prefix: String::new(),
            directory: file.parent().unwrap_or(Path::new("")),
            diagnostics,
        }
    }

    /// The keys below `key`.
    pub fn below(&mut self, key: &str) -> Section<'_> {
        Section {
            prefix: self.path_of(key),
            directory: self.directory,
            diagnostics: self.diagnostics,
        }
    }

    /// Reports an error in `value`.
    pub fn error<T>(&mut self, value: &Spanned<T>, key: &str, message: impl Into<String>) {
        self.error_at(Some(value.referenced), key, message);
    }

    /// Reports an error at a position, if it has one.
    pub fn error_at(&mut self, location: Option<Location>, key: &str, message: impl Into<String>) {
        self.diagnostics.push(Diagnostic {
            location: location.unwrap_or(Location::UNKNOWN),
            key: self.path_of(key),
            message: message.into(),
        });
    }

    /// Adds the errors of a file that this one refers to.
    pub fn include(&mut self, other: Diagnostics) {
        self.diagnostics.include(other);
    }

    /// Never prints the line of `value`: it may hold a password.
    pub fn hide<T>(&mut self, value: &Spanned<T>) {
        self.diagnostics.hide(value);
    }

    /// What `parse` makes of `text`; its error is reported.
    pub fn parse<T, E: Into<String>>(
        &mut self,
        key: &str,
        text: &Text,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        parse(&text.value)
            .map_err(|message| self.error(text, key, message))
            .ok()
    }

    /// The same for a key that may be absent.
    pub fn optional<T, E: Into<String>>(
        &mut self,
        key: &str,
        text: &Option<Text>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.parse(key, text.as_ref()?, parse)
    }

    /// The same for each element of a list.
    pub fn list<T, E: Into<String>>(
        &mut self,
        key: &str,
        texts: &[Text],
        mut parse: impl FnMut(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let mut values = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            values.extend(self.parse(&format!("{key}[{index}]"), text, &mut parse));
        }
        values
    }

    /// One of the words in `choices`; the default if the key is absent.
    pub fn choice<T: Copy + Default>(
        &mut self,
        key: &str,
        text: &Option<Text>,
        choices: &[(&str, T)],
    ) -> T {
        self.optional(key, text, |text| one_of(text, choices))
            .unwrap_or_default()
    }

    /// The path that is written as `file`.
    pub fn path(&self, file: &Text) -> PathBuf {
        self.directory.join(&file.value)
    }

    /// The path and the text of a file.
    pub fn read_file(
        &mut self,
        key: &str,
        file: &Text,
        kind: InputFile,
    ) -> Option<(PathBuf, String)> {
        let path = self.path(file);
        let text = self.parse(key, file, |_| {
            input_file::read_to_string(kind, &path).map_err(|error| cannot_read(&path, &error))
        })?;
        Some((path, text))
    }

    /// The path of `key`; of the section itself if it is empty.
    fn path_of(&self, key: &str) -> String {
        match (self.prefix.as_str(), key) {
            ("", key) => key.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, key) => format!("{prefix}.{key}"),
        }
    }
}

/// # Errors
/// The known words.
pub(super) fn one_of<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    choices
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, value)| *value)
        .ok_or_else(|| unknown_value(text, choices.iter().map(|(word, _)| *word)))
}

pub(super) fn cannot_read(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("cannot read {}: {error}", path.display())
}
