//! The tcp layer: one connection to one address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};

use crate::clock::Stopwatch;
use crate::report::{AddressAttempt, Reason};

/// Connects to `address` within `limit`, from `source` if it is of the same family.
pub(super) async fn connect(
    address: SocketAddr,
    source: Option<IpAddr>,
    limit: Duration,
) -> (AddressAttempt, Option<TcpStream>) {
    let source = source.filter(|source| source.is_ipv4() == address.is_ipv4());
    let watch = Stopwatch::start();
    let outcome = tokio::time::timeout(limit, dial(address, source)).await;
    let (failure, stream) = match outcome {
        Err(_) => (Some(Reason::TcpTimedOut), None),
        Ok(Err(error)) => (Some(reason(&error)), None),
        Ok(Ok(stream)) => (None, Some(stream)),
    };
    let local = stream.as_ref().and_then(|stream| stream.local_addr().ok());
    let source = local
        .map(|local| local.ip())
        .or_else(|| route_source(address, source));
    if source.is_some_and(is_routed) {
        had_route(address).store(true, Ordering::Relaxed);
    }
    let attempt = AddressAttempt {
        address: address.ip(),
        not_tried: failure == Some(Reason::TcpNetworkUnreachable)
            && source.is_none()
            && !had_route(address).load(Ordering::Relaxed),
        source,
        duration: watch.elapsed(),
        failure,
    };
    (attempt, stream)
}

/// Whether this host had a route for the family since the start: losing it is a fault, never having
/// it is not.
fn had_route(address: SocketAddr) -> &'static AtomicBool {
    static V4: AtomicBool = AtomicBool::new(false);
    static V6: AtomicBool = AtomicBool::new(false);
    if address.is_ipv4() { &V4 } else { &V6 }
}

/// Whether an address of this host can be the source of a connection to another network.
fn is_routed(source: IpAddr) -> bool {
    match source {
        IpAddr::V4(source) => !source.is_loopback() && !source.is_link_local(),
        IpAddr::V6(source) => !source.is_loopback() && !source.is_unicast_link_local(),
    }
}

async fn dial(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The address that the system would connect from. Connecting a UDP socket reveals it without
/// sending a packet.
fn route_source(address: SocketAddr, source: Option<IpAddr>) -> Option<IpAddr> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(source.unwrap_or(any), 0)).ok()?;
    socket.connect(address).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Linux reports a reject with "administratively prohibited" as EHOSTUNREACH over IPv4 and as
/// EACCES over IPv6.
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
        _ => reason_by_number(error).unwrap_or(Reason::TcpLocal),
    }
}

/// What the standard library has no kind for: `WSAEHOSTDOWN`, and the numbers of the system itself, which asynchronous
/// calls return.
#[cfg(windows)]
fn reason_by_number(error: &io::Error) -> Option<Reason> {
    match error.raw_os_error()? {
        // ERROR_CONNECTION_REFUSED
        1225 => Some(Reason::TcpRefused),
        // ERROR_NETNAME_DELETED, ERROR_CONNECTION_ABORTED
        64 | 1236 => Some(Reason::TcpReset),
        // ERROR_SEM_TIMEOUT, ERROR_TIMEOUT
        121 | 1460 => Some(Reason::TcpTimedOut),
        // ERROR_HOST_UNREACHABLE, WSAEHOSTDOWN
        1232 | 10_064 => Some(Reason::TcpHostUnreachable),
        // ERROR_NETWORK_UNREACHABLE
        1231 => Some(Reason::TcpNetworkUnreachable),
        _ => None,
    }
}

#[cfg(not(windows))]
fn reason_by_number(_error: &io::Error) -> Option<Reason> {
    None
}

#[cfg(all(test, windows))]
mod tests {
    use super::*;

    #[test]
    fn error_numbers_of_windows_have_the_reasons_of_their_meaning() {
        for (number, expected) in [
            (10_061, Reason::TcpRefused),
            (1225, Reason::TcpRefused),
            (10_054, Reason::TcpReset),
            (10_053, Reason::TcpReset),
            (10_060, Reason::TcpTimedOut),
            (121, Reason::TcpTimedOut),
            (10_065, Reason::TcpHostUnreachable),
            (10_064, Reason::TcpHostUnreachable),
            (1232, Reason::TcpHostUnreachable),
            (10_051, Reason::TcpNetworkUnreachable),
            (10_050, Reason::TcpNetworkUnreachable),
            (1231, Reason::TcpNetworkUnreachable),
            // The Windows firewall blocks this program.
            (10_013, Reason::TcpProhibited),
            (10_055, Reason::TcpLocal),
        ] {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(reason(&error), expected, "{error}");
        }
    }
}
