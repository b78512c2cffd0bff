//! A login server over TLS on loopback with configurable faults.
//!
//! Input: an identity and at most one fault. Output: a page at `/sso`, or the fault, on real sockets,
//! and the records of the guard. A connection keeps the fault that was active when it was accepted.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::Version;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::answers::{self, ConnectionInfo};
use crate::authority::Identity;
use crate::faults::{Fault, HttpFault, TcpFault};
use crate::guard::{Guard, Seen};
use crate::hello::{Hello, Replayed};
use crate::port::TcpPort;
use crate::tasks::Task;
use crate::{ACCEPT_PAUSE, MAX_WAIT, raw, session};

/// A ClientHello of more bytes than this does not fit into one packet.
pub const LARGE_HELLO: usize = 1400;

const MAX_CONNECTIONS: usize = 512;
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// A login server; it stops when it is dropped.
pub struct LoginServer {
    state: Arc<State>,
    _accepting: Task,
}

/// The ALPN protocols of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// h2 and http/1.1.
    Both,
    /// Only http/1.1.
    Http1,
    /// The extension is left out.
    Absent,
}

struct State {
    port: Arc<TcpPort>,
    settings: watch::Sender<Settings>,
    guard: Arc<Guard>,
}

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) identity: Arc<Identity>,
    pub(crate) alpn: Alpn,
    pub(crate) fault: Option<Fault>,
}

impl LoginServer {
    /// Starts on 127.0.0.1.
    ///
    /// # Errors
    /// When the address cannot be bound, or the identity's key does not match its certificate.
    pub async fn start(identity: Identity) -> io::Result<Self> {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), identity).await
    }

    /// Starts on a free port of `ip`, a loopback address.
    ///
    /// # Errors
    /// As `start`.
    pub async fn start_on(ip: IpAddr, identity: Identity) -> io::Result<Self> {
        Self::start_on_port(ip, 0, identity).await
    }

    /// Starts on this port. It may be in use: `start_on_each` tries again.
    ///
    /// # Errors
    /// As `start`.
    pub async fn start_on_port(ip: IpAddr, port: u16, identity: Identity) -> io::Result<Self> {
        Self::open(SocketAddr::new(ip, port), identity, Guard::default())
    }

    /// Starts one server per address, all on the same port, for a name with several addresses. Each
    /// has its own fault and counts; all accept each other's cookies.
    ///
    /// # Errors
    /// As `start`, or when no port is free on all addresses.
    pub async fn start_on_each(ips: &[IpAddr], identity: &Identity) -> io::Result<Vec<Self>> {
        const ATTEMPTS: usize = 64;
        let mut last = io::Error::from(io::ErrorKind::InvalidInput);
        for _ in 0..ATTEMPTS {
            let guard = Guard::default();
            let mut servers: Vec<Self> = Vec::new();
            for ip in ips {
                let port = servers.first().map_or(0, |server| server.addr().port());
                let addr = SocketAddr::new(*ip, port);
                match Self::open(addr, identity.clone(), guard.sibling()) {
                    Ok(server) => servers.push(server),
                    Err(error) => last = error,
                }
            }
            if !servers.is_empty() && servers.len() == ips.len() {
                return Ok(servers);
            }
        }
        Err(last)
    }

    fn open(addr: SocketAddr, identity: Identity, guard: Guard) -> io::Result<Self> {
        let settings = Settings {
            identity: Arc::new(identity),
            alpn: Alpn::Both,
            fault: None,
        };
        session::config(&settings).map_err(io::Error::other)?;
        let state = Arc::new(State {
            port: TcpPort::open(addr)?,
            settings: watch::Sender::new(settings),
            guard: Arc::new(guard),
        });
        Ok(Self {
            _accepting: Task::spawn(accept(Arc::clone(&state))),
            state,
        })
    }

    pub fn addr(&self) -> SocketAddr {
        self.state.port.addr()
    }

    /// The URL of `path`, which starts with a slash, on this server under the name `host`.
    pub fn url(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.addr().port())
    }

    /// Sets the fault of the next connections, and closes idle ones.
    pub fn set_fault(&self, fault: impl Into<Fault>) {
        self.replace_fault(Some(fault.into()));
    }

    /// Removes the fault.
    pub fn clear(&self) {
        self.replace_fault(None);
        self.state.guard.forget_refusals();
    }

    /// Sets the identity of the next connections.
    pub fn set_identity(&self, identity: Identity) {
        self.state
            .settings
            .send_modify(|settings| settings.identity = Arc::new(identity));
    }

    pub fn set_alpn(&self, alpn: Alpn) {
        self.state
            .settings
            .send_modify(|settings| settings.alpn = alpn);
    }

    /// The violations, oldest first; at most 256.
    pub fn violations(&self) -> Vec<String> {
        self.state.guard.violations()
    }

    /// The requests, oldest first; at most the last 4096.
    pub fn requests(&self) -> Vec<Seen> {
        self.state.guard.requests()
    }

    /// The number of accepted connections.
    pub fn connections(&self) -> u64 {
        self.state.guard.connections()
    }

    /// The sizes of the ClientHellos on the wire, in bytes; at most the last 4096.
    pub fn hellos(&self) -> Vec<usize> {
        self.state.guard.hellos()
    }

    fn replace_fault(&self, fault: Option<Fault>) {
        let refuse = fault == Some(Fault::Tcp(TcpFault::Refuse));
        self.state
            .settings
            .send_modify(|settings| settings.fault = fault);
        if refuse {
            self.state.port.close();
        } else {
            self.state.port.reopen();
        }
    }
}

