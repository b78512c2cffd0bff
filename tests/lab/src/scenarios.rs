//! The table of faults and the reasons that they provoke, for tests and for the control endpoint.
//!
//! Loopback without a firewall cannot provoke `tcp_host_unreachable`, `tcp_network_unreachable`,
//! `tcp_prohibited` and `tcp_timed_out`.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use crate::authority::{Authority, Identity, Leaf, Validity};
use crate::faults::{
    DnsFault, Encoding, HttpFault, NotProcessed, PageFault, ProxyFault, TcpFault, TlsFault,
};
use crate::lab::{HOST, Lab, PAGE, RESOLVER};
use crate::login_server::Alpn;

/// A state of the lab, and what the exporter must report.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// In kebab case, starting with the layer: `dns-nxdomain`.
    pub name: &'static str,
    /// The code of the exporter's reason; `none` if the probe must succeed.
    pub reason: &'static str,
    /// Other acceptable codes, if the result depends on timing.
    pub also: &'static [&'static str],
    /// A finding that the exporter must report.
    pub finding: Option<&'static str>,
    /// A description in one line.
    pub about: &'static str,
    /// Additional lines of the module's configuration.
    pub(crate) module: &'static str,
    /// Additional entries of its `tls`, each after a comma.
    pub(crate) tls: &'static str,
    /// The entries of its `page`.
    pub(crate) page: &'static str,
    /// Additional entries of the target, each after a comma.
    pub(crate) target: &'static str,
    /// Whether something never answers, so that the probe ends by its timeout.
    pub times_out: bool,
    pub(crate) provoke: fn(&Lab),
}

impl Scenario {
    /// Whether `code` is an acceptable reason for this scenario.
    pub fn allows(&self, code: &str) -> bool {
        self.reason == code || self.also.contains(&code)
    }

    /// Whether it needs `Lab::config_for` instead of `Lab::config`.
    pub fn needs_config(&self) -> bool {
        !(self.module.is_empty()
            && self.tls.is_empty()
            && self.target.is_empty()
            && self.page == PAGE)
    }

    const fn new(
        name: &'static str,
        reason: &'static str,
        about: &'static str,
        provoke: fn(&Lab),
    ) -> Self {
        Self {
            name,
            reason,
            also: &[],
            finding: None,
            about,
            module: "",
            tls: "",
            page: PAGE,
            target: "",
            times_out: false,
            provoke,
        }
    }

    const fn or(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }

    const fn times_out(self) -> Self {
        Self {
            times_out: true,
            ..self
        }
    }

    const fn with_finding(self, finding: &'static str) -> Self {
        Self {
            finding: Some(finding),
            ..self
        }
    }

    const fn with_module(self, module: &'static str) -> Self {
        Self { module, ..self }
    }

    const fn with_tls(self, tls: &'static str) -> Self {
        Self { tls, ..self }
    }

    const fn with_page(self, page: &'static str) -> Self {
        Self { page, ..self }
    }

    const fn with_target(self, target: &'static str) -> Self {
        Self { target, ..self }
    }
}

/// The scenarios in which a probe fails, in the order of the layers; at least one for each reason that
/// loopback can provoke.
pub fn scenarios() -> &'static [Scenario] {
    FAILING
}

/// The scenarios in which a probe succeeds although the servers are unusual.
pub fn variations() -> &'static [Scenario] {
    SUCCEEDING
}

/// The scenario or variation of this name.
pub fn scenario(name: &str) -> Option<&'static Scenario> {
    FAILING
        .iter()
        .chain(SUCCEEDING)
        .find(|scenario| scenario.name == name)
}

const OVER_PROXY: &str = "    proxy: \"http://{proxy}\"\n";
const OVER_PROXY_WITH_CREDENTIALS: &str =
    "    proxy: \"http://{proxy}\"\n    proxy_credentials_file: \"{directory}/credentials\"\n";
const OVER_PROXY_WITH_WRONG_CREDENTIALS: &str = "    proxy: \"http://{proxy}\"\n    proxy_credentials_file: \
                                   \"{directory}/other-credentials\"\n";
const OVER_TLS_PROXY: &str = "    proxy: \"https://{proxy}\"\n";
const OVER_SOCKS: &str = "    proxy: \"socks5://{proxy}\"\n";
const OVER_SOCKS_WITH_CREDENTIALS: &str =
    "    proxy: \"socks5://{proxy}\"\n    proxy_credentials_file: \"{directory}/credentials\"\n";
const DNS_OVER_TLS: &str =
    "    resolvers: [\"tls://{resolver}\"]\n    route: \"tls://{resolver}\"\n";
