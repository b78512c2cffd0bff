//! Who can repair a failure.

use serde::Serialize;
use strum::IntoStaticStr;

use super::super::Reason;
use super::Intermediary;

/// A team. The configuration's `contacts` has its name and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Contact {
    Dns,
    Firewall,
    Proxy,
    Security,
    Desk,
    Hkex,
}

impl Contact {
    /// The team, as the reader of a report would call it.
    pub fn team(self) -> &'static str {
        match self {
            Self::Dns => "your DNS team",
            Self::Firewall => "your firewall team",
            Self::Proxy => "your web-proxy team",
            Self::Security => "your security team",
            Self::Desk => "the administrator of this host",
            Self::Hkex => "the CCASS Hotline",
        }
    }

    pub(super) fn of(reason: Reason, intermediary: Intermediary) -> Self {
        match (Self::of_reason(reason), intermediary) {
            (Self::Firewall, Intermediary::ProxyEndpoint | Intermediary::ProxyTunnel) => {
                Self::Proxy
            }
            (Self::Hkex, Intermediary::UnprovenPeer) => Self::Security,
            (contact, _) => contact,
        }
    }

    fn of_reason(reason: Reason) -> Self {
        match reason {
            Reason::DnsNxdomain
            | Reason::DnsNoData
            | Reason::DnsServfail
            | Reason::DnsRefused
            | Reason::DnsTimedOut
            | Reason::DnsUnreachable
            | Reason::DnsMalformed
            | Reason::DnsSinkhole
            | Reason::DnsTls
            | Reason::TlsNameMismatch => Self::Dns,
            Reason::TcpRefused
            | Reason::TcpTimedOut
            | Reason::TcpHostUnreachable
            | Reason::TcpNetworkUnreachable
            | Reason::TcpProhibited
            | Reason::TcpReset
            | Reason::TcpUnexpectedlyOpen
            | Reason::TlsTimedOut
            | Reason::TlsReset
            | Reason::TlsClosed
            | Reason::TlsNotTls
            | Reason::TlsLargeHelloDropped => Self::Firewall,
            Reason::ProxyAuthRequired
            | Reason::ProxyDenied
            | Reason::ProxyFailed
            | Reason::ProxyTls => Self::Proxy,
            Reason::TlsVersion
            | Reason::TlsAlert
            | Reason::TlsUnknownIssuer
            | Reason::TlsBadSignature
            | Reason::TlsPinMismatch
            | Reason::TlsIntercepted
            | Reason::HttpRedirectOffHost
            | Reason::HttpRedirectInsecure
            | Reason::PageBlockPage => Self::Security,
            Reason::TcpLocal | Reason::TlsNotYetValid | Reason::HttpBodyTooLarge => Self::Desk,
            Reason::TlsExpired
            | Reason::TlsIncompleteChain
            | Reason::HttpTimedOut
            | Reason::HttpReset
            | Reason::HttpClosed
            | Reason::HttpMalformed
            | Reason::HttpStatus
            | Reason::HttpRedirectLoop
            | Reason::HttpTooManyRedirects
            | Reason::HttpTruncated
            | Reason::PageMismatch
            | Reason::PageEmpty => Self::Hkex,
        }
    }
}
