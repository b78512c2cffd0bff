//! Clients for the lab's own tests: rustls over tokio, hyper, and plain sockets.

use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ccass_2fa_lab::Authority;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::crypto::{SupportedKxGroup, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub const NAME: &str = "sso.lab.test";
/// Limits every wait. It only ends a hang: no test depends on its length.
pub const TIMEOUT: Duration = Duration::from_secs(60);
/// How long a server that must not answer is observed.
const SILENCE: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum HelloSize {
    /// With an ML-KEM key share: larger than one packet.
    Large,
    /// Only with classic key exchange groups.
    Small,
}

pub fn config(authority: &Authority, size: HelloSize, alpn: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(authority.root_der())
        .expect("the root is a certificate");
    let mut provider = aws_lc_rs::default_provider();
    let classic: Vec<&'static dyn SupportedKxGroup> =
        vec![aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1];
    provider.kx_groups = match size {
        HelloSize::Small => classic,
        HelloSize::Large => {
            let mut groups: Vec<&'static dyn SupportedKxGroup> =
                vec![aws_lc_rs::kx_group::X25519MLKEM768];
            groups.extend(classic);
            groups
        }
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// A handshake with the large ClientHello that offers h2 and http/1.1.
pub async fn handshake(
    addr: SocketAddr,
    authority: &Authority,
) -> io::Result<TlsStream<TcpStream>> {
    handshake_with(
        addr,
        config(authority, HelloSize::Large, &["h2", "http/1.1"]),
    )
    .await
}

pub async fn handshake_with(
    addr: SocketAddr,
    config: Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(addr).await?;
    let name = NAME.try_into().expect("a name");
    timeout(TIMEOUT, TlsConnector::from(config).connect(name, stream)).await?
}

/// The TLS error of a handshake that fails.
pub async fn tls_error(addr: SocketAddr, authority: &Authority) -> rustls::Error {
    let error = handshake(addr, authority)
        .await
        .expect_err("the handshake fails");
    error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .unwrap_or_else(|| panic!("not a TLS error: {error:?}"))
        .clone()
}

/// Whether `future` is still pending some time after `event` has happened.
pub async fn stays_pending<T>(future: impl Future<Output = T>, event: impl Fn() -> bool) -> bool {
    let observed = async {
        wait_until(event).await;
        sleep(SILENCE).await;
    };
    tokio::select! {
        biased;
        _ = future => false,
        () = observed => true,
    }
}

#[track_caller]
pub fn wait_until(event: impl Fn() -> bool) -> impl Future<Output = ()> {
    let caller = Location::caller();
    async move {
        let polling = async {
            while !event() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let happened = timeout(TIMEOUT, polling).await;
        happened.unwrap_or_else(|_| panic!("the event of {caller} did not happen in {TIMEOUT:?}"));
    }
}

pub fn get(path: &str) -> hyper::http::request::Builder {
    Request::get(path)
}

/// Sends one request on a new connection, over the protocol that ALPN selected.
pub async fn send(
    addr: SocketAddr,
    authority: &Authority,
    request: hyper::http::request::Builder,
) -> Result<Response<Incoming>, hyper::Error> {
    let stream = handshake(addr, authority)
        .await
        .expect("the handshake succeeds");
    send_on(stream, request).await
}

pub async fn send_on(
    stream: TlsStream<TcpStream>,
    request: hyper::http::request::Builder,
) -> Result<Response<Incoming>, hyper::Error> {
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let io = TokioIo::new(stream);
    if http2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        let mut request = request.body(Empty::<Bytes>::new()).expect("a request");
        let path = request.uri().path_and_query().expect("a path").clone();
        *request.uri_mut() = format!("https://{NAME}{path}").parse().expect("a URI");
        sender.send_request(request).await
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
        tokio::spawn(connection);
        let request = request.header("host", NAME).body(Empty::<Bytes>::new());
        sender.send_request(request.expect("a request")).await
    }
}

pub async fn body(response: Response<Incoming>) -> Result<Bytes, hyper::Error> {
    let collected = timeout(TIMEOUT, response.into_body().collect()).await;
    Ok(collected.expect("the body did not end")?.to_bytes())
}

pub fn header<'a>(response: &'a Response<Incoming>, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().expect("ASCII"))
}

/// Reads until the server closes the connection.
pub async fn read_all(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    timeout(TIMEOUT, stream.read_to_end(&mut bytes)).await??;
    Ok(bytes)
}
