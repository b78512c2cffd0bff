//! A name server and a web server whose every phase takes a known time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ccass_2fa_lab::Identity;
use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record, RecordType};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use crate::world::{SLOW_ADDRESS, SLOW_NAME_SERVER};

pub const DNS: Duration = Duration::from_millis(50);
pub const HANDSHAKE: Duration = Duration::from_millis(40);
pub const FIRST_BYTE: Duration = Duration::from_millis(120);
pub const BODY: Duration = Duration::from_millis(200);

/// They stop when it is dropped.
pub struct Delays {
    _tasks: JoinSet<()>,
}

impl Delays {
    pub async fn start(identity: &Identity) -> anyhow::Result<Self> {
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(identity.chain.clone(), identity.key.clone_key())?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((SLOW_ADDRESS, 443)).await?;
        let socket = Arc::new(UdpSocket::bind((SLOW_NAME_SERVER, 53)).await?);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(page(acceptor.clone(), stream));
            }
        });
        tasks.spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                let question = buffer[..length].to_vec();
                tokio::spawn(answer(Arc::clone(&socket), question, peer));
            }
        });
        Ok(Self { _tasks: tasks })
    }
}

async fn answer(socket: Arc<UdpSocket>, question: Vec<u8>, peer: SocketAddr) {
    let Ok(mut message) = Message::from_vec(&question) else {
        return;
    };
    sleep(DNS).await;
    message.metadata.message_type = MessageType::Response;
    if let Some(query) = message.queries.first().cloned()
        && query.query_type() == RecordType::A
    {
        let data = RData::A(A(SLOW_ADDRESS));
        message.add_answer(Record::from_rdata(query.name().clone(), 60, data));
    }
    if let Ok(bytes) = message.to_vec() {
        let _gone = socket.send_to(&bytes, peer).await;
    }
}

async fn page(acceptor: TlsAcceptor, stream: TcpStream) {
    let _gone = stream.set_nodelay(true);
    sleep(HANDSHAKE).await;
    let Ok(mut session) = acceptor.accept(stream).await else {
        return;
    };
    let mut request = [0; 4096];
    let Ok(1..) = session.read(&mut request).await else {
        return;
    };
    sleep(FIRST_BYTE).await;
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\nfirst";
    if session.write_all(head).await.is_err() || session.flush().await.is_err() {
        return;
    }
    sleep(BODY).await;
    let _gone = session.write_all(b"other").await;
    let _gone = session.shutdown().await;
}
