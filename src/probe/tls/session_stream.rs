//! A TLS session that yields what it decrypted before an error, and the error after it. The stream
//! of tokio-rustls returns the error at once, and an answer in front of an alert would be lost.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::TransportStream;

pub(in crate::probe) struct SessionStream {
    stream: Box<TlsStream<TransportStream>>,
    failure: Option<io::Error>,
}

impl SessionStream {
    pub fn new(stream: Box<TlsStream<TransportStream>>) -> Self {
        Self {
            stream,
            failure: None,
        }
    }

    /// Decrypted bytes that were not read yet.
    fn read_decrypted(&mut self, buffer: &mut ReadBuf<'_>) {
        let (_, connection) = self.stream.get_mut();
        if let Ok(length) = connection.reader().read(buffer.initialize_unfilled()) {
            buffer.advance(length);
        }
    }
}

impl AsyncRead for SessionStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if self.failure.is_none() {
            match Pin::new(&mut *self.stream).poll_read(context, buffer) {
                Poll::Ready(Err(error)) => self.failure = Some(error),
                other => return other,
            }
        }
        self.read_decrypted(buffer);
        match self.failure.take() {
            Some(error) if buffer.filled().len() == before => Poll::Ready(Err(error)),
            failure => {
                self.failure = failure;
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for SessionStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(context)
    }
}
