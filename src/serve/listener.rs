//! The listener: connections in, responses out, and no client can hold it for long.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{HeaderValue, WWW_AUTHENTICATE};
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::auth::{Auth, AuthError};
use super::routes::{Routes, text_response};
use crate::config::WebConfig;

/// Of one listener.
const MAX_CONNECTIONS: usize = 256;
/// For a request's head, and for a handshake; a connection without a request is closed after it too.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// For a client to take what it asked for.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// For a connection as a whole: a scraper just opens another.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15 * 60);
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Of one HTTP/2 connection: a scraper has one.
const MAX_STREAMS: u32 = 8;
/// How long responses under way may take after the stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// A pause when the system has no descriptor left for another connection.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// What every connection is served by.
pub struct HttpContext {
    pub routes: Arc<Routes>,
    pub auth: Auth,
    pub web: watch::Receiver<Arc<WebConfig>>,
}

impl HttpContext {
    async fn answer(
        &self,
        request: Request<Incoming>,
        scheme: &str,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let web = Arc::clone(&self.web.borrow());
        let mut answer = match self.auth.authorize(&web, request.headers()).await {
            Ok(()) => self.routes.answer(request, scheme).await,
            Err(refused) => refusal(refused),
        };
        for (name, value) in &web.headers {
            let headers = answer.headers_mut();
            if !headers.contains_key(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
        Ok(answer)
    }
}

fn refusal(refused: AuthError) -> Response<Full<Bytes>> {
    let (status, text) = match refused {
        AuthError::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "Too many requests.\n"),
        AuthError::Unauthorized => (
            StatusCode::UNAUTHORIZED,
            "A name and a password are wanted.\n",
        ),
    };
    let mut answer = text_response(status, text).map(Full::new);
    if refused == AuthError::Unauthorized {
        let realm =
            HeaderValue::from_static("Basic realm=\"ccass-2fa-exporter\", charset=\"UTF-8\"");
        answer.headers_mut().insert(WWW_AUTHENTICATE, realm);
    }
    answer
}

/// Serves on every listener until `stop`, then lets responses under way end, but not for long.
pub async fn run(listeners: Vec<TcpListener>, site: Arc<HttpContext>, stop: CancellationToken) {
    let mut loops = JoinSet::new();
    for listener in listeners {
        loops.spawn(accept(listener, Arc::clone(&site), stop.clone()));
    }
    while loops.join_next().await.is_some() {}
}

async fn accept(listener: TcpListener, site: Arc<HttpContext>, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let mut connections = Connections::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = connection(stream, Arc::clone(&site), graceful.watcher());
                connections.add(async move {
                    match timeout(CONNECTION_TIMEOUT, connection).await {
                        Ok(Ok(())) | Err(_) => {}
                        Ok(Err(error)) => debug!(error, "a client's connection ended badly"),
                    }
                });
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
    drop(listener);
    if timeout(SHUTDOWN_TIMEOUT, graceful.shutdown())
        .await
        .is_err()
    {
        debug!("abandoned responses that were under way");
    }
}

/// One connection to its end.
async fn connection(
    stream: TcpStream,
    site: Arc<HttpContext>,
    watcher: Watcher,
) -> Result<(), String> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let stream = Box::pin(stream);
    let tls = site
        .web
        .borrow()
        .tls
        .as_ref()
        .map(|tls| Arc::clone(&tls.server));
    let Some(tls) = tls else {
        return http1(stream, site, "http", watcher).await;
    };
    // In a box, since a scraper may keep a connection for each target: without TLS they are small.
    Box::pin(over_tls(stream, tls, site, watcher)).await
}

async fn over_tls<S>(
    stream: S,
    tls: Arc<ServerConfig>,
    site: Arc<HttpContext>,
    watcher: Watcher,
) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = timeout(HEADER_READ_TIMEOUT, TlsAcceptor::from(tls).accept(stream)).await;
    let session = handshake
        .map_err(|_| "no handshake in time".to_owned())?
        .map_err(|error| error.to_string())?;
    match session.get_ref().1.alpn_protocol() {
        Some(b"h2") => http2(session, site, watcher).await,
        _ => http1(session, site, "https", watcher).await,
    }
}

async fn http1<S>(
    stream: S,
    site: Arc<HttpContext>,
    scheme: &'static str,
    watcher: Watcher,
) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service(site, scheme));
    watcher
        .watch(connection)
        .await
        .map_err(|error| error.to_string())
}

async fn http2<S>(stream: S, site: Arc<HttpContext>, watcher: Watcher) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .keep_alive_interval(HEADER_READ_TIMEOUT)
        .keep_alive_timeout(HEADER_READ_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service(site, "https"));
    watcher
        .watch(connection)
        .await
        .map_err(|error| error.to_string())
}

fn service(
    site: Arc<HttpContext>,
    scheme: &'static str,
) -> impl HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible, Future: Send + 'static> {
    service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { site.answer(request, scheme).await }
    })
}

/// The connections of one listener, the oldest first.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    order: VecDeque<AbortHandle>,
}

impl Connections {
    /// Starts one more. Where there are too many, the oldest goes: a flood of idle ones then pushes
    /// out itself, not the scraper that asks and is answered at once.
    fn add(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        if self.order.len() >= MAX_CONNECTIONS {
            self.order.retain(|one| !one.is_finished());
        }
        if self.order.len() >= MAX_CONNECTIONS
            && let Some(oldest) = self.order.pop_front()
        {
            oldest.abort();
        }
        self.order.push_back(self.tasks.spawn(connection));
    }
}

/// Binds `address`, which is `host:port`, or `:port` for every address of this host.
///
/// # Errors
/// The address cannot be understood or bound.
pub async fn bind(address: &str) -> io::Result<TcpListener> {
    match address.strip_prefix(':') {
        // An IPv6 socket takes IPv4 too, where the host has IPv6 at all.
        Some(port) => match TcpListener::bind(format!("[::]:{port}")).await {
            Ok(listener) => Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
            Err(_) => TcpListener::bind(format!("0.0.0.0:{port}")).await,
        },
        None => TcpListener::bind(address).await,
    }
}
