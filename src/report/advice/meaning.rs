//! What each reason means: what was observed, then the usual cause. Two sentences at most.

use hyper::StatusCode;

use super::super::Reason;
use super::values::Values;

/// The meaning of `reason`. It may begin with a lower-case article.
pub(super) fn meaning(reason: Reason, values: &Values) -> String {
    let Values {
        name,
        target,
        resolver,
        source,
        endpoint,
        server,
        proxy,
        issuer,
        certificate,
        location,
        progress_suffix: progress,
        title_suffix: title,
        detail_suffix: detail,
        ..
    } = values;
    match reason {
        Reason::DnsNxdomain => format!(
            "{resolver} answered that {name} does not exist. Usually your own DNS has no forwarder \
             or record for the zone, or an internal zone with a similar name hides it."
        ),
        Reason::DnsNoData => format!(
            "{resolver} returned no {types} record for {name}. Usually the record is missing in an \
             internal copy of the zone, or a filter removed it.",
            types = values.query_types
        ),
        Reason::DnsServfail => format!(
            "{resolver} answered with a server failure for {name}{detail}. Usually the servers \
             behind it cannot be reached, or DNSSEC validation fails there."
        ),
        Reason::DnsRefused => format!(
            "{resolver} refused the query for {name}. Usually its access list does not contain \
             this host's source address."
        ),
        Reason::DnsTimedOut => format!(
            "{resolver} did not answer the query for {name} in time{detail}. Usually a firewall \
             drops {ports}, or the DNS service is down.",
            ports = values.resolver_ports
        ),
        Reason::DnsUnreachable => format!(
            "{resolver} could not be reached{detail}. Nothing listens on the port, a firewall \
             rejects the query, or there is no route."
        ),
        Reason::DnsMalformed => format!(
            "{resolver} answered the query for {name} with something that is not a usable DNS \
             message{detail}. Usually a device on the path rewrites answers, or the resolver is \
             broken."
        ),
        Reason::DnsSinkhole => format!(
            "{resolver} returned {answers} for {name}, which cannot be the server (unspecified, \
             loopback, or configured as a sinkhole). Usually a DNS filter blocks the name.",
            answers = values.answers
        ),
        Reason::DnsTls => format!(
            "The encrypted session with {resolver} failed{detail}. Its certificate is not trusted \
             here or names another server, or the handshake failed."
        ),
        Reason::DnsLocal => format!(
            "This host could not query {resolver} for {name}{detail}. It has no free file descriptor, \
             port or memory for it."
        ),
        Reason::TcpRefused => format!(
            "{endpoint} refused the connection from {source}. Either nothing listens on that port, \
             or a firewall on the path rejects the connection with a reset; the two look the same \
             from here."
        ),
        Reason::TcpTimedOut => format!(
            "{endpoint} did not answer the connection from {source}. Usually a firewall drops the \
             packets, the route leads to the wrong network, or the source address is not the one \
             that the other side allows."
        ),
        Reason::TcpHostUnreachable => format!(
            "A router or a firewall answered that {endpoint} cannot be reached from {source}. Over \
             IPv4, a firewall that rejects with \"administratively prohibited\" looks the same."
        ),
        Reason::TcpNetworkUnreachable => format!(
            "There is no route from {source} to {}, on this host or on a router.",
            values.destination
        ),
        Reason::TcpProhibited => format!(
            "A firewall, on this host or on the path, answered that {} is prohibited.",
            values.connection
        ),
        Reason::TcpReset => format!(
            "{endpoint} accepted the connection from {source} and reset it before any data was \
             sent. Usually a firewall or an intrusion-prevention filter does that after the first \
             packets."
        ),
        Reason::TcpLocal => format!(
            "This host could not start a connection to {endpoint}. It has no free file descriptor \
             or port, or the configured source address is not one of its own."
        ),
        Reason::TcpUnexpectedlyOpen => format!(
            "{endpoint} accepted a connection from {source}, but this target is expected to be \
             unreachable. A firewall that should be closed is open."
        ),
        Reason::ProxyAuthRequired => format!(
            "{proxy} requires credentials that it does not get, or rejects those it gets{auth}. \
             The exporter sends Basic credentials from `proxy_credentials_file`; it does not \
             support NTLM or Kerberos.",
            auth = values.auth_suffix
        ),
        Reason::ProxyDenied => format!(
            "{proxy} refused to connect to {target}{detail}. Usually its rules do not allow the \
             name or the port, and it answers with its own page."
        ),
        Reason::ProxyFailed => format!(
            "{proxy} did not connect to {target}{detail}. It cannot resolve the name, cannot reach \
             the address, or does not answer as a proxy does."
        ),
        Reason::ProxyTls => format!(
            "TLS to {proxy} failed{detail}. Usually this host does not trust its certificate, or \
             the port does not speak TLS."
        ),
        Reason::TlsTimedOut => format!(
            "{server} accepted the connection but did not answer the TLS handshake for {name}. \
             Usually a filter drops the handshake because of the server name, or the server is \
             overloaded."
        ),
        Reason::TlsReset => format!(
            "{server} reset the connection during the TLS handshake for {name}. Usually a filter \
             does that when it sees the server name."
        ),
        Reason::TlsClosed => format!(
            "{server} closed the connection during the TLS handshake for {name}, without an alert. \
             Usually a filter or a load balancer does that."
        ),
        Reason::TlsNotTls => format!(
            "{server} did not answer with TLS{detail}. Usually a captive portal or a proxy \
             answers, or the port is wrong."
        ),
        Reason::TlsTooLarge => format!(
            "{server} sent a certificate chain or another handshake message that is larger than \
             64 KiB{detail}. Browsers read chains of up to 100 KiB."
        ),
        Reason::TlsVersion | Reason::TlsAlert if values.no_common_parameters => format!(
            "{server} ended the TLS handshake for {name} with an alert{detail}: it found no \
             parameters in common. This probe offers AES-GCM and ChaCha20-Poly1305 with ECDHE only; \
             a browser also offers older cipher suites (CBC, and some RSA key exchange) and may \
             still connect."
        ),
        Reason::TlsVersion => format!(
            "{server} supports only a TLS version or parameters that are no longer \
             accepted{detail}. Usually a middlebox with an old TLS stack answers in the server's \
             place."
        ),
        Reason::TlsAlert => format!(
            "{server} ended the TLS handshake for {name} with an alert{detail}. It does not accept \
             the connection as it was requested."
        ),
        Reason::TlsExpired => format!(
            "{certificate} in the chain of {server} expired{expired}. If this host's clock is \
             right, its owner must renew it.",
            expired = values.not_after_suffix
        ),
        Reason::TlsNotYetValid => format!(
            "{certificate} in the chain of {server} is not valid{before}. Usually this host's \
             clock is slow.",
            before = values.not_before_suffix
        ),
        Reason::TlsUnknownIssuer => format!(
            "This host does not trust {issuer} of the certificate presented by {server}. Usually a \
             device of your own inspects TLS and signs with your firm's CA; the issuer's name shows \
             it."
        ),
        Reason::TlsIncompleteChain => format!(
            "{server} sent its certificate without the intermediate certificate of {issuer}. \
             Browsers that fetch missing intermediates may still work."
        ),
        Reason::TlsNameMismatch => format!(
            "The certificate presented by {server} is for {names}, not for {name}. Usually the \
             name resolves to the wrong server, or a block page answers.",
            names = values.certificate_names
        ),
        Reason::TlsBadSignature => format!(
            "A signature in the certificate chain or in the handshake of {server} is wrong, or its \
             certificate cannot be parsed{detail}. An issuer that carries the name of a trusted CA \
             without its key looks like this."
        ),
        Reason::TlsPinMismatch => format!(
            "The chain that {server} presented contains none of the configured keys, and the \
             configuration makes that a failure. Either the server renewed its key, or a device on \
             the path answers in its place."
        ),
        Reason::TlsIntercepted => format!(
            "A device between this host and the server presented a certificate of {issuer} in the \
             server's place. The configuration makes that a failure."
        ),
        Reason::TlsLargeHelloDropped => format!(
            "{server} completed the TLS handshake only with a small ClientHello. A middlebox drops \
             the larger one that current browsers send (post-quantum key exchange), so Edge fails \
             too; a path with too small an MTU looks the same."
        ),
        Reason::HttpTimedOut => format!(
            "{server} did not send the complete response in time{progress}. The server is slow, or \
             a firewall on the path lets the connection die."
        ),
        Reason::HttpReset => {
            format!("{server} reset the connection after the request was sent{progress}.")
        }
        Reason::HttpClosed => format!("{server} closed the connection without a response."),
        Reason::HttpMalformed => {
            format!("{server} sent a response that is not readable HTTP{detail}.")
        }
        Reason::HttpStatus => match values.status {
            Some(status) => format!(
                "{server} answered {} instead of the login page{title}. {}",
                status_line(status),
                status_cause(Some(status.as_u16()))
            ),
            None => format!(
                "{server} answered with a status other than the login page's. {}",
                status_cause(None)
            ),
        },
        Reason::HttpRedirectOffHost => format!(
            "The redirect by {server} leads to {location}, on another host. Usually a filter \
             redirects to its block page, or the login has moved."
        ),
        Reason::HttpRedirectInsecure => format!(
            "The redirect by {server} leads to {location}, without TLS. Nobody should type a \
             password there."
        ),
        Reason::HttpRedirectLoop => format!(
            "{server} redirected in a circle, last to {location}. A browser would give up too."
        ),
        Reason::HttpTooManyRedirects => format!(
            "{server} redirected to {location}, after as many redirects as `max_redirects` allows."
        ),
        Reason::HttpBodyTooLarge => format!(
            "{server} sent a page that is larger than `max_body` allows, on the wire or \
             decoded{progress}."
        ),
        Reason::HttpTruncated => {
            format!("{server} ended the response before it was complete{progress}.")
        }
        Reason::PageMismatch => format!(
            "{server} sent a page that is not the expected one{title}. A text, a title or a form \
             field is missing, or forbidden content is present{checks}.",
            checks = values.checks_suffix
        ),
        Reason::PageBlockPage => {
            format!("{server} sent a web filter's block page with a good status{title}.")
        }
        Reason::PageEmpty => format!("{server} sent an empty page with a good status."),
    }
}

/// `503 Service Unavailable`
pub(super) fn status_line(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(phrase) => format!("{} {phrase}", status.as_u16()),
        None => format!("status {}", status.as_u16()),
    }
}

/// Where a status usually comes from.
fn status_cause(status: Option<u16>) -> &'static str {
    match status {
        None => {
            "401, 403 and 407 come from filters and proxies more often than from the server, 404 \
             from a changed address, 5xx from an incident or maintenance."
        }
        Some(401 | 403 | 407) => {
            "This status comes from filters and proxies more often than from the server."
        }
        Some(404) => "Usually the address of the page has changed.",
        Some(500..) => "Usually that is an incident or maintenance.",
        Some(_) => "The module's `valid_status` does not contain this status.",
    }
}
