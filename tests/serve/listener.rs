//! The listener and the log, as a scraper and an operator meet them.

use std::time::{Duration, Instant};

use ccass_2fa_lab::Lab;
use harness::exporter::{ConfigFile, Exporter, PATIENCE, command, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// No target at all, so that nothing is probed.
fn idle() -> ConfigFile {
    ConfigFile::new("targets: []\n")
}

#[tokio::test]
async fn each_route_answers_and_nothing_else_does() {
    let config = idle();
    let exporter = Exporter::start(&[&config.argument()]).await;
    for (path, status, part) in [
        ("/", 200, "href=\"metrics\""),
        ("/metrics", 200, "ccass2fa_build_info{version=\""),
        ("/-/healthy", 200, "healthy"),
        ("/-/ready", 200, "ready"),
        ("/nothing", 404, "nothing here"),
        ("/metrics/", 404, "nothing here"),
        ("/../etc/passwd", 404, "nothing here"),
    ] {
        let (code, text) = exporter.get(path).await;
        assert_eq!(code, status, "{path}");
        assert!(text.contains(part), "{path}: {text}");
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(exporter.url("/metrics")).send().await.unwrap();
    assert_eq!(answer.status(), 405);
    assert_eq!(answer.headers()["allow"], "GET, HEAD");
    let answer = client.get(exporter.url("/metrics")).send().await.unwrap();
    assert_eq!(
        answer.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_once_every_target_was_probed_and_not_before() {
    let lab = Lab::start().await.unwrap();
    lab.login_server
        .set_fault(ccass_2fa_lab::HttpFault::SilentAfterRequest);
    let config = ConfigFile::new(&lab.config());
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    let (status, _) = exporter.get("/-/ready").await;
    assert_eq!(status, 503);
    let before = exporter.metrics().await;
    assert_eq!(
        before.value("probe_success{role=\"login\",target=\"sso\"}"),
        None
    );
    exporter.first_probe().await;
    let (status, _) = exporter.get("/-/ready").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn without_a_network_it_says_that_dns_fails_and_stays_up() {
    // A resolver on a port where nothing listens stands for the missing network.
    let config = ConfigFile::new(
        "modules: {login_page: {system_resolvers: ignore, route: \"127.0.0.1:9\"}}\n",
    );
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    let line = exporter.line_with("the probe fails").await;
    assert!(line.contains("layer=dns reason=dns_unreachable"), "{line}");
    let metrics = exporter.metrics().await;
    metrics.expect("probe_success{role=\"login\",target=\"sso\"}", 0.0);
    metrics.expect(
        "probe_failure_info{layer=\"dns\",reason=\"dns_unreachable\",target=\"sso\"}",
        1.0,
    );
    assert_eq!(exporter.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_is_healed_leaves_no_series_behind() {
    let lab = Lab::start().await.unwrap();
    lab.provoke(ccass_2fa_lab::scenario("tls-expired").unwrap());
    let config = ConfigFile::new(&lab.config());
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let broken = exporter.metrics().await;
    assert_eq!(broken.family("probe_failure_info").len(), 1);
    lab.heal();
    exporter.line_with("the probe is good").await;
    let healed = exporter.metrics().await;
    healed.expect("probe_success{role=\"login\",target=\"sso\"}", 1.0);
    assert!(
        healed.family("probe_failure_info").is_empty(),
        "{}",
        healed.text
    );
    healed.expect(
        "probe_failures_total{layer=\"tls\",reason=\"tls_expired\",target=\"sso\"}",
        1.0,
    );
}

#[tokio::test]
async fn a_client_that_never_ends_its_request_is_cut_while_others_are_served() {
    let config = idle();
    let exporter = Exporter::start(&[&config.argument()]).await;
    let mut slow = TcpStream::connect(&exporter.address).await.unwrap();
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        .await
        .unwrap();
    let started = Instant::now();
    let mut answer = Vec::new();
    timeout(PATIENCE, slow.read_to_end(&mut answer))
        .await
        .expect("it is cut")
        .ok();
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
    exporter.metrics().await;
}

#[tokio::test]
async fn a_head_larger_than_the_limit_is_refused() {
    let config = idle();
    let exporter = Exporter::start(&[&config.argument()]).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let large = "x".repeat(64 * 1024);
    let answer = client
        .get(exporter.url("/metrics"))
        .header("x-large", large)
        .send()
        .await;
    assert!(answer.map_or(true, |answer| answer.status() == 431));
    exporter.metrics().await;
}

#[tokio::test]
async fn a_flood_of_idle_connections_does_not_keep_a_scraper_out() {
    let config = idle();
    let exporter = Exporter::start(&[&config.argument()]).await;
    let mut idlers = Vec::new();
    for _ in 0..600 {
        idlers.push(TcpStream::connect(&exporter.address).await.unwrap());
    }
    let scrape = timeout(Duration::from_secs(2), exporter.metrics()).await;
    assert!(scrape.is_ok(), "the scraper waits");
}

#[tokio::test]
async fn the_port_that_is_taken_is_told_with_the_exit_code_of_our_own_failure() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = idle();
    let output = run(&[&config.argument(), "--web.listen-address", &address]).await;
    assert_eq!(output.status.code(), Some(3));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains(&format!("cannot listen on {address}")),
        "{told}"
    );
}

#[tokio::test]
async fn healthcheck_asks_the_address_that_the_exporter_listens_on() {
    let config = idle();
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
async fn the_log_is_logfmt_or_json_on_standard_error() {
    let config = idle();
    let child = command()
        .args([
            &config.argument(),
            "--web.listen-address=127.0.0.1:0",
            "--log.format=json",
        ])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = {
        use tokio::io::AsyncBufReadExt;
        let mut child = child;
        let lines = tokio::io::BufReader::new(child.stderr.take().unwrap()).lines();
        (child, lines)
    };
    let line = timeout(PATIENCE, lines.1.next_line())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let value: serde_json::Value = serde_json::from_str(&line).expect(&line);
    assert_eq!(value["fields"]["message"], "listening");
    lines.0.kill().await.unwrap();
}

#[tokio::test]
async fn a_service_manager_is_told_when_it_is_ready_and_when_it_stops() {
    let config = idle();
    let socket = config.directory().join("notify.sock");
    let manager = tokio::net::UnixDatagram::bind(&socket).unwrap();
    let mut serve = command();
    serve.env("NOTIFY_SOCKET", &socket).arg(config.argument());
    let exporter = Exporter::spawn(&mut serve).await;
    let told = async || {
        let mut bytes = [0; 256];
        let received = timeout(PATIENCE, manager.recv(&mut bytes)).await;
        let count = received.expect("in time").expect("a datagram");
        String::from_utf8_lossy(&bytes[..count]).trim().to_owned()
    };
    assert_eq!(told().await, "READY=1");
    let ended = tokio::spawn(exporter.terminate());
    assert_eq!(told().await, "STOPPING=1");
    assert_eq!(ended.await.unwrap(), Some(0));
}
