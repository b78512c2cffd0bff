//! Who does what about each reason: instructions with the addresses and names of the failure.

use super::super::Reason;
use super::values::Values;
use super::{Advice, Contact};

/// Whom to contact about `reason`, and the instruction.
pub(super) fn action(reason: Reason, values: &Values) -> (Contact, String) {
    let Values {
        name,
        target,
        resolver,
        resolver_ports,
        source,
        destination,
        endpoint,
        connection,
        proxy,
        issuer,
        location,
        ..
    } = values;
    match reason {
        Reason::DnsNxdomain => (
            Contact::Dns,
            format!(
                "Ask the DNS team to add a forwarder or a record for {name} on {resolver}, as in \
                 CCASS Technical Guide 4.7-4.9. After the repair, the old answer stays in caches \
                 for its TTL."
            ),
        ),
        Reason::DnsNoData => (
            Contact::Dns,
            format!(
                "Ask the DNS team where {resolver} gets the zone of {name} from, and to add the \
                 missing {records} record.",
                records = values.records
            ),
        ),
        Reason::DnsServfail => (
            Contact::Dns,
            format!(
                "Ask the DNS team whether the forwarders of {resolver} answer for the zone of \
                 {name}."
            ),
        ),
        Reason::DnsRefused => (
            Contact::Dns,
            format!("Ask the DNS team to allow queries from this host on {resolver}."),
        ),
        Reason::DnsTimedOut => (
            Contact::Dns,
            format!(
                "Ask the DNS team whether {resolver} is up. If so, ask the firewall team to allow \
                 {resolver_ports} from this host to it."
            ),
        ),
        Reason::DnsUnreachable => (
            Contact::Dns,
            format!(
                "Check that {resolver} is the right one. If so, ask the DNS team whether it runs, \
                 and the firewall team to allow {resolver_ports} from this host to it."
            ),
        ),
        Reason::DnsMalformed => (
            Contact::Dns,
            format!("Ask the DNS team what rewrites or breaks the answers of {resolver}."),
        ),
        Reason::DnsSinkhole => (
            Contact::Dns,
            format!("Ask the DNS team to exempt {name} from the DNS filter on {resolver}."),
        ),
        Reason::DnsTls => (
            Contact::Dns,
            format!(
                "Ask the DNS team to correct the certificate of {resolver}. If a web filter of \
                 your own issued it, ask for the resolver to be exempted from inspection."
            ),
        ),
        Reason::TcpRefused => (
            Contact::Firewall,
            format!(
                "Ask the firewall team to allow {connection}. If they see the packets leave your \
                 network, call the CCASS Hotline."
            ),
        ),
        Reason::TcpTimedOut => (
            Contact::Firewall,
            format!(
                "Ask the firewall team to allow {connection}, and to check the route (Internet, \
                 SDNet/2 or HSN) and the address translation."
            ),
        ),
        Reason::TcpHostUnreachable => (
            Contact::Firewall,
            format!(
                "Ask the firewall team to allow {connection} and to check the route. If both are \
                 right, ask the line vendor."
            ),
        ),
        Reason::TcpNetworkUnreachable => (
            Contact::Firewall,
            format!(
                "Ask the firewall team to add a route from {source} to {destination} (Internet, \
                 SDNet/2 or HSN). For an IPv6 address, ask whether IPv6 is meant to work here."
            ),
        ),
        Reason::TcpProhibited => (
            Contact::Firewall,
            format!("Ask the firewall team to allow {connection}."),
        ),
        Reason::TcpReset => (
            Contact::Firewall,
            format!(
                "Ask the firewall team to find {connection} in the log of the firewall and the \
                 intrusion-prevention filter, and to allow it."
            ),
        ),
        Reason::TcpLocal => (
            Contact::Desk,
            "Check `source_address` in the configuration, and the limits of the exporter's process \
             (open files, local ports)."
                .to_owned(),
        ),
        Reason::TcpUnexpectedlyOpen => (
            Contact::Firewall,
            format!("Ask the firewall team to block {connection}."),
        ),
        Reason::ProxyAuthRequired => (
            Contact::Proxy,
            format!(
                "Ask the web-proxy team to exempt {name} from authentication on {proxy} for \
                 {source}, or to allow a bypass."
            ),
        ),
        Reason::ProxyDenied => (
            Contact::Proxy,
            format!(
                "Ask the web-proxy team to allow {target} on {proxy}, or to allow a bypass: CCASS \
                 may not be meant to go through the proxy at all."
            ),
        ),
        Reason::ProxyFailed => (
            Contact::Proxy,
            format!("Ask the web-proxy team whether {proxy} itself can resolve and reach {target}."),
        ),
        Reason::ProxyTls => (
            Contact::Proxy,
            format!(
                "Ask the web-proxy team for the issuer of the certificate of {proxy}, and add it to \
                 this host's roots or to `tls.ca_file`."
            ),
        ),
        Reason::TlsTimedOut | Reason::TlsReset => (
            Contact::Firewall,
            format!(
                "Ask the firewall team whether a filter between {source} and {destination} inspects \
                 the server name (SNI), and to exempt {name}."
            ),
        ),
        Reason::TlsClosed => (
            Contact::Firewall,
            format!(
                "Ask the firewall team whether a filter or a load balancer between {source} and \
                 {destination} closes the connection."
            ),
        ),
        Reason::TlsNotTls => (
            Contact::Firewall,
            format!("Ask the firewall team what listens on {endpoint}."),
        ),
        Reason::TlsVersion | Reason::TlsAlert => (
            Contact::Security,
            format!(
                "Ask the security team whether a device inspects TLS between {source} and \
                 {destination}. If none does, call the CCASS Hotline."
            ),
        ),
        Reason::TlsExpired => (
            Contact::Hkex,
            format!(
                "Check this host's clock first. If it is right, ask the CCASS Hotline to renew the \
                 certificate; if {issuer} is your own TLS inspection, ask the security team \
                 instead."
            ),
        ),
        Reason::TlsNotYetValid => (
            Contact::Desk,
            "Compare this host's time with a known clock and correct it. If it is right, call the \
             CCASS Hotline."
                .to_owned(),
        ),
        Reason::TlsUnknownIssuer => (
            Contact::Security,
            format!(
                "Ask the security team to exempt {name} from TLS inspection, or to install the CA \
                 of {issuer} on this host as on the terminals."
            ),
        ),
        Reason::TlsIncompleteChain => (
            Contact::Hkex,
            format!(
                "Ask the CCASS Hotline to add the missing intermediate to the server's chain. If \
                 {issuer} is your own TLS inspection's CA, ask the security team instead."
            ),
        ),
        Reason::TlsNameMismatch => (
            Contact::Dns,
            format!(
                "Ask the DNS team whether {destination} is the right address of {name}. If it is, \
                 call the CCASS Hotline."
            ),
        ),
        Reason::TlsBadSignature => (
            Contact::Security,
            format!(
                "Ask the security team what answers at {endpoint}. Treat it as an attack until it \
                 is explained."
            ),
        ),
        Reason::TlsPinMismatch => (
            Contact::Security,
            format!(
                "Ask the security team whether {issuer} belongs to a device of your own. Compare \
                 with a host outside your network before you change the configured pins."
            ),
        ),
        Reason::TlsIntercepted => (
            Contact::Security,
            format!("Ask the security team to exempt {name} from TLS inspection."),
        ),
        Reason::TlsLargeHelloDropped => (
            Contact::Firewall,
            format!(
                "Tell the firewall team that ClientHellos larger than one packet are lost between \
                 {source} and {destination}. Ask them to update the firewall or the TLS inspection, \
                 and to check the path MTU."
            ),
        ),
        Reason::HttpTimedOut | Reason::HttpReset | Reason::HttpClosed | Reason::HttpTruncated => (
            Contact::Hkex,
            format!(
                "If only one site is affected, ask the firewall team first to check {connection}. \
                 Otherwise call the CCASS Hotline."
            ),
        ),
        Reason::HttpMalformed | Reason::HttpRedirectLoop => (
            Contact::Hkex,
            "Call the CCASS Hotline with the details.".to_owned(),
        ),
        Reason::HttpStatus => (
            Contact::Hkex,
            "Look for an announcement of maintenance first. If there is none, call the CCASS \
             Hotline with the details."
                .to_owned(),
        ),
        Reason::HttpRedirectOffHost => (
            Contact::Security,
            format!(
                "If {location} belongs to HKEX, add its host to `allowed_hosts`. If not, ask the \
                 security team which filter redirects there."
            ),
        ),
        Reason::HttpRedirectInsecure => (
            Contact::Security,
            format!(
                "Ask the security team which filter redirects to {location}. If none does, call the \
                 CCASS Hotline."
            ),
        ),
        Reason::HttpTooManyRedirects => (
            Contact::Hkex,
            "Open the page in a browser. If it loads, raise `max_redirects`; if not, call the CCASS \
             Hotline with the list of redirects."
                .to_owned(),
        ),
        Reason::HttpBodyTooLarge => (
            Contact::Desk,
            "Open the page in a browser. If it is the right page, raise `max_body`.".to_owned(),
        ),
        Reason::PageMismatch => (
            Contact::Hkex,
            "Open the page in a browser. If the login page has changed, change the module's page \
             checks; if it is not the login page, call the CCASS Hotline."
                .to_owned(),
        ),
        Reason::PageBlockPage => (
            Contact::Security,
            format!("Ask the security team to exempt {name} from the web filter."),
        ),
        Reason::PageEmpty => (
            Contact::Hkex,
            "Open the page in a browser. If it is empty there too, call the CCASS Hotline with the \
             details."
                .to_owned(),
        ),
    }
}

