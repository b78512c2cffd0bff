//! The closed set of reasons for which a probe fails.
//!
//! A reason is what a metric label, a JSON value and a documentation heading say: [`Reason::code`].
//! It belongs to one [`LayerName`]; what to do about it is in [`super::advice`]. Reasons carry no
//! text: what a server said is a fact of the report.

use std::fmt;

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A layer of the pipe, in the order in which a probe walks through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerName {
    Dns,
    Tcp,
    /// The tunnel through a web proxy, where there is one.
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

    /// The value of the `layer` label.
    pub fn code(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Page => "page",
        }
    }
}

/// Why a layer failed. In layer order; the code begins with the layer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// Every reason, in the order of the enum.
    pub const ALL: [Self; 50] = [
        Self::DnsNxdomain,
        Self::DnsNoData,
        Self::DnsServfail,
        Self::DnsRefused,
        Self::DnsTimedOut,
        Self::DnsUnreachable,
        Self::DnsMalformed,
        Self::DnsSinkhole,
        Self::DnsTls,
        Self::TcpRefused,
        Self::TcpTimedOut,
        Self::TcpHostUnreachable,
        Self::TcpNetworkUnreachable,
        Self::TcpProhibited,
        Self::TcpReset,
        Self::TcpLocal,
        Self::TcpUnexpectedlyOpen,
        Self::ProxyAuthRequired,
        Self::ProxyDenied,
        Self::ProxyFailed,
        Self::ProxyTls,
        Self::TlsTimedOut,
        Self::TlsReset,
        Self::TlsClosed,
        Self::TlsNotTls,
        Self::TlsVersion,
        Self::TlsAlert,
        Self::TlsExpired,
        Self::TlsNotYetValid,
        Self::TlsUnknownIssuer,
        Self::TlsIncompleteChain,
        Self::TlsNameMismatch,
        Self::TlsBadSignature,
        Self::TlsPinMismatch,
        Self::TlsIntercepted,
        Self::TlsLargeHelloDropped,
        Self::HttpTimedOut,
        Self::HttpReset,
        Self::HttpClosed,
        Self::HttpMalformed,
        Self::HttpStatus,
        Self::HttpRedirectOffHost,
        Self::HttpRedirectInsecure,
        Self::HttpRedirectLoop,
        Self::HttpTooManyRedirects,
        Self::HttpBodyTooLarge,
        Self::HttpTruncated,
        Self::PageMismatch,
        Self::PageBlockPage,
        Self::PageEmpty,
    ];

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
            | Self::DnsTls => LayerName::Dns,
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

    /// The value of the `reason` label, the JSON value and the heading in `docs/reasons.md`.
    pub fn code(self) -> &'static str {
        match self {
            Self::DnsNxdomain => "dns_nxdomain",
            Self::DnsNoData => "dns_no_data",
            Self::DnsServfail => "dns_servfail",
            Self::DnsRefused => "dns_refused",
            Self::DnsTimedOut => "dns_timed_out",
            Self::DnsUnreachable => "dns_unreachable",
            Self::DnsMalformed => "dns_malformed",
            Self::DnsSinkhole => "dns_sinkhole",
            Self::DnsTls => "dns_tls",
            Self::TcpRefused => "tcp_refused",
            Self::TcpTimedOut => "tcp_timed_out",
            Self::TcpHostUnreachable => "tcp_host_unreachable",
            Self::TcpNetworkUnreachable => "tcp_network_unreachable",
            Self::TcpProhibited => "tcp_prohibited",
            Self::TcpReset => "tcp_reset",
            Self::TcpLocal => "tcp_local",
            Self::TcpUnexpectedlyOpen => "tcp_unexpectedly_open",
            Self::ProxyAuthRequired => "proxy_auth_required",
            Self::ProxyDenied => "proxy_denied",
            Self::ProxyFailed => "proxy_failed",
            Self::ProxyTls => "proxy_tls",
            Self::TlsTimedOut => "tls_timed_out",
            Self::TlsReset => "tls_reset",
            Self::TlsClosed => "tls_closed",
            Self::TlsNotTls => "tls_not_tls",
            Self::TlsVersion => "tls_version",
            Self::TlsAlert => "tls_alert",
            Self::TlsExpired => "tls_expired",
            Self::TlsNotYetValid => "tls_not_yet_valid",
            Self::TlsUnknownIssuer => "tls_unknown_issuer",
            Self::TlsIncompleteChain => "tls_incomplete_chain",
            Self::TlsNameMismatch => "tls_name_mismatch",
            Self::TlsBadSignature => "tls_bad_signature",
            Self::TlsPinMismatch => "tls_pin_mismatch",
            Self::TlsIntercepted => "tls_intercepted",
            Self::TlsLargeHelloDropped => "tls_large_hello_dropped",
            Self::HttpTimedOut => "http_timed_out",
            Self::HttpReset => "http_reset",
            Self::HttpClosed => "http_closed",
            Self::HttpMalformed => "http_malformed",
            Self::HttpStatus => "http_status",
            Self::HttpRedirectOffHost => "http_redirect_off_host",
            Self::HttpRedirectInsecure => "http_redirect_insecure",
            Self::HttpRedirectLoop => "http_redirect_loop",
            Self::HttpTooManyRedirects => "http_too_many_redirects",
            Self::HttpBodyTooLarge => "http_body_too_large",
            Self::HttpTruncated => "http_truncated",
            Self::PageMismatch => "page_mismatch",
            Self::PageBlockPage => "page_block_page",
            Self::PageEmpty => "page_empty",
        }
    }
}

/// The list above cannot lag behind the enum.
const _: () = assert!(Reason::ALL.len() == Reason::PageEmpty as usize + 1);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        let known = Self::ALL.into_iter().find(|reason| reason.code() == code);
        known.ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&code), &"a reason's code"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_once_in_the_list_and_its_code_begins_with_its_layer() {
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            assert!(
                reason
                    .code()
                    .starts_with(&format!("{}_", reason.layer().code()))
            );
        }
    }
}
