//! The http layer: one GET on a session that stands, its response timed in two parts.
//!
//! HTTP/2 or 1.1 as the session negotiated. Headers, body and decoded body are bounded. What a
//! redirect means is left to [`super::redirect`], what the page means to [`super::page`].

mod body;
mod error;

use std::time::Duration;

use bytes::Bytes;
use cookie_store::{CookieStore, RawCookie};
use http_body_util::Empty;
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, Uri, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::bounded;
use super::page;
use crate::clock::{Clock, Stopwatch, TimeLimit};
use crate::config::{HttpPolicy, Redirects};
use crate::report::{AnsweredBy, HttpFacts, LayerResult, Reason};
use error::{HttpError, Phase};

const MAX_HEADER_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 128;
const MAX_COOKIES: usize = 32;
/// Nobody is left alone for longer than this, whatever they ask.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// How long a finished connection may take to say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(50);

/// The protocol that the session negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// What to ask for, and how.
pub(super) struct Question<'a> {
    pub url: &'a Url,
    pub policy: &'a HttpPolicy,
    pub protocol: Protocol,
    /// Whom the session proves to be answering.
    pub answered_by: AnsweredBy,
    pub limit: TimeLimit,
    pub clock: Clock,
}

/// What came back.
pub(super) struct Answer {
    pub layer: LayerResult<HttpFacts>,
    /// The decoded body, where it came whole, and where it leads if it is a redirect to follow.
    pub body: Option<(Vec<u8>, Option<String>)>,
    /// The server ended the session with a TLS alert once it could (it wanted a client certificate,
    /// say): that is the tls layer's failure.
    pub tls_alert: Option<String>,
}

/// Asks once.
pub(super) async fn ask<IO>(io: IO, question: &Question<'_>, cookies: &mut CookieStore) -> Answer
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let watch = Stopwatch::start();
    let mut facts = HttpFacts {
        answered_by: question.answered_by,
        status: None,
        version: None,
        first_byte: None,
        transfer: None,
        body_bytes: 0,
        decoded_bytes: None,
        content_length: None,
        last_modified: None,
        content_type: None,
        server: None,
        location: None,
        clock_skew_seconds: None,
        retry_after: None,
        title: None,
        detail: None,
    };
    let exchange = exchange(io, question, cookies, &mut facts);
    let outcome = tokio::time::timeout(question.limit.remaining(), exchange).await;
    let (body, trouble) = match outcome {
        Err(_) => {
            // The head came and the body did not end: that is how long it was waited for.
            if let (Some(first_byte), None) = (facts.first_byte, facts.transfer) {
                facts.transfer = Some(watch.elapsed().saturating_sub(first_byte));
            }
            (None, Some(HttpError::plain(Reason::HttpTimedOut)))
        }
        Ok(Err(trouble)) => (None, Some(trouble)),
        Ok(Ok(body)) => (Some(body), None),
    };
    let (failure, tls_alert) = match trouble {
        None => (None, None),
        Some(trouble) => {
            facts.detail = trouble.detail;
            (Some(trouble.reason), trouble.tls_alert)
        }
    };
    Answer {
        layer: LayerResult {
            duration: watch.elapsed(),
            failure,
            facts,
        },
        body,
        tls_alert,
    }
}

async fn exchange<IO>(
    io: IO,
    question: &Question<'_>,
    cookies: &mut CookieStore,
    facts: &mut HttpFacts,
) -> Result<(Vec<u8>, Option<String>), HttpError>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let request = request(question, cookies)?;
    let watch = Stopwatch::start();
    let (response, connection) = send(io, question.protocol, request)
        .await
        .map_err(|error| HttpError::of(&error, Phase::Head))?;
    facts.first_byte = Some(watch.elapsed());
    read_head(&response, question, cookies, facts);
    let location = location(&response);
    let status = response.status();
    let is_redirect = question.policy.redirects != Redirects::None && location.is_some();
    let expected = question.policy.valid_status.contains(&status.as_u16()) || is_redirect;
    let body = receive(response, connection, question, facts).await;
    if expected {
        return body.map(|body| (body, location.filter(|_| is_redirect)));
    }
    // Whatever became of its body, the status says more; its title tells whose page it is.
    facts.title = body.ok().and_then(|body| page::title(&body));
    Err(HttpError::plain(Reason::HttpStatus))
}

/// Reads the body and lets the connection go.
async fn receive(
    response: Response<Incoming>,
    connection: Connection,
    question: &Question<'_>,
    facts: &mut HttpFacts,
) -> Result<Vec<u8>, HttpError> {
    let watch = Stopwatch::start();
    let encoding = body::encoding(response.headers());
    let delimited_by_close = response.version() < Version::HTTP_2
        && response.body().size_hint().exact().is_none()
        && !response.headers().contains_key(header::TRANSFER_ENCODING);
    let read = body::read(
        response.into_body(),
        question.policy.max_body,
        &mut facts.body_bytes,
    )
    .await;
    facts.transfer = Some(watch.elapsed());
    let wire = match read {
        Ok(wire) => wire,
        // Many servers close such a body without TLS's farewell; browsers take it.
        Err((wire, trouble)) if delimited_by_close && trouble.reason == Reason::HttpTruncated => {
            wire
        }
        Err((_, trouble)) => return Err(trouble),
    };
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, connection).await;
    let body = body::decode(&encoding, wire, question.policy.max_body)?;
    facts.decoded_bytes = u64::try_from(body.len()).ok();
    Ok(body)
}

