//! Sockets for DNS that notice a closed port.
//!
//! An unconnected UDP socket never hears that nothing listens at the other end; a connected one gets
//! the ICMP answer as "connection refused". That tells `dns_unreachable` from `dns_timed_out`.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hickory_net::runtime::{
    DnsUdpSocket, RuntimeProvider, TokioHandle, TokioRuntimeProvider, TokioTime,
};
use tokio::io::{Interest, ReadBuf};
use tokio::net::UdpSocket;

/// Tokio's runtime with connected UDP sockets. The tasks it spawns end when it is dropped.
#[derive(Clone, Default)]
pub(super) struct ConnectedRuntime(TokioRuntimeProvider);

/// A UDP socket that speaks to one name server only.
pub(super) struct ConnectedUdp {
    socket: UdpSocket,
    peer: SocketAddr,
}

type Pending<T> = Pin<Box<dyn Send + Future<Output = io::Result<T>>>>;

impl RuntimeProvider for ConnectedRuntime {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = ConnectedUdp;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> Self::Handle {
        self.0.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        limit: Option<Duration>,
    ) -> Pending<Self::Tcp> {
        self.0.connect_tcp(server, local, limit)
    }

    fn bind_udp(&self, local: SocketAddr, server: SocketAddr) -> Pending<Self::Udp> {
        Box::pin(async move {
            let socket = UdpSocket::bind(local).await?;
            socket.connect(server).await?;
            Ok(ConnectedUdp {
                socket,
                peer: server,
            })
        })
    }
}

/// Waits for the ICMP answer. Its readiness is an error alone, for which a reader is not woken.
pub(super) async fn wait_icmp_error(socket: &UdpSocket) -> io::Error {
    loop {
        if let Err(error) = socket.ready(Interest::ERROR).await {
            return error;
        }
        match socket.take_error() {
            Ok(Some(error)) | Err(error) => return error,
            // Nothing there after all: forget the readiness.
            Ok(None) => {
                let nothing = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
                let _ = socket.try_io(Interest::ERROR, nothing);
            }
        }
    }
}

#[async_trait::async_trait]
impl DnsUdpSocket for ConnectedUdp {
    type Time = TokioTime;

    async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        tokio::select! {
            received = self.socket.recv(buf) => Ok((received?, self.peer)),
            error = wait_icmp_error(&self.socket) => Err(error),
        }
    }

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut buf = ReadBuf::new(buf);
        self.socket
            .poll_recv(cx, &mut buf)
            .map_ok(|()| (buf.filled().len(), self.peer))
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        _target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_send(cx, buf)
    }
}
