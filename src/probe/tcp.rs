//! The tcp layer: one connection to one address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};

use crate::clock::Stopwatch;
use crate::report::{AddressAttempt, Reason};

/// From where to where.
#[derive(Clone, Copy, Debug)]
pub(super) struct TcpEndpoint {
    pub address: SocketAddr,
    pub source: Option<IpAddr>,
}

/// Connects within `limit`.
pub(super) async fn connect(
    endpoint: &TcpEndpoint,
    limit: Duration,
) -> (AddressAttempt, Option<TcpStream>) {
    let watch = Stopwatch::start();
    let outcome = tokio::time::timeout(limit, dial(endpoint)).await;
    let (failure, stream) = match outcome {
        Err(_) => (Some(Reason::TcpTimedOut), None),
        Ok(Err(error)) => (Some(reason(&error)), None),
        Ok(Ok(stream)) => (None, Some(stream)),
    };
    let attempt = AddressAttempt {
        address: endpoint.address.ip(),
        source: match &stream {
            Some(stream) => stream.local_addr().ok().map(|local| local.ip()),
            None => source(endpoint),
        },
        duration: watch.elapsed(),
        failure,
    };
    (attempt, stream)
}

async fn dial(endpoint: &TcpEndpoint) -> io::Result<TcpStream> {
    let TcpEndpoint { address, source } = *endpoint;
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A source of the other family says nothing about this address.
    if let Some(source) = source
        && source.is_ipv4() == address.is_ipv4()
    {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The address that the system would connect from. A UDP socket that is connected and says nothing
/// tells it without a packet.
fn source(endpoint: &TcpEndpoint) -> Option<IpAddr> {
    let any: IpAddr = match endpoint.address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(endpoint.source.unwrap_or(any), 0)).ok()?;
    socket.connect(endpoint.address).ok()?;
    socket.local_addr().ok().map(|local| local.ip())
}

/// What an error of the system means. Linux says EHOSTUNREACH of an IPv4 reject with
/// "administratively prohibited" and EACCES of an IPv6 one.
fn reason(error: &io::Error) -> Reason {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Reason::TcpRefused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Reason::TcpReset,
        io::ErrorKind::TimedOut => Reason::TcpTimedOut,
        io::ErrorKind::HostUnreachable => Reason::TcpHostUnreachable,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            Reason::TcpNetworkUnreachable
        }
        io::ErrorKind::PermissionDenied => Reason::TcpProhibited,
        _ => Reason::TcpLocal,
    }
}
