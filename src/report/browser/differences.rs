//! How a browser check differs from the probe, in sentences for the operator.

use super::super::{Reason, Report};
use super::BrowserCheck;
use super::protocol::BrowserProxy;

/// The differences, that of the outcome first.
pub fn differences(report: &Report, check: &BrowserCheck) -> Vec<String> {
    let found = [
        outcome(report, check),
        proxy(report, check),
        address(report, check),
        chain(report, check),
        old_tls(report, check),
        issuer(report, check),
        status(report, check),
        title(report, check),
    ];
    found.into_iter().flatten().collect()
}

fn outcome(report: &Report, check: &BrowserCheck) -> Option<String> {
    match (report.verdict.reason(), &check.failure) {
        (None, None) => None,
        (None, Some(failure)) => Some(format!(
            "the exporter reaches the page, the browser does not ({})",
            failure.code()
        )),
        (Some(reason), None) => Some(format!(
            "the browser shows the page, the exporter does not reach it ({reason})"
        )),
        (Some(reason), Some(failure)) if failure.reason == Some(reason) => None,
        (Some(reason), Some(failure)) => Some(format!(
            "both fail, the exporter with {reason}, the browser with {}",
            failure.code()
        )),
    }
}

/// `proxy 10.0.0.1:8080 from the PAC file http://pac/proxy.pac`.
fn describe(proxy: &BrowserProxy) -> String {
    let address = proxy.proxy.split(';').next().unwrap_or_default();
    let address = address.trim().trim_start_matches("PROXY ");
    let source = match (&proxy.pac_url, proxy.detected) {
        (Some(url), _) => format!("from the PAC file {url}"),
        (None, true) => "from a PAC file that was found automatically (WPAD)".to_owned(),
        (None, false) => "from this machine's settings".to_owned(),
    };
    format!("proxy {address} {source}")
}

fn proxy(report: &Report, check: &BrowserCheck) -> Option<String> {
    let hop = report.hops.first();
    let own = hop.and_then(|hop| hop.proxy.facts());
    match (own, &check.seen.proxy) {
        (None, None) => None,
        (None, Some(proxy)) if report.proxied() => Some(format!(
            "the browser goes through {}; the exporter did not reach its own proxy",
            describe(proxy)
        )),
        (None, Some(proxy)) => Some(format!(
            "the browser goes through {}; the exporter connects directly",
            describe(proxy)
        )),
        (Some(own), None) => Some(format!(
            "the exporter goes through proxy {}; the browser connects directly",
            own.proxy
        )),
        (Some(own), Some(proxy)) => {
            let address = own.proxy.rsplit("://").next().unwrap_or_default();
            let is_same = proxy.proxy.contains(address);
            (!is_same).then(|| {
                format!(
                    "the browser goes through {}; the exporter through proxy {}",
                    describe(proxy),
                    own.proxy
                )
            })
        }
    }
}

fn address(report: &Report, check: &BrowserCheck) -> Option<String> {
    if report.proxied() || check.seen.proxy.is_some() {
        return None;
    }
    let seen = check.seen.remote_address.as_deref()?;
    let seen: std::net::SocketAddr = seen.parse().ok()?;
    let tcp = report.hops.last()?.tcp.facts()?;
    let is_known = tcp.addresses.iter().any(|one| one.address == seen.ip());
    (!is_known && !tcp.addresses.is_empty()).then(|| {
        let own: Vec<String> = tcp
            .addresses
            .iter()
            .map(|one| one.address.to_string())
            .collect();
        format!(
            "the browser connects to {}, the exporter to {}: they resolve the name differently",
            seen.ip(),
            own.join(", ")
        )
    })
}

fn chain(report: &Report, check: &BrowserCheck) -> Option<String> {
    let is_incomplete = report.verdict.reason() == Some(Reason::TlsIncompleteChain);
    (is_incomplete && check.is_good())
        .then(|| "the browser fetched the missing intermediate, or has it from before".to_owned())
}

/// What Edge accepts and the exporter does not offer.
fn old_tls(report: &Report, check: &BrowserCheck) -> Option<String> {
    let certificate = check.seen.certificate.as_ref()?;
    let is_refused = matches!(
        report.verdict.reason(),
        Some(Reason::TlsVersion | Reason::TlsAlert | Reason::TlsReset | Reason::TlsClosed)
    );
    (is_refused && check.is_good()).then(|| {
        format!(
            "the browser and the server agree on {} with {} {}, which the exporter may not offer",
            certificate.protocol, certificate.key_exchange, certificate.cipher
        )
    })
}

fn issuer(report: &Report, check: &BrowserCheck) -> Option<String> {
    let seen = check.seen.certificate.as_ref()?;
    let own = report.certificate()?;
    let is_same = own.issuer.contains(&seen.issuer);
    (!is_same && !seen.issuer.is_empty()).then(|| {
        format!(
            "the browser gets a certificate issued by {}, the exporter one issued by {}: a device \
             inspects TLS on one of the two paths",
            seen.issuer, own.issuer
        )
    })
}

fn status(report: &Report, check: &BrowserCheck) -> Option<String> {
    let own = report.response()?.status?;
    let seen = check.seen.status?;
    (own != seen)
        .then(|| format!("the server answers {seen} to the browser and {own} to the exporter"))
}

fn title(report: &Report, check: &BrowserCheck) -> Option<String> {
    let own = report.page.facts()?.title.as_deref().unwrap_or_default();
    let seen = check.page.as_ref()?.title.as_deref().unwrap_or_default();
    (own != seen).then(|| {
        format!("the title is {seen:?} once scripts have drawn the page, and {own:?} as it is sent")
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::example;
    use super::super::Judged;
    use super::super::protocol::{BrowserProxy, Observation};
    use super::*;

    fn check(seen: Observation) -> BrowserCheck {
        let judged = Judged {
            is_valid_status: true,
            page: None,
        };
        BrowserCheck::of(
            "2026-11-24T00:45:22Z".parse().unwrap(),
            seen,
            serde_json::Value::Null,
            judged,
        )
    }

    #[test]
    fn a_proxy_from_a_pac_file_is_explained() {
        let mut report = example("2026-11-24T00:45:22Z".parse().unwrap(), None);
        report.hops.push(super::super::super::Hop {
            proxy: super::super::super::Layer::NotApplicable,
            ..Default::default()
        });
        let seen = Observation {
            status: Some(200),
            proxy: Some(BrowserProxy {
                proxy: "PROXY 10.0.0.1:8080".to_owned(),
                pac_url: Some("http://pac.lab.test/proxy.pac".to_owned()),
                detected: false,
                asked_for_credentials: false,
            }),
            ..Observation::default()
        };
        assert_eq!(
            differences(&report, &check(seen)),
            [
                "the browser goes through proxy 10.0.0.1:8080 from the PAC file \
                 http://pac.lab.test/proxy.pac; the exporter connects directly"
            ]
        );
    }

    #[test]
    fn opposite_outcomes_come_first_and_an_unknown_error_keeps_its_name() {
        let report = example("2026-11-24T00:45:22Z".parse().unwrap(), None);
        let seen = Observation {
            error: Some("ERR_OF_TOMORROW".to_owned()),
            ..Observation::default()
        };
        assert_eq!(
            differences(&report, &check(seen)),
            ["the exporter reaches the page, the browser does not (err_of_tomorrow)"]
        );
    }
}
