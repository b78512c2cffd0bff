//! What a lookup needs, and how it can fail.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::ProtoError;
use hickory_proto::rr::Name;
use hickory_proto::serialize::binary::DecodeError;

use crate::config::Resolver;
use crate::probe::bounded;
use crate::probe::tls::TlsClient;
use crate::report::{Lookup, QueryType, Reason};

pub(super) struct LookupRequest {
    pub resolver: Resolver,
    pub name: Name,
    pub record: QueryType,
    pub form: QueryForm,
    /// Of each exchange: a truncated answer allows a second one over TCP.
    pub limit: Duration,
    /// For sessions with encrypted name servers.
    pub client: Arc<TlsClient>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum QueryForm {
    /// As terminals send it: without EDNS, which some firewalls drop.
    Plain,
    /// With EDNS, and asking whether the resolver validated the answer (RFC 6840, 5.7).
    Edns,
}

/// Why there is no answer.
#[derive(Clone)]
pub(super) struct LookupError {
    pub reason: Reason,
    /// What the reason does not say already.
    pub detail: Option<String>,
}

impl LookupError {
    pub fn of(reason: Reason) -> Self {
        Self {
            reason,
            detail: None,
        }
    }

    /// An answer that cannot be used.
    pub fn malformed(error: impl ToString) -> Self {
        Self {
            reason: Reason::DnsMalformed,
            detail: Some(bounded(&error.to_string())),
        }
    }

    /// The first failure of lookups that have no address between them.
    pub fn of_lookups(lookups: Vec<Lookup>) -> Self {
        let failed = |one: Lookup| Some((one.failure?, one.detail.or(one.rcode)));
        match lookups.into_iter().find_map(failed) {
            None => Self::of(Reason::DnsNoData),
            Some((Reason::DnsNxdomain, _)) => Self::of(Reason::DnsNxdomain),
            Some((reason, detail)) => Self { reason, detail },
        }
    }

    /// Whether the answer is final, so that asking another name server is pointless.
    pub fn is_final(&self) -> bool {
        matches!(self.reason, Reason::DnsNxdomain | Reason::DnsNoData)
    }
}

impl From<io::Error> for LookupError {
    fn from(error: io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::TimedOut => return Self::of(Reason::DnsTimedOut),
            io::ErrorKind::UnexpectedEof => {
                return Self::malformed("the connection ended without an answer");
            }
            _ if is_shortage(&error) => Reason::DnsLocal,
            _ => Reason::DnsUnreachable,
        };
        Self {
            reason,
            detail: Some(bounded(&error.to_string())),
        }
    }
}

/// Whether this host has no free file descriptor, port or memory.
#[cfg(unix)]
pub(super) fn is_shortage(error: &io::Error) -> bool {
    use libc::{EADDRINUSE, EMFILE, ENFILE, ENOBUFS, ENOMEM};
    let number = error.raw_os_error();
    number.is_some_and(|one| [EMFILE, ENFILE, EADDRINUSE, ENOBUFS, ENOMEM].contains(&one))
}

/// `ERROR_TOO_MANY_OPEN_FILES`, `ERROR_NOT_ENOUGH_MEMORY`, `WSAEMFILE`, `WSAEADDRINUSE` and `WSAENOBUFS`.
#[cfg(windows)]
pub(super) fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(4 | 8 | 10_024 | 10_048 | 10_055))
}

impl From<ProtoError> for LookupError {
    fn from(error: ProtoError) -> Self {
        Self::malformed(error)
    }
}

impl From<DecodeError> for LookupError {
    fn from(error: DecodeError) -> Self {
        Self::malformed(error)
    }
}
