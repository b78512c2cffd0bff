//! Accepts connections and serves HTTP/1.1 and HTTP/2 over them, with or without TLS. Every wait for a
//! client has a timeout, and the number of connections is limited.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::response::Body;
use super::routes::{ConnectionOrigin, Routes};

/// Per listener.
const MAX_CONNECTIONS: usize = 256;
/// For request headers and for a TLS handshake; also closes a connection without a request.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// For a client to read the response.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// For a whole connection; scrapers reconnect.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15 * 60);
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// Per HTTP/2 connection; a scraper uses one stream.
const MAX_STREAMS: u32 = 8;
/// For responses in flight at the stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// After an error of `accept`, for example when no file descriptor is left.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Binds `host:port`, or `:port` on every address of this host.
///
/// # Errors
/// The address is invalid or cannot be bound.
pub async fn bind(address: &str) -> io::Result<TcpListener> {
    match address.strip_prefix(':').map(str::parse) {
        Some(Ok(port)) => match bind_dual_stack(port) {
            // The host may have no IPv6.
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
            }
            result => result,
        },
        _ => TcpListener::bind(address).await,
    }
}

/// An IPv6 socket that accepts IPv4 too, which Windows does not do by default.
fn bind_dual_stack(port: u16) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    socket.set_only_v6(false)?;
    // On Windows, it would allow a second process on the same port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves on every listener until `stop`, and then completes responses in flight for at most
/// [`SHUTDOWN_TIMEOUT`].
pub async fn run(listeners: Vec<TcpListener>, routes: Arc<Routes>, stop: CancellationToken) {
    let mut tasks = JoinSet::new();
    for listener in listeners {
        tasks.spawn(accept(listener, Arc::clone(&routes), stop.clone()));
    }
    while tasks.join_next().await.is_some() {}
}

async fn accept(listener: TcpListener, routes: Arc<Routes>, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let mut connections = Connections::default();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, client)) => {
                let connection =
                    serve(stream, client.ip(), Arc::clone(&routes), graceful.watcher());
                connections.add(async move {
                    if let Ok(Err(error)) = timeout(CONNECTION_TIMEOUT, connection).await {
                        debug!(error = format!("{error:#}"), "connection failed");
                    }
                });
            }
            // The client has left again.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => {
                warn!(%error, "cannot accept a connection, trying again; check the limit of open files");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
    drop(listener);
    let shutdown = timeout(SHUTDOWN_TIMEOUT, graceful.shutdown()).await;
    if shutdown.is_err() {
        debug!("aborted responses in flight at shutdown");
    }
}

async fn serve(
    stream: TcpStream,
    client: IpAddr,
    routes: Arc<Routes>,
    watcher: Watcher,
) -> anyhow::Result<()> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let stream = Box::pin(stream);
    let web = Arc::clone(&routes.state.web.borrow());
    match &web.tls {
        None => {
            http1(
                stream,
                routes,
                ConnectionOrigin {
                    client,
                    scheme: "http",
                },
                watcher,
            )
            .await
        }
        // Boxed, to keep the future of a plain connection small: a scraper may hold one per target.
        Some(tls) => {
            let origin = ConnectionOrigin {
                client,
                scheme: "https",
            };
            Box::pin(serve_tls(
                stream,
                Arc::clone(&tls.server),
                routes,
                origin,
                watcher,
            ))
            .await
        }
    }
}

async fn serve_tls(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    tls: Arc<ServerConfig>,
    routes: Arc<Routes>,
    origin: ConnectionOrigin,
    watcher: Watcher,
) -> anyhow::Result<()> {
    let handshake = timeout(HEADER_READ_TIMEOUT, TlsAcceptor::from(tls).accept(stream)).await;
    let session = handshake.context("TLS handshake timed out")??;
    match session.get_ref().1.alpn_protocol() {
        Some(b"h2") => http2(session, routes, origin, watcher).await,
        _ => http1(session, routes, origin, watcher).await,
    }
}

async fn http1(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    routes: Arc<Routes>,
    origin: ConnectionOrigin,
    watcher: Watcher,
) -> anyhow::Result<()> {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service(routes, origin));
    Ok(watcher.watch(connection).await?)
}

async fn http2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    routes: Arc<Routes>,
    origin: ConnectionOrigin,
    watcher: Watcher,
) -> anyhow::Result<()> {
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .keep_alive_interval(HEADER_READ_TIMEOUT)
        .keep_alive_timeout(HEADER_READ_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service(routes, origin));
    Ok(watcher.watch(connection).await?)
}

fn service(
    routes: Arc<Routes>,
    origin: ConnectionOrigin,
) -> impl HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send + 'static> {
    service_fn(move |request| {
        let routes = Arc::clone(&routes);
        async move { Ok(routes.respond(request, origin).await) }
    })
}

/// The connections of one listener.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    /// The oldest first.
    order: VecDeque<AbortHandle>,
}

impl Connections {
    /// Spawns a connection. At the limit the oldest one is closed: a flood of idle connections then
    /// evicts its own, and a scraper, which is answered at once, gets through.
    fn add(&mut self, connection: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        if self.order.len() >= MAX_CONNECTIONS {
            self.order.retain(|task| !task.is_finished());
        }
        if self.order.len() >= MAX_CONNECTIONS
            && let Some(oldest) = self.order.pop_front()
        {
            oldest.abort();
        }
        self.order.push_back(self.tasks.spawn(connection));
    }
}
