//! The proxy layer: a tunnel to the target through a web proxy.
//!
//! Input is a connection to one address of the proxy; output is a stream to the target, or why the
//! proxy opened none. The proxy resolves the target's name. Its own answers are recorded here and
//! never taken for the target's.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_socks::Error as SocksError;
use tokio_socks::tcp::Socks5Stream;
use tokio_util::either::Either;
use tokio_util::task::AbortOnDropHandle;
use url::{Host, Url};

use super::bounded;
use super::tls::{TlsClient, TransportStream};
use crate::clock::Stopwatch;
use crate::config::{Proxy, ProxyScheme};
use crate::report::{ProxyAttempt, Reason};

const MAX_HEADER_BYTES: usize = 16 * 1024;
const MAX_AUTH_SCHEMES: usize = 8;

/// A tunnel to be opened: by which proxy, to which target.
#[derive(Clone)]
pub(super) struct Tunnel {
    pub proxy: Arc<Proxy>,
    client: Arc<TlsClient>,
    user_agent: HeaderValue,
    /// As in a URL, brackets included.
    host: String,
    port: u16,
}

impl Tunnel {
    /// A tunnel to `url`. `client` is for the session with a proxy that uses TLS.
    pub fn to(
        url: &Url,
        proxy: Arc<Proxy>,
        client: Arc<TlsClient>,
        user_agent: HeaderValue,
    ) -> Self {
        Self {
            proxy,
            client,
            user_agent,
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port_or_known_default().unwrap_or(443),
        }
    }
}

/// Why a proxy opened no tunnel.
struct ProxyError {
    reason: Reason,
    status: Option<u16>,
    detail: String,
    auth_schemes: Vec<String>,
}

impl ProxyError {
    fn of(reason: Reason, detail: impl ToString) -> Self {
        Self {
            reason,
            status: None,
            detail: detail.to_string(),
            auth_schemes: Vec::new(),
        }
    }
}

/// Asks the proxy at the other end of `stream` for a tunnel, within `limit`.
pub(super) async fn establish(
    stream: TcpStream,
    address: IpAddr,
    via: &Tunnel,
    limit: Duration,
) -> (ProxyAttempt, Option<TransportStream>) {
    let watch = Stopwatch::start();
    let timed_out = |_| ProxyError::of(Reason::ProxyFailed, "the proxy did not answer in time");
    let outcome = tokio::time::timeout(limit, open(stream, via)).await;
    let (transport, error) = match outcome.map_err(timed_out).flatten() {
        Ok(transport) => (Some(transport), None),
        Err(error) => (None, Some(error)),
    };
    let attempt = ProxyAttempt {
        address,
        duration: watch.elapsed(),
        failure: error.as_ref().map(|error| error.reason),
        status: error.as_ref().and_then(|error| error.status),
        detail: error.as_ref().map(|error| bounded(&error.detail)),
        auth_schemes: error.map(|error| error.auth_schemes).unwrap_or_default(),
    };
    (attempt, transport)
}

/// A stream on which a plain http request for any host can be sent: to the proxy, or by SOCKS5 to the
/// target itself.
pub(super) async fn for_plain_http(
    stream: TcpStream,
    via: &Tunnel,
) -> Result<TransportStream, String> {
    let opened = match via.proxy.scheme {
        ProxyScheme::Http => Ok(Either::Left(stream)),
        ProxyScheme::Https => session(stream, via)
            .await
            .map(|stream| Either::Right(Box::new(stream))),
        ProxyScheme::Socks5 => socks(stream, via).await.map(Either::Left),
    };
    opened.map_err(|error| error.detail)
}

async fn open(stream: TcpStream, via: &Tunnel) -> Result<TransportStream, ProxyError> {
    match via.proxy.scheme {
        ProxyScheme::Http => connect(stream, via).await.map(Either::Left),
        ProxyScheme::Https => {
            let stream = Box::new(session(stream, via).await?);
            connect(stream, via).await.map(Either::Right)
        }
        ProxyScheme::Socks5 => socks(stream, via).await.map(Either::Left),
    }
}

/// TLS to the proxy itself, with the roots of this host and of the module.
async fn session(stream: TcpStream, via: &Tunnel) -> Result<TlsStream<TcpStream>, ProxyError> {
    let failed = |error: &dyn std::error::Error| ProxyError::of(Reason::ProxyTls, error);
    let name = match &via.proxy.host {
        Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|error| failed(&error))?,
        Host::Ipv4(address) => IpAddr::V4(*address).into(),
        Host::Ipv6(address) => IpAddr::V6(*address).into(),
    };
    let config = via.client.to_proxy().map_err(|error| failed(&error))?;
    let connect = TlsConnector::from(Arc::new(config)).connect(name, stream);
    connect.await.map_err(|error| failed(&error))
}

