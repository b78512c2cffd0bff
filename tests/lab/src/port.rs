//! A loopback port that stays ours while nothing listens on it.
//!
//! A fault such as "connection refused" closes the listener, and no other process may get
//! the port meanwhile. So a silent socket keeps each port: for TCP one that never listens,
//! for UDP one that is connected to itself and so matches nobody's datagrams. The kernel
//! then answers as for a port without a server. This is how Linux behaves.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::locked;

/// Held while a port is shared and not listened on: the kernel might give it to another of this process.
static BINDING: Mutex<()> = Mutex::new(());

/// A TCP port, open or closed.
pub(crate) struct TcpPort {
    addr: SocketAddr,
    listener: Mutex<Option<TcpListener>>,
    changed: Notify,
    runtime: Handle,
    keeper: Socket,
}

impl TcpPort {
    /// Takes `addr` (port 0: a free one) and listens.
    pub(crate) fn open(addr: SocketAddr) -> io::Result<Arc<Self>> {
        let alone = locked(&BINDING);
        let keeper = keeper(addr, Type::STREAM, Protocol::TCP)?;
        let addr = local_addr(&keeper)?;
        let listener = listen(addr)?;
        drop(alone);
        Ok(Arc::new(Self {
            addr,
            listener: Mutex::new(Some(listener)),
            changed: Notify::new(),
            runtime: Handle::current(),
            keeper,
        }))
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops listening at once: from the return on, connections are refused.
    pub(crate) fn close(&self) {
        let mut listener = locked(&self.listener);
        // In this order: a port that is shared and not listened on may be given to another.
        share(&self.keeper, false);
        *listener = None;
        drop(listener);
        self.changed.notify_waiters();
    }

    /// Listens again, if it does not.
    pub(crate) fn reopen(&self) {
        let _runtime = self.runtime.enter();
        let mut listener = locked(&self.listener);
        if listener.is_none() {
            let _alone = locked(&BINDING);
            share(&self.keeper, true);
            // A connection of the listener before may still stand on it, until its task has seen that
            // the client went.
            let again = (0..100).find_map(|_| {
                let listening = listen(self.addr);
                if listening.is_err() {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                listening.ok()
            });
            *listener = Some(again.expect("a port that we kept can be listened on"));
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
    keeper: Socket,
}

impl UdpPort {
    /// Takes `addr` and receives on it.
    pub(crate) fn open(addr: SocketAddr) -> io::Result<Arc<Self>> {
        let keeper = keeper(addr, Type::DGRAM, Protocol::UDP)?;
        let addr = local_addr(&keeper)?;
        keeper.connect(&addr.into())?;
        let socket = receive(addr)?;
        Ok(Arc::new(Self {
            addr,
            socket: Mutex::new(Some(socket)),
            changed: Notify::new(),
            runtime: Handle::current(),
            keeper,
        }))
    }

    /// Stops receiving at once: the kernel answers that the port is unreachable.
    pub(crate) fn close(&self) {
        let mut socket = locked(&self.socket);
        *socket = None;
        share(&self.keeper, false);
        drop(socket);
        self.changed.notify_waiters();
    }

    pub(crate) fn reopen(&self) {
        let _runtime = self.runtime.enter();
        let mut socket = locked(&self.socket);
        if socket.is_none() {
            share(&self.keeper, true);
            *socket = Some(receive(self.addr).expect("a port that we kept can be bound"));
        }
        drop(socket);
        self.changed.notify_waiters();
    }

    /// The next datagram and who sent it; waits while the port is closed.
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

    /// Sends if the port is open and the kernel takes it; a datagram may be lost.
    pub(crate) fn send(&self, bytes: &[u8], target: SocketAddr) {
        if let Some(socket) = locked(&self.socket).as_ref() {
            let _lost = socket.try_send_to(bytes, target);
        }
    }
}

/// One free port of `ip`, for TCP and UDP at once.
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

/// Binds without SO_REUSEADDR, so that the port is ours alone, and allows reuse only then:
/// the listener beside it can share the port, and nobody who asks for a free one gets it.
/// While the port is closed nobody may share it at all.
fn keeper(addr: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), kind, Some(protocol))?;
    socket.bind(&addr.into())?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}

fn share(keeper: &Socket, allowed: bool) {
    keeper
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