fn request(
    question: &Question<'_>,
    cookies: &CookieStore,
) -> Result<Request<Empty<Bytes>>, HttpError> {
    let url = question.url;
    let malformed = |error: &dyn std::fmt::Display| HttpError {
        reason: Reason::HttpMalformed,
        detail: Some(bounded(&error.to_string())),
        tls_alert: None,
    };
    let mut path = url.path().to_owned();
    if let Some(query) = url.query() {
        path.push('?');
        path.push_str(query);
    }
    let authority = match url.port() {
        None => url.host_str().unwrap_or_default().to_owned(),
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
    };
    let uri = match question.protocol {
        Protocol::Http1 => path.parse::<Uri>(),
        Protocol::Http2 => format!("{}://{authority}{path}", url.scheme()).parse::<Uri>(),
    }
    .map_err(|error| malformed(&error))?;
    let mut request = Request::get(uri)
        .body(Empty::new())
        .map_err(|error| malformed(&error))?;
    let headers = request.headers_mut();
    if question.protocol == Protocol::Http1 {
        let host = HeaderValue::from_str(&authority).map_err(|error| malformed(&error))?;
        headers.insert(header::HOST, host);
    }
    headers.insert(header::USER_AGENT, question.policy.user_agent.clone());
    headers.insert(
        header::ACCEPT,
        HeaderValue::from_static("text/html,*/*;q=0.8"),
    );
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("gzip, br, deflate"),
    );
    for (name, value) in &question.policy.headers {
        headers.insert(name.clone(), value.clone());
    }
    let jar: Vec<_> = cookies
        .get_request_values(url)
        .take(MAX_COOKIES)
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if !jar.is_empty()
        && let Ok(value) = HeaderValue::from_str(&jar.join("; "))
    {
        headers.insert(header::COOKIE, value);
    }
    Ok(request)
}

type Connection = AbortOnDropHandle<hyper::Result<()>>;

async fn send<IO>(
    io: IO,
    protocol: Protocol,
    request: Request<Empty<Bytes>>,
) -> hyper::Result<(Response<Incoming>, Connection)>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(io);
    match protocol {
        Protocol::Http1 => {
            let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
                .max_buf_size(MAX_HEADER_BYTES)
                .max_headers(MAX_HEADERS)
                .handshake(io)
                .await?;
            let connection = AbortOnDropHandle::new(tokio::spawn(connection));
            match sender.send_request(request).await {
                Ok(response) => Ok((response, connection)),
                Err(error) => Err(cause(error, connection).await),
            }
        }
        Protocol::Http2 => {
            let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
            builder.max_header_list_size(MAX_HEADER_BYTES as u32);
            let (mut sender, connection) = Box::pin(builder.handshake(io)).await?;
            let connection = AbortOnDropHandle::new(tokio::spawn(connection));
            match sender.send_request(request).await {
                Ok(response) => Ok((response, connection)),
                Err(error) => Err(cause(error, connection).await),
            }
        }
    }
}

/// A request that finds its connection gone says only that; why it went, the connection knows.
async fn cause(error: hyper::Error, connection: Connection) -> hyper::Error {
    if !error.is_canceled() {
        return error;
    }
    match connection.await {
        Ok(Err(cause)) => cause,
        Ok(Ok(())) | Err(_) => error,
    }
}

/// Where a redirect leads, whole; sign-on pages carry much in it.
fn location(response: &Response<Incoming>) -> Option<String> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let value = response.headers().get(header::LOCATION)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn read_head(
    response: &Response<Incoming>,
    question: &Question<'_>,
    cookies: &mut CookieStore,
    facts: &mut HttpFacts,
) {
    let headers = response.headers();
    let now = question.clock.now();
    let text = |name| {
        headers
            .get(name)
            .map(|value: &HeaderValue| bounded(&String::from_utf8_lossy(value.as_bytes())))
    };
    facts.status = Some(response.status().as_u16());
    facts.version = Some(
        format!("{:?}", response.version())
            .replace("HTTP/", "")
            .replace("2.0", "2"),
    );
    facts.content_type = text(header::CONTENT_TYPE);
    facts.server = text(header::SERVER);
    facts.location = location(response).map(|location| bounded(&location));
    facts.content_length = response.body().size_hint().exact();
    let date = |value: &HeaderValue| {
        let date = httpdate::parse_http_date(value.to_str().ok()?).ok()?;
        jiff::Timestamp::try_from(date).ok()
    };
    facts.clock_skew_seconds = headers
        .get(header::DATE)
        .and_then(date)
        .map(|date| date.duration_since(now).as_secs_f64());
    facts.last_modified = headers.get(header::LAST_MODIFIED).and_then(date);
    facts.retry_after = match response.status().as_u16() {
        429 | 503 => headers.get(header::RETRY_AFTER).and_then(|value| {
            let seconds = value
                .to_str()
                .ok()
                .and_then(|text| text.trim().parse::<u64>().ok());
            seconds
                .map(Duration::from_secs)
                .or_else(|| Duration::try_from(date(value)?.duration_since(now)).ok())
                .map(|wait| wait.min(MAX_RETRY_AFTER))
        }),
        _ => None,
    };
    let fresh = headers
        .get_all(header::SET_COOKIE)
        .iter()
        .take(MAX_COOKIES)
        .filter_map(|value| RawCookie::parse(value.to_str().ok()?.to_owned()).ok());
    cookies.store_response_cookies(fresh, question.url);
}
