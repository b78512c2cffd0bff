//! Who does what about each reason: instructions with the addresses and names of the failure.

use super::super::Reason;
use super::values::Values;
use super::{Contact, Intermediary};

/// The instruction for `reason`.
pub(super) fn action(reason: Reason, intermediary: Intermediary, values: &Values) -> String {
    let Values {
        source,
        name,
        endpoint,
        connection,
        proxy,
        issuer,
        ..
    } = values;
    match (intermediary, Contact::of(reason, Intermediary::None)) {
        (Intermediary::ProxyEndpoint, Contact::Firewall) => format!(
            "Ask the web-proxy team whether the web proxy accepts connections on {endpoint}. If it \
             does, ask the firewall team to allow {connection}."
        ),
        (Intermediary::ProxyTunnel, _) => format!(
            "Ask the web-proxy team first whether {proxy} inspects or filters TLS from {source} to \
             {name}. If it does not: {}",
            direct_action(reason, values)
        ),
        (Intermediary::UnprovenPeer, Contact::Hkex) => format!(
            "Ask the security team which device answered at {endpoint}: the certificate by \
             {issuer} does not prove that it was the login server. Call the CCASS Hotline only if \
             no device of yours is on the path."
        ),
        (Intermediary::OwnRoot, _) => format!(
            "Check this host's clock first. If it is right, replace {certificate} by its \
             successor, in this host's roots or in `tls.ca_file`, and on the terminals.",
            certificate = values.certificate
        ),
        _ => direct_action(reason, values),
    }
}

