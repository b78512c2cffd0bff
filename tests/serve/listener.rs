//! The listener's routes and limits, the log, and the service manager.

use std::time::{Duration, Instant};

use ccass_2fa_lab::Lab;
use harness::exporter::{ConfigFile, Exporter, command, run};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::assertions::assert_contains;
use crate::lab_config::probed_every_ten_seconds;
use crate::silent_server::SilentServer;

const TIMEOUT: Duration = Duration::from_secs(60);

fn without_targets() -> ConfigFile {
    ConfigFile::new("targets: []\n")
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused() {
    let config = without_targets();
    let exporter = Exporter::start(&[&config.argument()]).await;
    for (path, status, part) in [
        ("/", 200, "href=\"metrics\""),
        ("/metrics", 200, "ccass2fa_build_info{version=\""),
        ("/-/healthy", 200, "healthy"),
        ("/-/ready", 200, "ready"),
        ("/nothing", 404, "Not found."),
        ("/metrics/", 404, "Not found."),
        ("/../etc/passwd", 404, "Not found."),
    ] {
        let (code, text) = exporter.get(path).await;
        assert_eq!(code, status, "{path}");
        assert_contains(path, &text, part);
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.post(exporter.url("/metrics")).send().await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "GET, HEAD");
    let response = client.get(exporter.url("/metrics")).send().await.unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_after_every_target_was_probed_once() {
    let mut server = SilentServer::start().await;
    let config = ConfigFile::new(&server.config());
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    server.wait_for_connection().await;
    let (status, _) = exporter.get("/-/ready").await;
    assert_eq!(status, 503);
    let metrics = exporter.metrics().await;
    let success = "probe_success{role=\"login\",target=\"held\"}";
    assert_eq!(metrics.value(success), None);
    drop(server);
    exporter.first_probe().await;
    let (status, _) = exporter.get("/-/ready").await;
    assert_eq!(status, 200);
    exporter.metrics().await.expect(success, 0.0);
}

#[tokio::test]
async fn without_a_network_dns_fails_and_the_exporter_stays_up() {
    // Nothing listens on the resolver's port.
    let config = ConfigFile::new(
        "modules: {login_page: {system_resolvers: ignore, route: \"127.0.0.1:9\"}}\n",
    );
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    let line = exporter.line_with("probe failed").await;
    assert_contains("the log", &line, "layer=dns reason=dns_unreachable");
    let metrics = exporter.metrics().await;
    metrics.expect("probe_success{role=\"login\",target=\"sso\"}", 0.0);
    metrics.expect(
        "probe_failure_info{layer=\"dns\",reason=\"dns_unreachable\",target=\"sso\"}",
        1.0,
    );
    assert_eq!(exporter.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_removes_the_failure_series() {
    let lab = Lab::start().await.unwrap();
    lab.provoke(ccass_2fa_lab::scenario("tls-expired").unwrap());
    let config = ConfigFile::new(&probed_every_ten_seconds(&lab));
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let failing = exporter.metrics().await;
    assert_eq!(failing.family("probe_failure_info").len(), 1);
    lab.heal();
    exporter.line_with("probe succeeded").await;
    let recovered = exporter.metrics().await;
    recovered.expect("probe_success{role=\"login\",target=\"sso\"}", 1.0);
    assert_eq!(recovered.family("probe_failure_info"), []);
    let attempts = recovered.value("probe_attempts_total{target=\"sso\"}");
    let successes = recovered.value("probe_successes_total{target=\"sso\"}");
    recovered.expect(
        "probe_failures_total{layer=\"tls\",reason=\"tls_expired\",target=\"sso\"}",
        attempts.unwrap() - successes.unwrap(),
    );
}

#[tokio::test]
async fn unfinished_request_head_times_out_while_others_are_served() {
    let config = without_targets();
    let exporter = Exporter::start(&[&config.argument()]).await;
    let started = Instant::now();
    let mut slow = TcpStream::connect(&exporter.address).await.unwrap();
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        .await
        .unwrap();
    exporter.metrics().await;
    let mut received = Vec::new();
    // A reset ends it, too.
    let _ = timeout(TIMEOUT, slow.read_to_end(&mut received))
        .await
        .expect("the connection is closed within 60 s");
    let elapsed = started.elapsed();
    assert!(
        elapsed >= Duration::from_secs(10),
        "closed after {elapsed:?}"
    );
    exporter.metrics().await;
}

#[tokio::test]
async fn request_head_above_the_limit_is_refused() {
    let config = without_targets();
    let exporter = Exporter::start(&[&config.argument()]).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let large = "x".repeat(64 * 1024);
    let response = client
        .get(exporter.url("/metrics"))
        .header("x-large", large)
        .send()
        .await;
    assert!(response.map_or(true, |response| response.status() == 431));
    exporter.metrics().await;
}

#[tokio::test]
async fn occupied_port_is_reported_with_exit_code_3() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = without_targets();
    let output = run(&[&config.argument(), "--web.listen-address", &address]).await;
    assert_eq!(output.status.code(), Some(3));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_contains("stderr", &error, &format!("cannot listen on {address}"));
}

#[tokio::test]
async fn healthcheck_uses_the_configured_listen_address() {
    let config = without_targets();
    let exporter = Exporter::start(&[&config.argument()]).await;
    let address = exporter.address.clone();
    let flag = format!("--web.listen-address={address}");
    assert_eq!(run(&["healthcheck", &flag]).await.status.code(), Some(0));
    let by_environment = command()
        .arg("healthcheck")
        .env("CCASS2FA_WEB_LISTEN_ADDRESS", &address)
        .output();
    assert_eq!(by_environment.await.unwrap().status.code(), Some(0));
    assert_eq!(exporter.terminate().await, Some(0));
    assert_eq!(run(&["healthcheck", &flag]).await.status.code(), Some(1));
}

#[tokio::test]
async fn json_log_is_written_to_standard_error() {
    let config = without_targets();
    let mut child = command()
        .args([
            &config.argument(),
            "--web.listen-address=127.0.0.1:0",
            "--log.format=json",
        ])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = timeout(TIMEOUT, lines.next_line()).await;
    let line = line.expect("a line within 60 s").unwrap().unwrap();
    let value: serde_json::Value = serde_json::from_str(&line).expect(&line);
    assert_eq!(value["fields"]["message"], "listening");
    child.kill().await.unwrap();
}

#[tokio::test]
async fn service_manager_is_notified_of_start_and_stop() {
    let config = without_targets();
    let socket = config.directory().join("notify.sock");
    let manager = tokio::net::UnixDatagram::bind(&socket).unwrap();
    let mut serve = command();
    serve.env("NOTIFY_SOCKET", &socket).arg(config.argument());
    let exporter = Exporter::spawn(&mut serve).await;
    let notification = async || {
        let mut bytes = [0; 256];
        let received = timeout(TIMEOUT, manager.recv(&mut bytes)).await;
        let count = received
            .expect("a notification within 60 s")
            .expect("a datagram");
        String::from_utf8_lossy(&bytes[..count]).trim().to_owned()
    };
    assert_eq!(notification().await, "READY=1");
    let terminated = tokio::spawn(exporter.terminate());
    assert_eq!(notification().await, "STOPPING=1");
    assert_eq!(terminated.await.unwrap(), Some(0));
}
