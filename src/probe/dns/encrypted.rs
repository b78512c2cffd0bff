//! A question to a name server over TLS (RFC 7858) or HTTPS (RFC 8484).
//!
//! One connection a question, so that what it takes is measured whole. The certificate is judged as a
//! target's is, by the module's roots, and kept whatever the verdict; the question is sent only over
//! a session that was judged good.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::FutureExt;
use hickory_net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_net::tcp::{TcpClientStream, TcpStream};
use hickory_net::xfer::{DnsExchange, DnsHandle, DnsMultiplexer, FirstAnswer};
use hickory_proto::op::{DnsRequest, DnsResponse, Message};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::ACCEPT;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::either::Either;
use tokio_util::task::AbortOnDropHandle;

use super::LookupError;
use super::socket::ConnectedRuntime;
use crate::clock::TimeLimit;
use crate::probe::tcp::{self, TcpEndpoint};
use crate::probe::tls::{Client, Peer};
use crate::report::{Handshake, Reason};

/// What an answer over HTTPS may hold: that of a message over TCP.
const MAX_MESSAGE: usize = 65_535;
const DNS_MESSAGE: &str = "application/dns-message";

/// Where the question goes.
pub(super) struct Destination<'a> {
    pub address: SocketAddr,
    pub certified: &'a ServerName<'static>,
    /// `None` is DNS over TLS.
    pub path: Option<&'a str>,
}

/// Asks within `limit`; the session as far as it came is put into `session`.
pub(super) async fn exchange(
    destination: &Destination<'_>,
    request: DnsRequest,
    client: &Client,
    limit: Duration,
    session: &mut Option<Box<Handshake>>,
) -> Result<DnsResponse, LookupError> {
    let time = TimeLimit::starting_now(limit);
    let endpoint = TcpEndpoint {
        address: destination.address,
        source: None,
    };
    let (attempt, stream) = tcp::connect(&endpoint, limit).await;
    let Some(stream) = stream else {
        return Err(match attempt.failure {
            Some(Reason::TcpTimedOut) => LookupError::of(Reason::DnsTimedOut),
            _ => LookupError::of(Reason::DnsUnreachable),
        });
    };
    let peer = Peer {
        address: destination.address.ip(),
        name: destination.certified.clone(),
        protocols: match destination.path {
            None => &[b"dot"],
            Some(_) => &[b"h2"],
        },
    };
    let never_again = || std::future::ready(None).boxed();
    let (handshake, stream) = client
        .handshake(Either::Left(stream), &peer, time, &never_again)
        .await;
    let failure = handshake.failure;
    let detail = handshake.detail.clone();
    *session = Some(Box::new(handshake));
    let Some(stream) = stream else {
        return Err(match failure {
            Some(Reason::TlsTimedOut) => LookupError::of(Reason::DnsTimedOut),
            _ => LookupError {
                reason: Reason::DnsTls,
                detail: detail.or_else(|| failure.map(|reason| reason.into_str().to_owned())),
            },
        });
    };
    match destination.path {
        None => over_tls(stream, destination.address, request, limit).await,
        Some(path) => {
            let (message, _options) = request.into_parts();
            over_https(stream, destination, path, message).await
        }
    }
}

async fn over_tls<IO>(
    stream: IO,
    address: SocketAddr,
    request: DnsRequest,
    limit: Duration,
) -> Result<DnsResponse, LookupError>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
{
    let (stream, sender) = TcpStream::from_stream(AsyncIoTokioAsStd(stream), address);
    let stream = TcpClientStream::from_stream(stream);
    let multiplexer = DnsMultiplexer::new(stream, sender).with_timeout(limit);
    let (exchange, background) = DnsExchange::<ConnectedRuntime>::from_stream(multiplexer);
    let _background = AbortOnDropHandle::new(tokio::spawn(background));
    Ok(exchange.send(request).first_answer().await?)
}

async fn over_https<IO>(
    stream: IO,
    destination: &Destination<'_>,
    path: &str,
    mut message: Message,
) -> Result<DnsResponse, LookupError>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let malformed = |error: &dyn std::fmt::Display| LookupError {
        reason: Reason::DnsMalformed,
        detail: Some(crate::probe::bounded(&error.to_string())),
    };
    // The connection tells which question an answer is for (RFC 8484, 4.1).
    message.metadata.id = 0;
    let message = message.to_vec().map_err(|error| malformed(&error))?;
    let question = BASE64_URL_SAFE_NO_PAD.encode(message);
    let authority = match destination.certified {
        ServerName::DnsName(name) => format!("{}:{}", name.as_ref(), destination.address.port()),
        _ => destination.address.to_string(),
    };
    // By GET, like everything that this program asks for.
    let request = Request::get(format!("https://{authority}{path}?dns={question}"))
        .header(ACCEPT, DNS_MESSAGE)
        .body(Empty::<Bytes>::new())
        .map_err(|error| malformed(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(|error| malformed(&error))?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| malformed(&error))?;
    let status = response.status();
    if status != StatusCode::OK {
        return Err(malformed(&format!(
            "HTTP {} in place of an answer",
            status.as_u16()
        )));
    }
    let body = Limited::new(response.into_body(), MAX_MESSAGE)
        .collect()
        .await
        .map_err(|error| malformed(&error))?;
    DnsResponse::from_buffer(body.to_bytes().to_vec()).map_err(|error| malformed(&error))
}
