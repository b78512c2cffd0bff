//! The lab as a whole: its scenarios, its configuration and its control endpoint.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::client::{TIMEOUT, body, get, handshake, send};
use ccass_2fa_lab::{Control, HOST, Lab, NameServer, RecordType, scenario, scenarios, variations};
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RData};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// The exporter's reasons that loopback can provoke.
const REASONS: &str = "dns_nxdomain dns_no_data dns_servfail dns_refused dns_timed_out \
    dns_unreachable dns_malformed dns_sinkhole dns_tls \
    tcp_refused tcp_reset tcp_local tcp_unexpectedly_open \
    proxy_auth_required proxy_denied proxy_failed proxy_tls \
    tls_timed_out tls_reset tls_closed tls_not_tls tls_too_large tls_version tls_alert tls_expired \
    tls_not_yet_valid tls_unknown_issuer tls_incomplete_chain tls_name_mismatch \
    tls_bad_signature tls_pin_mismatch tls_intercepted tls_large_hello_dropped \
    http_timed_out http_reset http_closed http_malformed http_status http_redirect_off_host \
    http_redirect_insecure http_redirect_loop http_too_many_redirects http_body_too_large \
    http_truncated \
    page_mismatch page_block_page page_empty";

async fn resolve(name_server: &NameServer) -> Option<String> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    socket
        .connect(name_server.addr())
        .await
        .expect("an address");
    let mut message = Message::query();
    let name = Name::from_ascii(format!("{HOST}.")).expect("a name");
    message.add_query(Query::query(name, RecordType::A));
    let bytes = message.to_vec().expect("a message");
    socket.send(&bytes).await.expect("sent");
    let mut bytes = vec![0; 4096];
    let received = timeout(TIMEOUT, socket.recv(&mut bytes)).await;
    let length = received.expect("no answer").expect("a datagram");
    let answer = Message::from_vec(&bytes[..length]).expect("a message");
    answer.answers.iter().find_map(|record| match &record.data {
        RData::A(a) => Some(a.0.to_string()),
        _ => None,
    })
}

#[test]
fn scenarios_provoke_exactly_the_reasons_that_loopback_can_show() {
    let listed: BTreeSet<&str> = REASONS.split_whitespace().collect();
    let shown: BTreeSet<&str> = scenarios().iter().map(|scenario| scenario.reason).collect();
    assert_eq!(shown, listed);
    assert!(
        variations()
            .iter()
            .all(|variation| variation.reason == "none")
    );
}

#[test]
fn scenario_names_are_unique_kebab_case_and_findable() {
    let mut names = BTreeSet::new();
    for entry in scenarios().iter().chain(variations()) {
        assert!(names.insert(entry.name), "duplicate name {}", entry.name);
        let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(entry.name.chars().all(kebab), "{}", entry.name);
        assert_eq!(
            scenario(entry.name).map(|found| found.reason),
            Some(entry.reason)
        );
        assert!(entry.allows(entry.reason));
    }
    assert!(scenario("no-such").is_none());
}

#[tokio::test]
async fn healthy_lab_resolves_the_name_and_serves_the_page() {
    let lab = Lab::start().await.expect("the lab starts");
    assert_eq!(
        resolve(&lab.name_server).await.as_deref(),
        Some("127.0.0.1")
    );
    let response = send(lab.login_server.addr(), &lab.authority, get("/sso"))
        .await
        .expect("an answer");
    assert!(response.status().is_success());
    assert!(lab.url().ends_with("/sso"));
    assert!(lab.violations().is_empty());
}

#[tokio::test]
async fn every_scenario_can_be_provoked_and_healed() {
    let lab = Lab::start().await.expect("the lab starts");
    for scenario in scenarios().iter().chain(variations()) {
        lab.provoke(scenario);
        assert_eq!(lab.current(), Some(scenario.name));
        lab.heal();
        assert_eq!(lab.current(), None);
        assert_eq!(
            resolve(&lab.name_server).await.as_deref(),
            Some("127.0.0.1"),
            "after {}",
            scenario.name
        );
        let stream = handshake(lab.login_server.addr(), &lab.authority).await;
        let stream = stream.unwrap_or_else(|error| panic!("after {}: {error}", scenario.name));
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    }
}

#[tokio::test]
async fn scenario_replaces_the_previous_one() {
    let lab = Lab::start().await.expect("the lab starts");
    lab.provoke(scenario("dns-nxdomain").expect("a scenario"));
    assert_eq!(resolve(&lab.name_server).await, None);
    lab.provoke(scenario("tcp-refused").expect("a scenario"));
    assert_eq!(
        resolve(&lab.name_server).await.as_deref(),
        Some("127.0.0.1")
    );
    assert!(TcpStream::connect(lab.login_server.addr()).await.is_err());
}