const DNS_OVER_HTTPS: &str = "    resolvers: [\"https://{resolver}/dns-query\"]\n    route: \"https://{resolver}/dns-query\"\n";
const FOREIGN_SOURCE_ADDRESS: &str = "    source_address: 192.0.2.1\n";
const ISSUERS_LISTED: &str = ", aia_hosts: [\"{issuers}\"]";
const UNKNOWN_PIN: &str =
    ", pins: [\"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"], on_pin_mismatch: fail";

#[rustfmt::skip]
static FAILING: &[Scenario] = &[
    Scenario::new("dns-nxdomain", "dns_nxdomain", "the name does not exist", |lab| lab.name_server.set_fault(DnsFault::NxDomain)),
    Scenario::new("dns-no-data", "dns_no_data", "the name has no address of any family", |lab| lab.name_server.set_fault(DnsFault::NoData)),
    Scenario::new("dns-servfail", "dns_servfail", "the resolver fails", |lab| lab.name_server.set_fault(DnsFault::ServFail)),
    Scenario::new("dns-refused", "dns_refused", "the resolver refuses to answer", |lab| lab.name_server.set_fault(DnsFault::Refused)),
    Scenario::new("dns-timed-out", "dns_timed_out", "the resolver is silent", |lab| lab.name_server.set_fault(DnsFault::Silent)).times_out(),
    Scenario::new("dns-wrong-id", "dns_malformed", "only answers to other questions arrive", |lab| lab.name_server.set_fault(DnsFault::WrongId)).times_out(),
    Scenario::new("dns-unreachable", "dns_unreachable", "no resolver listens on the port", |lab| lab.name_server.close()),
    Scenario::new("dns-malformed", "dns_malformed", "the answer cannot be read", |lab| lab.name_server.set_fault(DnsFault::Malformed)),
    Scenario::new("dns-sinkhole", "dns_sinkhole", "a filter answers with 0.0.0.0", |lab| lab.name_server.set_fault(DnsFault::Answer(vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)]))),
    Scenario::new("dns-tls-unknown-issuer", "dns_tls", "an unknown authority issued the resolver's certificate", |lab| lab.name_server.set_identity(Authority::new("Example Unknown").issue(&Leaf::for_name(RESOLVER)))).with_module(DNS_OVER_TLS),
    Scenario::new("dns-tls-another-name", "dns_tls", "the resolver's certificate is for another name", |lab| lab.name_server.set_identity(lab.authority.issue(&Leaf::for_name("other.lab.test")))).with_module(DNS_OVER_HTTPS),
    Scenario::new("dns-tls-servfail", "dns_servfail", "the resolver over TLS fails", |lab| lab.name_server.set_fault(DnsFault::ServFail)).with_module(DNS_OVER_TLS),
    Scenario::new("dns-tls-silent", "dns_timed_out", "the resolver over TLS is silent", |lab| lab.name_server.set_fault(DnsFault::Silent)).with_module(DNS_OVER_TLS).times_out(),
    Scenario::new("dns-tls-unreachable", "dns_unreachable", "no resolver listens for TLS", |lab| lab.name_server.close()).with_module(DNS_OVER_TLS),
    Scenario::new("dns-https-nxdomain", "dns_nxdomain", "the resolver over HTTPS does not know the name", |lab| lab.name_server.set_fault(DnsFault::NxDomain)).with_module(DNS_OVER_HTTPS),
    Scenario::new("dns-https-no-data", "dns_no_data", "the resolver over HTTPS has no address", |lab| lab.name_server.set_fault(DnsFault::NoData)).with_module(DNS_OVER_HTTPS),
    Scenario::new("dns-https-forbidden", "dns_malformed", "the resolver over HTTPS answers 403", |lab| lab.name_server.set_fault(DnsFault::HttpStatus(403))).with_module(DNS_OVER_HTTPS),

    Scenario::new("tcp-refused", "tcp_refused", "nothing listens on the port", |lab| lab.login_server.set_fault(TcpFault::Refuse)),
    Scenario::new("tcp-reset", "tcp_reset", "a reset as soon as the connection is established", |lab| lab.login_server.set_fault(TcpFault::ResetOnAccept)).or(&["tls_reset"]),
    Scenario::new("tcp-local", "tcp_local", "the configured source address is not this host's", |_| {}).with_module(FOREIGN_SOURCE_ADDRESS),
    Scenario::new("tcp-unexpectedly-open", "tcp_unexpectedly_open", "a target that must be unreachable is reachable", |_| {}).with_target(", expect: unreachable"),

    Scenario::new("proxy-wants-credentials", "proxy_auth_required", "the proxy requires credentials", |lab| lab.proxy.set_fault(ProxyFault::WantCredentials(&["Basic realm=\"lab\""]))).with_module(OVER_PROXY),
    Scenario::new("proxy-wants-ntlm", "proxy_auth_required", "the proxy offers only unsupported authentication schemes", |lab| lab.proxy.set_fault(ProxyFault::WantCredentials(&["Negotiate", "NTLM"]))).with_module(OVER_PROXY),
    Scenario::new("proxy-refuses-credentials", "proxy_auth_required", "the proxy refuses the credentials", |lab| lab.proxy.set_fault(ProxyFault::WantCredentials(&["Basic realm=\"lab\""]))).with_module(OVER_PROXY_WITH_WRONG_CREDENTIALS),
    Scenario::new("proxy-denied", "proxy_denied", "the proxy's rules do not allow the name", |lab| lab.proxy.set_fault(ProxyFault::Forbid)).with_module(OVER_PROXY),
    Scenario::new("proxy-own-page", "proxy_denied", "the proxy answers with its own page", |lab| lab.proxy.set_fault(ProxyFault::OwnPage)).with_module(OVER_PROXY),
    Scenario::new("proxy-unavailable", "proxy_failed", "the proxy cannot reach the server", |lab| lab.proxy.set_fault(ProxyFault::Unavailable)).with_module(OVER_PROXY),
    Scenario::new("proxy-server-down", "proxy_failed", "nothing listens on the server's port behind the proxy", |lab| lab.login_server.set_fault(TcpFault::Refuse)).with_module(OVER_PROXY),
    Scenario::new("proxy-silent", "proxy_failed", "the proxy never answers", |lab| lab.proxy.set_fault(ProxyFault::Silent)).with_module(OVER_PROXY).times_out(),
    Scenario::new("proxy-closes", "proxy_failed", "the proxy closes the connection", |lab| lab.proxy.set_fault(ProxyFault::Close)).with_module(OVER_PROXY),
    Scenario::new("proxy-garbage", "proxy_failed", "the answer is not that of a proxy", |lab| lab.proxy.set_fault(ProxyFault::Garbage)).with_module(OVER_PROXY),
    Scenario::new("proxy-tls-unknown-issuer", "proxy_tls", "an unknown authority issued the proxy's certificate", |lab| lab.proxy.set_identity(Authority::new("Example Unknown").issue(&Leaf::for_name("proxy.lab.test")))).with_module(OVER_TLS_PROXY),
    Scenario::new("socks-wants-credentials", "proxy_auth_required", "the SOCKS5 proxy requires credentials", |lab| lab.proxy.set_fault(ProxyFault::WantCredentials(&[]))).with_module(OVER_SOCKS),
    Scenario::new("socks-denied", "proxy_denied", "the SOCKS5 proxy's rules do not allow it", |lab| lab.proxy.set_fault(ProxyFault::Forbid)).with_module(OVER_SOCKS),
    Scenario::new("socks-unavailable", "proxy_failed", "the SOCKS5 proxy cannot reach the server", |lab| lab.proxy.set_fault(ProxyFault::Unavailable)).with_module(OVER_SOCKS),
    Scenario::new("socks-silent", "proxy_failed", "the SOCKS5 proxy never answers", |lab| lab.proxy.set_fault(ProxyFault::Silent)).with_module(OVER_SOCKS).times_out(),

    Scenario::new("tls-timed-out", "tls_timed_out", "silence after the ClientHello", |lab| lab.login_server.set_fault(TlsFault::SilentAfterHello)).times_out(),
    Scenario::new("tls-say-nothing", "tls_timed_out", "accepted, and never answered", |lab| lab.login_server.set_fault(TcpFault::AcceptAndSayNothing)).times_out(),
    Scenario::new("tls-reset", "tls_reset", "a reset after the ClientHello", |lab| lab.login_server.set_fault(TlsFault::ResetAfterHello)),
    Scenario::new("tls-closed", "tls_closed", "an orderly close after the ClientHello", |lab| lab.login_server.set_fault(TlsFault::CloseAfterHello)),
    Scenario::new("tls-closed-on-accept", "tls_closed", "an orderly close before any data", |lab| lab.login_server.set_fault(TcpFault::CloseOnAccept)),
    Scenario::new("tls-plain-http", "tls_not_tls", "the port answers in plain HTTP", |lab| lab.login_server.set_fault(TlsFault::PlainHttp)),
    Scenario::new("tls-garbage", "tls_not_tls", "the port answers in no known protocol", |lab| lab.login_server.set_fault(TlsFault::Garbage)),
    Scenario::new("tls-too-large", "tls_too_large", "a chain of 200 kB", present_large_chain),
    Scenario::new("tls-version", "tls_version", "the alert of a server that knows only TLS 1.0", |lab| lab.login_server.set_fault(TlsFault::Tls10Only)),
    Scenario::new("tls-version-hello", "tls_version", "a ServerHello of TLS 1.0", |lab| lab.login_server.set_fault(TlsFault::Tls10Hello)),
    Scenario::new("tls-alert", "tls_alert", "the alert handshake_failure", |lab| lab.login_server.set_fault(TlsFault::Alert(40))),
    Scenario::new("tls-unrecognised-name", "tls_alert", "the alert unrecognized_name", |lab| lab.login_server.set_fault(TlsFault::Alert(112))),
    Scenario::new("tls-client-certificate", "tls_alert", "a client certificate is demanded; in TLS 1.3 the alert comes after the handshake", |lab| lab.login_server.set_fault(TlsFault::RequireClientCertificate)).or(&["http_closed", "http_reset"]),
    Scenario::new("tls-expired", "tls_expired", "the certificate ended three days ago", |lab| present(lab, &Leaf::for_name(HOST).expired())),
    Scenario::new("tls-expired-below-younger-intermediate", "tls_expired", "the certificate ended before its intermediate was issued again", |lab| present_below(lab, Validity(-368, -3), &[lab.authority.intermediate_valid(Validity(-1, 1825))])),
    Scenario::new("tls-intermediate-expired", "tls_expired", "the intermediate ended, the certificate did not", |lab| present_below(lab, Validity(-30, 335), &[lab.authority.intermediate_valid(Validity(-730, -2))])),
    Scenario::new("tls-both-expired", "tls_expired", "certificate and intermediate ended, and were never valid at one time", |lab| present_below(lab, Validity(-600, -300), &[lab.authority.intermediate_valid(Validity(-200, -10))])),
    Scenario::new("tls-root-expired", "tls_expired", "the root in the trusted file ended", |lab| lab.login_server.set_identity(lab.retired.issue(&Leaf::for_name(HOST)))),
    Scenario::new("tls-not-yet-valid-below-old-intermediate", "tls_not_yet_valid", "the certificate begins in three days, after its intermediate ends", |lab| present_below(lab, Validity(3, 368), &[lab.authority.intermediate_valid(Validity(-730, 1))])),
    Scenario::new("tls-wrong-generation", "tls_incomplete_chain", "the intermediate of that name has another key", |lab| present_below(lab, Validity(-30, 335), &[lab.authority.next_generation().intermediate_der()])),
    Scenario::new("tls-not-yet-valid", "tls_not_yet_valid", "the certificate begins in three days", |lab| present(lab, &Leaf::for_name(HOST).not_yet_valid())),
    Scenario::new("tls-unknown-issuer", "tls_unknown_issuer", "the certificate is of an unknown authority", |lab| lab.login_server.set_identity(Authority::new("Example Unknown").issue(&Leaf::for_name(HOST)))),
    Scenario::new("tls-self-signed", "tls_unknown_issuer", "the certificate signs itself", |lab| lab.login_server.set_identity(Identity::self_signed(&Leaf::for_name(HOST)))),
    Scenario::new("tls-incomplete-chain", "tls_incomplete_chain", "the intermediate certificate is missing", |lab| lab.login_server.set_identity(lab.authority.issue(&Leaf::for_name(HOST)).without_intermediate())),
    Scenario::new("tls-issuer-on-a-private-address", "tls_incomplete_chain", "the missing intermediate is on an address that is not public", |lab| present_alone(lab, "issuing.crt")),
    Scenario::new("tls-issuer-not-fetched", "tls_incomplete_chain", "fetching is switched off", |lab| present_alone(lab, "issuing.crt")).with_tls(", fetch_intermediates: off, aia_hosts: [\"{issuers}\"]"),
    Scenario::new("tls-issuer-missing", "tls_incomplete_chain", "the missing intermediate is not at its address", |lab| present_alone(lab, "nothing.crt")).with_tls(ISSUERS_LISTED),
    Scenario::new("tls-issuer-garbage", "tls_incomplete_chain", "a web page is at the address of the intermediate", |lab| present_alone(lab, "garbage.crt")).with_tls(ISSUERS_LISTED),
    Scenario::new("tls-issuer-too-large", "tls_incomplete_chain", "more than 64 KiB are at the address of the intermediate", |lab| present_alone(lab, "large.crt")).with_tls(ISSUERS_LISTED),
    Scenario::new("tls-issuer-silent", "tls_incomplete_chain", "the server of the intermediate is silent", |lab| present_alone(lab, "silent.crt")).with_tls(ISSUERS_LISTED),
    Scenario::new("tls-issuer-another", "tls_incomplete_chain", "another certificate is at the address of the intermediate", |lab| present_alone(lab, "root.crt")).with_tls(ISSUERS_LISTED),
    Scenario::new("tls-name-mismatch", "tls_name_mismatch", "the certificate is for another name", |lab| present(lab, &Leaf::for_name("other.lab.test"))),
    Scenario::new("tls-bad-signature", "tls_bad_signature", "an authority with our root's name and another key", |lab| lab.login_server.set_identity(Authority::impostor_of(&lab.authority).issue(&Leaf::for_name(HOST)))),
    Scenario::new("tls-leaf-unreadable", "tls_bad_signature", "an impostor's own leaf with unreadable dates, and behind it the whole real chain", present_unreadable_leaf),
    Scenario::new("tls-pin-mismatch", "tls_pin_mismatch", "the public key is not the pinned one", |_| {}).with_tls(UNKNOWN_PIN),
    Scenario::new("tls-intercepted", "tls_intercepted", "a trusted web filter issued the certificate", intercept).with_tls(", on_interception: fail"),
    Scenario::new("tls-large-hello-dropped", "tls_large_hello_dropped", "a ClientHello above one packet is dropped", |lab| lab.login_server.set_fault(TlsFault::DropLargeHello)).times_out(),
    Scenario::new("tls-large-hello-reset", "tls_large_hello_dropped", "a ClientHello above one packet is reset", |lab| lab.login_server.set_fault(TlsFault::ResetLargeHello)),

    Scenario::new("http-timed-out", "http_timed_out", "silence after the request", |lab| lab.login_server.set_fault(HttpFault::SilentAfterRequest)).times_out(),
    Scenario::new("http-slow", "http_timed_out", "an answer after a minute", |lab| lab.login_server.set_fault(HttpFault::Slow(Duration::from_secs(60)))).times_out(),
    Scenario::new("http-endless", "http_timed_out", "a body of one byte per second", |lab| lab.login_server.set_fault(PageFault::Endless)).times_out(),
    Scenario::new("http-reset", "http_reset", "a reset after the request", |lab| lab.login_server.set_fault(HttpFault::ResetAfterRequest)),
    Scenario::new("http-closed", "http_closed", "an orderly close after the request", |lab| lab.login_server.set_fault(HttpFault::CloseAfterRequest)),
    Scenario::new("http-malformed", "http_malformed", "an answer that is not HTTP", |lab| lab.login_server.set_fault(HttpFault::Malformed)),
    Scenario::new("http-header-bomb", "http_malformed", "headers of 4 MiB", |lab| lab.login_server.set_fault(HttpFault::HeaderBomb)),
    Scenario::new("http-403", "http_status", "forbidden", |lab| lab.login_server.set_fault(HttpFault::Status(403))),
    Scenario::new("http-429", "http_status", "too many requests, retry after 120 s", |lab| retry_after(lab, 429)),
    Scenario::new("http-500", "http_status", "internal server error", |lab| lab.login_server.set_fault(HttpFault::Status(500))),
    Scenario::new("http-503", "http_status", "under maintenance, retry after 120 s", |lab| retry_after(lab, 503)),
    Scenario::new("http-redirect-off-host", "http_redirect_off_host", "a redirect to another host", |lab| lab.login_server.set_fault(HttpFault::Redirect(302, "https://elsewhere.lab.test/".to_owned()))),
    Scenario::new("http-redirect-insecure", "http_redirect_insecure", "a redirect to http", |lab| lab.login_server.set_fault(HttpFault::Redirect(302, format!("http://{HOST}/sso")))),
    Scenario::new("http-redirect-loop", "http_redirect_loop", "two pages that redirect to each other", |lab| lab.login_server.set_fault(HttpFault::RedirectLoop)),
    Scenario::new("http-too-many-redirects", "http_too_many_redirects", "twenty redirects, each to a new page", |lab| lab.login_server.set_fault(HttpFault::RedirectChain(20))),
    Scenario::new("http-body-too-large", "http_body_too_large", "a body of 8 MiB", |lab| lab.login_server.set_fault(PageFault::TooLarge(8 * 1024 * 1024))),
    Scenario::new("http-gzip-bomb", "http_body_too_large", "a small body that decodes to 16 MiB", |lab| lab.login_server.set_fault(PageFault::GzipBomb)),
    Scenario::new("http-goaway", "http_closed", "each connection ends with GOAWAY before the request", |lab| refuse(lab, NotProcessed::Goaway, usize::MAX)),
    Scenario::new("http-refused-stream", "http_reset", "each request is refused", |lab| lab.login_server.set_fault(HttpFault::RefuseStreams(usize::MAX))),
    Scenario::new("http-refresh-off-host", "http_redirect_off_host", "a page that refreshes to another host", |lab| custom(lab, &[], b"<meta http-equiv=refresh content='0; url=https://elsewhere.lab.test/'>")),
    Scenario::new("http-alert-after-head", "http_truncated", "a TLS alert in the middle of the answer", |lab| lab.login_server.set_fault(HttpFault::AlertAfterHead)),
    Scenario::new("http-reset-after-head", "http_reset", "a reset in the middle of the answer", |lab| lab.login_server.set_fault(HttpFault::ResetAfterHead)),
    Scenario::new("http-truncated", "http_truncated", "a body shorter than its Content-Length", |lab| lab.login_server.set_fault(PageFault::CutShort)),

    Scenario::new("page-mismatch", "page_mismatch", "a page other than the login page", |lab| lab.login_server.set_fault(PageFault::Text("<html><head><title>Scheduled maintenance</title></head><body><p>Please come back later.</p></body></html>".to_owned()))),
    Scenario::new("page-block", "page_block_page", "a web filter's page with status 200", |lab| lab.login_server.set_fault(PageFault::BlockPage)),
    Scenario::new("page-empty", "page_empty", "an empty body with status 200", |lab| lab.login_server.set_fault(PageFault::Empty)),
];

