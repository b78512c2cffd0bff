//! An authoritative name server on loopback, on one port: over UDP and TCP, and, where it has an
//! identity, over TLS and HTTPS (`dns_session`).
//!
//! In: names with their addresses, and at most one fault. Out: answers on the wire, and a list
//! of what was asked. How an answer is put together is in `dns_answer`; validation, zones and
//! recursion are left out: a name is known here or it does not exist.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::authority::Identity;
use crate::dns_answer::{Reply, Zone};
use crate::faults::DnsFault;
use crate::port::{self, TcpPort, UdpPort};
use crate::tasks::Task;
use crate::{ACCEPT_PAUSE, HOLD, dns_session, locked};

const MAX_QUERIES: usize = 10_000;
const MAX_PENDING: usize = 256;
const TCP_IDLE: Duration = Duration::from_secs(10);

/// A name server; it stops when it is dropped.
pub struct NameServer {
    addr: SocketAddr,
    state: Arc<State>,
    _udp: Task,
    _tcp: Task,
}

/// One question that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Lower case, without the final dot.
    pub name: String,
    pub record: RecordType,
    pub transport: Transport,
    pub source: SocketAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    Https,
}

pub(crate) struct State {
    tcp: Arc<TcpPort>,
    udp: Arc<UdpPort>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    zone: Zone,
    fault: Option<(DnsFault, Option<RecordType>)>,
    identity: Option<Arc<Identity>>,
    queries: VecDeque<Query>,
    /// Questions since the fault was set, for `DropEvery`.
    asked: u64,
}

impl NameServer {
    /// Starts on 127.0.0.1.
    ///
    /// # Errors
    /// When no port is free for both UDP and TCP.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(Ipv4Addr::LOCALHOST.into()).await
    }

    /// Starts on `ip`, which is to be a loopback address.
    ///
    /// # Errors
    /// When no port is free for both UDP and TCP.
    pub async fn start_on(ip: IpAddr) -> io::Result<Self> {
        let (tcp, udp) = port::both(ip)?;
        let addr = tcp.addr();
        let state = Arc::new(State {
            tcp,
            udp,
            book: Mutex::default(),
        });
        Ok(Self {
            addr,
            _udp: Task::spawn(serve_udp(Arc::clone(&state))),
            _tcp: Task::spawn(serve_tcp(Arc::clone(&state))),
            state,
        })
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Makes `name` exist with these A and AAAA records, in place of what it had.
    pub fn answer(&self, name: &str, addresses: &[IpAddr]) {
        locked(&self.state.book)
            .zone
            .set_addresses(name, addresses.to_vec());
    }

    /// Makes `name` an alias of `target`.
    pub fn cname(&self, name: &str, target: &str) {
        locked(&self.state.book).zone.set_alias(name, target);
    }

    /// Makes `name` not exist again.
    pub fn forget(&self, name: &str) {
        locked(&self.state.book).zone.forget(name);
    }

    /// The time to live of every record, in seconds (60 at the start).
    pub fn set_ttl(&self, seconds: u32) {
        locked(&self.state.book).zone.ttl = seconds;
    }

    /// Misbehaves from the next question on, whatever is asked.
    pub fn set_fault(&self, fault: DnsFault) {
        self.put(Some((fault, None)));
    }

    /// Misbehaves only when `record` is asked for; other records are answered well.
    pub fn set_fault_for(&self, record: RecordType, fault: DnsFault) {
        self.put(Some((fault, Some(record))));
    }

    /// Behaves again, and opens the port if it was closed.
    pub fn clear(&self) {
        self.put(None);
    }

    /// Closes the port for UDP and TCP; it stays reserved until `clear`.
    pub fn close(&self) {
        self.state.udp.close();
        self.state.tcp.close();
    }

    /// Who it is to those who speak TLS to it, on the same port; without, it hangs up on them.
    pub fn set_identity(&self, identity: Identity) {
        locked(&self.state.book).identity = Some(Arc::new(identity));
    }

    /// What was asked, oldest first; at most the last 10,000.
    pub fn queries(&self) -> Vec<Query> {
        locked(&self.state.book).queries.iter().cloned().collect()
    }

    fn put(&self, fault: Option<(DnsFault, Option<RecordType>)>) {
        let tcp_closed = matches!(fault, Some((DnsFault::TruncatedTcpClosed, _)));
        {
            let mut book = locked(&self.state.book);
            book.fault = fault;
            book.asked = 0;
        }
        self.state.udp.reopen();
        if tcp_closed {
            self.state.tcp.close();
        } else {
            self.state.tcp.reopen();
        }
    }
}

