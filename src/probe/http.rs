//! The http layer: one GET over an established session.
//!
//! HTTP/2 or 1.1, as the session negotiated. Headers, body and decoded body are bounded. What a
//! redirect means is left to [`super::redirect`], and the page to [`super::page`].

mod body;
mod error;

use std::time::Duration;

use bytes::Bytes;
use cookie_store::{CookieStore, RawCookie};
use http_body_util::Empty;
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::AbortOnDropHandle;
use url::{Position, Url};

use super::bounded;
use super::page::Page;
use crate::clock::{Clock, Stopwatch, TimeLimit};
use crate::config::{HttpPolicy, Redirects};
use crate::report::{AnsweredBy, HttpFacts, LayerResult, Reason};
pub(super) use body::read as read_body;
pub(super) use error::HttpError;

const MAX_HEADER_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 128;
const MAX_COOKIES: usize = 32;
/// A longer Retry-After is shown as this one; the scheduler pauses for at most ten minutes.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(7 * 86_400);
/// How long a finished connection may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(50);

/// The protocol that the session negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// A request to be sent.
pub(super) struct GetRequest<'a> {
    pub url: &'a Url,
    pub policy: &'a HttpPolicy,
    pub protocol: Protocol,
    /// Who answers, as far as the session proves it.
    pub answered_by: AnsweredBy,
    pub limit: TimeLimit,
    pub clock: Clock,
}

/// A complete response with an expected status.
pub(super) struct Received {
    /// Decoded.
    pub body: Vec<u8>,
    /// The location of a redirect that is to be followed.
    pub redirect: Option<String>,
    /// The headers that say how to read the page, and where it leads.
    pub content_type: Option<String>,
    pub refresh: Option<String>,
}

/// Sends the request over `io`. The layer has the facts of the response, also on failure.
pub(super) async fn get<IO>(
    io: IO,
    request: &GetRequest<'_>,
    cookies: &mut CookieStore,
) -> (LayerResult<HttpFacts>, Result<Received, HttpError>)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let watch = Stopwatch::start();
    let mut facts = HttpFacts {
        answered_by: request.answered_by,
        ..HttpFacts::default()
    };
    let exchange = exchange(io, request, cookies, &mut facts);
    let outcome = tokio::time::timeout(request.limit.remaining(), exchange).await;
    let result = outcome.unwrap_or_else(|_| {
        // The headers came and the body did not end.
        if let (Some(first_byte), None) = (facts.first_byte, facts.transfer) {
            facts.transfer = Some(watch.elapsed().saturating_sub(first_byte));
        }
        Err(HttpError::of(Reason::HttpTimedOut))
    });
    let error = result.as_ref().err();
    facts.detail = error.and_then(|error| error.detail.clone());
    let layer = LayerResult {
        duration: watch.elapsed(),
        failure: error.map(|error| error.reason),
        facts,
    };
    (layer, result)
}

async fn exchange<IO>(
    io: IO,
    request: &GetRequest<'_>,
    cookies: &mut CookieStore,
    facts: &mut HttpFacts,
) -> Result<Received, HttpError>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let message = message(request, cookies).map_err(HttpError::malformed)?;
    let watch = Stopwatch::start();
    let (response, connection) = send(io, request.protocol, message)
        .await
        .map_err(|error| HttpError::of_hyper(&error, Reason::HttpClosed))?;
    facts.first_byte = Some(watch.elapsed());
    read_headers(&response, request.clock.now(), facts);
    let content_type = header_text(response.headers(), header::CONTENT_TYPE);
    let refresh = header_text(response.headers(), header::REFRESH);
    store_cookies(response.headers(), request.url, cookies);
    let location = location(&response);
    let status = response.status().as_u16();
    let redirect = location.filter(|_| request.policy.redirects != Redirects::None);
    let is_expected = request.policy.valid_status.contains(&status) || redirect.is_some();
    let body = receive(response, connection, request.policy.max_body, facts).await;
    if is_expected {
        return Ok(Received {
            body: body?,
            redirect,
            content_type,
            refresh,
        });
    }
    // The status says more than what became of the body; its title shows whose page it is.
    let page = body
        .ok()
        .map(|body| Page::parse(body, content_type.as_deref()));
    facts.title = page.and_then(|page| page.title().map(str::to_owned));
    Err(HttpError::of(Reason::HttpStatus))
}

