//! The closed set of reasons for which a probe fails.
//!
//! Its code is a metric label, a JSON value and a documentation heading. A reason belongs to one
//! [`LayerName`]; what to do about it is in [`super::advice`]. Reasons contain no text: what a
//! server answered is a fact of the report.

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr, VariantArray};

/// A layer of a probe, in the order in which they run.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum LayerName {
    Dns,
    Tcp,
    /// The tunnel through a web proxy, if there is one.
    Proxy,
    Tls,
    Http,
    Page,
}

impl LayerName {
    pub const ALL: [Self; 6] = [
        Self::Dns,
        Self::Tcp,
        Self::Proxy,
        Self::Tls,
        Self::Http,
        Self::Page,
    ];
}

/// Why a layer failed. In layer order; the code begins with the layer's.
#[derive(
    Clone,
    Copy,
    Debug,
    Display,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    IntoStaticStr,
    VariantArray,
    Serialize,
    Deserialize,
)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    DnsNxdomain,
    DnsNoData,
    DnsServfail,
    DnsRefused,
    DnsTimedOut,
    DnsUnreachable,
    DnsMalformed,
    DnsSinkhole,
    DnsTls,
    DnsLocal,
    TcpRefused,
    TcpTimedOut,
    TcpHostUnreachable,
    TcpNetworkUnreachable,
    TcpProhibited,
    TcpReset,
    TcpLocal,
    TcpUnexpectedlyOpen,
    ProxyAuthRequired,
    ProxyDenied,
    ProxyFailed,
    ProxyTls,
    TlsTimedOut,
    TlsReset,
    TlsClosed,
    TlsNotTls,
    TlsTooLarge,
    TlsVersion,
    TlsAlert,
    TlsExpired,
    TlsNotYetValid,
    TlsUnknownIssuer,
    TlsIncompleteChain,
    TlsNameMismatch,
    TlsBadSignature,
    TlsPinMismatch,
    TlsIntercepted,
    TlsLargeHelloDropped,
    HttpTimedOut,
    HttpReset,
    HttpClosed,
    HttpMalformed,
    HttpStatus,
    HttpRedirectOffHost,
    HttpRedirectInsecure,
    HttpRedirectLoop,
    HttpTooManyRedirects,
    HttpBodyTooLarge,
    HttpTruncated,
    PageMismatch,
    PageBlockPage,
    PageEmpty,
}

impl Reason {
    /// Every reason, in layer order.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The layer that failed.
    pub fn layer(self) -> LayerName {
        match self {
            Self::DnsNxdomain
            | Self::DnsNoData
            | Self::DnsServfail
            | Self::DnsRefused
            | Self::DnsTimedOut
            | Self::DnsUnreachable
            | Self::DnsMalformed
            | Self::DnsSinkhole
            | Self::DnsTls
            | Self::DnsLocal => LayerName::Dns,
            Self::TcpRefused
            | Self::TcpTimedOut
            | Self::TcpHostUnreachable
            | Self::TcpNetworkUnreachable
            | Self::TcpProhibited
            | Self::TcpReset
            | Self::TcpLocal
            | Self::TcpUnexpectedlyOpen => LayerName::Tcp,
            Self::ProxyAuthRequired | Self::ProxyDenied | Self::ProxyFailed | Self::ProxyTls => {
                LayerName::Proxy
            }
            Self::TlsTimedOut
            | Self::TlsReset
            | Self::TlsClosed
            | Self::TlsNotTls
            | Self::TlsTooLarge
            | Self::TlsVersion
            | Self::TlsAlert
            | Self::TlsExpired
            | Self::TlsNotYetValid
            | Self::TlsUnknownIssuer
            | Self::TlsIncompleteChain
            | Self::TlsNameMismatch
            | Self::TlsBadSignature
            | Self::TlsPinMismatch
            | Self::TlsIntercepted
            | Self::TlsLargeHelloDropped => LayerName::Tls,
            Self::HttpTimedOut
            | Self::HttpReset
            | Self::HttpClosed
            | Self::HttpMalformed
            | Self::HttpStatus
            | Self::HttpRedirectOffHost
            | Self::HttpRedirectInsecure
            | Self::HttpRedirectLoop
            | Self::HttpTooManyRedirects
            | Self::HttpBodyTooLarge
            | Self::HttpTruncated => LayerName::Http,
            Self::PageMismatch | Self::PageBlockPage | Self::PageEmpty => LayerName::Page,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_begins_with_its_layer() {
        for reason in Reason::ALL {
            let layer = format!("{}_", reason.layer().into_str());
            assert!(reason.into_str().starts_with(&layer), "{reason}");
        }
    }
}
