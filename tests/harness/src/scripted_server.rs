//! A web server that answers each path by a script, byte for byte, so that two clients can be asked
//! to read the same.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
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

/// What a server does with a connection before any request.
#[derive(Clone)]
pub enum Manner {
    Plain,
    Tls(Arc<ServerConfig>),
    Reset,
    Silent,
}

impl Manner {
    pub fn tls(identity: &Identity, versions: &[&'static SupportedProtocolVersion]) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(identity.chain.clone(), identity.key.clone_key())
            .expect("an identity");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // What the server prefers is used, so that two clients do not differ in it.
        config.ignore_client_order = true;
        Self::Tls(Arc::new(config))
    }
}

/// A server; it ends when it is dropped.
pub struct Server {
    pub address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl Server {
    pub async fn start(ip: IpAddr, port: u16, manner: Manner) -> Self {
        let listener = TcpListener::bind((ip, port)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                connections.spawn(serve(stream, address.port(), manner.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            _task: AbortOnDropHandle::new(task),
        }
    }
}

async fn serve(stream: TcpStream, port: u16, manner: Manner) {
    match manner {
        Manner::Plain => answer(stream, port, "http").await,
        Manner::Tls(config) => {
            if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                answer(stream, port, "https").await;
            }
        }
        Manner::Reset => {
            let socket = socket2::SockRef::from(&stream);
            socket.set_linger(Some(Duration::ZERO)).expect("an option");
        }
        Manner::Silent => std::future::pending().await,
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, port: u16, scheme: &str) {
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
    for step in script(&path, &head, port, scheme) {
        match step {
            Step::Say(bytes) => {
                if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
            Step::Wait(pause) => tokio::time::sleep(pause).await,
        }
    }
    let _ = stream.shutdown().await;
}

enum Step {
    Say(Vec<u8>),
    Wait(Duration),
}

const PAGE: &str =
    "<html><head><title>Login</title></head><body>Welcome to the login</body></html>";

/// The whole script, by path.
fn script(path: &str, head: &str, port: u16, scheme: &str) -> Vec<Step> {
    let here = format!("{scheme}://127.0.0.1:{port}");
    let moved = |status: u16, to: &str| say(status, &format!("Location: {to}\r\n"), b"");
    let accepts = |coding: &str| {
        let head = head.to_lowercase();
        head.lines()
            .any(|line| line.starts_with("accept-encoding:") && line.contains(coding))
    };
    if let Some(status) = path.strip_prefix("/status/") {
        let status = status.parse().expect("a status");
        let body: &[u8] = if matches!(status, 204 | 304) {
            b""
        } else {
            b"something"
        };
        return say(status, "", body);
    }
    if let Some(left) = path.strip_prefix("/hops/") {
        let left: u32 = left.parse().expect("a number");
        return match left {
            0 => say(200, "", PAGE.as_bytes()),
            left => moved(302, &format!("/hops/{}", left - 1)),
        };
    }
    if let Some(status) = path.strip_prefix("/moved/") {
        return moved(status.parse().expect("a status"), "/page");
    }
    match path {
        "/page" => say(200, "", PAGE.as_bytes()),
        "/relative" => moved(302, "page"),
        "/absolute" => moved(302, &format!("{here}/page")),
        "/query" => moved(302, "/page?from=here"),
        "/loop" => moved(302, "/loop"),
        "/nowhere" => say(302, "", b"no location"),
        "/off-host" => moved(302, &format!("{scheme}://localhost:{port}/page")),
        "/to-plain" => moved(302, "http://127.0.0.1:1/page"),
        "/sets-cookie" => say(
            302,
            "Location: /wants-cookie\r\nSet-Cookie: seen=yes; Path=/\r\n",
            b"",
        ),
        "/wants-cookie" if head.contains("seen=yes") => say(200, "", PAGE.as_bytes()),
        "/wants-cookie" => say(403, "", b"no cookie"),
        "/http10" => raw(&format!(
            "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{PAGE}",
            PAGE.len()
        )),
        "/empty" => say(200, "", b""),
        "/until-close" => raw(&format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{PAGE}"
        )),
        "/large" => say(200, "", &vec![b'x'; 100_000]),
        "/short" => raw("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nthat is all"),
        "/chunked" => chunked(&["<html>", "some words", "</html>"]),
        "/gzip" if accepts("gzip") => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(PAGE.as_bytes()).expect("memory");
            let body = encoder.finish().expect("memory");
            say(200, "Content-Encoding: gzip\r\n", &body)
        }
        "/gzip" => say(200, "", PAGE.as_bytes()),
        "/modified" => say(
            200,
            "Last-Modified: Wed, 01 Feb 2023 03:04:05 GMT\r\n",
            b"x",
        ),
        "/modified-never" => say(200, "Last-Modified: yesterday\r\n", b"x"),
        "/no-answer" => Vec::new(),
        "/garbage" => raw("what is this\r\n\r\n"),
        "/slow-head" => after(Duration::from_millis(300), say(200, "", PAGE.as_bytes())),
        "/slow-body" => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", PAGE.len());
            let mut steps = raw(&head);
            steps.extend(after(Duration::from_millis(300), raw(PAGE)));
            steps
        }
        "/never" => after(Duration::from_secs(60), Vec::new()),
        "/never-body" => {
            let mut steps = raw("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nbegun");
            steps.push(Step::Wait(Duration::from_secs(60)));
            steps
        }
        _ => say(404, "", b"there is no such page"),
    }
}

fn after(pause: Duration, mut steps: Vec<Step>) -> Vec<Step> {
    steps.insert(0, Step::Wait(pause));
    steps
}

fn raw(text: &str) -> Vec<Step> {
    vec![Step::Say(text.as_bytes().to_vec())]
}

fn say(status: u16, headers: &str, body: &[u8]) -> Vec<Step> {
    let length = match status {
        204 | 304 => String::new(),
        _ => format!("Content-Length: {}\r\n", body.len()),
    };
    let head = format!("HTTP/1.1 {status} Word\r\nConnection: close\r\n{headers}{length}\r\n");
    vec![Step::Say([head.as_bytes(), body].concat())]
}

fn chunked(parts: &[&str]) -> Vec<Step> {
    let mut text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    for part in parts {
        text.push_str(&format!("{:x}\r\n{part}\r\n", part.len()));
    }
    text.push_str("0\r\n\r\n");
    raw(&text)
}
