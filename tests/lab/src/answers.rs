//! Responses that conform to HTTP, sent by hyper over HTTP/2 or HTTP/1.1.
//!
//! Input: a request and the active fault. Output: a response that is valid HTTP, whatever its
//! content. Responses that break the protocol are in `raw`.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderName, HeaderValue, LOCATION,
    SET_COOKIE,
};
use hyper::{Request, Response, StatusCode};
use tokio::time::{Interval, MissedTickBehavior};

use crate::faults::{Fault, HttpFault, PageFault};
use crate::guard::{Answered, Guard, Recorded, Seen};
use crate::{MAX_WAIT, page};

/// The path of the login page.
pub const LOGIN_PATH: &str = "/sso";

const LOOP_PATH: &str = "/sso/again";
const GATE: &str = "LABGATE";
const SESSION: &str = "JSESSIONID";
const MAX_REQUEST_BODY: usize = 64 * 1024;
const CHUNK: usize = 16 * 1024;
const DRIP_INTERVAL: Duration = Duration::from_secs(1);

/// The connection on which a request arrived.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionInfo {
    pub(crate) connection: u64,
    pub(crate) server_name: Option<String>,
}

pub(crate) async fn answer(
    guard: &Guard,
    fault: Option<&Fault>,
    connection_info: ConnectionInfo,
    request: Request<Incoming>,
) -> Response<AnswerBody> {
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let recorded = guard.record(seen(connection_info, &path, &request));
    let has_length = request.headers().contains_key("content-length")
        || request.headers().contains_key("transfer-encoding");
    if let Ok(body) = Limited::new(request.into_body(), MAX_REQUEST_BODY)
        .collect()
        .await
    {
        let bytes = body.to_bytes().len();
        if bytes > 0 && !has_length {
            guard.body(bytes);
        }
    }
    let response = respond(guard, fault, &path, &recorded).await;
    let answered = if response.headers().contains_key(LOCATION) {
        Answered::Redirect
    } else {
        Answered::Last
    };
    guard.answered(&recorded, answered);
    response
}

async fn respond(
    guard: &Guard,
    fault: Option<&Fault>,
    path: &str,
    recorded: &Recorded,
) -> Response<AnswerBody> {
    match fault {
        Some(Fault::Http(fault)) => http_fault(guard, fault, path, recorded).await,
        Some(Fault::Page(PageFault::Custom { headers, body })) if !path.contains('?') => {
            custom(headers, body)
        }
        Some(Fault::Page(fault)) => page_fault(guard, fault),
        _ => healthy(guard, path),
    }
}

async fn http_fault(
    guard: &Guard,
    fault: &HttpFault,
    path: &str,
    recorded: &Recorded,
) -> Response<AnswerBody> {
    match fault {
        HttpFault::Status(code) => status(*code),
        HttpFault::StatusWith(code, headers) => {
            let mut response = status(*code);
            for (name, value) in headers {
                if let (Ok(name), Ok(value)) = (
                    HeaderName::from_bytes(name.as_bytes()),
                    HeaderValue::from_str(value),
                ) {
                    response.headers_mut().append(name, value);
                }
            }
            response
        }
        HttpFault::Redirect(code, location) => redirect(*code, location),
        HttpFault::RedirectLoop => {
            let next = if path == LOGIN_PATH {
                LOOP_PATH
            } else {
                LOGIN_PATH
            };
            redirect(302, next)
        }
        HttpFault::RedirectChain(length) => {
            let hop = path
                .split_once("?hop=")
                .and_then(|(_, hop)| hop.parse::<u32>().ok())
                .unwrap_or(0);
            if hop < *length {
                redirect(302, &format!("{LOGIN_PATH}?hop={}", hop + 1))
            } else {
                healthy(guard, path)
            }
        }
        HttpFault::DateSkew(seconds) => {
            let mut response = healthy(guard, path);
            set(
                &mut response,
                DATE,
                &httpdate::fmt_http_date(skewed(*seconds)),
            );
            response
        }
        HttpFault::Slow(wait) => {
            tokio::time::sleep((*wait).min(MAX_WAIT)).await;
            healthy(guard, path)
        }
        HttpFault::CookieGate if recorded.has_cookie(GATE) => healthy(guard, path),
        HttpFault::CookieGate => {
            let mut response = redirect(302, path);
            let pair = guard.issue_cookie(GATE, Answered::Redirect);
            set(
                &mut response,
                SET_COOKIE,
                &format!("{pair}; Path=/; Secure; HttpOnly"),
            );
            response
        }
        HttpFault::NotProcessed(..)
        | HttpFault::RefuseStreams(_)
        | HttpFault::AlertAfterHead
        | HttpFault::ResetAfterHead
        | HttpFault::SilentAfterRequest
        | HttpFault::ResetAfterRequest
        | HttpFault::CloseAfterRequest
        | HttpFault::Malformed
        | HttpFault::HeaderBomb => healthy(guard, path),
    }
}