/// A tunnel by CONNECT.
async fn connect<IO>(stream: IO, via: &Tunnel) -> Result<IO, ProxyError>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| {
        let detail = if error.is_parse() {
            "the proxy's answer is not HTTP".to_owned()
        } else {
            format!("the proxy closed the connection ({error})")
        };
        ProxyError::of(Reason::ProxyFailed, detail)
    };
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(MAX_HEADER_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let _driver = AbortOnDropHandle::new(tokio::spawn(connection.with_upgrades()));
    let request = request(via).map_err(|error| ProxyError::of(Reason::ProxyFailed, error))?;
    let response = sender.send_request(request).await.map_err(failed)?;
    if !response.status().is_success() {
        return Err(refused(response.status(), response.headers()));
    }
    let upgraded = hyper::upgrade::on(response).await.map_err(failed)?;
    match upgraded.downcast::<TokioIo<IO>>() {
        Ok(parts) if parts.read_buf.is_empty() => Ok(parts.io.into_inner()),
        // A TLS server waits for its client. If it sends first, it is a proxy that answers with its own page.
        Ok(_) => Err(ProxyError {
            status: Some(StatusCode::OK.as_u16()),
            ..ProxyError::of(Reason::ProxyDenied, "the proxy answers with its own page")
        }),
        Err(_) => Err(ProxyError::of(
            Reason::ProxyFailed,
            "the tunnel cannot be used",
        )),
    }
}

fn request(via: &Tunnel) -> Result<Request<Empty<Bytes>>, hyper::http::Error> {
    let authority = format!("{}:{}", via.host, via.port);
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(&authority)
        .header(header::HOST, &authority)
        .header(header::USER_AGENT, &via.user_agent);
    if let Some(value) = authorization(&via.proxy)? {
        request = request.header(header::PROXY_AUTHORIZATION, value);
    }
    request.body(Empty::new())
}

/// The credentials for `proxy`, if it has any.
pub(super) fn authorization(proxy: &Proxy) -> Result<Option<HeaderValue>, hyper::http::Error> {
    let Some(credentials) = &proxy.credentials else {
        return Ok(None);
    };
    let text = format!("{}:{}", credentials.user, credentials.password);
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(text)))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn refused(status: StatusCode, headers: &HeaderMap) -> ProxyError {
    let reason = match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Reason::ProxyAuthRequired,
        status if status.is_server_error() => Reason::ProxyFailed,
        _ => Reason::ProxyDenied,
    };
    let auth_schemes: Vec<String> = headers
        .get_all(header::PROXY_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok()?.split([' ', ',']).next())
        .map(bounded)
        .take(MAX_AUTH_SCHEMES)
        .collect();
    let mut detail = format!("the proxy answers {status}");
    if !auth_schemes.is_empty() {
        detail.push_str(&format!(" and offers {}", auth_schemes.join(", ")));
        if !auth_schemes
            .iter()
            .any(|one| one.eq_ignore_ascii_case("basic"))
        {
            detail.push_str("; the exporter supports Basic only");
        }
    }
    ProxyError {
        status: Some(status.as_u16()),
        auth_schemes,
        ..ProxyError::of(reason, detail)
    }
}

/// A tunnel by SOCKS5; the proxy resolves the name.
async fn socks(stream: TcpStream, via: &Tunnel) -> Result<TcpStream, ProxyError> {
    let target = (via.host.trim_matches(['[', ']']), via.port);
    let connected = match &via.proxy.credentials {
        None => Socks5Stream::connect_with_socket(stream, target).await,
        Some(credentials) => {
            let (user, password) = (&credentials.user, &credentials.password);
            Socks5Stream::connect_with_password_and_socket(stream, target, user, password).await
        }
    };
    connected.map(Socks5Stream::into_inner).map_err(|error| {
        let reason = match error {
            SocksError::NoAcceptableAuthMethods
            | SocksError::PasswordAuthFailure(_)
            | SocksError::AuthorizationRequired
            | SocksError::InvalidAuthValues(_) => Reason::ProxyAuthRequired,
            SocksError::ConnectionNotAllowedByRuleset => Reason::ProxyDenied,
            _ => Reason::ProxyFailed,
        };
        ProxyError::of(reason, format!("SOCKS5: {error}"))
    })
}
