//! Every reason, provoked by a server that really misbehaves, told by `verify` and by `/metrics`.

use ccass_2fa_exporter::report::{LayerName, Reason};
use ccass_2fa_lab::{Lab, Scenario};
use harness::exporter::{ConfigFile, Exporter, Metrics, verify};
use harness::scenarios::{for_each, summary};

/// Reasons that loopback cannot show without a firewall; `tests/network/firewall.rs` provokes these.
const BY_FIREWALL: [Reason; 5] = [
    Reason::TcpTimedOut,
    Reason::TcpHostUnreachable,
    Reason::TcpNetworkUnreachable,
    Reason::TcpProhibited,
    Reason::TcpReset,
];

#[test]
fn every_reason_has_a_scenario_in_which_a_real_server_or_firewall_provokes_it() {
    let firewall = include_str!("../network/firewall.rs");
    for reason in Reason::ALL {
        let by_lab = ccass_2fa_lab::scenarios()
            .iter()
            .any(|scenario| scenario.reason == reason.code() && scenario.also.is_empty());
        let by_firewall =
            BY_FIREWALL.contains(&reason) && firewall.contains(&format!("\"{}\"", reason.code()));
        assert!(by_lab || by_firewall, "nothing provokes {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_dns_reason_is_told_and_later_layers_are_absent() {
    walk(LayerName::Dns).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tcp_reason_is_told_with_the_answers_of_the_resolvers() {
    walk(LayerName::Tcp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_proxy_reason_is_told_and_never_taken_for_the_servers() {
    walk(LayerName::Proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tls_reason_is_told_with_the_facts_of_the_certificate() {
    walk(LayerName::Tls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_http_reason_is_told_with_the_facts_of_the_session() {
    walk(LayerName::Http).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_page_reason_is_told_with_the_facts_of_the_page() {
    walk(LayerName::Page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oddities_that_stop_no_login_keep_the_probe_good() {
    for_each(ccass_2fa_lab::variations(), stays_good).await;
}

/// Findings that a variation brings, or may bring, beside its own.
const COMES_WITH: [(&str, &str); 2] = [
    // A lookup is one packet without a retry, and one of these may be lost.
    ("dns-lossy", "resolver_failed"),
    ("tls-interception-suspected", "unexpected_issuer"),
];

async fn stays_good(scenario: &'static Scenario) -> Result<(), String> {
    let (config, _lab) = provoked(scenario).await;
    let (code, report) = verify(&config).await;
    let mut found = findings(&report);
    found.retain(|finding| !COMES_WITH.contains(&(scenario.name, finding)));
    let page = &report["verdict"]["page"];
    if code == 0 && page == "checked" && found == Vec::from_iter(scenario.finding) {
        return Ok(());
    }
    Err(format!(
        "expected success, a checked page and the finding {:?}; got exit code {code}, page {page}, \
         findings {found:?}; {}",
        scenario.finding,
        summary(&report)
    ))
}

fn findings(report: &serde_json::Value) -> Vec<&str> {
    let list = report["findings"].as_array().unwrap();
    list.iter()
        .map(|found| found["finding"].as_str().unwrap())
        .collect()
}

async fn walk(layer: LayerName) {
    let of_layer = ccass_2fa_lab::scenarios().iter().filter(|scenario| {
        let reason = Reason::ALL
            .into_iter()
            .find(|reason| reason.code() == scenario.reason);
        reason.is_some_and(|reason| reason.layer() == layer)
    });
    for_each(of_layer, is_told).await;
}

async fn provoked(scenario: &Scenario) -> (ConfigFile, Lab) {
    let lab = Lab::start().await.expect("the lab starts");
    lab.provoke(scenario);
    (ConfigFile::new(&lab.config_for(scenario)), lab)
}

async fn is_told(scenario: &'static Scenario) -> Result<(), String> {
    let (config, lab) = provoked(scenario).await;
    let (code, report) = verify(&config).await;
    let told = report["verdict"]["reason"].as_str().unwrap_or("none");
    if code != 1 || !scenario.allows(told) {
        return Err(format!(
            "verify should fail with {}; exit code {code}, {}",
            scenario.reason,
            summary(&report)
        ));
    }
    if report["advice"]["meaning"]
        .as_str()
        .is_none_or(str::is_empty)
    {
        return Err("verify gives no advice".to_owned());
    }

    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let metrics = exporter.metrics().await;
    let success = "probe_success{role=\"login\",target=\"sso\"}";
    let failure = metrics.family("probe_failure_info");
    let shown = match failure.as_slice() {
        [(series, _)] => reason_label(series),
        _ => return Err(format!("/metrics has {failure:?} instead of one failure")),
    };
    if !scenario.allows(&shown) || metrics.value(success) != Some(0.0) {
        return Err(format!(
            "/metrics should show {}; it shows {shown}, probe_success {:?}",
            scenario.reason,
            metrics.value(success)
        ));
    }
    check_layers(&shown, &metrics)?;
    let violations = lab.violations();
    if violations.is_empty() {
        Ok(())
    } else {
        Err(format!("the probe broke a promise: {violations:?}"))
    }
}

/// The reason label of `…{layer="tls",reason="tls_expired",target="sso"}`.
fn reason_label(series: &str) -> String {
    let (_, rest) = series.split_once("reason=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// Layers before the failing one succeed and export their facts; later ones are absent.
fn check_layers(reason: &str, metrics: &Metrics) -> Result<(), String> {
    let failing = LayerName::ALL
        .into_iter()
        .find(|layer| reason.starts_with(layer.code()))
        .ok_or_else(|| format!("{reason} belongs to no layer"))?;
    for layer in LayerName::ALL {
        let code = layer.code();
        let series = format!("probe_layer_success{{layer=\"{code}\",target=\"sso\"}}");
        let expected = match layer.cmp(&failing) {
            // Present only where a proxy is configured.
            std::cmp::Ordering::Less if layer == LayerName::Proxy => None,
            std::cmp::Ordering::Less => Some(1.0),
            std::cmp::Ordering::Equal => Some(0.0),
            std::cmp::Ordering::Greater => None,
        };
        let actual = metrics.value(&series);
        if actual != expected {
            return Err(format!("{series} is {actual:?} instead of {expected:?}"));
        }
    }
    let certificate_seen = failing > LayerName::Tls || CERTIFICATE_SEEN.contains(&reason);
    let expected = [
        ("dns_lookup_success", Some(true)),
        (
            "dns_cert_not_after_timestamp_seconds",
            (reason == "dns_tls").then_some(true),
        ),
        ("dns_cert_info", (reason == "dns_tls").then_some(true)),
        (
            "dns_session_duration_seconds",
            (reason == "dns_tls").then_some(true),
        ),
        ("tcp_connect_success", Some(failing >= LayerName::Tcp)),
        (
            "address_info",
            Some(failing >= LayerName::Tcp || reason == "dns_sinkhole"),
        ),
        (
            "tls_cert_not_after_timestamp_seconds",
            certificate_seen.then_some(true),
        ),
        ("tls_cert_info", certificate_seen.then_some(true)),
        ("tls_trusted", certificate_seen.then_some(true)),
        // A time-out may come before or after the response's headers.
        (
            "http_status_code",
            (reason != "http_timed_out").then_some(failing == LayerName::Page || answered(reason)),
        ),
    ];
    for (family, expected) in expected {
        let present = !metrics.family(family).is_empty();
        if expected.is_some_and(|expected| expected != present) {
            return Err(format!(
                "{family} is {}",
                if present { "present" } else { "absent" }
            ));
        }
    }
    Ok(())
}

/// Failures of the tls layer in which the server's certificate was received.
const CERTIFICATE_SEEN: [&str; 9] = [
    "tls_expired",
    "tls_not_yet_valid",
    "tls_unknown_issuer",
    "tls_incomplete_chain",
    "tls_name_mismatch",
    "tls_bad_signature",
    "tls_pin_mismatch",
    "tls_intercepted",
    "tls_large_hello_dropped",
];

/// Whether a response came although the http layer failed.
fn answered(reason: &str) -> bool {
    matches!(
        reason,
        "http_status"
            | "http_redirect_off_host"
            | "http_redirect_insecure"
            | "http_redirect_loop"
            | "http_too_many_redirects"
            | "http_body_too_large"
            | "http_truncated"
    )
}
