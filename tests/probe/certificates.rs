//! What is exported about chains that contain more, less or older certificates than a path needs.

use ccass_2fa_lab::{Lab, scenario};
use harness::exporter::{ConfigFile, Exporter, Metrics, probe, verify};

const NOW: fn() -> f64 = || {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs_f64()
};
const DAY: f64 = 86_400.0;

async fn report_and_metrics(name: &str) -> (serde_json::Value, Metrics) {
    let lab = Lab::start().await.expect("the lab starts");
    let scenario = scenario(name).expect("a scenario");
    lab.provoke(scenario);
    let config = ConfigFile::new(&lab.config_for(scenario));
    let (_, report) = Box::pin(verify(&config)).await;
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    (report, exporter.metrics().await)
}

/// Days from now until the end of the path.
fn path_ends_in(metrics: &Metrics) -> f64 {
    let series = "tls_chain_valid_until_timestamp_seconds\
                  {host=\"sso.lab.test\",roots=\"ca_file\",target=\"sso\"}";
    let until = metrics.value(series).expect("the end of the path");
    ((until - NOW()) / DAY).round()
}

fn needed(metrics: &Metrics) -> Vec<f64> {
    let all = metrics.family("tls_cert_needed");
    all.into_iter().map(|(_, value)| value).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn spare_certificates_do_not_shorten_the_path_and_are_marked() {
    for (name, flags) in [
        ("tls-spare-intermediate-expired", [1.0, 0.0, 1.0]),
        ("tls-spare-root-expired", [1.0, 1.0, 0.0]),
        ("tls-two-generations", [1.0, 0.0, 1.0]),
    ] {
        let (report, metrics) = Box::pin(report_and_metrics(name)).await;
        assert_eq!(path_ends_in(&metrics), 335.0, "{name}");
        assert_eq!(needed(&metrics), flags, "{name}");
        let handshake = &report["hops"][0]["tls"]["facts"]["handshakes"][0];
        let spare = flags.iter().position(|flag| *flag == 0.0);
        assert_eq!(handshake["spare"], serde_json::json!([spare]), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_roots_that_decide_have_a_path_in_the_metrics() {
    let (_, metrics) = Box::pin(report_and_metrics("tls-rsa")).await;
    let family = metrics.family("tls_chain_valid_until_timestamp_seconds");
    assert_eq!(family.len(), 1, "{family:?}");
    let (_, metrics) = Box::pin(report_and_metrics("tls-unknown-issuer")).await;
    for family in ["tls_chain_valid_until_timestamp_seconds", "tls_cert_needed"] {
        assert!(metrics.family(family).is_empty(), "{family} without a path");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_path_names_the_certificate_that_expired() {
    for (name, subject, days) in [
        (
            "tls-expired-below-younger-intermediate",
            "sso.lab.test",
            -3.0,
        ),
        ("tls-intermediate-expired", "CCASS Lab Issuing CA", -2.0),
        ("tls-both-expired", "sso.lab.test", -300.0),
        ("tls-root-expired", "CCASS Lab Retired Root CA", -1.0),
        (
            "tls-not-yet-valid-below-old-intermediate",
            "sso.lab.test",
            1.0,
        ),
    ] {
        let (report, metrics) = Box::pin(report_and_metrics(name)).await;
        let handshake = &report["hops"][0]["tls"]["facts"]["handshakes"][0];
        let named = handshake["outside_dates"]["subject"]
            .as_str()
            .unwrap_or_default();
        assert!(named.ends_with(&format!("CN={subject}")), "{name}: {named}");
        let meaning = report["advice"]["meaning"].as_str().unwrap_or_default();
        assert!(meaning.contains(subject), "{name}: {meaning}");
        // The lab expects its own authority as the issuer, which that one is not.
        if name != "tls-root-expired" {
            assert_eq!(handshake["interception"], "none", "{name}");
        }
        assert_eq!(path_ends_in(&metrics), days, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_root_of_this_host_is_not_a_case_for_the_hotline() {
    let (report, _) = Box::pin(report_and_metrics("tls-root-expired")).await;
    assert_eq!(report["advice"]["contact"], "desk", "{}", report["advice"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_intermediate_is_fetched_once_and_named() {
    let lab = Lab::start().await.expect("the lab starts");
    let scenario = scenario("tls-issuer-fetched").expect("a scenario");
    lab.provoke(scenario);
    let config = ConfigFile::new(&lab.config_for(scenario));
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    exporter.line_with("message=\"verdict unchanged\"").await;
    let requests = lab.issuer_server.requests();
    assert_eq!(requests, ["GET /issuing.crt HTTP/1.1"]);
    let metrics = exporter.metrics().await;
    metrics.expect("probe_success{role=\"login\",target=\"sso\"}", 1.0);
    assert_eq!(path_ends_in(&metrics), 335.0);
    let (_, report) = Box::pin(verify(&config)).await;
    let detail = report["findings"][0]["detail"].as_str().unwrap_or_default();
    assert!(
        detail.contains("CN=CCASS Lab Issuing CA; fetched from http://ca.lab.test:"),
        "{detail}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_with_little_time_does_not_keep_others_from_fetching() {
    let lab = Lab::start().await.expect("the lab starts");
    let scenario = scenario("tls-issuer-fetched").expect("a scenario");
    let config = ConfigFile::new(&lab.config_for(scenario).replace(
        "probe: {interval: 10s, timeout: 10s}",
        "probe: {interval: 1h, timeout: 60s}",
    ));
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    lab.provoke(scenario);
    lab.issuer_server.set_silent(true);
    let short = probe(&exporter.url(""), &[("target", "sso")], Some("1.5")).await;
    assert!(short.1.contains("\nprobe_success 0\n"), "{}", short.1);
    lab.issuer_server.set_silent(false);
    let long = probe(&exporter.url(""), &[("target", "sso")], Some("60")).await;
    assert!(long.1.contains("\nprobe_success 1\n"), "{}", long.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_cannot_direct_a_request_into_this_network() {
    let lab = Lab::start().await.expect("the lab starts");
    let scenario = scenario("tls-issuer-on-a-private-address").expect("a scenario");
    lab.provoke(scenario);
    let config = ConfigFile::new(&lab.config_for(scenario));
    let (_, report) = Box::pin(verify(&config)).await;
    let detail = &report["hops"][0]["tls"]["facts"]["handshakes"][0]["detail"];
    let expected = "127.0.0.1 is not a public address; list ca.lab.test in tls.aia_hosts";
    assert!(detail.to_string().contains(expected), "{detail}");
    assert_eq!(lab.issuer_server.requests(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alert_handshake_failure_says_what_was_offered() {
    let (report, _) = Box::pin(report_and_metrics("tls-alert")).await;
    let meaning = report["advice"]["meaning"].as_str().unwrap_or_default();
    assert!(
        meaning.contains("a browser also offers older cipher suites"),
        "{meaning}"
    );
    let (report, _) = Box::pin(report_and_metrics("tls-unrecognised-name")).await;
    let meaning = report["advice"]["meaning"].as_str().unwrap_or_default();
    assert!(!meaning.contains("cipher"), "{meaning}");
}
