//! A loopback port that stays reserved while nothing listens on it.
//!
//! A fault such as "connection refused" closes the listener, and no other process may get the port
//! meanwhile. A second socket therefore reserves each port: for TCP one that never listens, for UDP
//! one that is connected to itself and so receives no other datagrams. Linux then answers as for a
//! port without a server.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::locked;

/// Held while a port can be shared but has no listener: the kernel could assign it to another socket
/// of this process.
static BINDING: Mutex<()> = Mutex::new(());

/// A minute of attempts to listen again.
const REOPEN_ATTEMPTS: usize = 6000;
const REOPEN_PAUSE: Duration = Duration::from_millis(10);

/// A TCP port, open or closed.
pub(crate) struct TcpPort {
    addr: SocketAddr,
    listener: Mutex<Option<TcpListener>>,
    changed: Notify,
    runtime: Handle,
    reservation: Socket,
}

impl TcpPort {
    /// Takes `addr` (port 0: a free one) and listens.
    pub(crate) fn open(addr: SocketAddr) -> io::Result<Arc<Self>> {
        let guard = locked(&BINDING);
        let reservation = reserve(addr, Type::STREAM, Protocol::TCP)?;
        let addr = local_addr(&reservation)?;
        let listener = listen(addr)?;
        drop(guard);
        Ok(Arc::new(Self {
            addr,
            listener: Mutex::new(Some(listener)),
            changed: Notify::new(),
            runtime: Handle::current(),
            reservation,
        }))
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops listening: connections are refused when this returns.
    pub(crate) fn close(&self) {
        let mut listener = locked(&self.listener);
        // In this order: a port that can be shared and has no listener could be assigned to another socket.
        share(&self.reservation, false);
        *listener = None;
        drop(listener);
        self.changed.notify_waiters();
    }

    /// Listens again after `close`.
    pub(crate) fn reopen(&self) {
        let _runtime = self.runtime.enter();
        let mut listener = locked(&self.listener);
        if listener.is_none() {
            let _guard = locked(&BINDING);
            share(&self.reservation, true);
            // A connection of the previous listener may still use the port until its task ends.
            let again = (0..REOPEN_ATTEMPTS).find_map(|_| {
                let listening = listen(self.addr);
                if listening.is_err() {
                    std::thread::sleep(REOPEN_PAUSE);
                }
                listening.ok()
            });
            *listener = Some(again.expect("a reserved port can be listened on"));
        }
        drop(listener);
        self.changed.notify_waiters();
    }

    /// The next connection; waits while the port is closed.
    pub(crate) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            let changed = self.changed.notified();
            tokio::select! {
                accepted = std::future::poll_fn(|context| {
                    match locked(&self.listener).as_ref() {
                        Some(listener) => listener.poll_accept(context),
                        None => Poll::Pending,
                    }
                }) => return accepted,
                () = changed => {}
            }
        }
    }
}

/// A UDP port, open or closed.
pub(crate) struct UdpPort {
    addr: SocketAddr,
    socket: Mutex<Option<UdpSocket>>,
    changed: Notify,
    runtime: Handle,
    reservation: Socket,
}

impl UdpPort {
    /// Takes `addr` and receives on it.
    pub(crate) fn open(addr: SocketAddr) -> io::Result<Arc<Self>> {
        let reservation = reserve(addr, Type::DGRAM, Protocol::UDP)?;
        let addr = local_addr(&reservation)?;
        reservation.connect(&addr.into())?;
        let socket = receive(addr)?;
        Ok(Arc::new(Self {
            addr,
            socket: Mutex::new(Some(socket)),
            changed: Notify::new(),
            runtime: Handle::current(),
            reservation,
        }))
    }

    /// Stops receiving: the kernel answers that the port is unreachable.
    pub(crate) fn close(&self) {
        let mut socket = locked(&self.socket);
        *socket = None;
        share(&self.reservation, false);
        drop(socket);
        self.changed.notify_waiters();
    }

    pub(crate) fn reopen(&self) {
        let _runtime = self.runtime.enter();
        let mut socket = locked(&self.socket);
        if socket.is_none() {
            share(&self.reservation, true);
            *socket = Some(receive(self.addr).expect("a reserved port can be bound"));
        }
        drop(socket);
        self.changed.notify_waiters();
    }

    /// The next datagram and its source; waits while the port is closed.
    pub(crate) async fn receive(&self) -> io::Result<(Vec<u8>, SocketAddr)> {
        let mut bytes = vec![0; 65_536];
        loop {
            let changed = self.changed.notified();
            let mut buffer = tokio::io::ReadBuf::new(&mut bytes);
            let source = tokio::select! {
                source = std::future::poll_fn(|context| {
                    match locked(&self.socket).as_ref() {
                        Some(socket) => socket.poll_recv_from(context, &mut buffer),
                        None => Poll::Pending,
                    }
                }) => source?,
                () = changed => continue,
            };
            let length = buffer.filled().len();
            bytes.truncate(length);
            return Ok((bytes, source));
        }
    }

    /// Sends if the port is open and the kernel accepts it; a datagram may be lost.
    pub(crate) fn send(&self, bytes: &[u8], target: SocketAddr) {
        if let Some(socket) = locked(&self.socket).as_ref() {
            let _ = socket.try_send_to(bytes, target);
        }
    }
}

/// A free port of `ip` for both TCP and UDP.
pub(crate) fn both(ip: IpAddr) -> io::Result<(Arc<TcpPort>, Arc<UdpPort>)> {
    const ATTEMPTS: usize = 64;
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..ATTEMPTS {
        let tcp = TcpPort::open(SocketAddr::new(ip, 0))?;
        match UdpPort::open(tcp.addr()) {
            Ok(udp) => return Ok((tcp, udp)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Binds without SO_REUSEADDR, so that the port is free, and sets the option afterwards, so that the
/// listener can share the port. While the port is closed the option is unset again.
fn reserve(addr: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), kind, Some(protocol))?;
    socket.bind(&addr.into())?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}

fn share(reservation: &Socket, allowed: bool) {
    reservation
        .set_reuse_address(allowed)
        .expect("an open socket takes the option");
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = sharing(addr, Type::STREAM, Protocol::TCP)?;
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}

fn receive(addr: SocketAddr) -> io::Result<UdpSocket> {
    UdpSocket::from_std(sharing(addr, Type::DGRAM, Protocol::UDP)?.into())
}

fn sharing(addr: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), kind, Some(protocol))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

fn local_addr(socket: &Socket) -> io::Result<SocketAddr> {
    socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("a socket without an address"))
}
