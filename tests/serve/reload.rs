//! Reloading the configuration and the files that it names: entirely or not at all, and without
//! losing counters.

use std::fmt::Write as _;

use ccass_2fa_lab::{Authority, HOST, Lab, Leaf};
use harness::exporter::{ConfigFile, Exporter};

use crate::assertions::{assert_contains, assert_lacks};
use crate::lab_config::{probed_every_ten_seconds, probed_once};
use crate::reloading::post;
use crate::silent_server::SilentServer;
use crate::waiting::wait_for_metric;

/// The lab's configuration with another target, which is first in the list and so is probed at once.
fn with_target(lab: &Lab, name: &str) -> String {
    let line = format!(
        "targets:\n  - {{name: {name}, url: \"{}?{name}\", module: lab_page}}",
        lab.url()
    );
    probed_once(lab).replacen("targets:", &line, 1)
}

fn send_sighup(exporter: &Exporter) {
    let id = exporter.child.id().expect("it runs").to_string();
    let sent = std::process::Command::new("kill")
        .args(["-HUP", &id])
        .status();
    assert!(sent.expect("kill").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_adds_target_and_preserves_counters() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&probed_once(&lab));
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let attempts = "probe_attempts_total{target=\"sso\"}";
    exporter.metrics().await.expect(attempts, 1.0);
    std::fs::write(config.path(), with_target(&lab, "second")).unwrap();
    send_sighup(&exporter);
    exporter
        .line_with("message=\"configuration reloaded\"")
        .await;
    exporter.line_with("target_name=second").await;
    let metrics = exporter.metrics().await;
    metrics.expect("probe_attempts_total{target=\"second\"}", 1.0);
    metrics.expect(attempts, 1.0);
    metrics.expect("config_last_reload_successful", 1.0);

    // Another reload removes it, with all its series.
    std::fs::write(config.path(), probed_once(&lab)).unwrap();
    assert_eq!(
        post(&exporter, "/-/reload").await,
        (200, "configuration reloaded\n".to_owned())
    );
    let metrics = exporter.metrics().await;
    assert_lacks("/metrics", &metrics.text, "target=\"second\"");
    metrics.expect(attempts, 1.0);

    // A reload that forgot when sso is due would have probed it before the third target.
    std::fs::write(config.path(), with_target(&lab, "third")).unwrap();
    assert_eq!(post(&exporter, "/-/reload").await.0, 200);
    exporter.line_with("target_name=third").await;
    exporter.metrics().await.expect(attempts, 1.0);
    let requests = lab.login_server.requests();
    let paths: Vec<&str> = requests
        .iter()
        .map(|request| request.path.as_str())
        .collect();
    let of_sso = paths.iter().filter(|path| !path.contains('?'));
    assert_eq!(of_sso.count(), 1, "{paths:?}");
    assert_eq!(exporter.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_keeps_the_pause_that_a_server_asked_for() {
    let lab = Lab::start().await.unwrap();
    // 503 with Retry-After: 120, at an interval of 10 s.
    lab.provoke(ccass_2fa_lab::scenario("http-503").unwrap());
    let every_ten_seconds = probed_every_ten_seconds(&lab);
    let config = ConfigFile::new(&every_ten_seconds);
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    // From here on the scheduler has taken the header into account.
    let skipped = "probe_missed_total{cause=\"backoff\",target=\"sso\"}";
    wait_for_metric(&exporter, skipped, 12.0).await;
    // Ten targets are probed a second after each other, so that the second probe of closed_1 comes
    // after what would have been the next one of sso.
    let mut config_with_more = every_ten_seconds;
    for index in 1..10 {
        let _ = writeln!(
            config_with_more,
            "  - {{name: closed_{index}, url: \"https://127.0.0.1:1/?{index}\", expect: unreachable}}"
        );
    }
    std::fs::write(config.path(), config_with_more).unwrap();
    assert_eq!(post(&exporter, "/-/reload").await.0, 200);
    exporter.line_with("target_name=closed_1").await;
    exporter.line_with("target_name=closed_1").await;
    assert_eq!(lab.login_server.requests().len(), 1);
    // The skipped probes are not counted again.
    exporter.metrics().await.expect(skipped, 12.0);
    assert_eq!(exporter.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_configuration_is_reported_and_the_old_one_stays_active() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&probed_once(&lab));
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let before = exporter.metrics().await;
    let reloaded_at = "config_last_reload_success_timestamp_seconds";
    let invalid = with_target(&lab, "second").replace("module: lab_page}", "module: nowhere}");
    std::fs::write(config.path(), invalid).unwrap();
    let (status, text) = post(&exporter, "/-/reload").await;
    assert_eq!(status, 500);
    let message =
        "targets[0].module: unknown module \"…\"; configured modules: lab_page, login_page";
    assert_contains("the response", &text, message);
    assert_contains("the response", &text, "ccass.yml:");
    // Who may send the request may not read the file: its text is in the log only.
    assert_lacks("the response", &text, "nowhere");
    let line = exporter.line_with("configuration reload failed").await;
    assert_contains("the log", &line, "nowhere");
    let metrics = exporter.metrics().await;
    metrics.expect("config_last_reload_successful", 0.0);
    assert_eq!(metrics.value(reloaded_at), before.value(reloaded_at));
    metrics.expect("probe_attempts_total{target=\"sso\"}", 1.0);
    assert_lacks("/metrics", &metrics.text, "target=\"second\"");

    std::fs::write(config.path(), with_target(&lab, "second")).unwrap();
    assert_eq!(post(&exporter, "/-/reload").await.0, 200);
    let metrics = exporter.metrics().await;
    metrics.expect("config_last_reload_successful", 1.0);
    assert!(metrics.value(reloaded_at) > before.value(reloaded_at));
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_reads_the_ca_file_and_the_calendar_again() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new("");
    let holidays = config.directory().join("holidays.csv");
    let ca_file = config.directory().join("ca.pem");
    let text = probed_once(&lab).replace(&lab.ca_file().display().to_string(), "ca.pem");
    assert_contains("the configuration", &text, "ca_file: \"ca.pem\"");
    std::fs::write(
        config.path(),
        format!("{text}\ncalendar: {{file: holidays.csv}}\n"),
    )
    .unwrap();
    let until_2026 = "date,weekday,name\n2026-01-01,Thu,The first day of January\n";
    std::fs::write(&holidays, until_2026).unwrap();
    std::fs::copy(lab.ca_file(), &ca_file).unwrap();
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let until = "calendar_valid_until_timestamp_seconds";
    // 1 January 2027, 00:00 in Hong Kong.
    exporter.metrics().await.expect(until, 1_798_732_800.0);

    // The server's certificate is from another authority, which the file does not contain yet.
    let authority = Authority::new("Next year's");
    lab.login_server
        .set_identity(authority.issue(&Leaf::for_name(HOST)));
    let (_, text) = exporter.get("/probe?target=sso").await;
    assert_contains("/probe", &text, "reason=\"tls_unknown_issuer\"");
    std::fs::write(&ca_file, authority.root_pem()).unwrap();
    std::fs::write(&holidays, format!("{until_2026}2027-01-01,Fri,The same\n")).unwrap();
    assert_eq!(post(&exporter, "/-/reload").await.0, 200);
    exporter.metrics().await.expect(until, 1_830_268_800.0);
    let (_, text) = exporter.get("/probe?target=sso").await;
    assert_contains("/probe", &text, "\nprobe_success 1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn probe_in_progress_during_a_reload_is_counted() {
    let mut server = SilentServer::start().await;
    let config = ConfigFile::new(&server.config());
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    server.wait_for_connection().await;
    assert_eq!(post(&exporter, "/-/reload").await.0, 200);
    drop(server);
    exporter.line_with("message=\"probe failed\"").await;
    let metrics = exporter.metrics().await;
    metrics.expect("probe_attempts_total{target=\"held\"}", 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_is_refused_to_pages_of_other_sites() {
    let config = ConfigFile::new("targets: []");
    let external = "--web.external-url=https://monitoring.example/";
    let exporter = Exporter::start(&[&config.argument(), external]).await;
    let address = exporter.url("");
    let own = address.trim_end_matches('/');
    let port = own.rsplit(':').next().expect("a port");
    let rebound = format!("rebound.attacker.example:{port}");
    let rebound_origin = format!("http://{rebound}");
    let cases: [(&[(&str, &str)], u16); 11] = [
        (&[], 200),
        (&[("origin", own)], 200),
        (
            &[
                ("origin", "https://monitoring.example"),
                ("host", "ccass.internal.example"),
            ],
            200,
        ),
        (&[("host", "monitoring.example")], 200),
        (&[("host", "ccass-2fa-exporter:10762")], 200),
        (&[("sec-fetch-site", "same-origin")], 200),
        (&[("sec-fetch-site", "cross-site")], 403),
        (&[("origin", "https://attacker.example")], 403),
        (&[("origin", "null")], 403),
        (&[("host", &rebound)], 403),
        // After DNS rebinding the page and the request have the same origin.
        (
            &[
                ("host", &rebound),
                ("origin", &rebound_origin),
                ("sec-fetch-site", "same-origin"),
            ],
            403,
        ),
    ];
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    for (headers, expected) in cases {
        let mut request = client.post(exporter.url("/-/reload"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("a response");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        assert_eq!(status, expected, "{headers:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_requires_post() {
    let exporter = Exporter::start(&[&ConfigFile::new("targets: []").argument()]).await;
    let (status, text) = exporter.get("/-/reload").await;
    assert_eq!(
        (status, text.as_str()),
        (405, "Method not allowed; use POST, PUT.\n")
    );
    assert_eq!(post(&exporter, "/metrics").await.0, 405);
}
