//! The name server's zone and its answers.
//!
//! Input: a parsed question and the active fault. Output: the bytes of a message, or nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::faults::DnsFault;
use crate::name_server::Transport;

const MAX_ALIASES: usize = 16;

/// Bytes to send after a delay.
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    pub(crate) delay: Duration,
}

pub(crate) struct Zone {
    names: HashMap<String, Entry>,
    pub(crate) ttl: u32,
}

enum Entry {
    Addresses(Vec<IpAddr>),
    Alias(String),
}

impl Default for Zone {
    fn default() -> Self {
        Self {
            names: HashMap::new(),
            ttl: 60,
        }
    }
}

impl Zone {
    /// The key of a name: lower case, without the final dot.
    pub(crate) fn key(name: &str) -> String {
        name.trim_end_matches('.').to_ascii_lowercase()
    }

    pub(crate) fn set_addresses(&mut self, name: &str, addresses: Vec<IpAddr>) {
        self.names
            .insert(Self::key(name), Entry::Addresses(addresses));
    }

    pub(crate) fn set_alias(&mut self, name: &str, target: &str) {
        self.names
            .insert(Self::key(name), Entry::Alias(Self::key(target)));
    }

    pub(crate) fn forget(&mut self, name: &str) {
        self.names.remove(&Self::key(name));
    }

    /// The answer to `question`; `None` if the fault is to stay silent. `asked` counts the questions
    /// since this fault was set, including this one.
    pub(crate) fn reply(
        &self,
        request: &Message,
        question: &Query,
        transport: Transport,
        fault: Option<&DnsFault>,
        asked: u64,
    ) -> Option<Reply> {
        let mut delay = Duration::ZERO;
        let message = match fault {
            None | Some(DnsFault::HttpStatus(_)) => self.regular(request, question),
            Some(DnsFault::NxDomain) => self.negative(request, question, ResponseCode::NXDomain),
            Some(DnsFault::NoData) => self.negative(request, question, ResponseCode::NoError),
            Some(DnsFault::ServFail) => empty(request, question, ResponseCode::ServFail),
            Some(DnsFault::Refused) => empty(request, question, ResponseCode::Refused),
            Some(DnsFault::Silent) => return None,
            Some(DnsFault::Malformed) => {
                return Some(Reply {
                    bytes: malformed(request.metadata.id),
                    delay,
                });
            }
            Some(DnsFault::WrongId) => {
                let mut message = self.regular(request, question);
                message.metadata.id = request.metadata.id.wrapping_add(1);
                message
            }
            Some(DnsFault::Truncated | DnsFault::TruncatedTcpClosed) => {
                let message = self.regular(request, question);
                match transport {
                    Transport::Udp => message.truncate(),
                    Transport::Tcp | Transport::Tls | Transport::Https => message,
                }
            }
            Some(DnsFault::Answer(addresses)) => {
                let mut message = empty(request, question, ResponseCode::NoError);
                let answers = self.addresses(question.name(), question.query_type(), addresses);
                if answers.is_empty() {
                    message.add_authority(self.soa(question.name()));
                }
                message.add_answers(answers);
                message
            }
            Some(DnsFault::Slow(wait)) => {
                delay = *wait;
                self.regular(request, question)
            }
            Some(DnsFault::DropEvery(n)) => {
                if asked.is_multiple_of((*n).max(1)) {
                    return None;
                }
                self.regular(request, question)
            }
        };
        let mut bytes = message.to_vec().ok()?;
        if transport == Transport::Udp && bytes.len() > usize::from(request.max_payload()) {
            bytes = message.truncate().to_vec().ok()?;
        }
        Some(Reply { bytes, delay })
    }

    fn regular(&self, request: &Message, question: &Query) -> Message {
        let mut message = empty(request, question, ResponseCode::NoError);
        let mut name = question.name().clone();
        for _ in 0..MAX_ALIASES {
            match self.names.get(&Self::key(&raw_text(&name))) {
                None => {
                    message.metadata.response_code = ResponseCode::NXDomain;
                    message.add_authority(self.soa(&name));
                    return message;
                }
                Some(Entry::Addresses(addresses)) => {
                    let answers = self.addresses(&name, question.query_type(), addresses);
                    if answers.is_empty() {
                        message.add_authority(self.soa(&name));
                    }
                    message.add_answers(answers);
                    return message;
                }
                Some(Entry::Alias(target)) => {
                    // Bytes that no host name may have are for tests of hostile names.
                    let Ok(target) = Name::from_labels(target.split('.').map(str::as_bytes)) else {
                        break;
                    };
                    message.add_answer(Record::from_rdata(
                        name,
                        self.ttl,
                        RData::CNAME(CNAME(target.clone())),
                    ));
                    if question.query_type() == RecordType::CNAME {
                        return message;
                    }
                    name = target;
                }
            }
        }
        empty(request, question, ResponseCode::ServFail)
    }

    fn negative(&self, request: &Message, question: &Query, code: ResponseCode) -> Message {
        let mut message = empty(request, question, code);
        message.add_authority(self.soa(question.name()));
        message
    }

    fn addresses(&self, name: &Name, record: RecordType, addresses: &[IpAddr]) -> Vec<Record> {
        addresses
            .iter()
            .filter_map(|address| match (record, address) {
                (RecordType::A, IpAddr::V4(ip)) => Some(RData::A(A(*ip))),
                (RecordType::AAAA, IpAddr::V6(ip)) => Some(RData::AAAA(AAAA(*ip))),
                _ => None,
            })
            .map(|data| Record::from_rdata(name.clone(), self.ttl, data))
            .collect()
    }

    /// The record with the TTL of negative answers (RFC 2308).
    fn soa(&self, name: &Name) -> Record {
        let zone = name.base_name();
        let host = |label: &str| {
            Name::from_ascii(label)
                .and_then(|label| label.append_domain(&zone))
                .unwrap_or_else(|_| zone.clone())
        };
        let ttl = i32::try_from(self.ttl).unwrap_or(i32::MAX);
        let soa = SOA::new(host("ns"), host("hostmaster"), 1, ttl, ttl, ttl, self.ttl);
        Record::from_rdata(zone, self.ttl, RData::SOA(soa))
    }
}

/// An answer with the question and without records.
fn empty(request: &Message, question: &Query, code: ResponseCode) -> Message {
    let mut message = Message::new(request.metadata.id, MessageType::Response, OpCode::Query);
    message.metadata.authoritative = code != ResponseCode::Refused;
    message.metadata.recursion_desired = request.metadata.recursion_desired;
    message.metadata.recursion_available = true;
    message.metadata.response_code = code;
    message.add_query(question.clone());
    if request.edns.is_some() {
        message.set_edns(Edns::new());
    }
    message
}

/// A message with the right ID and a compressed name that points at itself: it belongs to the
/// question, but does not parse.
fn malformed(id: u16) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend_from_slice(&[0x84, 0x00, 0, 1, 0, 1, 0, 0, 0, 0]);
    bytes.extend_from_slice(&[0xc0, 0x0c, 0, 1, 0, 1]);
    bytes
}

/// The labels as they are, without escapes.
fn raw_text(name: &Name) -> String {
    let labels = name.iter().map(String::from_utf8_lossy);
    labels.collect::<Vec<_>>().join(".")
}
