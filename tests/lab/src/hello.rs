//! The ClientHello as it came, kept so that rustls can read it again.
//!
//! In: a fresh TCP stream. Out: the first flight's bytes, and a stream that plays them back.
//! Reads only the lengths that frame a record (RFC 8446, 5.1) and a handshake message (4):
//! enough to know where the hello ends.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

const HANDSHAKE: u8 = 22;
const MAX_HELLO: usize = 64 * 1024;
const RECORD_HEADER: usize = 5;

/// What a client sent first.
pub(crate) struct Hello {
    pub(crate) bytes: Vec<u8>,
    /// Whether it was a whole handshake message.
    pub(crate) is_tls: bool,
}

impl Hello {
    /// Reads to the end of the first handshake message, or to the first byte that is none.
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

/// Reads until `bytes` has `length` bytes; false if the client stops before.
async fn fill(stream: &mut TcpStream, bytes: &mut Vec<u8>, length: usize) -> io::Result<bool> {
    let missing = length.saturating_sub(bytes.len()) as u64;
    stream.take(missing).read_to_end(bytes).await?;
    Ok(bytes.len() >= length)
}

/// A stream whose first bytes were read already.
pub(crate) struct Rewound {
    hello: Vec<u8>,
    played: usize,
    stream: TcpStream,
}

impl Rewound {
    pub(crate) fn new(hello: Hello, stream: TcpStream) -> Self {
        Self {
            hello: hello.bytes,
            played: 0,
            stream,
        }
    }

    pub(crate) fn into_inner(self) -> TcpStream {
        self.stream
    }
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &self.hello[self.played..];
        if rest.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..length]);
        self.played += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
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
