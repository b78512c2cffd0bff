//! `/probe` as a scraper uses it, and as an attacker would misuse it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ccass_2fa_lab::{HOST, HttpFault, Lab};
use harness::exporter::{ConfigFile, Exporter};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::assertions::{assert_contains, assert_lacks};
use crate::lab_config::{probed_every_ten_seconds, probed_once, with_limits};
use crate::silent_server::SilentServer;

const TIMEOUT: Duration = Duration::from_secs(60);

/// An exporter whose scheduler has probed the lab, and will not do so again in this test.
async fn start(lab: &Lab, allowed_hosts: &str) -> (ConfigFile, Exporter) {
    start_with(allowed_hosts, &probed_once(lab)).await
}

async fn start_with(allowed_hosts: &str, config: &str) -> (ConfigFile, Exporter) {
    let config = format!("{config}\nprobe_endpoint: {{allowed_hosts: [{allowed_hosts}]}}\n");
    let config = ConfigFile::new(&config);
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    (config, exporter)
}

async fn probe(exporter: &Exporter, query: &[(&str, &str)], limit: Option<&str>) -> (u16, String) {
    harness::exporter::probe(&exporter.url("/"), query, limit).await
}

fn with_lab_page(target: &str) -> [(&str, &str); 2] {
    [("target", target), ("module", "lab_page")]
}

