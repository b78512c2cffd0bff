//! An authoritative name server on one loopback port: over UDP and TCP and, if it has an identity,
//! over TLS and HTTPS (`dns_session`).
//!
//! Input: names with their addresses, and at most one fault. Output: answers, and a list of the
//! questions. `dns_answer` builds the answers. DNSSEC, zone cuts and recursion are not implemented: a
//! name is known here or does not exist.

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
use crate::{ACCEPT_PAUSE, MAX_WAIT, dns_session, locked};

const MAX_QUERIES: usize = 10_000;
const MAX_PENDING: usize = 256;
const TCP_IDLE: Duration = Duration::from_secs(60);

/// A name server; it stops when it is dropped.
pub struct NameServer {
    addr: SocketAddr,
    state: Arc<State>,
    _udp: Task,
    _tcp: Task,
}

/// A received question.
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
    records: Mutex<Records>,
}

#[derive(Default)]
struct Records {
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

    /// Starts on `ip`, a loopback address.
    ///
    /// # Errors
    /// When no port is free for both UDP and TCP.
    pub async fn start_on(ip: IpAddr) -> io::Result<Self> {
        let (tcp, udp) = port::both(ip)?;
        let addr = tcp.addr();
        let state = Arc::new(State {
            tcp,
            udp,
            records: Mutex::default(),
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

    /// Sets the A and AAAA records of `name`.
    pub fn answer(&self, name: &str, addresses: &[IpAddr]) {
        locked(&self.state.records)
            .zone
            .set_addresses(name, addresses.to_vec());
    }

    /// Makes `name` an alias of `target`.
    pub fn cname(&self, name: &str, target: &str) {
        locked(&self.state.records).zone.set_alias(name, target);
    }

    /// Removes `name`.
    pub fn forget(&self, name: &str) {
        locked(&self.state.records).zone.forget(name);
    }

    /// Sets the TTL of every record, in seconds (default: 60).
    pub fn set_ttl(&self, seconds: u32) {
        locked(&self.state.records).zone.ttl = seconds;
    }

    /// Sets the fault for all questions.
    pub fn set_fault(&self, fault: DnsFault) {
        self.replace_fault(Some((fault, None)));
    }

    /// Sets the fault for questions about `record`; others are answered.
    pub fn set_fault_for(&self, record: RecordType, fault: DnsFault) {
        self.replace_fault(Some((fault, Some(record))));
    }

    /// Removes the fault, and opens the port if it was closed.
    pub fn clear(&self) {
        self.replace_fault(None);
    }

    /// Closes the port for UDP and TCP; it stays reserved until `clear`.
    pub fn close(&self) {
        self.state.udp.close();
        self.state.tcp.close();
    }

    /// Sets the identity for TLS on the same port; without one, TLS connections are closed.
    pub fn set_identity(&self, identity: Identity) {
        locked(&self.state.records).identity = Some(Arc::new(identity));
    }

    /// The questions, oldest first; at most the last 10,000.
    pub fn queries(&self) -> Vec<Query> {
        locked(&self.state.records)
            .queries
            .iter()
            .cloned()
            .collect()
    }

    fn replace_fault(&self, fault: Option<(DnsFault, Option<RecordType>)>) {
        let tcp_closed = matches!(fault, Some((DnsFault::TruncatedTcpClosed, _)));
        {
            let mut records = locked(&self.state.records);
            records.fault = fault;
            records.asked = 0;
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
    /// Closes the port immediately; the tasks end later.
    fn drop(&mut self) {
        self.close();
    }
}

impl State {
    /// The fault that applies to all questions.
    pub(crate) fn fault(&self) -> Option<DnsFault> {
        match &locked(&self.records).fault {
            Some((fault, None)) => Some(fault.clone()),
            _ => None,
        }
    }

    /// Records the question and returns the reply; `None` is silence.
    pub(crate) fn reply(
        &self,
        bytes: &[u8],
        transport: Transport,
        source: SocketAddr,
    ) -> Option<Reply> {
        let message = Message::from_vec(bytes).ok()?;
        let question = message.queries.first()?.clone();
        let mut records = locked(&self.records);
        if records.queries.len() == MAX_QUERIES {
            records.queries.pop_front();
        }
        records.queries.push_back(Query {
            name: Zone::key(&question.name().to_ascii()),
            record: question.query_type(),
            transport,
            source,
        });
        let fault = match &records.fault {
            Some((fault, None)) => Some(fault.clone()),
            Some((fault, Some(record))) if *record == question.query_type() => Some(fault.clone()),
            _ => None,
        };
        if fault.is_some() {
            records.asked += 1;
        }
        let asked = records.asked;
        records
            .zone
            .reply(&message, &question, transport, fault.as_ref(), asked)
    }
}

async fn serve_udp(state: Arc<State>) {
    let mut pending = JoinSet::new();
    loop {
        let (bytes, source) = match state.udp.receive().await {
            Ok(datagram) => datagram,
            // An ICMP error for an earlier answer; the socket remains usable.
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
                tokio::time::sleep(reply.delay.min(MAX_WAIT)).await;
                state.udp.send(&reply.bytes, source);
            });
        }
    }
}

async fn serve_tcp(state: Arc<State>) {
    let mut pending = JoinSet::new();
    loop {
        let Ok((stream, source)) = state.tcp.accept().await else {
            // Usually no file descriptor is free; the connection stays in the queue.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        while pending.try_join_next().is_some() {}
        if pending.len() < MAX_PENDING {
            let state = Arc::clone(&state);
            pending.spawn(timeout(MAX_WAIT, async move {
                let _ = serve_connection(&state, stream, source).await;
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
        return serve_stream(state, stream, Transport::Tcp, source).await;
    }
    let identity = locked(&state.records).identity.clone();
    match identity {
        Some(identity) => dns_session::serve(stream, source, &identity, state).await,
        None => Ok(()),
    }
}

/// Answers questions on one connection; messages are prefixed with their length
/// (RFC 1035, 4.2.2).
pub(crate) async fn serve_stream<IO>(
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
        tokio::time::sleep(reply.delay.min(MAX_WAIT)).await;
        let Ok(length) = u16::try_from(reply.bytes.len()) else {
            return Ok(());
        };
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(&reply.bytes);
        stream.write_all(&framed).await?;
        stream.flush().await?;
    }
}
