//! One query and its answer over UDP, from a new socket.
//!
//! The socket is connected, so that "port unreachable" arrives as an error: that distinguishes
//! `dns_unreachable` from `dns_timed_out`. Each query uses another source port, since some
//! firewalls let only one answer through for each.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

use hickory_proto::op::{Message, MessageType};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::request::LookupError;

/// Larger than the advertised EDNS payload size; a longer datagram is truncated by the socket and rejected.
const MAX_PACKET: usize = 4096;

/// Sends `query` and waits for its answer, without a time limit. Counts datagrams of the server that
/// do not answer it in `ignored`.
pub(super) async fn exchange(
    server: SocketAddr,
    query: &Message,
    ignored: &AtomicU64,
) -> Result<Message, LookupError> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(&query.to_vec()?).await?;
    let mut buffer = vec![0; MAX_PACKET];
    loop {
        let length = tokio::select! {
            received = socket.recv(&mut buffer) => received?,
            error = icmp_error(&socket) => return Err(error.into()),
        };
        let answer = buffer.get(..length).unwrap_or_default();
        // The system has checked the address and the port (RFC 5452, 9.1).
        if answer.get(..2) != Some(&query.metadata.id.to_be_bytes()[..]) {
            ignored.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let answer = Message::from_vec(answer)?;
        if answer.metadata.message_type == MessageType::Response && answer.queries == query.queries
        {
            return Ok(answer);
        }
        ignored.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits for an ICMP error. Such a socket becomes ready for errors only, which does not wake
/// `recv`.
async fn icmp_error(socket: &UdpSocket) -> io::Error {
    loop {
        if let Err(error) = socket.ready(Interest::ERROR).await {
            return error;
        }
        match socket.take_error() {
            Ok(Some(error)) | Err(error) => return error,
            // No error after all: clear the readiness.
            Ok(None) => {
                let nothing = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
                let _ = socket.try_io(Interest::ERROR, nothing);
            }
        }
    }
}
