//! The name server, asked with hickory's messages over plain sockets.

#![allow(clippy::disallowed_methods, reason = "a test measures time")]

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use ccass_2fa_lab::{DnsFault, NameServer, RecordType, Transport};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

const NAME: &str = "sso.lab.test";
const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const SOON: Duration = Duration::from_secs(20);
const QUIET: Duration = Duration::from_millis(300);

fn question(name: &str, record: RecordType) -> Message {
    let mut message = Message::query();
    let name = Name::from_ascii(format!("{name}.")).expect("a name");
    message.add_query(hickory_proto::op::Query::query(name, record));
    message
}

async fn raw_udp(server: &NameServer, message: &Message) -> std::io::Result<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(server.addr()).await?;
    socket.send(&message.to_vec().expect("a message")).await?;
    let mut bytes = vec![0; 65_536];
    let length = timeout(SOON, socket.recv(&mut bytes)).await??;
    bytes.truncate(length);
    Ok(bytes)
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
    let mut answer = vec![0; usize::from(timeout(SOON, stream.read_u16()).await??)];
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

async fn is_silent(server: &NameServer, record: RecordType) -> bool {
    let question = question(NAME, record);
    timeout(QUIET, raw_udp(server, &question)).await.is_err()
}

#[tokio::test]
async fn a_name_has_its_addresses_over_udp_and_over_tcp() {
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
async fn an_unknown_name_does_not_exist_and_a_known_one_without_the_record_is_empty() {
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
async fn an_alias_is_followed_and_a_ring_of_aliases_is_a_failure() {
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
async fn response_codes_are_answered_as_set_and_clear_heals() {
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
async fn a_fault_may_hold_for_one_record_type_alone() {
    let server = server().await;
    server.set_fault_for(RecordType::AAAA, DnsFault::ServFail);
    assert_eq!(addresses(&udp(&server, RecordType::A).await), [V4]);
    let answer = udp(&server, RecordType::AAAA).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
}

#[tokio::test]
async fn silence_is_silence_and_the_question_is_still_noted() {
    let server = server().await;
    server.set_fault(DnsFault::Silent);
    assert!(is_silent(&server, RecordType::A).await);
    assert_eq!(server.queries().len(), 1);
}

#[tokio::test]
async fn every_nth_question_is_lost() {
    let server = server().await;
    server.set_fault(DnsFault::DropEvery(2));
    assert_eq!(addresses(&udp(&server, RecordType::A).await), [V4]);
    assert!(is_silent(&server, RecordType::A).await);
    assert_eq!(addresses(&udp(&server, RecordType::A).await), [V4]);
    server.set_fault(DnsFault::DropEvery(1));
    assert!(is_silent(&server, RecordType::A).await);
}

#[tokio::test]
async fn a_malformed_answer_has_the_right_identifier_and_cannot_be_read() {
    let server = server().await;
    server.set_fault(DnsFault::Malformed);
    let question = question(NAME, RecordType::A);
    let bytes = raw_udp(&server, &question).await.expect("an answer");
    assert_eq!(bytes[..2], question.metadata.id.to_be_bytes());
    assert!(Message::from_vec(&bytes).is_err());
}

#[tokio::test]
async fn a_wrong_identifier_is_on_a_good_answer() {
    let server = server().await;
    server.set_fault(DnsFault::WrongId);
    let question = question(NAME, RecordType::A);
    let bytes = raw_udp(&server, &question).await.expect("an answer");
    let answer = Message::from_vec(&bytes).expect("a message");
    assert_ne!(answer.metadata.id, question.metadata.id);
    assert_eq!(addresses(&answer), [V4]);
}

#[tokio::test]
async fn a_truncated_answer_is_whole_over_tcp_unless_that_port_is_closed() {
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
async fn more_addresses_than_a_datagram_holds_are_truncated_unless_the_client_takes_more() {
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
async fn a_sinkhole_answers_its_own_address_whatever_the_name() {
    let server = server().await;
    let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    server.set_fault(DnsFault::Answer(vec![nowhere]));
    assert_eq!(addresses(&udp(&server, RecordType::A).await), [nowhere]);
    assert!(udp(&server, RecordType::AAAA).await.answers.is_empty());
}

#[tokio::test]
async fn a_slow_answer_is_good_and_does_not_hold_up_others() {
    let server = server().await;
    server.set_fault_for(RecordType::A, DnsFault::Slow(QUIET));
    let start = Instant::now();
    let slow = udp(&server, RecordType::A);
    let quick = async {
        let answer = udp(&server, RecordType::AAAA).await;
        (answer, start.elapsed())
    };
    let (slow, (quick, quick_after)) = tokio::join!(slow, quick);
    assert_eq!(addresses(&slow), [V4]);
    assert!(start.elapsed() >= QUIET);
    assert_eq!(addresses(&quick), [V6]);
    assert!(quick_after < QUIET);
}

#[tokio::test]
async fn a_closed_server_is_unreachable_and_keeps_its_port() {
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
async fn what_is_no_question_is_ignored() {
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
async fn a_dropped_server_is_gone() {
    let server = server().await;
    let addr = server.addr();
    drop(server);
    // The task ends at its next step, and with it the port.
    timeout(SOON, async {
        while UdpSocket::bind(addr).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the port is free again");
}
