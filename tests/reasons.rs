//! Every reason, provoked by a server that really misbehaves, told by `verify` and by `/metrics`.

mod exporter;

use ccass_2fa_exporter::report::{LayerName, Reason};
use ccass_2fa_lab::{Lab, Scenario};
use exporter::{ConfigFile, Exporter, verify};
use tokio::task::JoinSet;

/// Reasons that loopback cannot show without a firewall; `tests/firewall.rs` provokes these.
const BY_FIREWALL: [Reason; 5] = [
    Reason::TcpTimedOut,
    Reason::TcpHostUnreachable,
    Reason::TcpNetworkUnreachable,
    Reason::TcpProhibited,
    Reason::TcpReset,
];

#[test]
fn every_reason_has_a_scenario_in_which_a_real_server_or_firewall_provokes_it() {
    let firewall = include_str!("firewall.rs");
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
    // A few at once: each lookup is one packet with a time limit, and no machine is to be the reason.
    for some in ccass_2fa_lab::variations().chunks(4) {
        let mut tasks = JoinSet::new();
        for scenario in some {
            tasks.spawn(stays_good(scenario));
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    }
}

/// Findings that a variation brings, or may bring, beside its own.
const COMES_WITH: [(&str, &str); 2] = [
    // A lookup is one packet without a retry, and one of these may be lost.
    ("dns-lossy", "resolver_failed"),
    ("tls-interception-suspected", "unexpected_issuer"),
];

async fn stays_good(scenario: &'static Scenario) {
    let (config, _lab) = provoked(scenario).await;
    let (code, report) = verify(&config).await;
    assert_eq!(code, 0, "{}: {report:#}", scenario.name);
    assert_eq!(
        report["verdict"]["page"], "checked",
        "{}: {report:#}",
        scenario.name
    );
    let mut found = findings(&report);
    found.retain(|finding| !COMES_WITH.contains(&(scenario.name, finding)));
    assert_eq!(found, Vec::from_iter(scenario.finding), "{}", scenario.name);
}

fn findings(report: &serde_json::Value) -> Vec<&str> {
    let list = report["findings"].as_array().unwrap();
    list.iter()
        .map(|found| found["finding"].as_str().unwrap())
        .collect()
}

async fn walk(layer: LayerName) {
    let mut tasks = JoinSet::new();
    for scenario in ccass_2fa_lab::scenarios() {
        let reason = Reason::ALL
            .into_iter()
            .find(|reason| reason.code() == scenario.reason);
        let reason = reason.unwrap_or_else(|| panic!("no reason {}", scenario.reason));
        if reason.layer() == layer {
            tasks.spawn(is_told(scenario));
        }
    }
    assert!(!tasks.is_empty());
    let mut failures = Vec::new();
    while let Some(done) = tasks.join_next().await {
        if let Err(failure) = done {
            failures.push(failure.to_string());
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

async fn provoked(scenario: &Scenario) -> (ConfigFile, Lab) {
    let lab = Lab::start().await.expect("the lab starts");
    lab.provoke(scenario);
    (ConfigFile::new(&lab.config_for(scenario)), lab)
}

async fn is_told(scenario: &'static Scenario) {
    let (config, lab) = provoked(scenario).await;

    let (code, report) = verify(&config).await;
    let name = scenario.name;
    assert_eq!(code, 1, "{name}: {report:#}");
    let told = report["verdict"]["reason"].as_str().unwrap();
    assert!(
        scenario.allows(told),
        "{name} is told as {told}: {report:#}"
    );
    assert!(
        !report["advice"]["meaning"].as_str().unwrap().is_empty(),
        "{name}"
    );

    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let metrics = exporter.metrics().await;
    metrics.expect("probe_success{role=\"login\",target=\"sso\"}", 0.0);
    let failure = metrics.family("probe_failure_info");
    assert_eq!(failure.len(), 1, "{name}");
    let shown = scenario_reason(failure[0].0);
    assert!(scenario.allows(&shown), "{name} is shown as {shown}");
    layers_fit(name, &shown, &metrics);
    assert_eq!(lab.violations(), Vec::<String>::new(), "{name}");
}

/// The reason in `…{layer="tls",reason="tls_expired",target="sso"}`.
fn scenario_reason(series: &str) -> String {
    let (_, rest) = series.split_once("reason=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// The layers before the failing one are good and their facts are there; those after are absent.
fn layers_fit(name: &str, reason: &str, metrics: &exporter::Metrics) {
    let failing = LayerName::ALL
        .into_iter()
        .find(|layer| reason.starts_with(layer.code()))
        .unwrap();
    for layer in LayerName::ALL {
        let series = format!(
            "probe_layer_success{{layer=\"{}\",target=\"sso\"}}",
            layer.code()
        );
        let expected = match layer.cmp(&failing) {
            // Only there where one is configured.
            std::cmp::Ordering::Less if layer == LayerName::Proxy => None,
            std::cmp::Ordering::Less => Some(1.0),
            std::cmp::Ordering::Equal => Some(0.0),
            std::cmp::Ordering::Greater => None,
        };
        assert_eq!(metrics.value(&series), expected, "{name}: {}", metrics.text);
    }
    let has = |family: &str| !metrics.family(family).is_empty();
    assert!(has("dns_lookup_success"), "{name}");
    if reason == "dns_tls" {
        assert!(has("dns_cert_not_after_timestamp_seconds"), "{name}");
        assert!(has("dns_cert_info"), "{name}");
        assert!(has("dns_session_duration_seconds"), "{name}");
    }
    assert_eq!(
        has("tcp_connect_success"),
        failing >= LayerName::Tcp,
        "{name}"
    );
    assert_eq!(
        has("address_info"),
        failing >= LayerName::Tcp || reason == "dns_sinkhole",
        "{name}"
    );
    let certificate_seen = failing > LayerName::Tls
        || [
            "tls_expired",
            "tls_not_yet_valid",
            "tls_unknown_issuer",
            "tls_incomplete_chain",
            "tls_name_mismatch",
            "tls_bad_signature",
            "tls_pin_mismatch",
            "tls_intercepted",
            "tls_large_hello_dropped",
        ]
        .contains(&reason);
    if certificate_seen {
        assert!(
            has("tls_cert_not_after_timestamp_seconds"),
            "{name}: {}",
            metrics.text
        );
        assert!(has("tls_cert_info"), "{name}");
        assert!(has("tls_trusted"), "{name}");
    }
    // A time-out may come before or after the response's head.
    if reason != "http_timed_out" {
        let answered = failing == LayerName::Page || answered(reason);
        assert_eq!(has("http_status_code"), answered, "{name}");
    }
}

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
