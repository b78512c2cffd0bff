//! Reads the ClientHello and replays it to rustls.
//!
//! Input: a new TCP stream. Output: the bytes of the ClientHello, and a stream that starts with them
//! again. Only the lengths of records (RFC 8446, 5.1) and of the handshake message (4) are parsed,
//! to find the end of the ClientHello.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

const HANDSHAKE: u8 = 22;
const MAX_HELLO: usize = 64 * 1024;
const RECORD_HEADER: usize = 5;

/// The first bytes of a client.
pub(crate) struct Hello {
    pub(crate) bytes: Vec<u8>,
    /// Whether they are a complete handshake message.
    pub(crate) is_tls: bool,
}

impl Hello {
    /// Reads to the end of the first handshake message, or to the first byte that is not part of one.
    pub(crate) async fn read(stream: &mut TcpStream) -> io::Result<Self> {
        let mut bytes = Vec::new();
        let mut message = Vec::new();
        while bytes.len() < MAX_HELLO {
            let start = bytes.len();
            if !fill(stream, &mut bytes, start + 1).await? || bytes[start] != HANDSHAKE {
                break;
            }
            if !fill(stream, &mut bytes, start + RECORD_HEADER).await? {
                break;
            }
            let length = usize::from(u16::from_be_bytes([bytes[start + 3], bytes[start + 4]]));
            let end = start + RECORD_HEADER + length;
            if !fill(stream, &mut bytes, end).await? {
                break;
            }
            message.extend_from_slice(&bytes[start + RECORD_HEADER..end]);
            if let [_, a, b, c, rest @ ..] = message.as_slice() {
                let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
                if rest.len() >= length {
                    return Ok(Self {
                        bytes,
                        is_tls: true,
                    });
                }
            }
        }
        Ok(Self {
            bytes,
            is_tls: false,
        })
    }
}

/// Reads until `bytes` has `length` bytes; false if the client closes the connection before.
async fn fill(stream: &mut TcpStream, bytes: &mut Vec<u8>, length: usize) -> io::Result<bool> {
    let missing = length.saturating_sub(bytes.len()) as u64;
    stream.take(missing).read_to_end(bytes).await?;
    Ok(bytes.len() >= length)
}

/// A stream that replays bytes which were already read.
pub(crate) struct Replayed {
    hello: Vec<u8>,
    replayed: usize,
    stream: TcpStream,
}

impl Replayed {
    pub(crate) fn new(hello: Hello, stream: TcpStream) -> Self {
        Self {
            hello: hello.bytes,
            replayed: 0,
            stream,
        }
    }

    pub(crate) fn into_inner(self) -> TcpStream {
        self.stream
    }
}

impl AsyncRead for Replayed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &self.hello[self.replayed..];
        if rest.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..length]);
        self.replayed += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replayed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
