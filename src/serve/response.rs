//! Builders of responses. Bodies are complete, since they may be compressed before they are sent.

use std::fmt::Display;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};

use super::task::log_bug;
use crate::redact::redact_emails;

pub type HttpResponse = Response<Bytes>;

pub const HTML: &str = "text/html; charset=utf-8";
pub const JSON: &str = "application/json";
pub const PNG: &str = "image/png";
const PLAIN: &str = "text/plain; charset=utf-8";

pub fn ok(media_type: &str, body: impl Into<Bytes>) -> HttpResponse {
    response(StatusCode::OK, media_type, body)
}

/// A text that may quote the request: e-mail addresses are redacted.
pub fn text(status: StatusCode, body: impl AsRef<str>) -> HttpResponse {
    response(status, PLAIN, redact_emails(body.as_ref()).into_owned())
}

/// A rendered document, or an internal error.
pub fn rendered<E: Display>(
    media_type: &str,
    body: Result<impl Into<Bytes>, E>,
    what: &str,
) -> HttpResponse {
    match body {
        Ok(body) => ok(media_type, body),
        Err(error) => {
            log_bug(what, error);
            internal_error(what)
        }
    }
}

/// The response to a bug that was logged.
pub fn internal_error(what: &str) -> HttpResponse {
    let body = format!("Internal error (bug) in {what}; see the log of the exporter.\n");
    text(StatusCode::INTERNAL_SERVER_ERROR, body)
}

/// Sets a header, unless `value` is not valid in one.
pub fn set_header(response: &mut HttpResponse, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn response(status: StatusCode, media_type: &str, body: impl Into<Bytes>) -> HttpResponse {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    set_header(&mut response, CONTENT_TYPE, media_type);
    set_header(&mut response, X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}
