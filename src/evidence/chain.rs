//! A record as a line of its file: one JSON object that ends with its own hash.
//!
//! The hash is the SHA-256 of everything in the line before `,"hash":`. `previous` is the
//! hash of the line before; the first line's is all zeros. `number` counts from 1 over all files.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::record::Content;
use crate::hex::sha256;

/// Incremented when a field changes its meaning.
const SCHEMA: u32 = 1;
/// `,"hash":"` and `"}` around 64 digits.
const OPENING: &str = ",\"hash\":\"";
const CLOSING: &str = "\"}";
const DIGITS: usize = 64;

/// Number and hash of the newest record; kept elsewhere, they prove that no record was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Equals the number of records.
    pub number: u64,
    /// Lower-case hexadecimal; all zeros before the first record.
    pub hash: String,
}

impl Head {
    /// Before the first record.
    pub fn none() -> Self {
        Self {
            number: 0,
            hash: "0".repeat(DIGITS),
        }
    }
}

/// Who wrote a record.
#[derive(Clone, Debug)]
pub struct Writer {
    pub host: String,
    pub site: Option<String>,
}

/// One record with its place in the chain.
#[derive(Clone, Debug)]
pub struct ChainedRecord {
    pub number: u64,
    pub recorded: Timestamp,
    pub host: String,
    pub version: String,
    pub site: Option<String>,
    pub content: Content,
    pub previous: String,
    /// As written in the line.
    pub hash: String,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    schema: u32,
    number: u64,
    recorded: Timestamp,
    host: String,
    version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    site: Option<String>,
    kind: String,
    content: Box<RawValue>,
    previous: String,
    #[serde(default, skip_serializing)]
    hash: String,
}

/// The line that follows `head`, including its line break, and the new head.
///
/// # Errors
/// A value cannot be serialized (a bug).
pub fn seal(
    content: &Content,
    head: &Head,
    writer: &Writer,
    recorded: Timestamp,
) -> serde_json::Result<(String, Head)> {
    let envelope = Envelope {
        schema: SCHEMA,
        number: head.number.saturating_add(1),
        recorded,
        host: writer.host.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        site: writer.site.clone(),
        kind: content.kind().to_owned(),
        content: content.written()?,
        previous: head.hash.clone(),
        hash: String::new(),
    };
    let mut line = serde_json::to_string(&envelope)?;
    line.pop();
    let hash = sha256(line.as_bytes());
    line.push_str(OPENING);
    line.push_str(&hash);
    line.push_str(CLOSING);
    line.push('\n');
    let number = envelope.number;
    Ok((line, Head { number, hash }))
}

/// The hash of a line as it is in the file, whatever hash it contains.
pub fn hash(line: &[u8]) -> String {
    let tail = OPENING.len() + DIGITS + CLOSING.len();
    let body = line
        .len()
        .checked_sub(tail)
        .and_then(|length| line.split_at_checked(length))
        .filter(|(_, tail)| tail.starts_with(OPENING.as_bytes()))
        .map_or(line, |(body, _)| body);
    sha256(body)
}

/// Parses a line without its line break; `None` if it is not a record.
pub fn read(line: &[u8]) -> Option<ChainedRecord> {
    let envelope: Envelope = serde_json::from_slice(line).ok()?;
    let content = Content::read(&envelope.kind, envelope.content.get());
    Some(ChainedRecord {
        number: envelope.number,
        recorded: envelope.recorded,
        host: envelope.host,
        version: envelope.version,
        site: envelope.site,
        content,
        previous: envelope.previous,
        hash: envelope.hash,
    })
}

/// Whether a line is a record that matches its own hash.
pub fn is_intact(line: &[u8]) -> bool {
    read(line).is_some_and(|record| record.hash == hash(line))
}
