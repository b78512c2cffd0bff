//! One query to one name server, without retry: one packet over UDP, again over TCP if the answer
//! is truncated; one connection over TCP, TLS or HTTPS.

use std::sync::atomic::{AtomicU64, Ordering};

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{RData, RecordType};

use super::request::{LookupError, LookupRequest, QueryForm};
use super::{MAX_ADDRESSES, stream, udp};
use crate::clock::Stopwatch;
use crate::config::Transport;
use crate::probe::bounded;
use crate::report::{Lookup, QueryType, Reason};

/// The size of an answer over UDP that crosses any path (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1232;
const MAX_CNAMES: usize = 16;

/// Sends the query and reports the answer, positive or negative.
pub(super) async fn query(request: &LookupRequest) -> Lookup {
    let watch = Stopwatch::start();
    let mut lookup = Lookup {
        resolver: request.resolver.to_string(),
        record: request.record,
        ..Lookup::default()
    };
    match exchange(request, &mut lookup).await {
        Ok(response) => read(&mut lookup, &response),
        Err(error) => {
            lookup.failure = Some(error.reason);
            lookup.detail = error.detail;
        }
    }
    lookup.duration = watch.elapsed();
    lookup
}

async fn exchange(request: &LookupRequest, lookup: &mut Lookup) -> Result<Message, LookupError> {
    let timed_out = |_| LookupError::of(Reason::DnsTimedOut);
    let message = message(request);
    if request.resolver.transport == Transport::Udp {
        let ignored = AtomicU64::new(0);
        let exchange = udp::exchange(request.resolver.address, &message, &ignored);
        let response = tokio::time::timeout(request.limit, exchange).await;
        let response = response.map_err(|elapsed| match ignored.load(Ordering::Relaxed) {
            0 => timed_out(elapsed),
            1 => LookupError::malformed("a datagram that does not answer the query"),
            count => {
                LookupError::malformed(format!("{count} datagrams that do not answer the query"))
            }
        })??;
        if !response.truncation {
            return Ok(response);
        }
        lookup.truncated = true;
    }
    // Boxed because it is rare: every query's future would be as large otherwise.
    let exchange = Box::pin(stream::exchange(request, message, &mut lookup.session));
    let response = tokio::time::timeout(request.limit, exchange).await;
    response.map_err(timed_out)?
}

fn message(request: &LookupRequest) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    let kind = record_type(request.record);
    message.add_query(Query::query(request.name.clone(), kind));
    if request.form == QueryForm::Edns {
        message.metadata.authentic_data = true;
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD);
        message.set_edns(edns);
    }
    message
}

pub(super) fn record_type(record: QueryType) -> RecordType {
    match record {
        QueryType::A => RecordType::A,
        QueryType::Aaaa => RecordType::AAAA,
    }
}

pub(in crate::probe) fn read(lookup: &mut Lookup, response: &Message) {
    let code = response.response_code;
    lookup.rcode = Some(rcode_name(code));
    lookup.authenticated = response.authentic_data;
    lookup.failure = failure(code);
    for record in &response.answers {
        let address = match &record.data {
            RData::A(a) => a.0.into(),
            RData::AAAA(aaaa) => aaaa.0.into(),
            RData::CNAME(alias) if lookup.cnames.len() < MAX_CNAMES => {
                lookup.cnames.push(bounded(&alias.0.to_ascii()));
                continue;
            }
            _ => continue,
        };
        let least = lookup.min_ttl.unwrap_or(u32::MAX);
        lookup.min_ttl = Some(least.min(record.ttl));
        if lookup.answers.len() < MAX_ADDRESSES && !lookup.answers.contains(&address) {
            lookup.answers.push(address);
        }
    }
}

fn failure(code: ResponseCode) -> Option<Reason> {
    match code {
        ResponseCode::NoError => None,
        ResponseCode::NXDomain => Some(Reason::DnsNxdomain),
        ResponseCode::Refused | ResponseCode::NotAuth => Some(Reason::DnsRefused),
        _ => Some(Reason::DnsServfail),
    }
}

/// The mnemonic of RFC 2929, as every tool prints it.
fn rcode_name(code: ResponseCode) -> String {
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
