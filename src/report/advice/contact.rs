//! Who can repair a failure.

use serde::Serialize;
use strum::IntoStaticStr;

use super::super::{LayerName, Reason};
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
    pub const ALL: [Self; 6] = [
        Self::Dns,
        Self::Firewall,
        Self::Proxy,
        Self::Security,
        Self::Desk,
        Self::Hkex,
    ];

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
            (Self::Hkex, Intermediary::OwnRoot) => Self::Desk,
            (contact, _) => contact,
        }
    }

    /// By layer, with exceptions.
    fn of_reason(reason: Reason) -> Self {
        match reason {
            Reason::TlsNameMismatch => return Self::Dns,
            Reason::TlsTimedOut
            | Reason::TlsReset
            | Reason::TlsClosed
            | Reason::TlsNotTls
            | Reason::TlsLargeHelloDropped => return Self::Firewall,
            Reason::HttpRedirectOffHost | Reason::HttpRedirectInsecure | Reason::PageBlockPage => {
                return Self::Security;
            }
            Reason::DnsLocal
            | Reason::TcpLocal
            | Reason::TlsNotYetValid
            | Reason::HttpBodyTooLarge => return Self::Desk,
            Reason::TlsExpired | Reason::TlsIncompleteChain => return Self::Hkex,
            _ => {}
        }
        match reason.layer() {
            LayerName::Dns => Self::Dns,
            LayerName::Tcp => Self::Firewall,
            LayerName::Proxy => Self::Proxy,
            LayerName::Tls => Self::Security,
            LayerName::Http | LayerName::Page => Self::Hkex,
        }
    }
}
