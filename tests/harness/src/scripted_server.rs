//! A web server with a fixed response for each path, byte for byte, so that two clients can be
//! compared.

use std::io::{ErrorKind, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ccass_2fa_lab::Identity;
use flate2::Compression;
use flate2::write::GzEncoder;
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

/// How a server treats a new connection.
#[derive(Clone)]
pub enum Behavior {
    Plain,
    Tls(Arc<ServerConfig>),
    Reset,
    Silent,
}

impl Behavior {
    pub fn tls(identity: &Identity, versions: &[&'static SupportedProtocolVersion]) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("the provider supports the versions")
            .with_no_client_auth()
            .with_single_cert(identity.chain.clone(), identity.key.clone_key())
            .expect("the key matches the certificate");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // The server chooses the cipher, so that two clients get the same one.
        config.ignore_client_order = true;
        Self::Tls(Arc::new(config))
    }
}

/// A running server; it stops when it is dropped.
pub struct Server {
    pub address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl Server {
    /// Starts on a free port of 127.0.0.1.
    pub async fn start(behavior: Behavior) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        Self::run(listener.expect("a free port"), behavior)
    }

    /// Starts two servers, on the same free port of 127.0.0.1 and of ::1.
    pub async fn start_dual_stack(behavior: Behavior) -> [Self; 2] {
        loop {
            let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
            let v4 = v4.expect("a free port");
            let port = v4.local_addr().expect("a bound socket").port();
            match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
                Ok(v6) => return [v4, v6].map(|one| Self::run(one, behavior.clone())),
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => panic!("cannot listen on ::1: {error}"),
            }
        }
    }

    fn run(listener: TcpListener, behavior: Behavior) -> Self {
        let address = listener.local_addr().expect("a bound socket");
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                connections.spawn(serve(stream, address.port(), behavior.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            _task: AbortOnDropHandle::new(task),
        }
    }
}

async fn serve(stream: TcpStream, port: u16, behavior: Behavior) {
    match behavior {
        Behavior::Plain => respond(stream, port, "http").await,
        Behavior::Tls(config) => {
            if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                respond(stream, port, "https").await;
            }
        }
        Behavior::Reset => {
            let socket = socket2::SockRef::from(&stream);
            socket
                .set_linger(Some(Duration::ZERO))
                .expect("SO_LINGER is supported");
        }
        Behavior::Silent => std::future::pending().await,
    }
}

async fn respond<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, port: u16, scheme: &str) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    for step in response_steps(&path, &head, port, scheme) {
        match step {
            Step::Send(bytes) => {
                if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
            Step::Wait(pause) => tokio::time::sleep(pause).await,
        }
    }
    let _ = stream.shutdown().await;
}

/// The delay of slow responses.
const DELAY: Duration = Duration::from_secs(1);
/// Longer than any client waits.
const FOREVER: Duration = Duration::from_secs(3600);

enum Step {
    Send(Vec<u8>),
    Wait(Duration),
}

const PAGE: &str =
    "<html><head><title>Login</title></head><body>Welcome to the login</body></html>";

/// The response to each path.
fn response_steps(path: &str, head: &str, port: u16, scheme: &str) -> Vec<Step> {
    let origin = format!("{scheme}://127.0.0.1:{port}");
    let redirect = |status: u16, to: &str| response(status, &format!("Location: {to}\r\n"), b"");
    let accepts = |coding: &str| {
        let head = head.to_lowercase();
        head.lines()
            .any(|line| line.starts_with("accept-encoding:") && line.contains(coding))
    };
    if let Some(status) = path.strip_prefix("/status/") {
        let status = status.parse().expect("a status code");
        let body: &[u8] = if matches!(status, 204 | 304) {
            b""
        } else {
            b"a body"
        };
        return response(status, "", body);
    }
    if let Some(left) = path.strip_prefix("/hops/") {
        let left: u32 = left.parse().expect("a number");
        return match left {
            0 => response(200, "", PAGE.as_bytes()),
            left => redirect(302, &format!("/hops/{}", left - 1)),
        };
    }
    if let Some(status) = path.strip_prefix("/moved/") {
        return redirect(status.parse().expect("a status"), "/page");
    }
    match path {
        "/page" => response(200, "", PAGE.as_bytes()),
        "/relative" => redirect(302, "page"),
        "/absolute" => redirect(302, &format!("{origin}/page")),
        "/query" => redirect(302, "/page?from=here"),
        "/loop" => redirect(302, "/loop"),
        "/nowhere" => response(302, "", b"no location"),
        "/off-host" => redirect(302, &format!("{scheme}://localhost:{port}/page")),
        "/to-plain" => redirect(302, "http://127.0.0.1:1/page"),
        "/sets-cookie" => response(
            302,
            "Location: /wants-cookie\r\nSet-Cookie: seen=yes; Path=/\r\n",
            b"",
        ),
        "/wants-cookie" if head.contains("seen=yes") => response(200, "", PAGE.as_bytes()),
        "/wants-cookie" => response(403, "", b"no cookie"),
        "/http10" => raw(&format!(
            "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{PAGE}",
            PAGE.len()
        )),
        "/empty" => response(200, "", b""),
        "/until-close" => raw(&format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{PAGE}"
        )),
        "/large" => response(200, "", &vec![b'x'; 100_000]),
        "/short" => raw("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nthat is all"),
        "/chunked" => chunked(&["<html>", "some words", "</html>"]),
        "/gzip" if accepts("gzip") => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder
                .write_all(PAGE.as_bytes())
                .expect("memory is writable");
            let body = encoder.finish().expect("memory is writable");
            response(200, "Content-Encoding: gzip\r\n", &body)
        }
        "/gzip" => response(200, "", PAGE.as_bytes()),
        "/modified" => response(
            200,
            "Last-Modified: Wed, 01 Feb 2023 03:04:05 GMT\r\n",
            b"x",
        ),
        "/modified-never" => response(200, "Last-Modified: yesterday\r\n", b"x"),
        "/no-answer" => Vec::new(),
        "/garbage" => raw("what is this\r\n\r\n"),
        "/slow-head" => delayed(DELAY, response(200, "", PAGE.as_bytes())),
        "/slow-body" => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", PAGE.len());
            let mut steps = raw(&head);
            steps.extend(delayed(DELAY, raw(PAGE)));
            steps
        }
        "/never" => delayed(FOREVER, Vec::new()),
        "/never-body" => {
            let mut steps = raw("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nbegun");
            steps.push(Step::Wait(FOREVER));
            steps
        }
        _ => response(404, "", b"this page does not exist"),
    }
}

fn delayed(delay: Duration, mut steps: Vec<Step>) -> Vec<Step> {
    steps.insert(0, Step::Wait(delay));
    steps
}

fn raw(text: &str) -> Vec<Step> {
    vec![Step::Send(text.as_bytes().to_vec())]
}

fn response(status: u16, headers: &str, body: &[u8]) -> Vec<Step> {
    let length = match status {
        204 | 304 => String::new(),
        _ => format!("Content-Length: {}\r\n", body.len()),
    };
    let head = format!("HTTP/1.1 {status} Word\r\nConnection: close\r\n{headers}{length}\r\n");
    vec![Step::Send([head.as_bytes(), body].concat())]
}

fn chunked(parts: &[&str]) -> Vec<Step> {
    let mut text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    for part in parts {
        text.push_str(&format!("{:x}\r\n{part}\r\n", part.len()));
    }
    text.push_str("0\r\n\r\n");
    raw(&text)
}