#[rustfmt::skip]
static SUCCEEDING: &[Scenario] = &[
    Scenario::new("dns-slow", "none", "the resolver takes half a second", |lab| lab.name_server.set_fault(DnsFault::Slow(Duration::from_millis(500)))),
    Scenario::new("dns-lossy", "none", "every third question is dropped", |lab| lab.name_server.set_fault(DnsFault::DropEvery(3))),
    Scenario::new("dns-truncated", "none", "the complete answer is only available over TCP", |lab| lab.name_server.set_fault(DnsFault::Truncated)),
    Scenario::new("dns-alias", "none", "the name is an alias of another", alias),
    Scenario::new("tls-12-only", "none", "the server supports no version above TLS 1.2", |lab| lab.login_server.set_fault(TlsFault::Tls12Only)),
    Scenario::new("tls-rsa", "none", "an RSA certificate", |lab| present(lab, &Leaf::for_name(HOST).rsa())),
    Scenario::new("tls-ending-soon", "none", "the certificate expires in two days", |lab| present(lab, &Leaf::for_name(HOST).ending_in(Duration::from_secs(2 * 86_400)))),
    Scenario::new("tls-two-generations", "none", "two intermediates of one name and with different keys, the wrong one first", |lab| present_below(lab, Validity(-30, 335), &[lab.authority.next_generation().intermediate_der(), lab.authority.intermediate_der()])),
    Scenario::new("tls-spare-intermediate-expired", "none", "the expired intermediate next to the new one", |lab| present_below(lab, Validity(-30, 335), &[lab.authority.intermediate_valid(Validity(-730, -2)), lab.authority.intermediate_der()])),
    Scenario::new("tls-spare-root-expired", "none", "an expired cross-signed root at the end of the chain, as in 2020 and 2021", |lab| present_below(lab, Validity(-30, 335), &[lab.authority.intermediate_der(), lab.authority.root_signed_by(&lab.retired, Validity(-3650, -2))])),
    Scenario::new("tls-issuer-fetched", "none", "the server sends no intermediate, its address has it", |lab| present_alone(lab, "issuing.crt")).with_tls(ISSUERS_LISTED).with_finding("incomplete_chain"),
    Scenario::new("tls-issuer-fetched-pem", "none", "the same in PEM", |lab| present_alone(lab, "issuing.pem")).with_tls(ISSUERS_LISTED).with_finding("incomplete_chain"),
    Scenario::new("tls-issuer-fetched-pkcs7", "none", "the same in PKCS#7", |lab| present_alone(lab, "issuing.p7c")).with_tls(ISSUERS_LISTED).with_finding("incomplete_chain"),
    Scenario::new("tls-issuers-fetched", "none", "the issuer's own issuer is missing too", |lab| lab.login_server.set_identity(lab.newcomer.issue(&Leaf::for_name(HOST)).without_intermediate())).with_tls(ISSUERS_LISTED).with_finding("incomplete_chain"),
    Scenario::new("tls-issuer-fetched-over-proxy", "none", "the intermediate is fetched through the proxy", |lab| present_alone(lab, "issuing.crt")).with_module(OVER_PROXY).with_finding("incomplete_chain"),
    Scenario::new("tls-issuer-fetched-over-tls-proxy", "none", "the same through a proxy over TLS", |lab| present_alone(lab, "issuing.crt")).with_module(OVER_TLS_PROXY).with_finding("incomplete_chain"),
    Scenario::new("tls-issuer-fetched-over-socks", "none", "the same through a SOCKS5 proxy", |lab| present_alone(lab, "issuing.crt")).with_module(OVER_SOCKS).with_finding("incomplete_chain"),
    Scenario::new("tls-interception-suspected", "none", "a trusted web filter issued the certificate", intercept).with_finding("intercepted"),
    Scenario::new("proxy-connect", "none", "through a proxy", |_| {}).with_module(OVER_PROXY),
    Scenario::new("proxy-connect-over-tls", "none", "through a proxy over TLS", |_| {}).with_module(OVER_TLS_PROXY),
    Scenario::new("proxy-socks", "none", "through a SOCKS5 proxy", |_| {}).with_module(OVER_SOCKS),
    Scenario::new("proxy-connect-with-credentials", "none", "through a proxy with credentials", |lab| lab.proxy.set_fault(ProxyFault::WantCredentials(&["Basic realm=\"lab\""]))).with_module(OVER_PROXY_WITH_CREDENTIALS),
    Scenario::new("proxy-socks-with-credentials", "none", "through a SOCKS5 proxy with credentials", |lab| lab.proxy.set_fault(ProxyFault::WantCredentials(&[]))).with_module(OVER_SOCKS_WITH_CREDENTIALS),
    Scenario::new("dns-over-tls", "none", "the resolver over TLS", |_| {}).with_module(DNS_OVER_TLS),
    Scenario::new("dns-over-https", "none", "the resolver over HTTPS", |_| {}).with_module(DNS_OVER_HTTPS),
    Scenario::new("http-1-only", "none", "no HTTP/2", |lab| lab.login_server.set_alpn(Alpn::Http1)),
    Scenario::new("http-slow-answer", "none", "the answer takes a second", |lab| lab.login_server.set_fault(HttpFault::Slow(Duration::from_secs(1)))),
    Scenario::new("http-redirects", "none", "three redirects, then the page", |lab| lab.login_server.set_fault(HttpFault::RedirectChain(3))),
    Scenario::new("http-cookie-gate", "none", "the page requires a cookie that it sets first", |lab| lab.login_server.set_fault(HttpFault::CookieGate)),
    Scenario::new("http-date-skew", "none", "the server's clock is an hour behind", |lab| lab.login_server.set_fault(HttpFault::DateSkew(-3600))).with_finding("clock_skew"),
    Scenario::new("http-goaway-once", "none", "a connection ends with GOAWAY before the request", |lab| refuse(lab, NotProcessed::Goaway, 1)).with_finding("request_repeated"),
    Scenario::new("http-refused-stream-once", "none", "a request is refused", |lab| lab.login_server.set_fault(HttpFault::RefuseStreams(1))).with_finding("request_repeated"),
    Scenario::new("http-1-required", "none", "HTTP/2 is negotiated, and not available for the page", |lab| refuse(lab, NotProcessed::Http11Required, usize::MAX)).with_finding("request_repeated"),
    Scenario::new("page-big5-by-header", "none", "Big5 by the header", |lab| custom(lab, &[("content-type", "text/html; charset=big5".to_owned())], &chinese("", encoding_rs::BIG5))).with_page(CHINESE_PAGE),
    Scenario::new("page-big5-by-meta", "none", "Big5 by its declaration", |lab| custom(lab, &[("content-type", "text/html".to_owned())], &chinese("<meta charset=big5>", encoding_rs::BIG5))).with_page(CHINESE_PAGE),
    Scenario::new("page-gb18030-by-http-equiv", "none", "GB18030 by http-equiv", |lab| custom(lab, &[("content-type", "text/html".to_owned())], &chinese("<meta http-equiv='Content-Type' content='text/html; charset=gb18030'>", encoding_rs::GB18030))).with_page(CHINESE_PAGE),
    Scenario::new("page-shift-jis", "none", "Shift_JIS by the header", |lab| custom(lab, &[("content-type", "text/html; charset=Shift_JIS".to_owned())], &chinese("", encoding_rs::SHIFT_JIS))).with_page(CHINESE_PAGE),
    Scenario::new("page-utf-16-by-mark", "none", "UTF-16 by its byte order mark", |lab| custom(lab, &[("content-type", "text/html".to_owned())], &utf16("\u{feff}"))).with_page(CHINESE_PAGE),
    Scenario::new("page-utf-16-by-header", "none", "UTF-16 by the header", |lab| custom(lab, &[("content-type", "text/html; charset=utf-16le".to_owned())], &utf16(""))).with_page(CHINESE_PAGE),
    Scenario::new("page-visible-text", "none", "entities, tags and no-break spaces inside a phrase", |lab| custom(lab, &[], b"<title>CCASS&nbsp;Lab Login</title><p>Please&nbsp;sign <b>i</b>n, &#85;ser</p><script>nothing</script>")).with_page("title: \"CCASS Lab Login\", text_contains: [\"Please sign in, User\"], text_matches: [\"^Please .* User$\"]"),
    Scenario::new("http-meta-refresh", "none", "a page that refreshes to the login page at once", |lab| custom(lab, &[], b"<title>Loading</title><meta http-equiv=refresh content='0; url=/sso?next'>")),
    Scenario::new("http-refresh-header", "none", "a Refresh header that leads to the login page after a second", |lab| custom(lab, &[("refresh", "1; url=/sso?next".to_owned())], b"<title>Loading</title>")),
    Scenario::new("page-refreshes-itself", "none", "the login page loads itself again after a while", |lab| custom(lab, &[("refresh", "4".to_owned())], &login())),
    Scenario::new("page-refreshes-late", "none", "the login page leads to another one after an hour", |lab| custom(lab, &[("refresh", "3600; url=/sso/expired".to_owned())], &login())),
    Scenario::new("page-unknown-coding", "none", "the content encoding utf-8, as Java servers send it", |lab| custom(lab, &[("content-encoding", "utf-8".to_owned())], &login())),
    Scenario::new("page-gzip-trailing", "none", "bytes behind the end of a gzip stream", |lab| custom(lab, &[("content-encoding", "gzip".to_owned())], &[&crate::page::encode(&login(), Encoding::Gzip)[..], b"trailing"].concat())),
    Scenario::new("page-gzip", "none", "the page encoded with gzip", |lab| lab.login_server.set_fault(PageFault::Encoded(Encoding::Gzip))),
    Scenario::new("page-deflate", "none", "the page encoded with deflate", |lab| lab.login_server.set_fault(PageFault::Encoded(Encoding::Deflate))),
    Scenario::new("page-br", "none", "the page encoded with br", |lab| lab.login_server.set_fault(PageFault::Encoded(Encoding::Brotli))),
    Scenario::new("page-chunked", "none", "the page in chunks", |lab| lab.login_server.set_fault(PageFault::Chunked)),
    Scenario::new("page-no-length", "none", "the page ends with the connection", |lab| lab.login_server.set_fault(PageFault::NoContentLength)),
];

