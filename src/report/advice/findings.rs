//! What each finding means and what to do about it.

use super::super::Finding;
use super::values::Values;
use super::{Advice, Contact};

/// The advice for `finding`. What was seen is in the finding's own detail.
pub(super) fn advice(finding: Finding, values: &Values) -> Advice {
    let Values {
        name,
        resolver,
        issuer,
        connection,
        ..
    } = values;
    let (meaning, contact, action) = match finding {
        Finding::Intercepted => (
            "A device between this host and the server seems to sign in the server's place: this \
             host trusts the chain while the public web does not, or its issuer is none of the \
             expected ones. A device of your own probably inspects TLS; the login may still work.",
            Contact::Security,
            format!(
                "Ask the security team whether {name} is meant to be inspected. If so, list \
                 {issuer} under `accepted_interceptors`."
            ),
        ),
        Finding::PinMismatch => (
            "None of the configured keys is in the chain. The server renewed its key, or a device \
             on the path answers in its place.",
            Contact::Security,
            format!("Ask the security team whether {issuer} belongs to a device of your own."),
        ),
        Finding::UnexpectedIssuer => (
            "The certificate's issuer is none of the expected ones.",
            Contact::Security,
            format!(
                "Ask the security team whether {issuer} belongs to a device of your own. If the \
                 server changed its CA, change `expected_issuers`."
            ),
        ),
        Finding::AddressFailed => (
            "One of the addresses of the name does not work, while another does. Browsers that \
             pick the failed one are slow or fail.",
            Contact::Firewall,
            format!(
                "Ask the firewall team to allow {connection}. If the rule is right, call the CCASS \
                 Hotline."
            ),
        ),
        Finding::ResolverFailed => (
            "One of the resolvers gives no usable answer, while the login works through another.",
            Contact::Dns,
            format!("Ask the DNS team why {resolver} gives no usable answer for {name}."),
        ),
        Finding::ResolversDisagree => (
            "The resolvers return different addresses for the name.",
            Contact::Dns,
            format!("Ask the DNS team which zone of {name} is the right one for this site."),
        ),
        Finding::UnexpectedAddress => (
            "An answer is outside the expected ranges.",
            Contact::Dns,
            format!(
                "Ask the DNS team whether the addresses of {name} are right. If the server moved, \
                 change `expected_addresses` and the firewall rules."
            ),
        ),
        Finding::ClockSkew => (
            "This host's clock and the server's differ by more than 30 seconds. One-time codes and \
             certificates depend on the time.",
            Contact::Desk,
            "Check time synchronization on this host and on the terminals.".to_owned(),
        ),
        Finding::PlatformRootsMissing => (
            "This host has no root certificates, so it cannot trust any server by itself.",
            Contact::Desk,
            "Install the system's CA bundle (on Debian the package ca-certificates), or configure \
             a `ca_file`."
                .to_owned(),
        ),
        Finding::CertificateWeak => (
            "A key or a signature in the chain is weaker than today's minimum.",
            Contact::Hkex,
            format!(
                "Send the certificate's subject, key and signature to the CCASS Hotline. If \
                 {issuer} belongs to your own TLS inspection, tell the security team instead."
            ),
        ),
        Finding::RequestRepeated => (
            "The server ended a connection without processing the request, and said so. The request \
             was repeated once, as browsers do. Users notice nothing but a delay.",
            Contact::Hkex,
            "Mention it to the CCASS Hotline if it persists: a server or a load balancer ends \
             connections under clients, or does not support HTTP/2 for this page."
                .to_owned(),
        ),
        Finding::BrowserDiffers => (
            "A browser of this host and the exporter do not agree on whether the login page is \
             reachable. The browser has its own proxy, PAC file, policies and TLS library; where both \
             run on a CCASS Terminal, it is the browser that counts.",
            Contact::Desk,
            "Compare the two columns of `verify --browser`: each difference is explained below \
             them. Repeat the check on a CCASS Terminal."
                .to_owned(),
        ),
        Finding::IncompleteChain => (
            "The server does not send an intermediate certificate. It was fetched from the address \
             in the certificate, as Edge does on Windows; clients that do not fetch it fail (Java, \
             OpenSSL, curl, most programs), and so does a terminal that cannot reach that address.",
            Contact::Hkex,
            format!(
                "Ask the CCASS Hotline to add the missing intermediate to the server's chain. If \
                 {issuer} belongs to your own TLS inspection, ask the security team instead."
            ),
        ),
    };
    Advice {
        meaning: meaning.to_owned(),
        contact,
        action,
        information_to_provide: None,
    }
}
