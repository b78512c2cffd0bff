//! A web proxy on one port: CONNECT in plain text, CONNECT over TLS to the proxy, and SOCKS5,
//! distinguished by the first byte. It resolves every name to the address of the login server.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::authority::Identity;
use crate::faults::ProxyFault;
use crate::port::TcpPort;
use crate::tasks::Task;
use crate::{ACCEPT_PAUSE, MAX_WAIT, locked, session};

const MAX_CONNECTIONS: usize = 512;
const MAX_HEAD: usize = 8 * 1024;
/// `clerk:lab-secret` as the value of a header.
const BASIC: &str = "Basic Y2xlcms6bGFiLXNlY3JldA==";
pub(crate) const CREDENTIALS: &str = "clerk:lab-secret";

/// A web proxy; it stops when it is dropped.
pub struct ProxyServer {
    state: Arc<State>,
    _accepting: Task,
}

struct State {
    port: Arc<TcpPort>,
    upstream: IpAddr,
    identity: watch::Sender<Arc<Identity>>,
    fault: watch::Sender<Option<ProxyFault>>,
    asked: Mutex<Vec<String>>,
}

impl ProxyServer {
    /// Starts on a free port of 127.0.0.1; every name resolves to `upstream`.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(upstream: IpAddr, identity: Identity) -> io::Result<Self> {
        let state = Arc::new(State {
            port: TcpPort::open(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0))?,
            upstream,
            identity: watch::Sender::new(Arc::new(identity)),
            fault: watch::Sender::new(None),
            asked: Mutex::default(),
        });
        Ok(Self {
            _accepting: Task::spawn(accept(Arc::clone(&state))),
            state,
        })
    }

    pub fn addr(&self) -> SocketAddr {
        self.state.port.addr()
    }

    /// Sets the fault of the next connections.
    pub fn set_fault(&self, fault: ProxyFault) {
        self.state.fault.send_replace(Some(fault));
    }

    pub fn clear(&self) {
        self.state.fault.send_replace(None);
    }

    /// Sets the identity for TLS to the proxy.
    pub fn set_identity(&self, identity: Identity) {
        self.state.identity.send_replace(Arc::new(identity));
    }

    /// The `host:port` of each requested tunnel.
    pub fn asked(&self) -> Vec<String> {
        locked(&self.state.asked).clone()
    }
}

async fn accept(state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        match state.port.accept().await {
            Ok((stream, _)) if connections.len() < MAX_CONNECTIONS => {
                let state = Arc::clone(&state);
                connections.spawn(async move {
                    let _ = timeout(MAX_WAIT, serve(stream, &state)).await;
                });
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, state: &State) -> io::Result<()> {
    const SOCKS5: u8 = 5;
    const TLS_HANDSHAKE: u8 = 22;
    let mut first = [0];
    stream.peek(&mut first).await?;
    match first[0] {
        SOCKS5 => socks(stream, state).await,
        TLS_HANDSHAKE => {
            let identity = Arc::clone(&state.identity.borrow());
            let acceptor = session::acceptor(&identity, &[])?;
            connect(acceptor.accept(stream).await?, state).await
        }
        _ => connect(stream, state).await,
    }
}

/// Reads a CONNECT request and answers it.
async fn connect<IO>(mut stream: IO, state: &State) -> io::Result<()>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > MAX_HEAD {
            return Ok(());
        }
        head.push(stream.read_u8().await?);
    }
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let complete = request
        .parse(&head)
        .is_ok_and(|status| status.is_complete());
    if let (Some("GET"), Some(url)) = (request.method, request.path)
        && let Some(rest) = url.strip_prefix("http://")
    {
        locked(&state.asked).push(url.to_owned());
        let rest = rest.to_owned();
        return forward(stream, state, &rest).await;
    }
    let (Some("CONNECT"), Some(target), true) = (request.method, request.path, complete) else {
        return stream.write_all(&answer("400 Bad Request", "", "")).await;
    };
    let target = target.to_owned();
    locked(&state.asked).push(target.clone());
    let authenticated = request.headers.iter().any(|header| {
        header.name.eq_ignore_ascii_case("proxy-authorization") && header.value == BASIC.as_bytes()
    });
    let fault = state.fault.borrow().clone();
    let response = match fault {
        Some(ProxyFault::WantCredentials(_)) if authenticated => None,
        Some(ProxyFault::WantCredentials(schemes)) => {
            let challenges: String = schemes
                .iter()
                .map(|scheme| format!("Proxy-Authenticate: {scheme}\r\n"))
                .collect();
            Some(answer("407 Proxy Authentication Required", &challenges, ""))
        }
        Some(ProxyFault::Forbid) => Some(answer("403 Forbidden", "Via: 1.1 lab\r\n", BLOCK_PAGE)),
        Some(ProxyFault::Unavailable) => Some(answer("502 Bad Gateway", "Via: 1.1 lab\r\n", "")),
        Some(ProxyFault::OwnPage) => Some(answer("200 OK", "", BLOCK_PAGE)),
        Some(ProxyFault::Garbage) => Some(b"unexpected input\r\n\r\n".to_vec()),
        Some(ProxyFault::Close) => return Ok(()),
        Some(ProxyFault::Silent) => return std::future::pending().await,
        None => None,
    };
    if let Some(response) = response {
        stream.write_all(&response).await?;
        return stream.shutdown().await;
    }
    let port = target
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok());
    let upstream = SocketAddr::new(state.upstream, port.unwrap_or(443));
    match TcpStream::connect(upstream).await {
        Err(_) => stream.write_all(&answer("502 Bad Gateway", "", "")).await,
        Ok(mut upstream) => {
            stream
                .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                .await?;
            copy_bidirectional(&mut stream, &mut upstream)
                .await
                .map(drop)
        }
    }
}

