//! The facts of the http and page layers.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use strum::IntoStaticStr;

use crate::report::optional_seconds;

/// Who sent a response, as far as the session proves it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum AnsweredBy {
    /// A server whose certificate is trusted, without a sign of inspection.
    Origin,
    /// A device whose certificate shows that it is between this host and the server.
    Interceptor,
    /// The web proxy that the request went through.
    Proxy,
    /// Nothing proves who it was.
    #[default]
    Unknown,
}

impl AnsweredBy {
    /// The sender, as the reader of a report would call it.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Origin => "the login server itself",
            Self::Interceptor => "a device that inspects TLS",
            Self::Proxy => "the web proxy",
            Self::Unknown => "unknown, no trusted certificate proves who",
        }
    }
}

/// How a server said that it did not process a request (RFC 9113, 8.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum NotProcessed {
    /// The connection ended in order, before the stream of the request.
    Goaway,
    RefusedStream,
    /// The page is not available over HTTP/2.
    #[serde(rename = "http_1_1_required")]
    #[strum(serialize = "http_1_1_required")]
    Http11Required,
}

/// One response.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HttpFacts {
    pub answered_by: AnsweredBy,
    /// Absent without a response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(
        rename = "first_byte_seconds",
        serialize_with = "optional_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub first_byte: Option<Duration>,
    #[serde(
        rename = "transfer_seconds",
        serialize_with = "optional_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub transfer: Option<Duration>,
    /// The body as received, in bytes.
    pub body_bytes: u64,
    /// The decoded body, in bytes; absent if it is not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoded_bytes: Option<u64>,
    /// The length that the response announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// `Content-Encoding` as the server sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// The content encoding is unknown: the body was taken as it is, as browsers do.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub encoding_ignored: bool,
    /// Bytes behind the end of the compressed body, which browsers ignore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trailing_bytes: Option<u64>,
    /// The request was sent a second time, because the server said that it had not processed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeated: Option<NotProcessed>,
    /// Where a redirect leads, whether it was followed or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The server's clock minus this host's, in seconds, from the `Date` header (whole seconds).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_skew_seconds: Option<f64>,
    /// For how long the server asks to send no further request.
    #[serde(
        rename = "retry_after_seconds",
        serialize_with = "optional_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub retry_after: Option<Duration>,
    /// The title of a page with an unexpected status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The error, in the words of the HTTP library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What the page is, and which of the configured checks it passes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PageFacts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Names of the form fields; bounded.
    pub form_fields: Vec<String>,
    /// The charset that the text was decoded by, by its name in the Encoding standard.
    pub charset: String,
    /// The decoded body, in bytes.
    pub bytes: usize,
    /// SHA-256 of the decoded body, lower-case hexadecimal.
    pub sha256: String,
    /// Empty if no check is configured.
    pub checks: Vec<PageCheck>,
    /// Texts to suggest as checks, literally; bounded. Empty if checks are configured.
    #[serde(skip)]
    pub texts: Vec<String>,
}

impl PageFacts {
    /// The names of the checks that the page does not pass.
    pub fn failed_checks(&self) -> impl Iterator<Item = &str> {
        let failed = self.checks.iter().filter(|check| !check.passed);
        failed.map(|check| check.check.as_str())
    }
}

/// One configured check, by a name that does not reveal the pattern.
#[derive(Clone, Debug, Serialize)]
pub struct PageCheck {
    /// `title`, `contains_1`, `form_field_2` and the like.
    pub check: String,
    pub passed: bool,
}
