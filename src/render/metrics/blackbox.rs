//! `/probe`: a report under blackbox_exporter's names and meanings for an HTTP module.
//!
//! In contrast to blackbox_exporter, facts of a failed session are exported, and phases that were not reached
//! are absent instead of 0. docs/blackbox.md lists every difference.

use std::net::IpAddr;
use std::time::Duration;

use super::family::{MetricDesc, MetricType, SeriesWriter, metrics};
use super::{flag, unix};
use crate::report::{AddressAttempt, AddressFamily, Handshake, Hop, HttpFacts, Report, TlsFacts};

metrics! {
    /// Every metric shared with blackbox_exporter, without a prefix.
    pub static BLACKBOX = "";
    SUCCESS = Gauge("probe_success", [], "Displays whether or not the probe was a success");
    DURATION = Gauge("probe_duration_seconds", [], "Returns how long the probe took to complete in seconds");
    TIMEOUT = Gauge("probe_timeout_seconds", [], "Returns how long the probe timeout is in seconds");
    DNS_LOOKUP_TIME = Gauge("probe_dns_lookup_time_seconds", [], "Returns the time taken for probe dns lookup in seconds");
    IP_PROTOCOL = Gauge("probe_ip_protocol", [], "Specifies whether probe ip protocol is IP4 or IP6");
    IP_ADDR_HASH = Gauge("probe_ip_addr_hash", [], "Specifies the hash of IP address. It's useful to detect if the IP address changes.");
    HTTP_DURATION = Gauge("probe_http_duration_seconds", ["phase"], "Duration of http request by phase, summed over all redirects");
    HTTP_CONTENT_LENGTH = Gauge("probe_http_content_length", [], "Length of http content response");
    HTTP_UNCOMPRESSED_BODY_LENGTH = Gauge("probe_http_uncompressed_body_length", [], "Length of uncompressed response body");
    HTTP_REDIRECTS = Gauge("probe_http_redirects", [], "The number of redirects");
    HTTP_SSL = Gauge("probe_http_ssl", [], "Indicates if SSL was used for the final redirect");
    HTTP_STATUS_CODE = Gauge("probe_http_status_code", [], "Response HTTP status code");
    HTTP_VERSION = Gauge("probe_http_version", [], "Returns the version of HTTP of the probe response");
    FAILED_DUE_TO_REGEX = Gauge("probe_failed_due_to_regex", [], "Indicates if probe failed due to regex");
    HTTP_LAST_MODIFIED = Gauge("probe_http_last_modified_timestamp_seconds", [], "Returns the Last-Modified HTTP response header in unixtime");
    SSL_EARLIEST_CERT_EXPIRY = Gauge("probe_ssl_earliest_cert_expiry", [], "Returns last SSL chain expiry in unixtime");
    SSL_LAST_CHAIN_EXPIRY = Gauge("probe_ssl_last_chain_expiry_timestamp_seconds", [], "Returns last SSL chain expiry in timestamp");
    SSL_LAST_CHAIN_INFO = Gauge("probe_ssl_last_chain_info", ["fingerprint_sha256", "subject", "issuer", "subjectalternative", "serialnumber"], "Contains SSL leaf certificate information");
    TLS_VERSION_INFO = Gauge("probe_tls_version_info", ["version"], "Returns the TLS version used or NaN when unknown");
    TLS_CIPHER_INFO = Gauge("probe_tls_cipher_info", ["cipher"], "Returns the TLS cipher negotiated during handshake");
}

/// Adds the series for a joined probe that did not end within the scrape timeout.
pub(super) fn add_unfinished(series: &mut SeriesWriter<'_>, limit: Duration, waited: Duration) {
    series.add(&SUCCESS, &[], 0.0);
    series.add(&DURATION, &[], waited.as_secs_f64());
    series.add(&TIMEOUT, &[], limit.as_secs_f64());
}

