//! What a reason or a finding means, whom to ask, and what to hand them.
//!
//! The matches are exhaustive on purpose: a reason without advice does not compile. The texts are
//! static; what was seen stands beside them in the report. `docs/reasons.md` repeats each of them
//! under a heading of the reason's code, and a test holds that.

use serde::Serialize;
use strum::IntoStaticStr;

use super::{AnsweredBy, Finding, LayerName, Reason, Report};

/// Who can mend it. The names and numbers behind these are the configuration's `contacts`.
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
    /// Whom this means at a firm.
    pub fn team(self) -> &'static str {
        match self {
            Self::Dns => "your DNS team",
            Self::Firewall => "your firewall team",
            Self::Proxy => "your web-proxy team",
            Self::Security => "your security team",
            Self::Desk => "whoever runs this host",
            Self::Hkex => "the CCASS Hotline",
        }
    }
}

/// What to tell the person who reads a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// What happened, in plain words, and what usually causes it.
    pub meaning: &'static str,
    pub contact: Contact,
    /// What to ask them to do, and what to give them.
    pub information_to_provide: &'static str,
}

/// The advice for a failed report: that of its reason, except that nobody is sent to the Hotline
/// for an answer which the server may not have given.
pub fn of_report(report: &Report) -> Option<Advice> {
    let reason = report.verdict.reason()?;
    let advice = of_reason(reason);
    if report.proxied() && matches!(reason.layer(), LayerName::Tcp | LayerName::Tls) {
        return Some(Advice {
            contact: match advice.contact {
                Contact::Firewall | Contact::Proxy => Contact::Proxy,
                other => other,
            },
            information_to_provide: "This goes through the web proxy: give its team the proxy's address, the \
                        name that was asked for, this host's source address and the time.",
            ..advice
        });
    }
    if advice.contact == Contact::Hkex
        && matches!(reason.layer(), LayerName::Http | LayerName::Page)
        && report.answered_by() != AnsweredBy::Origin
    {
        return Some(Advice {
            contact: Contact::Security,
            information_to_provide: "First find out who answered: the certificate does not prove that it was \
                        the login server. Give them the address, the issuer and the time; call the \
                        Hotline only when nothing of yours stands in between.",
            ..advice
        });
    }
    Some(advice)
}