fn direct_action(reason: Reason, values: &Values) -> String {
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
        Reason::DnsNxdomain => format!(
            "Ask the DNS team to add a forwarder or a record for {name} on {resolver}, as in CCASS \
             Technical Guide 4.7-4.9. After the repair, the old answer stays in caches for its TTL."
        ),
        Reason::DnsNoData => format!(
            "Ask the DNS team where {resolver} gets the zone of {name} from, and to add the \
             missing record."
        ),
        Reason::DnsServfail => format!(
            "Ask the DNS team whether the forwarders of {resolver} answer for the zone of {name}."
        ),
        Reason::DnsRefused => {
            format!("Ask the DNS team to allow queries from this host on {resolver}.")
        }
        Reason::DnsTimedOut => format!(
            "Ask the DNS team to check {resolver}. If it works, ask the firewall team to allow \
             {resolver_ports} from this host to it."
        ),
        Reason::DnsUnreachable => format!(
            "Check that the configured address of {resolver} is right. If it is, ask the DNS team \
             whether the service runs, and the firewall team to allow {resolver_ports} from this \
             host to it."
        ),
        Reason::DnsMalformed => {
            format!("Ask the DNS team what rewrites or breaks the answers of {resolver}.")
        }
        Reason::DnsSinkhole => {
            format!("Ask the DNS team to exempt {name} from the DNS filter on {resolver}.")
        }
        Reason::DnsTls => format!(
            "Ask the DNS team to correct the certificate of {resolver}. If a web filter of your \
             own issued it, ask for the resolver to be exempted from inspection."
        ),
        Reason::DnsLocal => {
            "Raise the limits of the exporter's process and of this host (open files, \
                             local ports, memory), or find out what uses them up."
                .to_owned()
        }
        Reason::TcpRefused => format!(
            "Ask the firewall team to allow {connection}. If they see the packets leave your \
             network, call the CCASS Hotline."
        ),
        Reason::TcpTimedOut => format!(
            "Ask the firewall team to allow {connection}, and to check the route (Internet, \
             SDNet/2 or HSN) and the address translation."
        ),
        Reason::TcpHostUnreachable => format!(
            "Ask the firewall team to allow {connection} and to check the route. If both are \
             right, ask the line vendor."
        ),
        Reason::TcpNetworkUnreachable => format!(
            "Ask the firewall team to add a route from {source} to {destination} (Internet, \
             SDNet/2 or HSN). For an IPv6 address, ask whether IPv6 is meant to work here."
        ),
        Reason::TcpProhibited => format!("Ask the firewall team to allow {connection}."),
        Reason::TcpReset => format!(
            "Ask the firewall team to find {connection} in the log of the firewall and the \
             intrusion-prevention filter, and to allow it."
        ),
        Reason::TcpLocal => "Check `source_address` in the configuration, and the limits of the \
                             exporter's process (open files, local ports)."
            .to_owned(),
        Reason::TcpUnexpectedlyOpen => format!("Ask the firewall team to block {connection}."),
        Reason::ProxyAuthRequired => format!(
            "Ask the web-proxy team to exempt {name} from authentication on {proxy} for {source}, \
             or to allow a bypass."
        ),
        Reason::ProxyDenied => format!(
            "Ask the web-proxy team to allow {target} on {proxy}, or to allow a bypass: CCASS may \
             not be meant to go through the proxy at all."
        ),
        Reason::ProxyFailed => {
            format!("Ask the web-proxy team whether {proxy} itself can resolve and reach {target}.")
        }
        Reason::ProxyTls => format!(
            "Ask the web-proxy team which CA issued the certificate of {proxy}, and add that CA to \
             this host's roots or to `tls.ca_file`."
        ),
        Reason::TlsTimedOut | Reason::TlsReset => format!(
            "Ask the firewall team whether a filter between {source} and {destination} inspects \
             the server name (SNI), and to exempt {name}."
        ),
        Reason::TlsClosed => format!(
            "Ask the firewall team whether a filter or a load balancer between {source} and \
             {destination} closes the connection."
        ),
        Reason::TlsNotTls => {
            format!("Ask the firewall team what answers connections to {endpoint}.")
        }
        Reason::TlsTooLarge => format!(
            "Ask the security team whether a device inspects TLS between {source} and \
             {destination}. If none does, call the CCASS Hotline."
        ),
        Reason::TlsVersion | Reason::TlsAlert if values.no_common_parameters => format!(
            "Open the page in a browser first. If it loads, the login works: ask the CCASS Hotline \
             in office hours to offer current cipher suites. If it does not, ask the security team \
             whether a device inspects TLS between {source} and {destination}; if none does, call \
             the CCASS Hotline."
        ),
        Reason::TlsVersion | Reason::TlsAlert => format!(
            "Ask the security team whether a device inspects TLS between {source} and \
             {destination}. If none does, call the CCASS Hotline."
        ),
        Reason::TlsExpired => format!(
            "Check this host's clock first. If it is right, ask the CCASS Hotline to renew the \
             certificate; if {issuer} belongs to your own TLS inspection, ask the security team \
             instead."
        ),
        Reason::TlsNotYetValid => "Compare this host's time with a known clock and correct it. If \
                                   it is right, call the CCASS Hotline."
            .to_owned(),
        Reason::TlsUnknownIssuer => format!(
            "Ask the security team to exempt {name} from TLS inspection, or to install the CA \
             certificate of {issuer} on this host as on the terminals."
        ),
        Reason::TlsIncompleteChain => format!(
            "Ask the CCASS Hotline to add the missing intermediate to the server's chain. If \
             {issuer} belongs to your own TLS inspection, ask the security team instead."
        ),
        Reason::TlsNameMismatch => format!(
            "Ask the DNS team whether {destination} is the right address of {name}. If it is, call \
             the CCASS Hotline."
        ),
        Reason::TlsBadSignature => format!(
            "Ask the security team what answers connections to {endpoint}. Treat it as an attack \
             until it is explained."
        ),
        Reason::TlsPinMismatch => format!(
            "Ask the security team whether {issuer} belongs to a device of your own. Compare with \
             a host outside your network before you change the configured pins."
        ),
        Reason::TlsIntercepted => {
            format!("Ask the security team to exempt {name} from TLS inspection.")
        }
        Reason::TlsLargeHelloDropped => format!(
            "Tell the firewall team that ClientHellos larger than one packet are lost between \
             {source} and {destination}. Ask them to update the firewall or the TLS inspection, and \
             to check the path MTU."
        ),
        Reason::HttpTimedOut | Reason::HttpReset | Reason::HttpClosed | Reason::HttpTruncated => {
            format!(
                "If only one site is affected, ask the firewall team first to check {connection}. \
                 Otherwise call the CCASS Hotline."
            )
        }
        Reason::HttpMalformed | Reason::HttpRedirectLoop => {
            "Call the CCASS Hotline with the details.".to_owned()
        }
        Reason::HttpStatus => "Look for an announcement of maintenance first. If there is none, \
                               call the CCASS Hotline with the details."
            .to_owned(),
        Reason::HttpRedirectOffHost => format!(
            "If the redirect to {location} is HKEX's, add its host to `allowed_hosts`. If not, ask \
             the security team which filter redirects there."
        ),
        Reason::HttpRedirectInsecure => format!(
            "Ask the security team which filter sent the redirect to {location}. If none did, call \
             the CCASS Hotline."
        ),
        Reason::HttpTooManyRedirects => "Open the page in a browser. If it loads, raise \
                                         `max_redirects`; if not, call the CCASS Hotline with the \
                                         list of redirects."
            .to_owned(),
        Reason::HttpBodyTooLarge => {
            "Open the page in a browser. If it is the right page, raise `max_body`.".to_owned()
        }
        Reason::PageMismatch => {
            "Open the page in a browser. If the login page has changed, change the module's page \
             checks; if it is not the login page, call the CCASS Hotline."
                .to_owned()
        }
        Reason::PageBlockPage => {
            format!("Ask the security team to exempt {name} from the web filter.")
        }
        Reason::PageEmpty => {
            "Open the page in a browser. If it is empty there too, call the CCASS Hotline with the \
             details."
                .to_owned()
        }
    }
}

/// What the reader must collect, because the exporter cannot know it.
pub(super) fn information_to_provide(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::DnsRefused | Reason::DnsTimedOut | Reason::DnsUnreachable => {
            "This host's source address towards the resolver."
        }
        Reason::DnsMalformed => "A packet capture of one query and its answer.",
        Reason::TcpNetworkUnreachable => "This host's routing table entry for the destination.",
        Reason::TlsExpired | Reason::TlsNotYetValid => {
            "This host's time, compared with a known clock."
        }
        Reason::TlsPinMismatch => "The pin as seen from a host outside your network.",
        Reason::PageMismatch | Reason::PageBlockPage | Reason::PageEmpty => {
            "A screenshot of the page in a browser."
        }
        _ => return None,
    })
}