/// Adds the series of a report.
pub(super) fn add(series: &mut SeriesWriter<'_>, report: &Report, limit: Duration) {
    series.add(&SUCCESS, &[], flag(report.verdict.is_good()));
    series.add(&DURATION, &[], report.duration.as_secs_f64());
    series.add(&TIMEOUT, &[], limit.as_secs_f64());
    address(series, report);
    phases(series, &report.hops);
    let last = report.hops.last();
    let response = last.and_then(|hop| hop.http.facts());
    let response = response.filter(|facts| facts.status.is_some());
    let over_tls = last.is_some_and(|hop| hop.tls.ran().is_some());
    series.add(&HTTP_SSL, &[], flag(response.is_some() && over_tls));
    series.add(
        &HTTP_STATUS_CODE,
        &[],
        response
            .and_then(|facts| facts.status)
            .map_or(0.0, f64::from),
    );
    series.add(&HTTP_VERSION, &[], response.map_or(0.0, version));
    series.add(&HTTP_REDIRECTS, &[], redirects(report));
    series.add(
        &HTTP_CONTENT_LENGTH,
        &[],
        response.map_or(0.0, content_length),
    );
    series.add(
        &HTTP_UNCOMPRESSED_BODY_LENGTH,
        &[],
        response.map_or(0.0, body_length),
    );
    let modified = response.and_then(|facts| facts.last_modified).map(unix);
    series.add_optional(&HTTP_LAST_MODIFIED, &[], modified);
    let page_failed = report.page.ran().is_some_and(|page| page.failure.is_some());
    series.add(&FAILED_DUE_TO_REGEX, &[], flag(page_failed));
    if let Some(session) = report.hops.iter().rev().find_map(representative) {
        certificate(series, session);
    }
}

/// The lookup and address of the target itself, not of its redirects.
fn address(series: &mut SeriesWriter<'_>, report: &Report) {
    let Some(hop) = report.hops.first() else {
        return;
    };
    let lookup = hop.dns.ran().map(|ran| ran.duration);
    let seconds = lookup.unwrap_or_default().as_secs_f64();
    series.add(&DNS_LOOKUP_TIME, &[], seconds);
    series.add(
        &HTTP_DURATION,
        &["resolve"],
        seconds + later_lookups(&report.hops),
    );
    let address = used(hop);
    series.add(
        &IP_PROTOCOL,
        &[],
        match address.map(AddressFamily::of) {
            Some(AddressFamily::V4) => 4.0,
            Some(AddressFamily::V6) => 6.0,
            None => 0.0,
        },
    );
    series.add(
        &IP_ADDR_HASH,
        &[],
        address.map_or(0.0, |address| f64::from(hash(address))),
    );
}

fn later_lookups(hops: &[Hop]) -> f64 {
    let lookups = hops.iter().skip(1).filter_map(|hop| hop.dns.ran());
    lookups.map(|ran| ran.duration.as_secs_f64()).sum()
}

/// The first address that accepted a connection, else the first tried; IPv6 first, as in blackbox_exporter.
/// The address that got the request is the fastest, which would change from probe to probe.
fn used(hop: &Hop) -> Option<IpAddr> {
    let tried = hop.tcp.facts().map(|facts| facts.addresses.as_slice());
    let order = |attempt: &&AddressAttempt| (attempt.failure.is_some(), attempt.address.is_ipv4());
    let best = tried.unwrap_or_default().iter().min_by_key(order);
    best.map(|attempt| attempt.address)
}

/// 32-bit FNV-1a hash over the bytes of the address.
fn hash(address: IpAddr) -> u32 {
    let fold = |bytes: &[u8]| {
        bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
        })
    };
    match address.to_canonical() {
        IpAddr::V4(address) => fold(&address.octets()),
        IpAddr::V6(address) => fold(&address.octets()),
    }
}

