//! The proxy layer: a tunnel to the target through a web proxy.
//!
//! In: a connection to one address of the proxy. Out: a stream that ends at the target, or why the
//! proxy gave none. The name of the target is resolved by the proxy. What the proxy itself answers
//! is told here and never taken for the target's answer. It leaves reaching the proxy to
//! [`super::tcp`], and the session with the target to [`super::tls`].

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_socks::tcp::Socks5Stream;
use tokio_util::either::Either;
use tokio_util::task::AbortOnDropHandle;
use url::{Host, Url};

use super::bounded;
use crate::clock::Stopwatch;
use crate::config::{Proxy, ProxyScheme};
use crate::report::{ProxyAttempt, Reason};

/// What carries the bytes to the target: a connection, or TLS to a proxy on one.
pub(super) type TransportStream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Of the ways to prove oneself that a proxy auth_schemes.
const MAX_AUTH_SCHEMES: usize = 8;

/// Through which proxy to where.
#[derive(Clone)]
pub(super) struct Tunnel {
    pub proxy: Arc<Proxy>,
    /// Of the session with the proxy itself, where it is spoken to over TLS.
    pub tls: Arc<ClientConfig>,
    pub user_agent: HeaderValue,
    /// As a URL has it, brackets included.
    host: String,
    port: u16,
}

impl Tunnel {
    /// The passage to `url` through `proxy`.
    pub fn to(
        url: &Url,
        proxy: Arc<Proxy>,
        tls: Arc<ClientConfig>,
        user_agent: HeaderValue,
    ) -> Self {
        Self {
            proxy,
            tls,
            user_agent,
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port_or_known_default().unwrap_or(443),
        }
    }
}

/// Why a proxy gave no tunnel.
struct Refusal {
    reason: Reason,
    status: Option<u16>,
    detail: Option<String>,
    auth_schemes: Vec<String>,
}

impl Refusal {
    fn of(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            status: None,
            detail: Some(bounded(&detail.into())),
            auth_schemes: Vec::new(),
        }
    }
}

/// Asks the proxy at the end of `stream` for a tunnel, within `limit`.
pub(super) async fn pass(
    stream: TcpStream,
    address: IpAddr,
    via: &Tunnel,
    limit: Duration,
) -> (ProxyAttempt, Option<TransportStream>) {
    let watch = Stopwatch::start();
    let outcome = match tokio::time::timeout(limit, tunnel(stream, via)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Refusal::of(
            Reason::ProxyFailed,
            "the proxy did not answer in time",
        )),
    };
    let (transport, refusal) = match outcome {
        Ok(transport) => (Some(transport), None),
        Err(refusal) => (None, Some(refusal)),
    };
    let (failure, status, detail, auth_schemes) = match refusal {
        None => (None, None, None, Vec::new()),
        Some(refusal) => (
            Some(refusal.reason),
            refusal.status,
            refusal.detail,
            refusal.auth_schemes,
        ),
    };
    let attempt = ProxyAttempt {
        address,
        duration: watch.elapsed(),
        failure,
        status,
        detail,
        auth_schemes,
    };
    (attempt, transport)
}

async fn tunnel(stream: TcpStream, via: &Tunnel) -> Result<TransportStream, Refusal> {
    match via.proxy.scheme {
        ProxyScheme::Http => connect(stream, via).await.map(Either::Left),
        ProxyScheme::Https => {
            let stream = session(stream, via).await?;
            connect(Box::new(stream), via).await.map(Either::Right)
        }
        ProxyScheme::Socks5 => socks(stream, via).await.map(Either::Left),
    }
}