/// The advice for a reason.
pub fn of_reason(reason: Reason) -> Advice {
    let (meaning, contact, information_to_provide) = match reason {
        Reason::DnsNxdomain => (
            "The resolver says that the name does not exist. Usually your own DNS has no forwarder \
             or record for the zone, or an internal zone of a similar name hides it.",
            Contact::Dns,
            "The name, the resolver and the time. Ask for a forwarder or a record as the CCASS \
             Technical Guide 4.7-4.9 has it; after the repair the old answer lives on for its TTL.",
        ),
        Reason::DnsNoData => (
            "The resolver knows the name but gives no address of any family that was asked for. \
             Usually a record is missing in an internal copy of the zone, or a filter emptied it.",
            Contact::Dns,
            "The name, the resolver and the record types asked. Ask where the zone comes from.",
        ),
        Reason::DnsServfail => (
            "The resolver answers that it failed. Usually it cannot reach the servers behind it, \
             or DNSSEC validation fails there.",
            Contact::Dns,
            "The name, the resolver and the time. Ask whether its forwarders answer for this zone.",
        ),
        Reason::DnsRefused => (
            "The resolver refuses to answer this host. Usually its access list does not hold this \
             source address.",
            Contact::Dns,
            "This host's source address and the resolver. Ask for leave to query it.",
        ),
        Reason::DnsTimedOut => (
            "No answer came from the resolver in time. Usually a firewall drops port 53 towards \
             it, or it is down.",
            Contact::Dns,
            "The resolver, this host's source address and the time. If the resolver is up, the \
             firewall team must allow UDP and TCP 53 to it.",
        ),
        Reason::DnsUnreachable => (
            "The resolver could not be reached: nothing listens on its port, a firewall rejects \
             the question, or there is no route.",
            Contact::Dns,
            "The resolver's address and the error seen. Check that it is the right resolver; then \
             ask the firewall team about UDP and TCP 53.",
        ),
        Reason::DnsMalformed => (
            "The answer is not a DNS message that can be used. Usually something on the way \
             rewrites answers, or the resolver is broken.",
            Contact::Dns,
            "The resolver, the error seen and a capture of one question and its answer.",
        ),
        Reason::DnsSinkhole => (
            "The answer is an address that cannot be the server: unspecified, loopback, or one \
             configured as a sinkhole. Usually a DNS filter blocks the name.",
            Contact::Dns,
            "The name, the resolver and the address it gave. Ask for the name to be exempted from \
             the filter.",
        ),
        Reason::DnsTls => (
            "The encrypted session with the resolver could not be had: its certificate is not \
             trusted here or names another server, or the handshake failed.",
            Contact::Dns,
            "The resolver, its certificate's names, issuer and dates as shown, and the error seen. \
             If the issuer is a web filter of your own, ask for the resolver to be exempted from \
             inspection.",
        ),
        Reason::TcpRefused => (
            "The connection was refused: the server has nothing on that port, or a firewall on the \
             way rejects it with a reset; the two look the same from here.",
            Contact::Firewall,
            "This host's source address, the destination and port, and the time. If they see the \
             packets leave your network, call the Hotline.",
        ),
        Reason::TcpTimedOut => (
            "Nothing came back. Usually a firewall drops the packets, the route leads to the wrong \
             network, or the source address is not the one that the other side allows.",
            Contact::Firewall,
            "This host's source address, the destination and port, and the time. Ask for a rule, \
             the route (Internet, SDNet/2 or HSN) and the address translation to be checked.",
        ),
        Reason::TcpHostUnreachable => (
            "A router or a firewall answers that the host cannot be reached. A firewall that \
             rejects with \"administratively prohibited\" looks the same over IPv4.",
            Contact::Firewall,
            "This host's source address, the destination and port. Ask for the rule and the route; \
             if both are right, ask the line vendor.",
        ),
        Reason::TcpNetworkUnreachable => (
            "This host or a router has no route to that network.",
            Contact::Firewall,
            "The output of the routing table for the destination. Ask for the route (Internet, \
             SDNet/2 or HSN); on an IPv6 address, ask whether IPv6 is meant to work here.",
        ),
        Reason::TcpProhibited => (
            "A firewall, on this host or on the way, says that this connection is prohibited.",
            Contact::Firewall,
            "This host's source address, the destination and port, and the time. Ask for a rule \
             for this source.",
        ),
        Reason::TcpReset => (
            "The connection was accepted and reset before anything was said. Usually a firewall or \
             an intrusion filter does that after the first packets.",
            Contact::Firewall,
            "This host's source address, the destination and port, and the time. Ask for the log \
             of the filter.",
        ),
        Reason::TcpLocal => (
            "This host could not even try: no free descriptor or port, or the configured source \
             address is not one of its own.",
            Contact::Desk,
            "The error seen. Check `source_address` in the configuration and the limits of the \
             exporter's process.",
        ),
        Reason::TcpUnexpectedlyOpen => (
            "This target is expected to be unreachable, and it accepted a connection: a firewall \
             that should be closed is open.",
            Contact::Firewall,
            "The address and port that accepted. Ask for the rule that should close it.",
        ),
        Reason::ProxyAuthRequired => (
            "The web proxy wants credentials that it does not get, or refuses those that it gets. \
             This program gives it basic credentials from proxy_credentials_file; NTLM and \
             Kerberos it does not speak.",
            Contact::Proxy,
            "The proxy, this host's source address, and what the proxy offers. Ask for an exemption \
             of the login server's name from authentication, or for a bypass.",
        ),
        Reason::ProxyDenied => (
            "The web proxy refuses to connect to the server. Usually its rules do not allow the \
             name or the port, and it answers with a page of its own.",
            Contact::Proxy,
            "The name, the port and what the proxy answered. Ask for a rule, or for a bypass: CCASS \
             may not be meant to go through the proxy at all.",
        ),
        Reason::ProxyFailed => (
            "The web proxy does not connect to the server: it cannot resolve the name, cannot reach \
             the address, or does not answer as a proxy does.",
            Contact::Proxy,
            "The name, the time and what the proxy answered. Ask whether the proxy itself can \
             resolve and reach the server.",
        ),
        Reason::ProxyTls => (
            "TLS to the web proxy itself fails. Usually this host does not trust the proxy's \
             certificate, or the port does not speak TLS.",
            Contact::Proxy,
            "The proxy and the error seen. The proxy's issuer belongs into this host's roots, or \
             into tls.ca_file.",
        ),
        Reason::TlsTimedOut => (
            "The connection stands, but the TLS handshake got no answer. Usually a filter swallows \
             the handshake by the server's name, or the server is overloaded.",
            Contact::Firewall,
            "This host's source address, the server's name and address, and the time. Ask whether \
             a filter looks at the server name (SNI).",
        ),
        Reason::TlsReset => (
            "The connection was reset during the TLS handshake. Usually a filter does that on \
             seeing the server's name.",
            Contact::Firewall,
            "This host's source address, the server's name and address, and the time. Ask whether \
             a filter looks at the server name (SNI).",
        ),
        Reason::TlsClosed => (
            "The connection was closed during the TLS handshake, without a word.",
            Contact::Firewall,
            "This host's source address, the server's name and address, and the time. Ask whether \
             a filter or a load balancer closes it.",
        ),
        Reason::TlsNotTls => (
            "What answered does not speak TLS. Usually a captive portal, a proxy or a wrong port \
             stands there.",
            Contact::Firewall,
            "The address and port that answered. Ask what listens there.",
        ),
        Reason::TlsVersion => (
            "The other side speaks only a TLS version or parameters that are no longer accepted. \
             Usually a middlebox with an old TLS stack answers in the server's place.",
            Contact::Security,
            "The address that answered and the error seen. Ask whether a device inspects TLS here; \
             if none does, call the Hotline.",
        ),
        Reason::TlsAlert => (
            "The other side ended the TLS handshake with an alert: it does not want this \
             connection as it was asked for.",
            Contact::Security,
            "The alert and the address. Ask whether a device inspects TLS here; if none does, call \
             the Hotline.",
        ),
        Reason::TlsExpired => (
            "The certificate is past its last day. If this host's clock is right, the server's \
             owner must renew it.",
            Contact::Hkex,
            "Compare this host's clock first. Then give the subject, the issuer and the date of \
             expiry; if the issuer is your own inspection, tell the security team instead.",
        ),
        Reason::TlsNotYetValid => (
            "The certificate is not valid yet. Usually this host's clock is slow.",
            Contact::Desk,
            "This host's time against a known clock, and the date from which the certificate is \
             valid. If the clock is right, call the Hotline.",
        ),
        Reason::TlsUnknownIssuer => (
            "The certificate's issuer is not trusted here. Usually a device of your own inspects \
             TLS and signs with your firm's CA; the issuer's name tells.",
            Contact::Security,
            "The issuer's name. Ask for the login server to be exempted from inspection, or for \
             the CA to be installed on this host as it is on the terminals.",
        ),
        Reason::TlsIncompleteChain => (
            "The server sent its certificate without the intermediate that issued it. Browsers \
             that fetch missing intermediates may still work.",
            Contact::Hkex,
            "The subject and the issuer that is missing. If the issuer is your own inspection's \
             CA, tell the security team instead.",
        ),
        Reason::TlsNameMismatch => (
            "The certificate is for another name. Usually the name leads to the wrong server, or a \
             block page answers.",
            Contact::Dns,
            "The address and the names in the certificate. Ask whether the address is the right \
             one; if it is, call the Hotline.",
        ),
        Reason::TlsBadSignature => (
            "A signature in the certificate chain or in the handshake is wrong. An issuer that \
             carries the name of a trusted CA without its key looks like this.",
            Contact::Security,
            "The subject, the issuer and the error. Treat it as an attack until it is explained.",
        ),
        Reason::TlsPinMismatch => (
            "The chain holds none of the configured keys, and the configuration says that this is \
             a failure. Either the server renewed its key, or something stands in between.",
            Contact::Security,
            "The pin seen and the issuer. Compare with a host outside your network before you \
             change the configuration.",
        ),
        Reason::TlsIntercepted => (
            "Something between here and the server signs in its place, and the configuration says \
             that this is a failure.",
            Contact::Security,
            "The issuer's name. Ask for the login server to be exempted from TLS inspection.",
        ),
        Reason::TlsLargeHelloDropped => (
            "The handshake works only with a small ClientHello. A middlebox drops the larger one \
             that current browsers send (post-quantum key exchange), so Edge fails too; a path \
             whose MTU is too small looks the same.",
            Contact::Firewall,
            "That ClientHellos larger than one packet get lost, and the sizes tried. Ask for the \
             firewall or the inspection to be updated, and for the path MTU to be checked.",
        ),
        Reason::HttpTimedOut => (
            "The session stands, but the answer did not come, or not whole, in time. The server is \
             slow, or a firewall on the way lets the connection die.",
            Contact::Hkex,
            "The time, the source address and how far the answer came. If only one site sees it, \
             ask the firewall team first.",
        ),
        Reason::HttpReset => (
            "The connection was reset after the request was sent.",
            Contact::Hkex,
            "The time and the source address. If only one site sees it, ask the firewall team \
             first.",
        ),
        Reason::HttpClosed => (
            "The server closed the connection without an answer.",
            Contact::Hkex,
            "The time and the source address. If only one site sees it, ask the firewall team \
             first.",
        ),
        Reason::HttpMalformed => (
            "What came back is not an HTTP answer that can be read.",
            Contact::Hkex,
            "The time and the error seen.",
        ),
        Reason::HttpStatus => (
            "The server answered with a status that is not the login page's. 401, 403 and 407 come \
             from filters and proxies more often than from the server; 404 from a changed \
             address; 5xx from an incident or maintenance.",
            Contact::Hkex,
            "The status, the time and the source address. Look for an announcement of maintenance \
             first.",
        ),
        Reason::HttpRedirectOffHost => (
            "The answer leads to another host. Usually a filter sends to its block page, or the \
             login has moved.",
            Contact::Security,
            "Where it leads. If it is a host of HKEX's, add it to `allowed_hosts`; if not, ask \
             which filter sends there.",
        ),
        Reason::HttpRedirectInsecure => (
            "The answer leads to a page without TLS. Nobody should type a password there.",
            Contact::Security,
            "Where it leads. Ask which filter sends there; if none does, call the Hotline.",
        ),
        Reason::HttpRedirectLoop => (
            "The answers lead in a circle: a browser would give up too.",
            Contact::Hkex,
            "The addresses of the circle.",
        ),
        Reason::HttpTooManyRedirects => (
            "There are more redirects than the configuration follows.",
            Contact::Hkex,
            "The list of redirects. If a browser reaches the page, raise `max_redirects`.",
        ),
        Reason::HttpBodyTooLarge => (
            "The page is larger than the configured bound, on the wire or when decoded.",
            Contact::Desk,
            "The size reached. If the page is right, raise `max_body`.",
        ),
        Reason::HttpTruncated => (
            "The answer ended before it was whole.",
            Contact::Hkex,
            "The time and how much came. If only one site sees it, ask the firewall team first.",
        ),
        Reason::PageMismatch => (
            "A page came, but not the one expected: a text, a title or a form field is missing, or \
             something that must not stand there does.",
            Contact::Hkex,
            "The title and form fields seen. Look at the page in a browser: if the login page has \
             changed, change the checks.",
        ),
        Reason::PageBlockPage => (
            "A filter's block page came with a good status.",
            Contact::Security,
            "The title seen. Ask for the login server to be exempted from the web filter.",
        ),
        Reason::PageEmpty => (
            "A good status came with an empty page.",
            Contact::Hkex,
            "The time and the source address. Look at the page in a browser first.",
        ),
    };
    Advice {
        meaning,
        contact,
        information_to_provide,
    }
}

