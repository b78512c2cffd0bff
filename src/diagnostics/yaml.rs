//! Parses YAML and reports its structural errors in the words of the user.
//!
//! serde stops at the first error. The entry that caused it is then blanked and the text parsed again,
//! so that several mistakes are reported at once.

use std::collections::VecDeque;

use serde::de::DeserializeOwned;
use serde_saphyr::{Error as YamlError, Location, Options};

use super::{Diagnostic, index, nth_line, unknown_value};

/// Structural errors reported at once.
const MAX_ERRORS: usize = 20;
/// Steps from the top level to the deepest keys.
const MAX_DEPTH: usize = 4;

/// # Errors
/// At least one error, in the order of the text as far as it could be recovered.
pub(super) fn parse<T: DeserializeOwned>(
    text: &str,
    options: &Options,
) -> Result<T, Vec<Diagnostic>> {
    let mut errors: Vec<Diagnostic> = Vec::new();
    let mut rest = text.to_owned();
    loop {
        let error = match serde_saphyr::from_str_with_options(&rest, options.clone()) {
            Ok(value) if errors.is_empty() => return Ok(value),
            Ok(_) => return Err(errors),
            Err(error) => error,
        };
        let error = error.without_snippet();
        let mut diagnostic = diagnostic(error, text);
        if let YamlError::SerdeUnknownField {
            field, expected, ..
        } = error
        {
            diagnostic.message = unknown_key::<T>(field, expected, options);
        }
        if !errors.is_empty() && follows_from_blanking(error, &rest, diagnostic.location) {
            return Err(errors);
        }
        let blanked = is_recoverable(error)
            .then(|| without_entry(&rest, diagnostic.location))
            .flatten();
        errors.push(diagnostic);
        match blanked {
            Some(blanked) if errors.len() < MAX_ERRORS => rest = blanked,
            _ => return Err(errors),
        }
    }
}

/// "unknown key "interval"; it belongs below probe or browser; known keys here: timeout, resolvers".
fn unknown_key<T: DeserializeOwned>(key: &str, known: &[&str], options: &Options) -> String {
    let known = known.join(", ");
    match places_of::<T>(key, options).as_slice() {
        [] => format!("unknown key {key:?}; known keys: {known}"),
        places => format!(
            "unknown key {key:?}; it belongs {}; known keys here: {known}",
            places.join(" or ")
        ),
    }
}

/// Where `key` is known: "at the top level", "below modules.NAME". The error of an unknown key lists what is known
/// at its place.
fn places_of<T: DeserializeOwned>(key: &str, options: &Options) -> Vec<String> {
    let mut places = Vec::new();
    let mut paths = VecDeque::from([Vec::new()]);
    while let Some(path) = paths.pop_front() {
        let text = below(&path, "{\"?\": 0}");
        let error = serde_saphyr::from_str_with_options::<T>(&text, options.clone()).err();
        let expected = match error.as_ref().map(YamlError::without_snippet) {
            Some(YamlError::SerdeUnknownField {
                field, expected, ..
            }) if field == "?" => expected,
            _ => continue,
        };
        if expected.contains(&key) {
            let names: Vec<&str> = path.iter().map(|step: &Step| step.name()).collect();
            places.push(match names.join(".") {
                top if top.is_empty() => "at the top level".to_owned(),
                names => format!("below {names}"),
            });
        }
        if path.len() < MAX_DEPTH {
            for name in expected.iter().copied() {
                for steps in [
                    &[Step::Key(name)][..],
                    &[Step::Key(name), Step::AnyKey],
                    &[Step::Item(name)],
                ] {
                    paths.push_back([&path, steps].concat());
                }
            }
        }
    }
    places
}

