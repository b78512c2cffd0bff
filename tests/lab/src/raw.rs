//! Responses that break HTTP/1.1, written as bytes over TLS.
//!
//! Input: a TLS stream and a fault for which `is_raw` is true. Output: one response or none, and the
//! end of the connection that belongs to the fault. Valid responses are in `answers`.

use std::io;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use crate::answers::{ConnectionInfo, token};
use crate::faults::{Fault, HttpFault, NotProcessed, PageFault};
use crate::guard::{Answered, Guard, Seen};
use crate::hello::Replayed;
use crate::{MAX_WAIT, page};

const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
const BOMB_HEADERS: usize = 4096;
/// How long a client may take to close a connection that the server has closed.
const LINGER: Duration = Duration::from_secs(60);

const HALF_AN_ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5000\r\n\r\n<html>";

/// Whether `fault` is implemented here, and so needs HTTP/1.1.
pub(crate) fn is_raw(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Http(
            HttpFault::AlertAfterHead
                | HttpFault::ResetAfterHead
                | HttpFault::SilentAfterRequest
                | HttpFault::ResetAfterRequest
                | HttpFault::CloseAfterRequest
                | HttpFault::Malformed
                | HttpFault::HeaderBomb
        ) | Fault::Page(
            PageFault::CutShort
                | PageFault::ChunkedCutShort
                | PageFault::Chunked
                | PageFault::NoContentLength
        )
    )
}

/// Reads one request and applies the fault.
pub(crate) async fn serve(
    guard: &Guard,
    fault: &Fault,
    connection_info: ConnectionInfo,
    mut stream: TlsStream<Replayed>,
) -> io::Result<()> {
    let Some(seen) = read_request(&mut stream, connection_info).await? else {
        return end(stream).await;
    };
    let recorded = guard.record(seen);
    guard.answered(&recorded, Answered::Last);
    match fault {
        Fault::Http(HttpFault::SilentAfterRequest) => return hold(stream).await,
        Fault::Http(HttpFault::ResetAfterRequest) => {
            return reset(stream);
        }
        Fault::Http(fault @ (HttpFault::AlertAfterHead | HttpFault::ResetAfterHead)) => {
            stream.write_all(HALF_AN_ANSWER).await?;
            stream.flush().await?;
            return match fault {
                HttpFault::AlertAfterHead => alert(stream).await,
                _ => reset(stream),
            };
        }
        Fault::Http(HttpFault::Malformed) => {
            stream.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n").await?;
        }
        Fault::Http(HttpFault::HeaderBomb) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            let value = "x".repeat(1000);
            for number in 0..BOMB_HEADERS {
                let line = format!("X-Lab-{number}: {value}\r\n");
                stream.write_all(line.as_bytes()).await?;
            }
            stream.write_all(b"\r\n").await?;
        }
        Fault::Page(fault) => stream.write_all(&broken_page(guard, fault)).await?,
        Fault::Http(_) | Fault::Tcp(_) | Fault::Tls(_) => {}
    }
    stream.flush().await?;
    end(stream).await
}

fn reset(stream: TlsStream<Replayed>) -> io::Result<()> {
    let (replayed, _) = stream.into_inner();
    replayed.into_inner().set_zero_linger()
}

/// Ends the session with a fatal alert: the library sends one when it reads a record that it cannot
/// decrypt.
async fn alert(mut stream: TlsStream<Replayed>) -> io::Result<()> {
    const RECORD: [u8; 37] = {
        let mut record = [0x5a; 37];
        (record[0], record[1], record[2], record[3], record[4]) = (23, 3, 3, 0, 32);
        record
    };
    let (replayed, connection) = stream.get_mut();
    connection.read_tls(&mut &RECORD[..])?;
    let _ = connection.process_new_packets();
    let mut bytes = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut bytes)?;
    }
    replayed.write_all(&bytes).await?;
    let (replayed, _) = stream.into_inner();
    end(replayed).await
}

