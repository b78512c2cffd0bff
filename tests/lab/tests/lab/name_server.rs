//! The name server, queried with hickory's messages over plain sockets.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::client::{TIMEOUT, wait_until};
use ccass_2fa_lab::{DnsFault, NameServer, RecordType, Transport};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

const NAME: &str = "sso.lab.test";
const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn question(name: &str, record: RecordType) -> Message {
    let mut message = Message::query();
    let name = Name::from_ascii(format!("{name}.")).expect("a name");
    message.add_query(hickory_proto::op::Query::query(name, record));
    message
}

async fn connected_socket(server: &NameServer) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(server.addr()).await?;
    Ok(socket)
}

async fn send(socket: &UdpSocket, message: &Message) -> std::io::Result<()> {
    let bytes = message.to_vec().expect("a message");
    socket.send(&bytes).await.map(drop)
}

async fn receive(socket: &UdpSocket) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; 65_536];
    let length = timeout(TIMEOUT, socket.recv(&mut bytes)).await??;
    bytes.truncate(length);
    Ok(bytes)
}

async fn raw_udp(server: &NameServer, message: &Message) -> std::io::Result<Vec<u8>> {
    let socket = connected_socket(server).await?;
    send(&socket, message).await?;
    receive(&socket).await
}

async fn udp(server: &NameServer, record: RecordType) -> Message {
    let question = question(NAME, record);
    let bytes = raw_udp(server, &question).await.expect("an answer");
    let answer = Message::from_vec(&bytes).expect("a message");
    assert_eq!(answer.metadata.id, question.metadata.id);
    assert_eq!(answer.queries, question.queries);
    answer
}

async fn tcp(server: &NameServer, record: RecordType) -> std::io::Result<Message> {
    let mut stream = TcpStream::connect(server.addr()).await?;
    let bytes = question(NAME, record).to_vec().expect("a message");
    stream.write_u16(bytes.len() as u16).await?;
    stream.write_all(&bytes).await?;
    let mut answer = vec![0; usize::from(timeout(TIMEOUT, stream.read_u16()).await??)];
    stream.read_exact(&mut answer).await?;
    Ok(Message::from_vec(&answer).expect("a message"))
}

fn addresses(message: &Message) -> Vec<IpAddr> {
    message
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
            _ => None,
        })
        .collect()
}

async fn server() -> NameServer {
    let server = NameServer::start().await.expect("the name server starts");
    server.answer(NAME, &[V4, V6]);
    server
}

/// Asks twice over one socket and returns whether only the second question is answered, the second
/// one after `between`. The server answers in order, so a late answer to the first would come before.
async fn ignores_the_first_question(server: &NameServer, between: impl FnOnce()) -> bool {
    let socket = connected_socket(server).await.expect("a socket");
    let first = question(NAME, RecordType::A);
    let mut second = question(NAME, RecordType::A);
    second.metadata.id = first.metadata.id.wrapping_add(1);
    let before = server.queries().len();
    send(&socket, &first).await.expect("sent");
    wait_until(|| server.queries().len() > before).await;
    between();
    send(&socket, &second).await.expect("sent");
    let answer = receive(&socket).await.expect("an answer");
    answer[..2] == second.metadata.id.to_be_bytes()
}

#[tokio::test]
async fn addresses_are_served_over_udp_and_tcp() {
    let server = server().await;
    server.set_ttl(7);
    let answer = udp(&server, RecordType::A).await;
    assert_eq!(addresses(&answer), [V4]);
    assert_eq!(answer.answers[0].ttl, 7);
    assert_eq!(addresses(&udp(&server, RecordType::AAAA).await), [V6]);
    let over_tcp = tcp(&server, RecordType::A).await.expect("an answer");
    assert_eq!(addresses(&over_tcp), [V4]);

    let queries = server.queries();
    assert_eq!(queries.len(), 3);
    assert_eq!(queries[0].name, NAME);
    assert_eq!(queries[1].record, RecordType::AAAA);
    assert_eq!(queries[2].transport, Transport::Tcp);
}