impl Drop for NameServer {
    /// Unreachable at once; what still runs ends at its next step.
    fn drop(&mut self) {
        self.close();
    }
}

impl State {
    /// The fault that holds for every question.
    pub(crate) fn fault(&self) -> Option<DnsFault> {
        match &locked(&self.book).fault {
            Some((fault, None)) => Some(fault.clone()),
            _ => None,
        }
    }

    /// Notes the question and decides what to say; `None` is silence.
    pub(crate) fn reply(
        &self,
        bytes: &[u8],
        transport: Transport,
        source: SocketAddr,
    ) -> Option<Reply> {
        let message = Message::from_vec(bytes).ok()?;
        let question = message.queries.first()?.clone();
        let mut book = locked(&self.book);
        if book.queries.len() == MAX_QUERIES {
            book.queries.pop_front();
        }
        book.queries.push_back(Query {
            name: Zone::key(&question.name().to_ascii()),
            record: question.query_type(),
            transport,
            source,
        });
        let fault = match &book.fault {
            Some((fault, None)) => Some(fault.clone()),
            Some((fault, Some(record))) if *record == question.query_type() => Some(fault.clone()),
            _ => None,
        };
        if fault.is_some() {
            book.asked += 1;
        }
        let asked = book.asked;
        book.zone
            .reply(&message, &question, transport, fault.as_ref(), asked)
    }
}

async fn serve_udp(state: Arc<State>) {
    let mut pending = JoinSet::new();
    loop {
        let (bytes, source) = match state.udp.receive().await {
            Ok(datagram) => datagram,
            // An ICMP error for an earlier answer; the socket goes on.
            Err(_) => continue,
        };
        while pending.try_join_next().is_some() {}
        let Some(reply) = state.reply(&bytes, Transport::Udp, source) else {
            continue;
        };
        if reply.delay.is_zero() {
            state.udp.send(&reply.bytes, source);
        } else if pending.len() < MAX_PENDING {
            let state = Arc::clone(&state);
            pending.spawn(async move {
                tokio::time::sleep(reply.delay.min(HOLD)).await;
                state.udp.send(&reply.bytes, source);
            });
        }
    }
}

async fn serve_tcp(state: Arc<State>) {
    let mut pending = JoinSet::new();
    loop {
        let Ok((stream, source)) = state.tcp.accept().await else {
            // Out of descriptors, as a rule: the queue waits until some are back.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        while pending.try_join_next().is_some() {}
        if pending.len() < MAX_PENDING {
            let state = Arc::clone(&state);
            pending.spawn(timeout(HOLD, async move {
                let _gone = serve_connection(&state, stream, source).await;
            }));
        }
    }
}

async fn serve_connection(
    state: &Arc<State>,
    stream: TcpStream,
    source: SocketAddr,
) -> io::Result<()> {
    const TLS_HANDSHAKE: u8 = 22;
    let mut first = [0];
    stream.peek(&mut first).await?;
    if first[0] != TLS_HANDSHAKE {
        return converse(state, stream, Transport::Tcp, source).await;
    }
    let identity = locked(&state.book).identity.clone();
    match identity {
        Some(identity) => dns_session::serve(stream, source, &identity, state).await,
        None => Ok(()),
    }
}

/// Questions and answers on one connection, each with its length before it
/// (RFC 1035, 4.2.2).
pub(crate) async fn converse<IO>(
    state: &State,
    mut stream: IO,
    transport: Transport,
    source: SocketAddr,
) -> io::Result<()>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let length = timeout(TCP_IDLE, stream.read_u16()).await??;
        let mut bytes = vec![0; usize::from(length)];
        timeout(TCP_IDLE, stream.read_exact(&mut bytes)).await??;
        let Some(reply) = state.reply(&bytes, transport, source) else {
            continue;
        };
        tokio::time::sleep(reply.delay.min(HOLD)).await;
        let Ok(length) = u16::try_from(reply.bytes.len()) else {
            return Ok(());
        };
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(&reply.bytes);
        stream.write_all(&framed).await?;
        stream.flush().await?;
    }
}