/// What the reader must collect, where the exporter cannot know it.
pub(super) fn information_to_provide(reason: Reason, values: &Values) -> Option<String> {
    let text = match reason {
        Reason::DnsRefused | Reason::DnsTimedOut | Reason::DnsUnreachable => {
            "This host's source address towards the resolver."
        }
        Reason::DnsMalformed => "A packet capture of one query and its answer.",
        Reason::TcpNetworkUnreachable => {
            return Some(format!(
                "This host's routing table entry for {}.",
                values.destination
            ));
        }
        Reason::TlsExpired | Reason::TlsNotYetValid => {
            "This host's time, compared with a known clock."
        }
        Reason::TlsPinMismatch => "The pin as a host outside your network sees it.",
        Reason::PageMismatch | Reason::PageBlockPage | Reason::PageEmpty => {
            "A screenshot of the page in a browser."
        }
        _ => return None,
    };
    Some(text.to_owned())
}

/// The connection that failed was to the proxy: its team comes before the firewall's.
pub(super) fn on_the_way_to_proxy(mut advice: Advice, values: &Values) -> Advice {
    if advice.contact == Contact::Firewall {
        advice.contact = Contact::Proxy;
        advice.action = format!(
            "This target is reached through the web proxy: ask the web-proxy team whether the proxy \
             accepts connections on {}. If it does, ask the firewall team to allow {}.",
            values.endpoint, values.connection
        );
    }
    advice
}

/// The session that failed went through the proxy, which may be the peer of the handshake.
pub(super) fn behind_proxy(mut advice: Advice, values: &Values) -> Advice {
    if advice.contact == Contact::Firewall {
        advice.contact = Contact::Proxy;
    }
    advice.action = format!(
        "Ask the web-proxy team first whether {} inspects or filters TLS to {} from {}. If it does \
         not: {}",
        values.proxy, values.name, values.source, advice.action
    );
    advice
}

/// The response may be from a device on the path: the security team comes before the Hotline.
pub(super) fn unproven_peer(mut advice: Advice, values: &Values) -> Advice {
    advice.contact = Contact::Security;
    advice.action = format!(
        "Ask the security team which device answered at {}: the certificate (by {}) does not prove \
         that it was the login server. Call the CCASS Hotline only if no device of yours is on the \
         path.",
        values.endpoint, values.issuer
    );
    advice
}
