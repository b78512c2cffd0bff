//! `/probe` as a scraper uses it, and as somebody would misuse it.

use std::time::Duration;

use ccass_2fa_lab::{HOST, HttpFault, Lab};
use harness::exporter::{ConfigFile, Exporter};

async fn started(lab: &Lab, allowed: &str) -> (ConfigFile, Exporter) {
    let text = format!(
        "{}\nprobe_endpoint: {{allowed_hosts: [{allowed}]}}\n",
        lab.config()
    );
    let config = ConfigFile::new(&text);
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    (config, exporter)
}

async fn probe(exporter: &Exporter, query: &[(&str, &str)], limit: Option<&str>) -> (u16, String) {
    harness::exporter::probe(&exporter.url("/"), query, limit).await
}

fn by_lab_page(target: &str) -> [(&str, &str); 2] {
    [("target", target), ("module", "lab_page")]
}

async fn refusals(exporter: &Exporter, cause: &str) -> f64 {
    let series = format!("probe_endpoint_refusals_total{{cause=\"{cause}\"}}");
    exporter
        .metrics()
        .await
        .value(&series)
        .expect("it is told from the start")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_trick_to_reach_what_is_not_allowed_is_refused_and_counted_and_nothing_is_connected_to()
 {
    let lab = Lab::start().await.unwrap();
    // What the allowed name leads to is loopback: that is what a rebinding would want.
    let (_config, exporter) = started(&lab, "allowed.lab.test, \"any.lab.test:*\"").await;
    let port = lab.login_server.addr().port();
    let before = lab.login_server.connections();
    let tricks = [
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
    for (cause, target) in &tricks {
        let counted = refusals(&exporter, cause).await;
        let (status, text) = probe(&exporter, &by_lab_page(target), None).await;
        assert_eq!(status, 403, "{target}: {text}");
        assert_eq!(
            refusals(&exporter, cause).await,
            counted + 1.0,
            "{target}: {text}"
        );
        assert!(!text.contains("secret"), "{text}");
    }
    // The name is allowed; where it leads is not, however often that changes.
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
        let (status, text) = probe(&exporter, &by_lab_page(&at_port), None).await;
        assert_eq!(status, 403, "{address}: {text}");
        assert!(text.contains("any.lab.test leads to "), "{text}");
    }
    // One good address among them does not help.
    let mixed = ["192.0.2.1".parse().unwrap(), "127.0.0.1".parse().unwrap()];
    lab.name_server.answer("any.lab.test", &mixed);
    assert_eq!(probe(&exporter, &by_lab_page(&at_port), None).await.0, 403);
    assert_eq!(refusals(&exporter, "address").await, 8.0);
    assert_eq!(
        lab.login_server.connections(),
        before,
        "something was connected to"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_resolved_once_and_what_was_judged_is_connected_to() {
    let lab = Lab::start().await.unwrap();
    let port = lab.login_server.addr().port();
    let allowed = format!("\"{HOST}:{port}\", \"127.0.0.1:{port}\"");
    let (_config, exporter) = started(&lab, &allowed).await;
    let asked = lab.name_server.queries().len();
    // Not the configured target's address, so that the list decides.
    let target = format!("{}?other", lab.url());
    let (status, text) = probe(&exporter, &by_lab_page(&target), None).await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("\nprobe_success 1\n"), "{text}");
    let asked = lab.name_server.queries().len() - asked;
    // A and AAAA, for the measurement and for the connection.
    assert!(asked <= 4, "{asked} questions");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_what_is_not_allowed_is_not_followed() {
    let lab = Lab::start().await.unwrap();
    let port = lab.login_server.addr().port();
    let allowed = format!("\"{HOST}:{port}\", \"127.0.0.1:{port}\"");
    let (_config, exporter) = started(&lab, &allowed).await;
    lab.login_server
        .set_fault(HttpFault::Redirect(302, "https://127.0.0.1/".to_owned()));
    let target = format!("{}?other", lab.url());
    let (status, text) = probe(&exporter, &by_lab_page(&target), None).await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("\nprobe_success 0\n"), "{text}");
    assert!(text.contains("reason=\"http_redirect_off_host\""), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_come_in_blackboxs_order_and_say_what_to_do() {
    let lab = Lab::start().await.unwrap();
    let (_config, exporter) = started(&lab, "").await;
    for (query, limit, status, words) in [
        (
            vec![("module", "nowhere")],
            Some("x"),
            400,
            "Unknown module \"nowhere\"; there are lab_page, login_page",
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
            "x.example is not allowed: it is no configured target's address, and not listed under probe_endpoint.allowed_hosts",
        ),
    ] {
        let (told, text) = probe(&exporter, &query, limit).await;
        assert_eq!(told, status, "{text}");
        assert!(text.contains(words), "{words:?} is not in {text:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_is_the_scrapers_less_half_a_second_and_never_nothing() {
    let lab = Lab::start().await.unwrap();
    let (_config, exporter) = started(&lab, "").await;
    // The configured target's own limit is 4 s.
    for (limit, told) in [
        (Some("3"), "2.5"),
        (Some("0.8"), "0.4"),
        (Some("0.2"), "0.1"),
        (Some("60"), "4"),
        (Some("0"), "4"),
        (Some(""), "4"),
        (None, "4"),
    ] {
        let (status, text) = probe(&exporter, &[("target", "sso")], limit).await;
        assert_eq!(status, 200, "{text}");
        let line = format!("\nprobe_timeout_seconds {told}\n");
        assert!(text.contains(&line), "{limit:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_the_same_target_and_module_share_one_probe() {
    let lab = Lab::start().await.unwrap();
    let (_config, exporter) = started(&lab, "").await;
    lab.login_server.set_fault(HttpFault::SilentAfterRequest);
    let before = lab.login_server.requests().len();
    let call = || probe(&exporter, &[("target", "sso")], Some("1.5"));
    let answers = tokio::join!(call(), call(), call(), call());
    for (status, text) in [answers.0, answers.1, answers.2, answers.3] {
        assert_eq!(status, 200);
        assert!(text.contains("reason=\"http_timed_out\""), "{text}");
    }
    assert_eq!(lab.login_server.requests().len() - before, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_joins_the_schedulers_probe_and_does_not_wait_longer_than_it_may() {
    let lab = Lab::start().await.unwrap();
    lab.login_server.set_fault(HttpFault::SilentAfterRequest);
    let config = ConfigFile::new(&lab.config());
    let exporter = Exporter::start(&[&config.argument()]).await;
    while lab.login_server.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (status, text) = probe(&exporter, &[("target", "sso")], Some("1")).await;
    assert_eq!(status, 200);
    assert!(text.contains("\nprobe_success 0\n"), "{text}");
    assert!(
        !text.contains("reason="),
        "it did not end, so that nothing is known: {text}"
    );
    assert_eq!(
        lab.login_server.requests().len(),
        1,
        "it was probed twice at once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn debug_shows_the_probe_the_metrics_and_the_module_without_its_headers_values() {
    let lab = Lab::start().await.unwrap();
    let headers = "    http: {headers: {X-Api-Key: hush}}\n    page: {";
    let text = lab.config().replacen("    page: {", headers, 1);
    assert!(text.contains("hush"), "{text}");
    let config = ConfigFile::new(&text);
    let exporter = Exporter::start(&[&config.argument()]).await;
    let (status, text) = probe(&exporter, &[("target", "sso"), ("debug", "true")], None).await;
    assert_eq!(status, 200);
    for part in [
        "Logs for the probe:\n",
        "good",
        "\n\n\nMetrics that would have been returned:\n",
        "\nprobe_success 1\n",
        "\n\n\nModule configuration:\n",
        "lab_page:\n",
        "X-Api-Key: <hidden>",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(!text.contains("hush") && !text.contains('\u{1b}'), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_targets_it_is_ready_at_once_and_serves_probe_alone() {
    let exporter = Exporter::start(&[&ConfigFile::new("targets: []").argument()]).await;
    assert_eq!(exporter.get("/-/ready").await.0, 200);
    assert_eq!(
        probe(&exporter, &[("target", "https://x.example/")], None)
            .await
            .0,
        403
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hurried_calls_are_never_taken_for_the_schedulers_probe() {
    let lab = Lab::start().await.unwrap();
    lab.login_server
        .set_fault(HttpFault::Slow(Duration::from_millis(800)));
    let config = ConfigFile::new(&lab.config());
    let exporter = Exporter::start(&[&config.argument()]).await;
    // Through a whole interval of ten seconds: these fail, and none of the scheduler's.
    let mut failed = 0;
    let attempts = "probe_attempts_total{target=\"sso\"}";
    while exporter.metrics().await.value(attempts) < Some(2.0) {
        let (status, text) = probe(&exporter, &[("target", "sso")], Some("0.2")).await;
        assert_eq!(status, 200);
        failed += u32::from(text.contains("reason=\"http_timed_out\""));
    }
    assert!(failed > 20, "only {failed}");
    let metrics = exporter.metrics().await;
    metrics.expect("probe_successes_total{target=\"sso\"}", 2.0);
}