/// TLS to the proxy itself, by the roots that this host and the module trust.
async fn session(stream: TcpStream, via: &Tunnel) -> Result<TlsStream<TcpStream>, Refusal> {
    let name = match &via.proxy.host {
        Host::Domain(name) => ServerName::try_from(name.clone()),
        Host::Ipv4(address) => Ok(ServerName::from(IpAddr::V4(*address))),
        Host::Ipv6(address) => Ok(ServerName::from(IpAddr::V6(*address))),
    };
    let name = name.map_err(|error| Refusal::of(Reason::ProxyTls, error.to_string()))?;
    let connect = TlsConnector::from(Arc::clone(&via.tls)).connect(name, stream);
    connect
        .await
        .map_err(|error| Refusal::of(Reason::ProxyTls, error.to_string()))
}

/// A tunnel by CONNECT.
async fn connect<IO>(stream: IO, via: &Tunnel) -> Result<IO, Refusal>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| Refusal::of(Reason::ProxyFailed, trouble(&error));
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(MAX_HEADER_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let _driver = AbortOnDropHandle::new(tokio::spawn(connection.with_upgrades()));
    let request =
        request(via).map_err(|error| Refusal::of(Reason::ProxyFailed, error.to_string()))?;
    let response = sender.send_request(request).await.map_err(failed)?;
    if !response.status().is_success() {
        return Err(refused(response.status(), response.headers()));
    }
    let upgraded = hyper::upgrade::on(response).await.map_err(failed)?;
    match upgraded.downcast::<TokioIo<IO>>() {
        Ok(parts) if parts.read_buf.is_empty() => Ok(parts.io.into_inner()),
        // A server of TLS waits for its client; who speaks first is none, as a proxy that answers
        // with a page of its own.
        Ok(_) => Err(Refusal {
            status: Some(StatusCode::OK.as_u16()),
            ..Refusal::of(
                Reason::ProxyDenied,
                "the proxy answers with a page of its own",
            )
        }),
        Err(_) => Err(Refusal::of(
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
    if let Some(credentials) = &via.proxy.credentials {
        let text = format!("{}:{}", credentials.user, credentials.password);
        let code = base64::engine::general_purpose::STANDARD.encode(text);
        let mut value = HeaderValue::try_from(format!("Basic {code}"))?;
        value.set_sensitive(true);
        request = request.header(header::PROXY_AUTHORIZATION, value);
    }
    request.body(Empty::new())
}

fn refused(status: StatusCode, headers: &HeaderMap) -> Refusal {
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
        detail.push_str(&format!(", and auth_schemes {}", auth_schemes.join(", ")));
        let basic = |offer: &String| offer.eq_ignore_ascii_case("basic");
        if !auth_schemes.iter().any(basic) {
            detail.push_str(", of which this program speaks none (it speaks Basic)");
        }
    }
    Refusal {
        status: Some(status.as_u16()),
        auth_schemes,
        ..Refusal::of(reason, detail)
    }
}

fn trouble(error: &hyper::Error) -> String {
    if error.is_parse() {
        "what the proxy answers is no HTTP".to_owned()
    } else {
        format!("the proxy ended the connection ({error})")
    }
}

/// A tunnel by SOCKS5, the name resolved at the proxy.
async fn socks(stream: TcpStream, via: &Tunnel) -> Result<TcpStream, Refusal> {
    let host = via.host.trim_matches(['[', ']']);
    let target = (host, via.port);
    let connected = match &via.proxy.credentials {
        None => Socks5Stream::connect_with_socket(stream, target).await,
        Some(credentials) => {
            let (user, password) = (&credentials.user, &credentials.password);
            Socks5Stream::connect_with_password_and_socket(stream, target, user, password).await
        }
    };
    connected.map(Socks5Stream::into_inner).map_err(|error| {
        use tokio_socks::Error;
        let reason = match error {
            Error::NoAcceptableAuthMethods
            | Error::PasswordAuthFailure(_)
            | Error::AuthorizationRequired
            | Error::InvalidAuthValues(_) => Reason::ProxyAuthRequired,
            Error::ConnectionNotAllowedByRuleset => Reason::ProxyDenied,
            _ => Reason::ProxyFailed,
        };
        Refusal::of(reason, format!("the proxy: {error}"))
    })
}
