//! The web server of an authority, on plain http: the certificates of issuers, to which leaves refer
//! (AIA).

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::port::TcpPort;
use crate::tasks::Task;
use crate::{ACCEPT_PAUSE, MAX_WAIT, locked, raw};

const MAX_HEAD: usize = 16 * 1024;
const MAX_CONNECTIONS: usize = 64;
/// More than a client may accept of a certificate.
const LARGE: usize = 64 * 1024 + 1;

/// A web server with files; it stops when it is dropped. `/silent.crt` is never answered.
pub struct IssuerServer {
    addr: SocketAddr,
    state: Arc<State>,
    _accepting: Task,
}

#[derive(Default)]
struct State {
    files: Mutex<HashMap<String, Vec<u8>>>,
    requests: Mutex<Vec<String>>,
    is_silent: AtomicBool,
}

impl IssuerServer {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> io::Result<Self> {
        let port = TcpPort::open(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0))?;
        let state = Arc::<State>::default();
        state.publish("/large.crt", vec![0x30; LARGE]);
        state.publish("/garbage.crt", b"<html>It works!</html>".to_vec());
        Ok(Self {
            addr: port.addr(),
            _accepting: Task::spawn(accept(port, Arc::clone(&state))),
            state,
        })
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Publishes a certificate below `path` in each form: `.crt`, `.pem` and `.p7c`.
    pub fn publish(&self, path: &str, certificate: &CertificateDer<'static>) {
        let pem = pem::encode(&pem::Pem::new("CERTIFICATE", certificate.as_ref()));
        self.state
            .publish(&format!("{path}.crt"), certificate.to_vec());
        self.state.publish(&format!("{path}.pem"), pem.into_bytes());
        self.state
            .publish(&format!("{path}.p7c"), pkcs7(certificate));
    }

    /// Whether requests for any file are never answered.
    pub fn set_silent(&self, is_silent: bool) {
        self.state.is_silent.store(is_silent, Ordering::Relaxed);
    }

    /// The first lines of the requests.
    pub fn requests(&self) -> Vec<String> {
        locked(&self.state.requests).clone()
    }
}

impl State {
    fn publish(&self, path: &str, bytes: Vec<u8>) {
        locked(&self.files).insert(path.to_owned(), bytes);
    }
}

async fn accept(port: Arc<TcpPort>, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        match port.accept().await {
            Ok((stream, _)) if connections.len() < MAX_CONNECTIONS => {
                connections.spawn(timeout(MAX_WAIT, serve(stream, Arc::clone(&state))));
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, state: Arc<State>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let line = head.lines().next().unwrap_or_default().to_owned();
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    locked(&state.requests).push(line);
    if path == "/silent.crt" || state.is_silent.load(Ordering::Relaxed) {
        return raw::hold(stream).await;
    }
    let file = locked(&state.files).get(&path).cloned();
    let (status, body) = match file {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", Vec::new()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/pkix-cert\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), &body].concat()).await?;
    raw::end(stream).await
}

/// SignedData with nothing but a certificate (RFC 2315, 9.1).
fn pkcs7(certificate: &CertificateDer<'static>) -> Vec<u8> {
    const SIGNED_DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 2];
    const DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 1];
    let oid = yasna::models::ObjectIdentifier::from_slice;
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_oid(&oid(SIGNED_DATA));
            writer
                .next()
                .write_tagged(yasna::Tag::context(0), |writer| {
                    writer.write_sequence(|writer| {
                        writer.next().write_u8(1);
                        writer.next().write_set_of(|_| {});
                        writer
                            .next()
                            .write_sequence(|writer| writer.next().write_oid(&oid(DATA)));
                        writer
                            .next()
                            .write_tagged_implicit(yasna::Tag::context(0), |writer| {
                                writer.write_set_of(|writer| writer.next().write_der(certificate));
                            });
                        writer.next().write_set_of(|_| {});
                    });
                });
        });
    })
}
