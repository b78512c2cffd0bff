//! One question to one name server: one packet, no retry; TCP when the answer over UDP is cut.

use std::time::Duration;

use hickory_net::NetError;
use hickory_net::tcp::TcpClientStream;
use hickory_net::udp::UdpClientStream;
use hickory_net::xfer::{DnsHandle, DnsRequestSender, FirstAnswer};
use hickory_proto::op::{
    DnsRequest, DnsRequestOptions, DnsResponse, Edns, Message, Query, ResponseCode,
};
use hickory_proto::rr::{Name, RData, RecordType};

use super::socket::ConnectedRuntime;
use super::{MAX_ADDRESSES, rcode_reason, reason};
use crate::clock::Stopwatch;
use crate::config::{Resolver, Transport};
use crate::report::{Lookup, Reason, Record};

/// The size of an answer over UDP that crosses any path (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1232;
const MAX_CNAMES: usize = 16;

pub(super) struct Question {
    pub resolver: Resolver,
    pub name: Name,
    pub record: Record,
    pub limit: Duration,
}

/// Asks, and says what came. It ends within the question's limit.
pub(super) async fn ask(question: &Question) -> Lookup {
    let watch = Stopwatch::start();
    let mut lookup = Lookup {
        resolver: question.resolver.to_string(),
        record: question.record,
        duration: Duration::ZERO,
        rcode: None,
        answers: Vec::new(),
        expected: None,
        cnames: Vec::new(),
        min_ttl: None,
        authenticated: false,
        truncated: false,
        failure: None,
    };
    let answer =
        tokio::time::timeout(question.limit, exchange(question, &mut lookup.truncated)).await;
    lookup.duration = watch.elapsed();
    match answer {
        Err(_) => lookup.failure = Some(Reason::DnsTimedOut),
        Ok(Err(error)) => lookup.failure = Some(reason(&error)),
        Ok(Ok(response)) => read(&mut lookup, &response),
    }
    lookup
}

async fn exchange(question: &Question, truncated: &mut bool) -> Result<DnsResponse, NetError> {
    if question.resolver.transport == Transport::Udp {
        let mut stream =
            UdpClientStream::builder(question.resolver.address, ConnectedRuntime::default())
                .with_timeout(Some(question.limit))
                .with_max_retries(0)
                .with_os_port_selection(true)
                .build();
        let response = stream
            .send_message(request(question))
            .first_answer()
            .await?;
        if !response.truncation {
            return Ok(response);
        }
        *truncated = true;
    }
    // It owns the task that drives the connection, so it must outlive the answer.
    let runtime = ConnectedRuntime::default();
    let address = question.resolver.address;
    let stream =
        TcpClientStream::exchange(address, None, question.limit, None, runtime.clone()).await?;
    stream.send(request(question)).first_answer().await
}

fn request(question: &Question) -> DnsRequest {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    // Asks the resolver to say whether it validated the answer (RFC 6840, 5.7).
    message.metadata.authentic_data = true;
    let record = match question.record {
        Record::A => RecordType::A,
        Record::Aaaa => RecordType::AAAA,
    };
    message.add_query(Query::query(question.name.clone(), record));
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_PAYLOAD);
    message.set_edns(edns);
    DnsRequest::new(message, DnsRequestOptions::default())
}

fn read(lookup: &mut Lookup, response: &DnsResponse) {
    let code = response.response_code;
    lookup.rcode = Some(rcode_name(code));
    lookup.authenticated = response.authentic_data;
    for record in &response.answers {
        let address = match &record.data {
            RData::A(a) => Some(a.0.into()),
            RData::AAAA(aaaa) => Some(aaaa.0.into()),
            RData::CNAME(alias) => {
                if lookup.cnames.len() < MAX_CNAMES {
                    lookup
                        .cnames
                        .push(super::super::bounded(&alias.0.to_ascii()));
                }
                None
            }
            _ => None,
        };
        let Some(address) = address else { continue };
        lookup.min_ttl = Some(
            lookup
                .min_ttl
                .map_or(record.ttl, |least| least.min(record.ttl)),
        );
        if lookup.answers.len() < MAX_ADDRESSES && !lookup.answers.contains(&address) {
            lookup.answers.push(address);
        }
    }
    lookup.failure = match code {
        ResponseCode::NoError => None,
        code => Some(rcode_reason(code)),
    };
}

/// The mnemonic of RFC 2929, as every tool prints it.
pub(super) fn rcode_name(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".to_owned(),
        ResponseCode::NXDomain => "NXDOMAIN".to_owned(),
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        other => format!("RCODE{}", u16::from(other)),
    }
}
