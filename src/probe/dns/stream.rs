//! One query and its answer over a new connection: TCP (RFC 7766), TLS (RFC 7858) or HTTPS
//! (RFC 8484).
//!
//! A new connection for each query measures the session too. The certificate is judged like a
//! target's, by the module's roots, and kept whether or not it is trusted; the query is sent only over a
//! session that was judged good.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::FutureExt;
use hickory_proto::op::Message;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::ACCEPT;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::either::Either;
use tokio_util::task::AbortOnDropHandle;

use super::request::{LookupError, LookupRequest};
use crate::clock::TimeLimit;
use crate::config::Transport;
use crate::probe::tls::{Peer, TlsClient, TransportStream};
use crate::report::{Handshake, Reason};

/// The largest message over TCP, which an answer over HTTPS may not exceed either.
const MAX_MESSAGE: usize = 65_535;
const DNS_MESSAGE: &str = "application/dns-message";

/// Sends `query` to the name server of `request`. The handshake, as far as it got, is stored in
/// `session`.
pub(super) async fn exchange(
    request: &LookupRequest,
    query: Message,
    session: &mut Option<Box<Handshake>>,
) -> Result<Message, LookupError> {
    let time = TimeLimit::starting_now(request.limit);
    let address = request.resolver.address;
    let stream = Either::Left(TcpStream::connect(address).await?);
    let peer = |name: &ServerName<'static>, protocols| Peer {
        address: address.ip(),
        name: name.clone(),
        protocols,
    };
    match &request.resolver.transport {
        Transport::Udp | Transport::Tcp => over_tcp(stream, &query).await,
        Transport::Tls(named) => {
            let peer = peer(&named.server_name, &[b"dot"]);
            let stream = encrypt(stream, &request.client, &peer, time, session).await?;
            over_tcp(stream, &query).await
        }
        Transport::Https(named, path) => {
            let peer = peer(&named.server_name, &[b"h2"]);
            let stream = encrypt(stream, &request.client, &peer, time, session).await?;
            let authority = match &named.server_name {
                ServerName::DnsName(name) => format!("{}:{}", name.as_ref(), address.port()),
                _ => address.to_string(),
            };
            over_https(stream, &format!("https://{authority}{path}"), query).await
        }
    }
}

async fn encrypt(
    stream: TransportStream,
    client: &TlsClient,
    peer: &Peer,
    time: TimeLimit,
    session: &mut Option<Box<Handshake>>,
) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>, LookupError> {
    let no_reconnect = || std::future::ready(None).boxed();
    let handshake = client.handshake(stream, peer, time, &no_reconnect, None);
    let (handshake, stream) = handshake.await;
    let handshake = session.insert(Box::new(handshake));
    stream.ok_or_else(|| match handshake.failure {
        Some(Reason::TlsTimedOut) => LookupError::of(Reason::DnsTimedOut),
        failure => LookupError {
            reason: Reason::DnsTls,
            detail: handshake
                .detail
                .clone()
                .or(failure.map(|one| one.to_string())),
        },
    })
}

/// A message on a stream has its length before it.
async fn over_tcp(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    query: &Message,
) -> Result<Message, LookupError> {
    let bytes = query.to_vec()?;
    let length = u16::try_from(bytes.len()).map_err(LookupError::malformed)?;
    stream
        .write_all(&[&length.to_be_bytes(), &bytes[..]].concat())
        .await?;
    stream.flush().await?;
    let mut bytes = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut bytes).await?;
    let answer = Message::from_vec(&bytes)?;
    if answer.metadata.id != query.metadata.id || answer.queries != query.queries {
        return Err(LookupError::malformed(
            "the answer belongs to another query",
        ));
    }
    Ok(answer)
}

async fn over_https<IO>(stream: IO, url: &str, mut query: Message) -> Result<Message, LookupError>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // The connection shows which query an answer belongs to (RFC 8484, 4.1).
    query.metadata.id = 0;
    let query = BASE64_URL_SAFE_NO_PAD.encode(query.to_vec()?);
    // GET, like every request of the exporter.
    let request = Request::get(format!("{url}?dns={query}"))
        .header(ACCEPT, DNS_MESSAGE)
        .body(Empty::<Bytes>::new())
        .map_err(LookupError::malformed)?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(LookupError::malformed)?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let response = sender
        .send_request(request)
        .await
        .map_err(LookupError::malformed)?;
    let status = response.status();
    if status != StatusCode::OK {
        let text = format!("HTTP status {} instead of an answer", status.as_u16());
        return Err(LookupError::malformed(text));
    }
    let body = Limited::new(response.into_body(), MAX_MESSAGE)
        .collect()
        .await;
    let body = body.map_err(LookupError::malformed)?.to_bytes();
    Ok(Message::from_vec(&body)?)
}
