//! Builders of responses. Bodies are complete, since they may be compressed before they are sent.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Display;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};

use super::task::log_bug;
use crate::redact::redact_emails;

pub type HttpResponse = Response<Body>;

/// A complete body in parts, sent one after the other.
pub struct Body(VecDeque<Bytes>);

impl Body {
    /// Small texts become one part, since each part costs a write.
    pub fn from_texts(texts: Vec<String>) -> Self {
        if texts.iter().map(String::len).sum::<usize>() <= LARGE_BODY {
            return Self::from(texts.concat());
        }
        Self(texts.into_iter().map(Bytes::from).collect())
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    pub fn parts(&self) -> impl Iterator<Item = &Bytes> {
        self.0.iter()
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(whole: T) -> Self {
        Self(VecDeque::from([whole.into()]))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len() as u64)
    }
}

/// What is above takes long enough to compress that other requests would wait.
pub const LARGE_BODY: usize = 128 * 1024;

pub const HTML: &str = "text/html; charset=utf-8";
pub const JSON: &str = "application/json";
pub const PNG: &str = "image/png";
const PLAIN: &str = "text/plain; charset=utf-8";

pub fn ok(media_type: &str, body: impl Into<Body>) -> HttpResponse {
    response(StatusCode::OK, media_type, body)
}

/// A text that may quote the request: e-mail addresses are redacted.
pub fn text(status: StatusCode, body: impl AsRef<str>) -> HttpResponse {
    response(status, PLAIN, redact_emails(body.as_ref()).into_owned())
}

/// A rendered document, or an internal error.
pub fn rendered<E: Display>(
    media_type: &str,
    body: Result<impl Into<Body>, E>,
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

fn response(status: StatusCode, media_type: &str, body: impl Into<Body>) -> HttpResponse {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    set_header(&mut response, CONTENT_TYPE, media_type);
    set_header(&mut response, X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}