/// Each phase summed over the hops that reached it; the transfer of the last hop only.
fn phases(series: &mut SeriesWriter<'_>, hops: &[Hop]) {
    let sum = |of: fn(&Hop) -> Option<Duration>| {
        let reached: Vec<Duration> = hops.iter().filter_map(of).collect();
        (!reached.is_empty()).then(|| reached.iter().map(Duration::as_secs_f64).sum())
    };
    let connect = |hop: &Hop| {
        let proxy = hop.proxy.ran().map_or(Duration::ZERO, |ran| ran.duration);
        hop.tcp.ran().map(|ran| ran.duration + proxy)
    };
    let processing = |hop: &Hop| hop.http.facts().and_then(|facts| facts.first_byte);
    let transfer = hops.last().and_then(|hop| hop.http.facts()?.transfer);
    for (phase, seconds) in [
        ("connect", sum(connect)),
        ("tls", sum(|hop| hop.tls.ran().map(|ran| ran.duration))),
        ("processing", sum(processing)),
        ("transfer", transfer.map(|transfer| transfer.as_secs_f64())),
    ] {
        series.add_optional(&HTTP_DURATION, &[phase], seconds);
    }
}

/// Redirects followed, plus one if the last response is a redirect.
fn redirects(report: &Report) -> f64 {
    let last = report.hops.last().and_then(|hop| hop.http.facts());
    let one_more = last.is_some_and(|facts| facts.location.is_some());
    (report.hops.len() - 1 + usize::from(one_more)) as f64
}

fn version(facts: &HttpFacts) -> f64 {
    let version = facts.version.as_deref().and_then(|text| text.parse().ok());
    version.unwrap_or_default()
}

fn content_length(facts: &HttpFacts) -> f64 {
    facts.content_length.map_or(-1.0, |length| length as f64)
}

fn body_length(facts: &HttpFacts) -> f64 {
    facts.decoded_bytes.unwrap_or(facts.body_bytes) as f64
}

fn representative(hop: &Hop) -> Option<&Handshake> {
    let session = hop.tls.facts().and_then(TlsFacts::representative);
    session.filter(|session| !session.chain.is_empty())
}

fn certificate(series: &mut SeriesWriter<'_>, session: &Handshake) {
    let Some(leaf) = session.chain.first() else {
        return;
    };
    let earliest = session.chain.iter().map(|one| one.not_after).min();
    series.add_optional(&SSL_EARLIEST_CERT_EXPIRY, &[], earliest.map(unix));
    let verified = session
        .trust
        .iter()
        .filter(|one| one.trusted)
        .filter_map(|one| one.valid_until)
        .max();
    series.add_optional(&SSL_LAST_CHAIN_EXPIRY, &[], verified.map(unix));
    let is_name = |name: &&String| name.parse::<IpAddr>().is_err();
    let names: Vec<&str> = leaf
        .names
        .iter()
        .filter(is_name)
        .map(String::as_str)
        .collect();
    series.add_info(
        &SSL_LAST_CHAIN_INFO,
        &[
            &leaf.fingerprint_sha256,
            &leaf.subject_rfc2253,
            &leaf.issuer_rfc2253,
            &names.join(","),
            serial(&leaf.serial),
        ],
    );
    if let Some(version) = &session.version {
        series.add_info(&TLS_VERSION_INFO, &[version]);
    }
    if let Some(cipher) = &session.cipher {
        series.add_info(&TLS_CIPHER_INFO, &[cipher]);
    }
}

/// Without the leading zero byte that marks a positive number.
fn serial(hex: &str) -> &str {
    let mut rest = hex;
    while rest.len() > 2
        && let Some(tail) = rest.strip_prefix("00")
    {
        rest = tail;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_an_address_is_that_of_blackbox() {
        assert_eq!(hash("127.0.0.1".parse().unwrap()), 3_668_918_509);
    }

    #[test]
    fn a_serial_keeps_the_zero_of_its_first_byte() {
        for (hex, rendered) in [
            ("00ab12", "ab12"),
            ("0ab1", "0ab1"),
            ("00", "00"),
            ("7f", "7f"),
        ] {
            assert_eq!(serial(hex), rendered);
        }
    }
}