/// From a mapping to one below it.
#[derive(Clone, Copy)]
enum Step {
    Key(&'static str),
    /// The name of a module, say.
    AnyKey,
    /// An item of the list below a key.
    Item(&'static str),
}

impl Step {
    fn name(&self) -> &'static str {
        match self {
            Self::Key(name) | Self::Item(name) => name,
            Self::AnyKey => "NAME",
        }
    }
}

/// YAML with `value` at `path`.
fn below(path: &[Step], value: &str) -> String {
    path.iter()
        .rfold(value.to_owned(), |value, step| match step {
            Step::Key(_) | Step::AnyKey => format!("{{{}: {value}}}", step.name()),
            Step::Item(name) => format!("{{{name}: [{value}]}}"),
        })
}

/// Errors after which the rest of the text still has its meaning.
fn is_recoverable(error: &YamlError) -> bool {
    is_about_a_value(error)
        || matches!(
            error,
            YamlError::SerdeUnknownField { .. } | YamlError::DuplicateMappingKey { .. }
        )
}

/// Whether the error is about a key or value that is absent because an entry was blanked.
fn follows_from_blanking(error: &YamlError, text: &str, location: Location) -> bool {
    let line = nth_line(text, location.line())
        .unwrap_or_default()
        .trim_end();
    let is_blank = line.is_empty() || line.ends_with([':', '-']);
    matches!(error, YamlError::SerdeMissingField { .. }) || (is_blank && is_about_a_value(error))
}

/// The text without the entry of a block mapping that begins on the line of `location`, with every
/// other line in its place. `None` if no entry begins there, as inside `{}`.
fn without_entry(text: &str, location: Location) -> Option<String> {
    let line = nth_line(text, location.line())?;
    let column = line.find(|c| c != ' ' && c != '-')?;
    let at = index(location.column())?;
    let entry = line.get(column..)?;
    let end = line
        .char_indices()
        .nth(at)
        .map_or(line.len(), |(byte, _)| byte);
    let before = line.get(column..end).unwrap_or_default();
    if entry.starts_with(['{', '[', '#', '&', '*', '?']) || before.contains(['{', '[']) {
        return None;
    }
    let mut kept = String::with_capacity(text.len());
    let mut inside = false;
    for (number, one) in (1_u64..).zip(text.lines()) {
        let indent = one.find(|c| c != ' ');
        // A list may be indented as its key is.
        let is_item = || one.trim_start().starts_with("- ") && indent == Some(column);
        let is_below = indent.is_none_or(|indent| indent > column) || is_item();
        if number == location.line() {
            kept.push_str(one.get(..column)?);
            inside = true;
        } else if !inside || !is_below {
            inside = false;
            kept.push_str(one);
        }
        kept.push('\n');
    }
    Some(kept)
}

fn diagnostic(error: &YamlError, text: &str) -> Diagnostic {
    let location = error.location().unwrap_or(Location::UNKNOWN);
    Diagnostic {
        location,
        key: if is_about_a_value(error) {
            key_before(location, text).to_owned()
        } else {
            String::new()
        },
        message: yaml_message(error),
    }
}

fn yaml_message(error: &YamlError) -> String {
    match error {
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
        YamlError::UnknownAnchor { .. } => {
            "the anchor is not defined; define it above with &name".to_owned()
        }
        YamlError::RecursiveReferencesRequireWeakTypes { .. } => {
            "an alias refers to the value that contains it; remove it".to_owned()
        }
        YamlError::AliasReplayCounterOverflow { .. }
        | YamlError::AliasReplayLimitExceeded { .. }
        | YamlError::AliasExpansionLimitExceeded { .. }
        | YamlError::AliasReplayStackDepthExceeded { .. }
        | YamlError::Budget { .. } => {
            "the file is too large, too deeply nested or has too many aliases".to_owned()
        }
        YamlError::MergeKeyNotAllowed { .. } | YamlError::MergeValueNotMapOrSeqOfMaps { .. } => {
            "a merge key (<<) needs an alias of keys with values, or a list of them".to_owned()
        }
        YamlError::UnsupportedTag { .. }
        | YamlError::TaggedEnumMismatch { .. }
        | YamlError::TaggedStructFieldName { .. }
        | YamlError::TaggedScalarCannotDeserializeIntoString { .. }
        | YamlError::BytesNotSupportedMissingBinaryTag { .. }
        | YamlError::BinaryNotUtf8 { .. }
        | YamlError::InvalidBinaryBase64 { .. } => {
            "a tag (!name) is not allowed here; remove it".to_owned()
        }
        // The parser's messages are about the file and its YAML.
        YamlError::ExternalMessage { msg, .. } | YamlError::Message { msg, .. } => {
            let message = msg.split(" at line ").next().unwrap_or_default();
            if message.contains("escape") || message.contains("hexadecimal") {
                "invalid escape sequence; a backslash begins one in double quotes, use single quotes"
                    .to_owned()
            } else {
                format!("invalid YAML: {message}")
            }
        }
        _ => "invalid YAML; check indentation, brackets and quotes".to_owned(),
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
