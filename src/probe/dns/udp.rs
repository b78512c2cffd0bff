//! One question in one packet, over a socket of its own that speaks to one name server only.
//!
//! In: a message and where it goes. Out: the answer to it, or why none came. A second question to the
//! same server goes from another port: some firewalls let one answer through for each.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_net::NetError;
use hickory_proto::op::{DnsResponse, Message};
use tokio::net::UdpSocket;

use super::socket::wait_icmp_error;

/// More than any answer that was asked for; what is longer is cut, and then cannot be read.
const MAX_PACKET: usize = 4096;

/// Waits for as long as it takes.
pub(super) async fn exchange(
    server: SocketAddr,
    question: &Message,
) -> Result<DnsResponse, NetError> {
    let packet = question.to_vec()?;
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(&packet).await?;
    let mut buffer = vec![0; MAX_PACKET];
    loop {
        let length = receive(&socket, &mut buffer).await?;
        let answer = buffer.get(..length).unwrap_or_default();
        // The system has looked at the address and the port; the rest is for us (RFC 5452, 9.1).
        if answer.get(..2) != Some(&question.metadata.id.to_be_bytes()[..]) {
            continue;
        }
        let answer = DnsResponse::from_buffer(answer.to_vec())?;
        if answer.queries == question.queries {
            return Ok(answer);
        }
    }
}

async fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<usize> {
    tokio::select! {
        received = socket.recv(buffer) => received,
        error = wait_icmp_error(socket) => Err(error),
    }
}
