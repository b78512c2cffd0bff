//! The listener: connections in, responses out, and no client can hold it for long.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::routes::Routes;

/// Of one listener.
const MAX_CONNECTIONS: usize = 256;
/// For a request's head; a connection without a request is closed after it too.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// For a connection as a whole: a scraper just opens another.
const CONNECTION_LIMIT: Duration = Duration::from_secs(15 * 60);
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How long responses under way may take after the stop.
const GRACE: Duration = Duration::from_secs(2);
/// A pause when the system has no descriptor left for another connection.
const BREATH: Duration = Duration::from_millis(100);

/// Serves on every listener until `stop`, then lets responses under way end, but not for long.
pub async fn run(listeners: Vec<TcpListener>, routes: Arc<Routes>, stop: CancellationToken) {
    let mut loops = JoinSet::new();
    for listener in listeners {
        loops.spawn(accept(listener, Arc::clone(&routes), stop.clone()));
    }
    while loops.join_next().await.is_some() {}
}

async fn accept(listener: TcpListener, routes: Arc<Routes>, stop: CancellationToken) {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(MAX_HEAD_BYTES);
    let graceful = GracefulShutdown::new();
    let mut connections = Connections::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let routes = Arc::clone(&routes);
                let service = service_fn(move |request| {
                    let routes = Arc::clone(&routes);
                    async move { Ok::<_, Infallible>(routes.answer(&request, "http").await) }
                });
                let connection = protocol.serve_connection(TokioIo::new(stream), service);
                let connection = graceful.watch(connection);
                connections.add(async move {
                    match timeout(CONNECTION_LIMIT, connection).await {
                        Ok(Ok(())) | Err(_) => {}
                        Ok(Err(error)) => debug!(%error, "a client's connection ended badly"),
                    }
                });
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    drop(listener);
    if timeout(GRACE, graceful.shutdown()).await.is_err() {
        debug!("abandoned responses that were under way");
    }
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
