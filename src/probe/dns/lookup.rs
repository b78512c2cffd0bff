//! One question to one name server, without retry: one packet over UDP, with TCP when the answer is
//! cut; one connection over TCP, TLS and HTTPS.

use std::sync::Arc;
use std::time::Duration;

use hickory_net::tcp::TcpClientStream;
use hickory_net::xfer::{DnsHandle, FirstAnswer};
use hickory_proto::op::{
    DnsRequest, DnsRequestOptions, DnsResponse, Edns, Message, Query, ResponseCode,
};
use hickory_proto::rr::{Name, RData, RecordType};

use super::encrypted::{self, Destination};
use super::socket::ConnectedRuntime;
use super::{LookupError, MAX_ADDRESSES, rcode_reason, udp};
use crate::clock::Stopwatch;
use crate::config::{Resolver, Transport};
use crate::probe::tls::Client;
use crate::report::{Lookup, Reason, Record};

/// The size of an answer over UDP that crosses any path (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1232;
const MAX_CNAMES: usize = 16;

pub(super) struct LookupRequest {
    pub resolver: Resolver,
    pub name: Name,
    pub record: Record,
    pub limit: Duration,
    /// For sessions with encrypted name servers.
    pub client: Arc<Client>,
}

/// Asks, and says what came. It ends within the question's limit.
pub(super) async fn ask(question: &LookupRequest) -> Lookup {
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
        session: None,
        detail: None,
        failure: None,
    };
    let answer = tokio::time::timeout(question.limit, exchange(question, &mut lookup)).await;
    lookup.duration = watch.elapsed();
    match answer {
        Err(_) => lookup.failure = Some(Reason::DnsTimedOut),
        Ok(Err(unanswered)) => {
            lookup.failure = Some(unanswered.reason);
            lookup.detail = unanswered.detail;
        }
        Ok(Ok(response)) => read(&mut lookup, &response),
    }
    lookup
}

async fn exchange(
    question: &LookupRequest,
    lookup: &mut Lookup,
) -> Result<DnsResponse, LookupError> {
    let (named, path) = match &question.resolver.transport {
        Transport::Udp => return over_udp(question, &mut lookup.truncated).await,
        Transport::Tcp => return Box::pin(over_tcp(question)).await,
        Transport::Tls(named) => (named, None),
        Transport::Https(named, path) => (named, Some(path.as_str())),
    };
    let destination = Destination {
        address: question.resolver.address,
        certified: &named.certified,
        path,
    };
    let session = &mut lookup.session;
    let (request, limit) = (request(question), question.limit);
    // In boxes is what is seldom: every question would be as large as it otherwise.
    let exchange = encrypted::exchange(&destination, request, &question.client, limit, session);
    Box::pin(exchange).await
}

async fn over_udp(
    question: &LookupRequest,
    truncated: &mut bool,
) -> Result<DnsResponse, LookupError> {
    let message = message(question);
    let response = udp::exchange(question.resolver.address, &message).await?;
    if !response.truncation {
        return Ok(response);
    }
    *truncated = true;
    Box::pin(over_tcp(question)).await
}

async fn over_tcp(question: &LookupRequest) -> Result<DnsResponse, LookupError> {
    // It owns the task that drives the connection, so it must outlive the answer.
    let runtime = ConnectedRuntime::default();
    let address = question.resolver.address;
    let stream =
        TcpClientStream::exchange(address, None, question.limit, None, runtime.clone()).await?;
    Ok(stream.send(request(question)).first_answer().await?)
}

fn request(question: &LookupRequest) -> DnsRequest {
    DnsRequest::new(message(question), DnsRequestOptions::default())
}

fn message(question: &LookupRequest) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    // Asks the resolver to say whether it validated the answer (RFC 6840, 5.7).
    message.metadata.authentic_data = true;
    let kind = record_type(question.record);
    message.add_query(Query::query(question.name.clone(), kind));
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_PAYLOAD);
    message.set_edns(edns);
    message
}

pub(super) fn record_type(record: Record) -> RecordType {
    match record {
        Record::A => RecordType::A,
        Record::Aaaa => RecordType::AAAA,
    }
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