impl Drop for LoginServer {
    /// Refuses connections immediately; the tasks end later.
    fn drop(&mut self) {
        self.state.port.close();
    }
}

async fn accept(state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = state.port.accept().await else {
            // Usually no file descriptor is free; the connection stays in the queue.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        // Otherwise a small response waits for an acknowledgement.
        let _ = stream.set_nodelay(true);
        let number = state.guard.connection();
        if connections.len() < MAX_CONNECTIONS {
            let state = Arc::clone(&state);
            connections.spawn(timeout(2 * MAX_WAIT, async move {
                let _ = serve(&state, stream, number).await;
            }));
        }
    }
}

/// Serves one connection, layer by layer.
async fn serve(state: &State, mut stream: TcpStream, number: u64) -> io::Result<()> {
    let changes = state.settings.subscribe();
    let settings = changes.borrow().clone();
    if let Some(Fault::Tcp(fault)) = &settings.fault {
        return tcp_fault(fault, stream).await;
    }
    let hello = timeout(MAX_WAIT, Hello::read(&mut stream)).await??;
    if hello.is_tls {
        state.guard.hello(hello.bytes.len());
    }
    if let Some(Fault::Tls(fault)) = &settings.fault
        && let Some(action) = session::action(fault, hello.bytes.len())
    {
        return tls_fault(action, stream).await;
    }
    let config = session::config(&settings).map_err(io::Error::other)?;
    let accepting = TlsAcceptor::from(Arc::new(config)).accept(Replayed::new(hello, stream));
    let tls = match timeout(MAX_WAIT, accepting.into_fallible()).await? {
        Ok(tls) => tls,
        Err((_, replayed)) => return raw::end(replayed).await,
    };
    let connection_info = ConnectionInfo {
        connection: number,
        server_name: tls.get_ref().1.server_name().map(ToOwned::to_owned),
    };
    let is_http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    match &settings.fault {
        Some(Fault::Http(HttpFault::NotProcessed(how, times)))
            if is_http2 && state.guard.refuse(*times) =>
        {
            raw::refuse(tls, *how).await
        }
        Some(fault) if raw::is_raw(fault) => {
            raw::serve(&state.guard, fault, connection_info, tls).await
        }
        _ => http(state, settings, changes, connection_info, tls).await,
    }
}

async fn tcp_fault(fault: &TcpFault, stream: TcpStream) -> io::Result<()> {
    match fault {
        // The connection was accepted before the port was closed.
        TcpFault::Refuse | TcpFault::ResetOnAccept => stream.set_zero_linger(),
        TcpFault::AcceptAndSayNothing => raw::hold(stream).await,
        TcpFault::CloseOnAccept => raw::end(stream).await,
    }
}

async fn tls_fault(action: session::Action, mut stream: TcpStream) -> io::Result<()> {
    match action {
        session::Action::Send(bytes) => {
            stream.write_all(&bytes).await?;
            raw::end(stream).await
        }
        session::Action::Reset => stream.set_zero_linger(),
        session::Action::Close => raw::end(stream).await,
        session::Action::Silence => raw::hold(stream).await,
    }
}

async fn http(
    state: &State,
    settings: Settings,
    mut changes: watch::Receiver<Settings>,
    connection_info: ConnectionInfo,
    tls: TlsStream<Replayed>,
) -> io::Result<()> {
    let fault = Arc::new(settings.fault);
    let service = service_fn(|request| {
        let (guard, fault) = (Arc::clone(&state.guard), Arc::clone(&fault));
        let connection_info = connection_info.clone();
        async move {
            let fault = fault.as_ref().as_ref();
            if let Some(Fault::Http(HttpFault::RefuseStreams(times))) = fault
                && request.version() == Version::HTTP_2
                && guard.refuse(*times)
            {
                return Err(h2::Error::from(h2::Reason::REFUSED_STREAM));
            }
            Ok(answers::answer(&guard, fault, connection_info, request).await)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    let connection = builder.serve_connection(TokioIo::new(tls), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = changes.changed() => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_err(io::Error::other)
}