#[tokio::test]
async fn configuration_contains_addresses_and_scenario_settings() {
    let directory = tempfile::tempdir().expect("a directory");
    let lab = Lab::start_in(directory.path())
        .await
        .expect("the lab starts");
    let config = lab.config();
    for part in [
        lab.url(),
        lab.name_server.addr().to_string(),
        "ca.pem".to_owned(),
    ] {
        assert!(config.contains(&part), "{part} in {config}");
    }
    let roots = std::fs::read_to_string(lab.ca_file()).expect("roots");
    assert!(roots.contains(&lab.authority.root_pem()));
    assert!(roots.contains(&lab.interceptor.root_pem()));
    for scenario in scenarios() {
        let differs = lab.config_for(scenario) != config;
        assert_eq!(differs, scenario.needs_config(), "{}", scenario.name);
    }
    let pinned = lab.config_for(scenario("tls-pin-mismatch").expect("a scenario"));
    assert!(pinned.contains("on_pin_mismatch: fail}"), "{pinned}");
}

#[tokio::test]
async fn interceptor_certificate_is_valid_only_for_clients_that_trust_it() {
    let lab = Lab::start().await.expect("the lab starts");
    lab.provoke(scenario("tls-intercepted").expect("a scenario"));
    assert!(
        handshake(lab.login_server.addr(), &lab.authority)
            .await
            .is_err()
    );
    assert!(
        handshake(lab.login_server.addr(), &lab.interceptor)
            .await
            .is_ok()
    );
}

async fn request_control(addr: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let stream = TcpStream::connect(addr).await.expect("a connection");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .expect("HTTP");
    tokio::spawn(connection);
    let request = hyper::Request::builder()
        .method(method)
        .uri(path)
        .header("host", addr.to_string())
        .body(Empty::<bytes::Bytes>::new())
        .expect("a request");
    let response = sender.send_request(request).await.expect("an answer");
    let status = response.status().as_u16();
    let body = response
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn control_endpoint_lists_sets_and_clears_faults() {
    let lab = Arc::new(Lab::start().await.expect("the lab starts"));
    let control = Control::start(Arc::clone(&lab))
        .await
        .expect("the control starts");
    let addr = control.addr();

    let (status, listing) = request_control(addr, "GET", "/").await;
    assert_eq!(status, 200);
    assert!(listing.starts_with("now: healthy\n"), "{listing}");
    for scenario in scenarios().iter().chain(variations()) {
        assert!(listing.contains(scenario.name) && listing.contains(scenario.about));
    }

    let (status, _) = request_control(addr, "PUT", "/faults/http-500").await;
    assert_eq!(status, 200);
    assert_eq!(lab.current(), Some("http-500"));
    let response = send(lab.login_server.addr(), &lab.authority, get("/sso"))
        .await
        .expect("an answer");
    assert_eq!(response.status().as_u16(), 500);
    body(response).await.expect("a page");
    let (_, listing) = request_control(addr, "GET", "/").await;
    assert!(listing.starts_with("now: http-500\n"), "{listing}");

    assert_eq!(request_control(addr, "PUT", "/faults/no-such").await.0, 404);
    assert_eq!(lab.current(), Some("http-500"));
    assert_eq!(request_control(addr, "DELETE", "/faults").await.0, 200);
    assert_eq!(lab.current(), None);
    assert_eq!(
        request_control(addr, "GET", "/violations").await,
        (200, String::new())
    );
    assert_eq!(request_control(addr, "POST", "/").await.0, 405);
    assert_eq!(request_control(addr, "GET", "/elsewhere").await.0, 404);
}

/// Kills its process when dropped.
#[cfg(unix)]
struct Running(std::process::Child);

#[cfg(unix)]
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(unix)]
#[test]
fn binary_prints_usage_and_stops_on_ctrl_c() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let directory = tempfile::tempdir().expect("a directory");
    let lab = Command::new(env!("CARGO_BIN_EXE_ccass-2fa-lab"))
        .arg("--directory")
        .arg(directory.path().join("lab"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("the lab starts");
    let mut lab = Running(lab);
    let mut usage = String::new();
    for line in BufReader::new(lab.0.stdout.take().expect("its output")).lines() {
        usage += &line.expect("text");
        usage.push('\n');
        if usage.ends_with("Ctrl-C stops the lab.\n") {
            break;
        }
    }
    for file in ["ca.pem", "config.yml", "control.url"] {
        assert!(
            directory.path().join("lab").join(file).is_file(),
            "{file}\n{usage}"
        );
    }
    let control = std::fs::read_to_string(directory.path().join("lab/control.url"));
    assert!(
        usage.contains(control.expect("an address").trim()),
        "{usage}"
    );
    let interrupted = Command::new("kill")
        .args(["-INT", &lab.0.id().to_string()])
        .status();
    assert!(interrupted.expect("kill runs").success());
    assert!(lab.0.wait().expect("a status").success());
}
