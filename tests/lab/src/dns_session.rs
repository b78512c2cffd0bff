//! The name server over TLS: DNS over TLS (RFC 7858), or DNS over HTTPS (RFC 8484) if the client
//! selects HTTP/2. Only GET is supported.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::authority::Identity;
use crate::faults::DnsFault;
use crate::name_server::{State, Transport, serve_stream};
use crate::{MAX_WAIT, session};

/// Does the handshake as `identity` and answers over the session.
pub(crate) async fn serve(
    stream: TcpStream,
    source: SocketAddr,
    identity: &Identity,
    state: &Arc<State>,
) -> io::Result<()> {
    let acceptor = session::acceptor(identity, &[b"dot", b"h2"])?;
    let stream = acceptor.accept(stream).await?;
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return serve_stream(state, stream, Transport::Tls, source).await;
    }
    let service = service_fn(|request| answer(request, source, Arc::clone(state)));
    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(io::Error::other)
}

async fn answer(
    request: Request<Incoming>,
    source: SocketAddr,
    state: Arc<State>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    if let Some(DnsFault::HttpStatus(status)) = state.fault() {
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
        return Ok(response);
    }
    let question = request
        .uri()
        .query()
        .and_then(|query| query.strip_prefix("dns="));
    let question = question.and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok());
    let (&Method::GET, Some(question)) = (request.method(), question) else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    };
    let Some(reply) = state.reply(&question, Transport::Https, source) else {
        tokio::time::sleep(MAX_WAIT).await;
        return Ok(response);
    };
    tokio::time::sleep(reply.delay.min(MAX_WAIT)).await;
    let kind = hyper::header::HeaderValue::from_static("application/dns-message");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    *response.body_mut() = Full::from(reply.bytes);
    Ok(response)
}