async fn refusals(exporter: &Exporter, cause: &str) -> f64 {
    let series = format!("probe_endpoint_refusals_total{{cause=\"{cause}\"}}");
    let count = exporter.metrics().await.value(&series);
    count.expect("every cause is exported from the start")
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_that_are_not_allowed_are_refused_without_connecting() {
    let lab = Lab::start().await.unwrap();
    // The allowed names resolve to loopback addresses, as after DNS rebinding.
    let (_config, exporter) = start(&lab, "allowed.lab.test, \"any.lab.test:*\"").await;
    let port = lab.login_server.addr().port();
    let before = lab.login_server.connections();
    let targets = [
        ("host", format!("https://127.0.0.1:{port}/")),
        ("host", format!("https://LOCALHOST:{port}/")),
        ("host", format!("https://2130706433:{port}/")),
        ("host", format!("https://0x7f000001:{port}/")),
        ("host", format!("https://0177.0.0.1:{port}/")),
        ("host", format!("https://127.1:{port}/")),
        ("host", format!("https://127.0.0.1.:{port}/")),
        ("host", format!("https://[::1]:{port}/")),
        ("host", format!("https://[::ffff:127.0.0.1]:{port}/")),
        ("host", format!("https://[::ffff:7f00:1]:{port}/")),
        (
            "host",
            format!("https://[0:0:0:0:0:ffff:127.0.0.1]:{port}/"),
        ),
        (
            "host",
            "https://169.254.169.254/latest/meta-data/".to_owned(),
        ),
        ("host", "https://allowed.lab.test./".to_owned()),
        ("host", "https://sub.allowed.lab.test/".to_owned()),
        ("host", "https://allowed.lab.test.evil.example/".to_owned()),
        ("host", "https://xn--llowed-8nf.lab.test/".to_owned()),
        ("host", "https://\u{430}llowed.lab.test/".to_owned()),
        ("host", "https://evil.example#@allowed.lab.test/".to_owned()),
        (
            "host",
            "https://evil.example\\@allowed.lab.test/".to_owned(),
        ),
        ("malformed", "https:evil.example/".to_owned()),
        (
            "credentials",
            format!("https://allowed.lab.test@127.0.0.1:{port}/"),
        ),
        (
            "credentials",
            "https://user:secret@allowed.lab.test/".to_owned(),
        ),
        ("scheme", "http://allowed.lab.test/".to_owned()),
        ("scheme", "allowed.lab.test".to_owned()),
        ("scheme", format!("127.0.0.1:{port}")),
        ("scheme", "file:///etc/passwd".to_owned()),
        ("scheme", "ftp://allowed.lab.test/".to_owned()),
        ("scheme", "gopher://allowed.lab.test/_x".to_owned()),
        ("port", "https://allowed.lab.test:22/".to_owned()),
        ("malformed", "https://".to_owned()),
        ("malformed", "https://[::1".to_owned()),
        ("malformed", "https://a b/".to_owned()),
    ];
    let mut refused = BTreeMap::new();
    for (cause, target) in &targets {
        let (status, text) = probe(&exporter, &with_lab_page(target), None).await;
        assert_eq!(status, 403, "{target}: {text}");
        assert_lacks(target, &text, "secret");
        let count = refused.entry(cause).or_insert(0.0);
        *count += 1.0;
        assert_eq!(refusals(&exporter, cause).await, *count, "{target}: {text}");
    }
    // The name is allowed; the addresses that it resolves to are not.
    let at_port = format!("https://any.lab.test:{port}/");
    for address in [
        "127.0.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1",
        "::ffff:127.0.0.1",
    ] {
        lab.name_server
            .answer("any.lab.test", &[address.parse().unwrap()]);
        let (status, text) = probe(&exporter, &with_lab_page(&at_port), None).await;
        assert_eq!(status, 403, "{address}: {text}");
        assert_contains(address, &text, "any.lab.test resolves to ");
    }
    // One allowed address among them makes no difference.
    let mixed = ["192.0.2.1".parse().unwrap(), "127.0.0.1".parse().unwrap()];
    lab.name_server.answer("any.lab.test", &mixed);
    let (status, _) = probe(&exporter, &with_lab_page(&at_port), None).await;
    assert_eq!(status, 403);
    assert_eq!(refusals(&exporter, "address").await, 8.0);
    assert_eq!(
        lab.login_server.connections(),
        before,
        "the exporter connected to a refused target"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn probe_connects_to_the_addresses_that_were_checked() {
    let lab = Lab::start().await.unwrap();
    let port = lab.login_server.addr().port();
    let allowed = format!("\"{HOST}:{port}\", \"127.0.0.1:{port}\"");
    let (_config, exporter) = start(&lab, &allowed).await;
    let before = lab.name_server.queries().len();
    // Not the URL of the configured target, so that allowed_hosts decides.
    let target = format!("{}?other", lab.url());
    let (status, text) = probe(&exporter, &with_lab_page(&target), None).await;
    assert_eq!(status, 200, "{text}");
    assert_contains("/probe", &text, "\nprobe_success 1\n");
    let queries = lab.name_server.queries().len() - before;
    // A and AAAA, for the measurement and for the connection.
    assert!(queries <= 4, "{queries} queries");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirect_to_a_host_that_is_not_allowed_is_not_followed() {
    let lab = Lab::start().await.unwrap();
    let port = lab.login_server.addr().port();
    let allowed = format!("\"{HOST}:{port}\", \"127.0.0.1:{port}\"");
    let (_config, exporter) = start(&lab, &allowed).await;
    lab.login_server
        .set_fault(HttpFault::Redirect(302, "https://127.0.0.1/".to_owned()));
    let target = format!("{}?other", lab.url());
    let (status, text) = probe(&exporter, &with_lab_page(&target), None).await;
    assert_eq!(status, 200, "{text}");
    assert_contains("/probe", &text, "\nprobe_success 0\n");
    assert_contains("/probe", &text, "reason=\"http_redirect_off_host\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_after_a_redirect_names_the_host_of_the_redirect() {
    let lab = Lab::start().await.unwrap();
    let port = lab.login_server.addr().port();
    lab.name_server
        .answer("next.lab.test", &[[127, 0, 0, 3].into()]);
    let config = probed_once(&lab).replace(
        "    page:",
        "    http: {allowed_hosts: [next.lab.test]}\n    page:",
    );
    let allowed = format!("\"{HOST}:{port}\", \"127.0.0.1:{port}\", \"next.lab.test:*\"");
    let (_config, exporter) = start_with(&allowed, &config).await;
    let location = format!("https://next.lab.test:{port}/");
    lab.login_server
        .set_fault(HttpFault::Redirect(302, location));
    let target = format!("{}?other", lab.url());
    let (status, text) = probe(&exporter, &with_lab_page(&target), None).await;
    assert_eq!(status, 403, "{text}");
    assert_contains(
        "/probe",
        &text,
        "next.lab.test resolves to 127.0.0.3, a special-purpose",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mistyped_target_name_is_answered_with_the_configured_names() {
    let lab = Lab::start().await.unwrap();
    let (_config, exporter) = start(&lab, "").await;
    let (status, text) = probe(&exporter, &[("target", "ssso")], None).await;
    assert_eq!(
        (status, text.as_str()),
        (
            400,
            "Unknown target \"ssso\"; configured targets: sso; to probe another server, write its URL, \
             https://…\n"
        )
    );
    assert_eq!(refusals(&exporter, "unknown_target").await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_one_slow_target_do_not_shut_out_another() {
    let lab = Lab::start().await.unwrap();
    let server = SilentServer::start().await;
    let config = format!(
        "{}\n  - {}\n",
        probed_once(&lab).trim_end(),
        server.target()
    );
    let config = ConfigFile::new(&config);
    let exporter = Exporter::start(&[&config.argument()]).await;
    let mut waiting = JoinSet::new();
    for _ in 0..80 {
        let url = exporter.url("/");
        waiting.spawn(async move {
            harness::exporter::probe(&url, &[("target", "held")], Some("120"))
                .await
                .0
        });
    }
    // 16 of them wait for the probe, the others are refused at once.
    for _ in 0..64 {
        let status = waiting.join_next().await.expect("a request").unwrap();
        assert_eq!(status, 503);
    }
    let (status, text) = probe(&exporter, &[("target", "sso")], None).await;
    assert_eq!(status, 200);
    assert_contains("/probe", &text, "\nprobe_success 1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_parameters_are_reported_in_the_order_of_blackbox_exporter() {
    let lab = Lab::start().await.unwrap();
    let (_config, exporter) = start(&lab, "").await;
    for (query, limit, expected, message) in [
        (
            vec![("module", "nowhere")],
            Some("x"),
            400,
            "Unknown module \"nowhere\"; modules: lab_page, login_page",
        ),
        (
            vec![],
            Some("x"),
            400,
            "X-Prometheus-Scrape-Timeout-Seconds is not a number of seconds: \"x\"",
        ),
        (
            vec![("target", "sso")],
            Some("NaN"),
            400,
            "is not a number of seconds",
        ),
        (
            vec![("target", "sso")],
            Some("-1"),
            400,
            "is not a number of seconds",
        ),
        (
            vec![("target", "sso")],
            Some("inf"),
            400,
            "is not a number of seconds",
        ),
        (vec![], None, 400, "Target parameter is missing"),
        (
            vec![("target", "")],
            None,
            400,
            "Target parameter is missing",
        ),
        (
            vec![("target", "sso"), ("hostname", "x.example")],
            None,
            400,
            "hostname=\"x.example\" is not supported",
        ),
        (
            vec![("target", "https://x.example/")],
            None,
            403,
            "x.example is not allowed: it is not the host of a configured target; add it to probe_endpoint.allowed_hosts",
        ),
    ] {
        let (status, text) = probe(&exporter, &query, limit).await;
        assert_eq!(status, expected, "{query:?}: {text}");
        assert_contains(format!("{query:?}"), &text, message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn timeout_is_that_of_the_scraper_less_half_a_second() {
    let lab = Lab::start().await.unwrap();
    let config = with_limits(&lab, "interval: 1h, timeout: 4s");
    let (_config, exporter) = start_with("", &config).await;
    for (limit, seconds) in [
        (Some("3"), "2.5"),
        (Some("0.8"), "0.4"),
        (Some("0.2"), "0.1"),
        // Not more than the configured timeout.
        (Some("60"), "4"),
        (Some("0"), "4"),
        (Some(""), "4"),
        (None, "4"),
    ] {
        let (status, text) = probe(&exporter, &[("target", "sso")], limit).await;
        assert_eq!(status, 200, "{limit:?}");
        let line = format!("\nprobe_timeout_seconds {seconds}\n");
        assert_contains(format!("{limit:?}"), &text, &line);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_calls_for_one_target_share_one_probe() {
    let lab = Lab::start().await.unwrap();
    let (_config, exporter) = start(&lab, "").await;
    lab.login_server.set_fault(HttpFault::SilentAfterRequest);
    let before = lab.login_server.requests().len();
    // The server never answers: the probe is in progress for five seconds.
    let call = || probe(&exporter, &[("target", "sso")], Some("5.5"));
    let responses = tokio::join!(call(), call(), call(), call());
    for (status, text) in [responses.0, responses.1, responses.2, responses.3] {
        assert_eq!(status, 200);
        assert_contains("/probe", &text, "reason=\"http_timed_out\"");
    }
    assert_eq!(lab.login_server.requests().len() - before, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn call_joins_the_scheduled_probe_and_keeps_its_own_timeout() {
    let lab = Lab::start().await.unwrap();
    lab.login_server.set_fault(HttpFault::SilentAfterRequest);
    let config = ConfigFile::new(&probed_once(&lab));
    let exporter = Exporter::start(&[&config.argument()]).await;
    wait_for_request(&lab).await;
    let (status, text) = probe(&exporter, &[("target", "sso")], Some("1")).await;
    assert_eq!(status, 200);
    assert_contains("/probe", &text, "\nprobe_success 0\n");
    // The probe goes on, so that there is no result yet.
    assert_lacks("/probe", &text, "reason=");
    assert_eq!(lab.login_server.requests().len(), 1);
}

/// Waits until the scheduled probe has sent its request.
async fn wait_for_request(lab: &Lab) {
    let requested = async {
        while lab.login_server.requests().is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let requested = timeout(TIMEOUT, requested).await;
    requested.expect("a request reaches the login server within 60 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn debug_output_hides_header_values() {
    let lab = Lab::start().await.unwrap();
    let headers = "    http: {headers: {X-Api-Key: hush}}\n    page: {";
    let config = probed_once(&lab).replacen("    page: {", headers, 1);
    assert_contains("the configuration", &config, "hush");
    let config = ConfigFile::new(&config);
    let exporter = Exporter::start(&[&config.argument()]).await;
    let (status, text) = probe(&exporter, &[("target", "sso"), ("debug", "true")], None).await;
    assert_eq!(status, 200);
    for part in [
        "Logs for the probe:\n",
        "REACHED, page checked",
        "\n\n\nMetrics that would have been returned:\n",
        "\nprobe_success 1\n",
        "\n\n\nModule configuration:\n",
        "lab_page:\n",
        "X-Api-Key: <hidden>",
    ] {
        assert_contains("debug=true", &text, part);
    }
    assert_lacks("debug=true", &text, "hush");
    assert_lacks("debug=true", &text, "\u{1b}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exporter_without_targets_is_ready_and_serves_probe() {
    let exporter = Exporter::start(&[&ConfigFile::new("targets: []").argument()]).await;
    assert_eq!(exporter.get("/-/ready").await.0, 200);
    let (status, _) = probe(&exporter, &[("target", "https://x.example/")], None).await;
    assert_eq!(status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_calls_with_short_timeouts_do_not_fail_scheduled_probes() {
    let lab = Lab::start().await.unwrap();
    lab.login_server
        .set_fault(HttpFault::Slow(Duration::from_millis(800)));
    let config = ConfigFile::new(&probed_every_ten_seconds(&lab));
    let exporter = Exporter::start(&[&config.argument()]).await;
    let failures = AtomicU32::new(0);
    let call_again_and_again = || async {
        loop {
            let (status, text) = probe(&exporter, &[("target", "sso")], Some("0.2")).await;
            assert_eq!(status, 200);
            let failed = u32::from(text.contains("\nprobe_success 0\n"));
            failures.fetch_add(failed, Ordering::Relaxed);
        }
    };
    let attempts = "probe_attempts_total{target=\"sso\"}";
    let two_scheduled_probes = async {
        loop {
            let metrics = exporter.metrics().await;
            let failures = failures.load(Ordering::Relaxed);
            if metrics.value(attempts) >= Some(2.0) && failures > 20 {
                return metrics;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    // Two loops, so that at almost any time a call is in progress when the scheduler begins.
    let metrics = tokio::select! {
        metrics = timeout(TIMEOUT, two_scheduled_probes) => metrics,
        () = call_again_and_again() => unreachable!(),
        () = call_again_and_again() => unreachable!(),
    };
    let metrics = metrics.unwrap_or_else(|_| {
        let failures = failures.load(Ordering::Relaxed);
        panic!(
            "after {TIMEOUT:?} the scheduler has not probed twice, or only {failures} calls failed"
        )
    });
    let attempts = metrics.value(attempts).unwrap();
    metrics.expect("probe_successes_total{target=\"sso\"}", attempts);
}