/// The advice for a finding.
pub fn of_finding(finding: Finding) -> Advice {
    let (meaning, contact, information_to_provide) = match finding {
        Finding::Intercepted => (
            "Something between here and the server seems to sign in its place: this host trusts the \
             chain while the public web does not, or its issuer is none of those expected. A device \
             of your own probably inspects TLS; the login may still work.",
            Contact::Security,
            "The issuer's name. Ask whether the login server is meant to be inspected; if so, list \
             it under `accepted_interceptors`.",
        ),
        Finding::PinMismatch => (
            "None of the configured keys is in the chain. The server renewed its key, or something \
             stands in between.",
            Contact::Security,
            "The pin seen and the issuer.",
        ),
        Finding::UnexpectedIssuer => (
            "The certificate's issuer is none of those expected.",
            Contact::Security,
            "The issuer's name. If the server changed its CA, change `expected_issuers`.",
        ),
        Finding::AddressFailed => (
            "One of the addresses behind the name does not work, while another does. Browsers that \
             pick the dead one are slow or fail.",
            Contact::Firewall,
            "The address and its reason. If the rule for it is right, call the Hotline.",
        ),
        Finding::ResolverFailed => (
            "One of the resolvers gives no usable answer, while the login works through another.",
            Contact::Dns,
            "The resolver and its reason.",
        ),
        Finding::ResolversDisagree => (
            "The resolvers give different addresses for the name.",
            Contact::Dns,
            "The answers of each. Ask which zone is the right one for this site.",
        ),
        Finding::UnexpectedAddress => (
            "An answer lies outside the expected ranges.",
            Contact::Dns,
            "The address and the resolver. If the server moved, change `expected_addresses` and \
             the firewall rules.",
        ),
        Finding::ClockSkew => (
            "This host's clock and the server's differ by more than 30 seconds. One-time codes and \
             certificates depend on the time.",
            Contact::Desk,
            "The difference. Check time synchronisation on this host and on the terminals.",
        ),
        Finding::PlatformRootsMissing => (
            "This host has no root certificates, so that it can trust nothing by itself.",
            Contact::Desk,
            "Install the system's CA bundle (on Debian the package ca-certificates), or configure \
             a `ca_file`.",
        ),
        Finding::CertificateWeak => (
            "A key or a signature in the chain is below today's floor.",
            Contact::Hkex,
            "The certificate's subject, key and signature. If the issuer is your own inspection, \
             tell the security team instead.",
        ),
    };
    Advice {
        meaning,
        contact,
        information_to_provide,
    }
}