/// Reads one request over HTTP/2 and says that it is not processed.
pub(crate) async fn refuse(mut stream: TlsStream<Replayed>, how: NotProcessed) -> io::Result<()> {
    const PREFACE: usize = 24;
    const HEADERS: u8 = 1;
    const FRAME_HEAD: usize = 9;
    let mut bytes = Vec::new();
    let mut next = PREFACE;
    loop {
        if let Some(&[a, b, c, kind, ..]) = bytes.get(next..next + FRAME_HEAD) {
            if kind == HEADERS {
                break;
            }
            next += FRAME_HEAD + u32::from_be_bytes([0, a, b, c]) as usize;
        } else if stream.read_buf(&mut bytes).await? == 0 || bytes.len() > MAX_HEAD {
            return end(stream).await;
        }
    }
    // SETTINGS, and the acknowledgement of the client's.
    let mut answer = vec![0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];
    match how {
        // The last processed stream is 0, the error NO_ERROR.
        NotProcessed::Goaway => {
            answer.extend([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
        NotProcessed::Http11Required => answer.extend([0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 13]),
    }
    stream.write_all(&answer).await?;
    stream.flush().await?;
    match how {
        NotProcessed::Goaway => end(stream).await,
        NotProcessed::Http11Required => hold(stream).await,
    }
}

fn broken_page(guard: &Guard, fault: &PageFault) -> Vec<u8> {
    let page = page::login(&token(guard));
    let half = page.len() / 2;
    let (header, body) = match fault {
        PageFault::CutShort => (
            format!("Content-Length: {}", page.len()),
            page[..half].to_vec(),
        ),
        PageFault::ChunkedCutShort => {
            let mut body = format!("{:x}\r\n", page.len()).into_bytes();
            body.extend_from_slice(&page[..half]);
            ("Transfer-Encoding: chunked".to_owned(), body)
        }
        PageFault::Chunked => {
            let mut body = Vec::new();
            for chunk in page.chunks(100) {
                body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
            ("Transfer-Encoding: chunked".to_owned(), body)
        }
        _ => ("X-Lab: no length".to_owned(), page.to_vec()),
    };
    let date = httpdate::fmt_http_date(SystemTime::now());
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Type: text/html; charset=utf-8\r\n\
         Connection: close\r\n{header}\r\n\r\n"
    )
    .into_bytes();
    bytes.extend_from_slice(&body);
    bytes
}

/// The head of the first request; `None` if the client sends no valid request.
async fn read_request(
    stream: &mut TlsStream<Replayed>,
    connection_info: ConnectionInfo,
) -> io::Result<Option<Seen>> {
    let mut head = Vec::new();
    while head.len() < MAX_HEAD {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(None);
        }
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&head) {
            Ok(httparse::Status::Partial) => {}
            Ok(httparse::Status::Complete(_)) => return Ok(Some(seen(connection_info, &request))),
            Err(_) => return Ok(None),
        }
    }
    Ok(None)
}

fn seen(connection_info: ConnectionInfo, request: &httparse::Request<'_, '_>) -> Seen {
    let headers: Vec<(String, String)> = request
        .headers
        .iter()
        .map(|header| {
            let value = String::from_utf8_lossy(header.value).into_owned();
            (header.name.to_ascii_lowercase(), value)
        })
        .collect();
    Seen {
        at: SystemTime::now(),
        method: request.method.unwrap_or_default().to_owned(),
        path: request.path.unwrap_or_default().to_owned(),
        host: headers
            .iter()
            .find(|(name, _)| name == "host")
            .map_or_else(String::new, |(_, value)| value.clone()),
        headers,
        version: format!("HTTP/1.{}", request.version.unwrap_or(1)),
        connection: connection_info.connection,
        server_name: connection_info.server_name,
    }
}

/// Shuts down the sending side, and reads what the client still sends: a reset could otherwise
/// discard bytes that the client has not read yet.
pub(crate) async fn end(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.shutdown().await?;
    timeout(LINGER, discard(stream)).await?
}

/// Sends nothing until the client closes the connection.
pub(crate) async fn hold(stream: impl AsyncRead + Unpin) -> io::Result<()> {
    timeout(MAX_WAIT, discard(stream)).await?
}

async fn discard(mut stream: impl AsyncRead + Unpin) -> io::Result<()> {
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(())
}