/// Forwards a GET for `authority/path` in plain http.
async fn forward<IO>(mut stream: IO, state: &State, url: &str) -> io::Result<()>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let (authority, path) = url.split_once('/').unwrap_or((url, ""));
    let port = authority
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok());
    let upstream = SocketAddr::new(state.upstream, port.unwrap_or(80));
    let Ok(mut upstream) = TcpStream::connect(upstream).await else {
        return stream.write_all(&answer("502 Bad Gateway", "", "")).await;
    };
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    upstream.write_all(request.as_bytes()).await?;
    tokio::io::copy(&mut upstream, &mut stream).await?;
    stream.shutdown().await
}

const BLOCK_PAGE: &str = "<html><head><title>Access denied</title></head><body>Your company's web \
                          filter does not allow this address.</body></html>";

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    // A 200 to CONNECT has no body: the tunnel starts after its head.
    let length = if status.starts_with('2') {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    format!("HTTP/1.1 {status}\r\n{headers}{length}\r\n{body}").into_bytes()
}

/// Serves SOCKS5 (RFC 1928, RFC 1929); only CONNECT.
async fn socks(mut stream: TcpStream, state: &State) -> io::Result<()> {
    const NO_AUTHENTICATION: u8 = 0;
    const PASSWORD: u8 = 2;
    const NO_ACCEPTABLE_METHOD: u8 = 0xff;
    let fault = state.fault.borrow().clone();
    match fault {
        Some(ProxyFault::Silent) => return std::future::pending().await,
        Some(ProxyFault::Close) => return Ok(()),
        Some(ProxyFault::Garbage) => return stream.write_all(b"unexpected input\r\n").await,
        _ => {}
    }
    let _version = stream.read_u8().await?;
    let mut methods = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut methods).await?;
    let method = match fault {
        Some(ProxyFault::WantCredentials(_)) => PASSWORD,
        _ => NO_AUTHENTICATION,
    };
    if !methods.contains(&method) {
        return stream.write_all(&[5, NO_ACCEPTABLE_METHOD]).await;
    }
    stream.write_all(&[5, method]).await?;
    if method == PASSWORD {
        let _version = stream.read_u8().await?;
        let mut given = Vec::new();
        for _ in 0..2 {
            let mut part = vec![0; stream.read_u8().await?.into()];
            stream.read_exact(&mut part).await?;
            given.push(String::from_utf8_lossy(&part).into_owned());
        }
        let correct = given.join(":") == CREDENTIALS;
        stream.write_all(&[1, u8::from(!correct)]).await?;
        if !correct {
            return Ok(());
        }
    }
    let mut request = [0; 4];
    stream.read_exact(&mut request).await?;
    let host = match request[3] {
        1 => Ipv4Addr::from(stream.read_u32().await?).to_string(),
        4 => format!("{:x}", stream.read_u128().await?),
        _ => {
            let mut name = vec![0; stream.read_u8().await?.into()];
            stream.read_exact(&mut name).await?;
            String::from_utf8_lossy(&name).into_owned()
        }
    };
    let port = stream.read_u16().await?;
    locked(&state.asked).push(format!("{host}:{port}"));
    let upstream = TcpStream::connect(SocketAddr::new(state.upstream, port)).await;
    let code = match (&fault, &upstream) {
        (Some(ProxyFault::Forbid | ProxyFault::OwnPage), _) => 2,
        (Some(ProxyFault::Unavailable), _) => 4,
        (_, Err(_)) => 5,
        (_, Ok(_)) => 0,
    };
    stream.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    match upstream {
        Ok(mut upstream) if code == 0 => copy_bidirectional(&mut stream, &mut upstream)
            .await
            .map(drop),
        _ => Ok(()),
    }
}