/// Reads the body and closes the connection.
async fn receive(
    response: Response<Incoming>,
    connection: ConnectionTask,
    max_bytes: usize,
    facts: &mut HttpFacts,
) -> Result<Vec<u8>, HttpError> {
    let watch = Stopwatch::start();
    let coding = body::coding(response.headers());
    facts.content_encoding = (!coding.is_empty()).then(|| bounded(&coding));
    let delimited_by_close = response.version() < Version::HTTP_2
        && response.body().size_hint().exact().is_none()
        && !response.headers().contains_key(header::TRANSFER_ENCODING);
    let mut wire = Vec::new();
    let read = body::read(
        response.into_body(),
        max_bytes,
        &mut wire,
        &mut facts.body_bytes,
    )
    .await;
    facts.transfer = Some(watch.elapsed());
    match read {
        // The body says only that the connection failed; the connection's task has the cause.
        Err(error) if error.reason == Reason::HttpMalformed => {
            let cause = tokio::time::timeout(CLOSE_TIMEOUT, connection).await;
            return Err(match cause {
                Ok(Ok(Err(cause))) => HttpError::of_hyper(&cause, Reason::HttpTruncated),
                _ => error,
            });
        }
        // Many servers end such a body without TLS's close_notify; browsers accept that.
        Err(error) if !(delimited_by_close && error.reason == Reason::HttpTruncated) => {
            return Err(error);
        }
        _ => {}
    }
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, connection).await;
    let decoded = body::decode(&coding, wire, max_bytes)?;
    facts.encoding_ignored = decoded.is_unknown;
    facts.trailing_bytes = u64::try_from(decoded.trailing)
        .ok()
        .filter(|count| *count > 0);
    facts.decoded_bytes = u64::try_from(decoded.body.len()).ok();
    Ok(decoded.body)
}

fn message(
    request: &GetRequest<'_>,
    cookies: &CookieStore,
) -> Result<Request<Empty<Bytes>>, hyper::http::Error> {
    let url = request.url;
    let path = &url[Position::BeforePath..Position::AfterQuery];
    let authority = &url[Position::BeforeHost..Position::AfterPort];
    let uri = match request.protocol {
        Protocol::Http1 => path.parse::<Uri>()?,
        Protocol::Http2 => format!("{}://{authority}{path}", url.scheme()).parse()?,
    };
    let mut message = Request::get(uri).body(Empty::new())?;
    let headers = message.headers_mut();
    if request.protocol == Protocol::Http1 {
        headers.insert(header::HOST, authority.parse()?);
    }
    let constant = HeaderValue::from_static;
    headers.insert(header::USER_AGENT, request.policy.user_agent.clone());
    headers.insert(header::ACCEPT, constant("text/html,*/*;q=0.8"));
    headers.insert(header::ACCEPT_ENCODING, constant("gzip, br, deflate"));
    for (name, value) in &request.policy.headers {
        headers.insert(name, value.clone());
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
    Ok(message)
}

/// Drives the connection in the background.
type ConnectionTask = AbortOnDropHandle<hyper::Result<()>>;

async fn send<IO>(
    io: IO,
    protocol: Protocol,
    request: Request<Empty<Bytes>>,
) -> hyper::Result<(Response<Incoming>, ConnectionTask)>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(io);
    let (result, connection) = match protocol {
        Protocol::Http1 => {
            let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
                .max_buf_size(MAX_HEADER_BYTES)
                .max_headers(MAX_HEADERS)
                .handshake(io)
                .await?;
            let connection = AbortOnDropHandle::new(tokio::spawn(connection));
            (sender.send_request(request).await, connection)
        }
        Protocol::Http2 => {
            let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
            builder.max_header_list_size(MAX_HEADER_BYTES as u32);
            let (mut sender, connection) = Box::pin(builder.handshake(io)).await?;
            let connection = AbortOnDropHandle::new(tokio::spawn(connection));
            (sender.send_request(request).await, connection)
        }
    };
    match result {
        Ok(response) => Ok((response, connection)),
        // A canceled request says only that the connection ended; the connection task has the cause.
        Err(error) if error.is_canceled() => match connection.await {
            Ok(Err(cause)) => Err(cause),
            Ok(Ok(())) | Err(_) => Err(error),
        },
        Err(error) => Err(error),
    }
}

fn header_text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The whole location of a redirect: those of sign-on pages are long.
fn location(response: &Response<Incoming>) -> Option<String> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let value = response.headers().get(header::LOCATION)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn read_headers(response: &Response<Incoming>, now: Timestamp, facts: &mut HttpFacts) {
    let headers = response.headers();
    let text = |name: HeaderName| {
        let value = headers.get(name)?;
        Some(bounded(&String::from_utf8_lossy(value.as_bytes())))
    };
    let version = format!("{:?}", response.version());
    facts.status = Some(response.status().as_u16());
    facts.version = Some(version.replace("HTTP/", "").replace("2.0", "2"));
    facts.content_type = text(header::CONTENT_TYPE);
    facts.server = text(header::SERVER);
    facts.location = location(response).map(|location| bounded(&location));
    facts.content_length = response.body().size_hint().exact();
    let skew = |date: Timestamp| date.duration_since(now).as_secs_f64();
    facts.clock_skew_seconds = date(headers, header::DATE).map(skew);
    facts.last_modified = date(headers, header::LAST_MODIFIED);
    facts.retry_after = match response.status() {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            retry_after(headers, now)
        }
        _ => None,
    };
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()?;
    Timestamp::try_from(date).ok()
}

/// A number of seconds or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    let wait = match value.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = date(headers, header::RETRY_AFTER)?;
            Duration::try_from(until.duration_since(now)).ok()?
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

fn store_cookies(headers: &HeaderMap, url: &Url, cookies: &mut CookieStore) {
    let values = headers.get_all(header::SET_COOKIE).iter().take(MAX_COOKIES);
    let parsed = values.filter_map(|value| RawCookie::parse(value.to_str().ok()?.to_owned()).ok());
    cookies.store_response_cookies(parsed, url);
}