fn present(lab: &Lab, leaf: &Leaf) {
    lab.login_server.set_identity(lab.authority.issue(leaf));
}

/// More than a client reads: the same intermediate many times.
fn present_large_chain(lab: &Lab) {
    let mut identity = lab.authority.issue(&Leaf::for_name(HOST));
    let issuer = identity.chain.last().expect("a chain").clone();
    let copies = 200_000 / issuer.len();
    identity.chain.extend(std::iter::repeat_n(issuer, copies));
    lab.login_server.set_identity(identity);
}

/// Whoever leaves out what cannot be read trusts the impostor.
fn present_unreadable_leaf(lab: &Lab) {
    let leaf = Leaf::for_name(HOST);
    let real = lab.authority.issue(&leaf).chain;
    let impostor = Identity::self_signed(&leaf).with_unreadable_dates();
    lab.login_server.set_identity(impostor.with_chain(&real));
}

/// A certificate of the lab's authority, with these certificates behind it.
fn present_below(lab: &Lab, days: Validity, others: &[CertificateDer<'static>]) {
    let leaf = Leaf::for_name(HOST).valid(days);
    lab.login_server
        .set_identity(lab.authority.issue(&leaf).with_chain(others));
}

/// A certificate without its intermediate, which should be in this file of the lab's authority.
fn present_alone(lab: &Lab, file: &'static str) {
    let leaf = Leaf::for_name(HOST).with_issuer_file(file);
    lab.login_server
        .set_identity(lab.authority.issue(&leaf).without_intermediate());
}

fn intercept(lab: &Lab) {
    lab.login_server
        .set_identity(lab.interceptor.issue(&Leaf::for_name(HOST)));
}

const CHINESE_PAGE: &str = "title: \"中央結算系統 入口\", contains: [\"中央結算系統 入口</h1>\"], \
                            text_contains: [\"中央結算系統 入口\"]";

/// A page with these bytes.
fn custom(lab: &Lab, headers: &[(&'static str, String)], body: &[u8]) {
    lab.login_server.set_fault(PageFault::Custom {
        headers: headers.to_vec(),
        body: body.to_vec(),
    });
}

fn login() -> Vec<u8> {
    crate::page::login("token").to_vec()
}

fn chinese_text(head: &str) -> String {
    format!("{head}<title>中央結算系統 入口</title><h1>中央結算系統 入口</h1>")
}

fn chinese(head: &str, encoding: &'static encoding_rs::Encoding) -> Vec<u8> {
    encoding.encode(&chinese_text(head)).0.into_owned()
}

fn utf16(mark: &str) -> Vec<u8> {
    let text = mark.to_owned() + &chinese_text("");
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn refuse(lab: &Lab, how: NotProcessed, times: usize) {
    lab.login_server
        .set_fault(HttpFault::NotProcessed(how, times));
}

fn retry_after(lab: &Lab, status: u16) {
    let headers = vec![("retry-after".to_owned(), "120".to_owned())];
    lab.login_server
        .set_fault(HttpFault::StatusWith(status, headers));
}

fn alias(lab: &Lab) {
    const TARGET: &str = "login.lab.test";
    lab.name_server.answer(TARGET, &[lab.login_address()]);
    lab.name_server.cname(HOST, TARGET);
}
