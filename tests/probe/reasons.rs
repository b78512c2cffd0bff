//! Provokes every reason with a server that really misbehaves, and checks what `verify` and
//! `/metrics` report.

use std::cmp::Ordering;

use ccass_2fa_exporter::report::{LayerName, Reason};
use ccass_2fa_lab::{Lab, Scenario};
use harness::exporter::{ConfigFile, Exporter, Metrics, verify};
use harness::scenarios::{for_each, summary};

/// Reasons that loopback cannot show without a firewall; `tests/network/firewall.rs` provokes them.
const NEEDS_FIREWALL: [Reason; 5] = [
    Reason::TcpTimedOut,
    Reason::TcpHostUnreachable,
    Reason::TcpNetworkUnreachable,
    Reason::TcpProhibited,
    Reason::TcpReset,
];

/// Reasons that no server causes; `descriptor_limit.rs` provokes them.
const OF_THIS_HOST: [Reason; 1] = [Reason::DnsLocal];

#[test]
fn every_reason_is_provoked_by_a_scenario_a_firewall_or_a_limit_of_this_host() {
    let firewall = include_str!("../network/firewall.rs");
    let limit = include_str!("descriptor_limit.rs");
    for reason in Reason::ALL {
        let in_lab = ccass_2fa_lab::scenarios()
            .iter()
            .any(|scenario| scenario.reason == reason.into_str() && scenario.also.is_empty());
        let quoted = format!("\"{}\"", reason.into_str());
        let in_firewall = NEEDS_FIREWALL.contains(reason) && firewall.contains(&quoted);
        let in_limit = OF_THIS_HOST.contains(reason) && limit.contains(&quoted);
        assert!(
            in_lab || in_firewall || in_limit,
            "nothing provokes {reason}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dns_failures_are_reported_and_later_layers_absent() {
    check_failures(LayerName::Dns).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tcp_failures_are_reported_with_the_dns_answers() {
    check_failures(LayerName::Tcp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proxy_failures_are_reported_and_not_blamed_on_the_server() {
    check_failures(LayerName::Proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_failures_are_reported_with_the_certificate() {
    check_failures(LayerName::Tls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_failures_are_reported_with_the_tls_session() {
    check_failures(LayerName::Http).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn page_failures_are_reported_with_the_http_response() {
    check_failures(LayerName::Page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unusual_but_working_servers_pass_the_probe() {
    for_each(ccass_2fa_lab::variations(), check_success).await;
}

/// Findings that a variation may report in addition to its own.
const ADDITIONAL_FINDINGS: [(&str, &str); 2] = [
    // Each resolver is asked once, without a retry, and one of these questions may be lost.
    ("dns-lossy", "resolver_failed"),
    ("tls-interception-suspected", "unexpected_issuer"),
];

async fn check_success(scenario: &'static Scenario) -> Result<(), String> {
    let (config, _lab) = provoke(scenario).await;
    let (code, report) = verify(&config).await;
    let mut found = findings(&report);
    found.retain(|finding| !ADDITIONAL_FINDINGS.contains(&(scenario.name, finding)));
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

/// Checks every scenario whose reason belongs to `layer`.
async fn check_failures(layer: LayerName) {
    let of_layer = ccass_2fa_lab::scenarios().iter().filter(|scenario| {
        let reason = Reason::ALL
            .iter()
            .find(|reason| reason.into_str() == scenario.reason);
        reason.is_some_and(|reason| reason.layer() == layer)
    });
    for_each(of_layer, check_failure).await;
}

async fn provoke(scenario: &Scenario) -> (ConfigFile, Lab) {
    let lab = Lab::start().await.expect("the lab starts");
    lab.provoke(scenario);
    (ConfigFile::new(&lab.config_for(scenario)), lab)
}

async fn check_failure(scenario: &'static Scenario) -> Result<(), String> {
    let (config, lab) = provoke(scenario).await;
    let (verified, scraped) = tokio::join!(
        check_verify(scenario, &config),
        check_metrics(scenario, &config)
    );
    verified?;
    scraped?;
    let violations = lab.violations();
    if violations.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "the probe sent what it must not send: {violations:?}"
        ))
    }
}

async fn check_verify(scenario: &Scenario, config: &ConfigFile) -> Result<(), String> {
    let (code, report) = verify(config).await;
    let reason = report["verdict"]["reason"].as_str().unwrap_or("none");
    if code != 1 || !scenario.allows(reason) {
        return Err(format!(
            "verify should fail with {}; exit code {code}, {}",
            scenario.reason,
            summary(&report)
        ));
    }
    let advice = report["advice"]["meaning"].as_str();
    if advice.is_none_or(str::is_empty) {
        return Err("verify gives no advice".to_owned());
    }
    Ok(())
}

async fn check_metrics(scenario: &Scenario, config: &ConfigFile) -> Result<(), String> {
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let metrics = exporter.metrics().await;
    let failure = metrics.family("probe_failure_info");
    let reason = match failure.as_slice() {
        [(series, _)] => reason_label(series),
        _ => return Err(format!("/metrics has {failure:?} instead of one failure")),
    };
    // The role is closed if the target is expected to be unreachable.
    let success = metrics.family("probe_success").first().map(|one| one.1);
    if !scenario.allows(&reason) || success != Some(0.0) {
        return Err(format!(
            "/metrics should show {}; it shows {reason}, probe_success {success:?}",
            scenario.reason
        ));
    }
    check_layers(scenario, &reason, &metrics)
}

/// The reason label of `…{layer="tls",reason="tls_expired",target="sso"}`.
fn reason_label(series: &str) -> String {
    let (_, rest) = series.split_once("reason=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// Layers before the failing one succeed and export their facts; later ones are absent.
fn check_layers(scenario: &Scenario, reason: &str, metrics: &Metrics) -> Result<(), String> {
    let failing = LayerName::ALL
        .into_iter()
        .find(|layer| reason.starts_with(layer.into_str()))
        .ok_or_else(|| format!("{reason} belongs to no layer"))?;
    for layer in LayerName::ALL {
        let code = layer.into_str();
        let series = format!("probe_layer_success{{layer=\"{code}\",target=\"sso\"}}");
        let expected = match layer.cmp(&failing) {
            // Present only where a proxy is configured.
            Ordering::Less if layer == LayerName::Proxy => None,
            Ordering::Less => Some(1.0),
            Ordering::Equal => Some(0.0),
            Ordering::Greater => None,
        };
        let actual = metrics.value(&series);
        if actual != expected {
            return Err(format!("{series} is {actual:?} instead of {expected:?}"));
        }
    }
    let certificate_seen = failing > LayerName::Tls || CERTIFICATE_SEEN.contains(&reason);
    let certificate_parsed = certificate_seen && scenario.name != "tls-leaf-unreadable";
    let has_status =
        failing == LayerName::Page || answered(reason) || scenario.name.ends_with("-after-head");
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
            certificate_parsed.then_some(true),
        ),
        ("tls_cert_info", certificate_parsed.then_some(true)),
        ("tls_trusted", certificate_seen.then_some(true)),
        // A timeout may happen before or after the response headers.
        (
            "http_status_code",
            (reason != "http_timed_out").then_some(has_status),
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

/// TLS failures that happen after the server's certificate was received.
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

/// Whether a response was received although the HTTP layer failed.
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