fn page_fault(guard: &Guard, fault: &PageFault) -> Response<AnswerBody> {
    match fault {
        PageFault::Text(text) => html(StatusCode::OK, Bytes::from(text.clone())),
        PageFault::Empty => html(StatusCode::OK, Bytes::new()),
        PageFault::BlockPage => html(StatusCode::OK, page::block()),
        PageFault::TooLarge(bytes) => with_body(AnswerBody::Filler {
            left: *bytes,
            has_length: true,
        }),
        PageFault::TooLargeUnannounced(bytes) => with_body(AnswerBody::Filler {
            left: *bytes,
            has_length: false,
        }),
        PageFault::Endless => with_body(AnswerBody::drip()),
        PageFault::GzipBomb => {
            let mut response = html(StatusCode::OK, page::gzip_bomb());
            set(&mut response, CONTENT_ENCODING, "gzip");
            response
        }
        PageFault::Encoded(encoding) => {
            let page = page::encode(&page::login(&token(guard)), *encoding);
            let mut response = html(StatusCode::OK, page);
            set(&mut response, CONTENT_ENCODING, encoding.name());
            response
        }
        PageFault::Custom { .. }
        | PageFault::CutShort
        | PageFault::ChunkedCutShort
        | PageFault::Chunked
        | PageFault::NoContentLength => healthy(guard, LOGIN_PATH),
    }
}

fn custom(headers: &[(&'static str, String)], body: &[u8]) -> Response<AnswerBody> {
    let mut response = html(StatusCode::OK, Bytes::from(body.to_vec()));
    for (name, value) in headers {
        set(&mut response, HeaderName::from_static(name), value);
    }
    response
}

/// The response of a healthy login server: the login page, or 404 for other paths.
fn healthy(guard: &Guard, path: &str) -> Response<AnswerBody> {
    let path = path.split('?').next().unwrap_or(path);
    if path != LOGIN_PATH {
        return html(StatusCode::NOT_FOUND, page::not_found());
    }
    let mut response = html(StatusCode::OK, page::login(&token(guard)));
    let pair = guard.issue_cookie(SESSION, Answered::Last);
    set(
        &mut response,
        SET_COOKIE,
        &format!("{pair}; Path=/sso; Secure; HttpOnly; SameSite=Lax"),
    );
    response
}

/// A value for the hidden field; it differs each time, and with it the page's fingerprint.
pub(crate) fn token(guard: &Guard) -> String {
    guard
        .issue_cookie("token", Answered::Last)
        .replace('=', "-")
}

fn status(code: u16) -> Response<AnswerBody> {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    html(status, page::status(code))
}

fn redirect(code: u16, location: &str) -> Response<AnswerBody> {
    let mut response = status(code);
    set(&mut response, LOCATION, location);
    response
}

fn html(status: StatusCode, page: Bytes) -> Response<AnswerBody> {
    let mut response = with_body(AnswerBody::Complete(page));
    *response.status_mut() = status;
    response
}

fn with_body(body: AnswerBody) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    set(&mut response, CONTENT_TYPE, "text/html; charset=utf-8");
    set(&mut response, CACHE_CONTROL, "no-store");
    response
}

fn set(response: &mut Response<AnswerBody>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn skewed(seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    let now = SystemTime::now();
    if seconds < 0 {
        now.checked_sub(by).unwrap_or(SystemTime::UNIX_EPOCH)
    } else {
        now.checked_add(by).unwrap_or(now)
    }
}

fn seen(connection_info: ConnectionInfo, path: &str, request: &Request<Incoming>) -> Seen {
    let headers: Vec<(String, String)> = request
        .headers()
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect();
    let host = request.uri().authority().map_or_else(
        || {
            headers
                .iter()
                .find(|(name, _)| name == "host")
                .map_or_else(String::new, |(_, value)| value.clone())
        },
        ToString::to_string,
    );
    Seen {
        at: SystemTime::now(),
        method: request.method().to_string(),
        path: path.to_owned(),
        host,
        headers,
        version: format!("{:?}", request.version()),
        connection: connection_info.connection,
        server_name: connection_info.server_name,
    }
}

/// A response body: complete, large, or endless.
pub(crate) enum AnswerBody {
    Complete(Bytes),
    Filler { left: u64, has_length: bool },
    Drip(Interval),
}

impl AnswerBody {
    fn drip() -> Self {
        let mut interval = tokio::time::interval(DRIP_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self::Drip(interval)
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static FILLER: [u8; CHUNK] = [b' '; CHUNK];
        let chunk = match &mut *self {
            Self::Complete(bytes) => std::mem::take(bytes),
            Self::Filler { left, .. } => {
                let length = usize::try_from(*left).unwrap_or(CHUNK).min(CHUNK);
                *left -= length as u64;
                Bytes::from_static(&FILLER[..length])
            }
            Self::Drip(interval) => {
                ready!(interval.poll_tick(context));
                Bytes::from_static(b".")
            }
        };
        Poll::Ready((!chunk.is_empty()).then(|| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Complete(bytes) => bytes.is_empty(),
            Self::Filler { left, .. } => *left == 0,
            Self::Drip(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Complete(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Filler {
                left,
                has_length: true,
            } => SizeHint::with_exact(*left),
            Self::Filler { .. } | Self::Drip(_) => SizeHint::default(),
        }
    }
}
