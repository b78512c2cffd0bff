//! A name server and a web server with a known delay in every phase.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{RData, Record, RecordType};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use crate::authority::Identity;
use crate::tasks::Task;

/// Both servers; they stop when this is dropped.
pub struct Delays {
    name_server: SocketAddr,
    web_server: SocketAddr,
    _tasks: [Task; 2],
}

impl Delays {
    /// Before the name server answers.
    pub const DNS: Duration = Duration::from_millis(50);
    /// Before the handshake is answered; the connection is accepted without delay.
    pub const HANDSHAKE: Duration = Duration::from_millis(40);
    /// From the request to the response's head and the first half of its body.
    pub const FIRST_BYTE: Duration = Duration::from_millis(120);
    /// Before the other half.
    pub const BODY: Duration = Duration::from_millis(200);

    /// Starts both; the name server resolves every name to the address of the web server.
    ///
    /// # Errors
    /// An address cannot be bound, or the identity cannot be used.
    pub async fn start(
        identity: &Identity,
        name_server: SocketAddr,
        web_server: SocketAddr,
    ) -> io::Result<Self> {
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(identity.chain.clone(), identity.key.clone_key())
            .map_err(io::Error::other)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(web_server).await?;
        let socket = Arc::new(UdpSocket::bind(name_server).await?);
        let (name_server, web_server) = (socket.local_addr()?, listener.local_addr()?);
        let pages = Task::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(page(acceptor.clone(), stream));
            }
        });
        let answers = Task::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                let question = buffer[..length].to_vec();
                let answer = answer(question, web_server);
                let socket = Arc::clone(&socket);
                tokio::spawn(async move {
                    if let Some(bytes) = answer.await {
                        let _ = socket.send_to(&bytes, peer).await;
                    }
                });
            }
        });
        Ok(Self {
            name_server,
            web_server,
            _tasks: [pages, answers],
        })
    }

    pub fn name_server(&self) -> SocketAddr {
        self.name_server
    }

    pub fn web_server(&self) -> SocketAddr {
        self.web_server
    }
}

async fn answer(question: Vec<u8>, web_server: SocketAddr) -> Option<Vec<u8>> {
    let mut message = Message::from_vec(&question).ok()?;
    sleep(Delays::DNS).await;
    message.metadata.message_type = MessageType::Response;
    let query = message.queries.first().cloned()?;
    let data = match (query.query_type(), web_server) {
        (RecordType::A, SocketAddr::V4(address)) => Some(RData::A(A(*address.ip()))),
        (RecordType::AAAA, SocketAddr::V6(address)) => Some(RData::AAAA(AAAA(*address.ip()))),
        _ => None,
    };
    if let Some(data) = data {
        message.add_answer(Record::from_rdata(query.name().clone(), 60, data));
    }
    message.to_vec().ok()
}

async fn page(acceptor: TlsAcceptor, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    sleep(Delays::HANDSHAKE).await;
    let Ok(mut session) = acceptor.accept(stream).await else {
        return;
    };
    let mut request = [0; 4096];
    let Ok(1..) = session.read(&mut request).await else {
        return;
    };
    sleep(Delays::FIRST_BYTE).await;
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\nfirst";
    if session.write_all(head).await.is_err() || session.flush().await.is_err() {
        return;
    }
    sleep(Delays::BODY).await;
    let _ = session.write_all(b"other").await;
    let _ = session.shutdown().await;
}