#[tokio::test]
async fn unknown_name_is_nxdomain_and_missing_record_is_no_data() {
    let server = NameServer::start().await.expect("the name server starts");
    let answer = udp(&server, RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(answer.authorities.len(), 1);
    server.answer(NAME, &[V4]);
    let answer = udp(&server, RecordType::AAAA).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert!(answer.answers.is_empty());
    server.forget(NAME);
    let answer = udp(&server, RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
}

#[tokio::test]
async fn aliases_are_followed_and_alias_loop_is_servfail() {
    let server = server().await;
    server.cname(NAME, "login.lab.test");
    server.answer("login.lab.test", &[V4]);
    let answer = udp(&server, RecordType::A).await;
    assert_eq!(answer.answers.len(), 2);
    assert_eq!(addresses(&answer), [V4]);
    server.cname("login.lab.test", NAME);
    let answer = udp(&server, RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
}

#[tokio::test]
async fn configured_response_codes_are_sent_until_cleared() {
    let server = server().await;
    for (fault, code) in [
        (DnsFault::NxDomain, ResponseCode::NXDomain),
        (DnsFault::NoData, ResponseCode::NoError),
        (DnsFault::ServFail, ResponseCode::ServFail),
        (DnsFault::Refused, ResponseCode::Refused),
    ] {
        server.set_fault(fault);
        let answer = udp(&server, RecordType::A).await;
        assert_eq!(answer.metadata.response_code, code);
        assert!(answer.answers.is_empty());
    }
    server.clear();
    assert_eq!(addresses(&udp(&server, RecordType::A).await), [V4]);
}

#[tokio::test]
async fn fault_can_apply_to_one_record_type() {
    let server = server().await;
    server.set_fault_for(RecordType::AAAA, DnsFault::ServFail);
    assert_eq!(addresses(&udp(&server, RecordType::A).await), [V4]);
    let answer = udp(&server, RecordType::AAAA).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
}

#[tokio::test]
async fn silent_server_records_the_question() {
    let server = server().await;
    server.set_fault(DnsFault::Silent);
    assert!(ignores_the_first_question(&server, || server.clear()).await);
    assert_eq!(server.queries().len(), 2);
}

#[tokio::test]
async fn every_nth_question_is_dropped() {
    let server = server().await;
    server.set_fault(DnsFault::DropEvery(2));
    assert_eq!(addresses(&udp(&server, RecordType::A).await), [V4]);
    assert!(ignores_the_first_question(&server, || {}).await);
    server.set_fault(DnsFault::DropEvery(1));
    assert!(ignores_the_first_question(&server, || server.clear()).await);
}

#[tokio::test]
async fn malformed_answer_has_the_right_id_and_does_not_parse() {
    let server = server().await;
    server.set_fault(DnsFault::Malformed);
    let question = question(NAME, RecordType::A);
    let bytes = raw_udp(&server, &question).await.expect("an answer");
    assert_eq!(bytes[..2], question.metadata.id.to_be_bytes());
    assert!(Message::from_vec(&bytes).is_err());
}

#[tokio::test]
async fn wrong_id_is_sent_with_a_valid_answer() {
    let server = server().await;
    server.set_fault(DnsFault::WrongId);
    let question = question(NAME, RecordType::A);
    let bytes = raw_udp(&server, &question).await.expect("an answer");
    let answer = Message::from_vec(&bytes).expect("a message");
    assert_ne!(answer.metadata.id, question.metadata.id);
    assert_eq!(addresses(&answer), [V4]);
}

#[tokio::test]
async fn truncated_answer_is_complete_over_tcp_unless_tcp_is_closed() {
    let server = server().await;
    server.set_fault(DnsFault::Truncated);
    let answer = udp(&server, RecordType::A).await;
    assert!(answer.metadata.truncation && answer.answers.is_empty());
    let over_tcp = tcp(&server, RecordType::A).await.expect("an answer");
    assert_eq!(addresses(&over_tcp), [V4]);

    server.set_fault(DnsFault::TruncatedTcpClosed);
    assert!(udp(&server, RecordType::A).await.metadata.truncation);
    let error = tcp(&server, RecordType::A).await.expect_err("no TCP");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);

    server.clear();
    assert!(tcp(&server, RecordType::A).await.is_ok());
}

#[tokio::test]
async fn large_answers_are_truncated_unless_the_client_allows_them() {
    let server = server().await;
    let many: Vec<IpAddr> = (1..=100)
        .map(|n| Ipv4Addr::new(127, 0, 1, n).into())
        .collect();
    server.answer(NAME, &many);
    assert!(udp(&server, RecordType::A).await.metadata.truncation);
    let mut question = question(NAME, RecordType::A);
    let mut edns = hickory_proto::op::Edns::new();
    edns.set_max_payload(4096);
    question.set_edns(edns);
    let bytes = raw_udp(&server, &question).await.expect("an answer");
    let answer = Message::from_vec(&bytes).expect("a message");
    assert_eq!(addresses(&answer), many);
    assert!(answer.edns.is_some());
}

#[tokio::test]
async fn sinkhole_answers_with_its_own_address() {
    let server = server().await;
    let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    server.set_fault(DnsFault::Answer(vec![nowhere]));
    assert_eq!(addresses(&udp(&server, RecordType::A).await), [nowhere]);
    assert!(udp(&server, RecordType::AAAA).await.answers.is_empty());
}

#[tokio::test]
async fn slow_answer_is_valid_and_does_not_delay_others() {
    let server = server().await;
    server.set_fault_for(RecordType::A, DnsFault::Slow(2 * TIMEOUT));
    let socket = connected_socket(&server).await.expect("a socket");
    let slow = question(NAME, RecordType::A);
    send(&socket, &slow).await.expect("sent");
    wait_until(|| server.queries().len() == 1).await;
    assert_eq!(addresses(&udp(&server, RecordType::AAAA).await), [V6]);

    let delay = Duration::from_millis(100);
    server.set_fault_for(RecordType::A, DnsFault::Slow(delay));
    let start = Instant::now();
    assert_eq!(addresses(&udp(&server, RecordType::A).await), [V4]);
    assert!(start.elapsed() >= delay);
}

#[tokio::test]
async fn closed_server_is_unreachable_and_keeps_its_port() {
    let server = server().await;
    server.close();
    let question = question(NAME, RecordType::A);
    let error = raw_udp(&server, &question).await.expect_err("unreachable");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let error = tcp(&server, RecordType::A).await.expect_err("no TCP");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let error = UdpSocket::bind(server.addr())
        .await
        .expect_err("the port is kept");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);

    server.clear();
    assert_eq!(addresses(&udp(&server, RecordType::A).await), [V4]);
}

#[tokio::test]
async fn invalid_questions_are_ignored() {
    let server = server().await;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a socket");
    for bytes in [&b""[..], b"x", &[0xff; 600], &[0; 12]] {
        socket.send_to(bytes, server.addr()).await.expect("sent");
    }
    assert_eq!(addresses(&udp(&server, RecordType::A).await), [V4]);
    assert_eq!(server.queries().len(), 1);
}

#[tokio::test]
async fn dropped_server_releases_its_port() {
    let server = server().await;
    let addr = server.addr();
    drop(server);
    // The port is released when the server's task ends.
    timeout(TIMEOUT, async {
        while UdpSocket::bind(addr).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the port is free again");
}
