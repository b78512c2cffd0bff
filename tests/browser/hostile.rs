//! Pages that try to do more than be shown.

use ccass_2fa_lab::Lab;
use harness::exporter::TIMEOUT;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::desk::Desk;
use crate::hostile_server::{ClientCertificate, HostileServer};

struct Setup {
    lab: Lab,
    desk: Desk,
    server: HostileServer,
}

async fn setup(client: ClientCertificate) -> Setup {
    let lab = Lab::start().await.unwrap();
    let desk = Desk::new(&[&lab.authority]).await.with_pac(&lab).await;
    let server = HostileServer::start(&lab, client).await;
    Setup { lab, desk, server }
}

impl Setup {
    /// The lab's configuration with a page of the hostile server as its target. The exporter has its own
    /// way to the server and does not trust it: what it fetches is not in question here.
    fn config(&self, path: &str) -> String {
        let text = self
            .lab
            .config()
            .replace(&self.lab.url(), &self.server.url(path));
        let ca = self.lab.ca_file().display().to_string();
        let own = self.desk.write("ca.pem", &self.lab.authority.root_pem());
        text.replace(&ca, &own.display().to_string())
    }

    async fn check(&self, path: &str, arguments: &[&str]) -> (i32, Value) {
        let (code, report) = self.desk.report(&self.config(path), arguments).await;
        self.sends_only_gets();
        (code, report["browser"].clone())
    }

    fn sends_only_gets(&self) {
        let log = self.server.log();
        let others = log
            .iter()
            .filter(|line| !line.starts_with("GET ") && !line.starts_with("HEAD "));
        assert_eq!(others.collect::<Vec<_>>(), Vec::<&String>::new(), "{log:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_tries_everything_is_shown_and_causes_nothing_but_allowed_gets() {
    let setup = setup(ClientCertificate::None).await;
    let (code, browser) = setup.check("/tricks", &[]).await;
    assert_eq!(code, 0, "{browser:#}");
    // The browser asks for an icon, for the file that it then refuses, and for scripts of workers that it
    // does not run.
    let allowed = ["/tricks", "/favicon.ico", "/save", "/worker.js"];
    let allowed = allowed.map(|path| format!("GET {path}"));
    let mut log = setup.server.log();
    log.retain(|request| !allowed.contains(request));
    assert_eq!(log, Vec::<String>::new(), "{browser:#}");
    // Neither the page nor the browser itself connected to another host.
    let mut tunnels = setup.lab.proxy.asked();
    let own = format!("{}:", ccass_2fa_lab::HOST);
    tunnels.retain(|tunnel| !tunnel.starts_with(&own));
    assert_eq!(tunnels, Vec::<String>::new());
    assert_eq!(
        browser["seen"]["visible_fields"],
        json!(["username", "password"])
    );
    let blocked = browser["seen"]["blocked"].as_array().unwrap();
    for (what, detail) in [
        ("method", "POST https://sso.lab.test:PORT/beacon"),
        ("method", "POST https://sso.lab.test:PORT/post"),
        ("method", "PUT https://sso.lab.test:PORT/put"),
        ("method", "POST https://sso.lab.test:PORT/keepalive"),
        ("method", "DELETE https://sso.lab.test:PORT/xhr"),
        ("method", "POST https://sso.lab.test:PORT/auto"),
        ("method", "POST https://sso.lab.test:PORT/frame-post"),
        ("host", "GET https://elsewhere.lab.test/frame"),
        ("host", "GET https://elsewhere.lab.test/pixel.png"),
        ("host", "GET https://elsewhere.lab.test/events"),
        ("web_socket", "wss://sso.lab.test:PORT/socket"),
        ("web_socket", "wss://sso.lab.test/frame-socket"),
        ("worker", "https://sso.lab.test:PORT/worker.js"),
        ("window", "https://sso.lab.test:PORT/window"),
        ("dialog", "stop"),
        ("dialog", "really?"),
        ("dialog", "password?"),
    ] {
        let detail = detail.replace("PORT", &setup.server.port.to_string());
        let expected = json!({"what": what, "detail": detail});
        assert!(blocked.contains(&expected), "{expected} in {blocked:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_a_script_draws_is_judged_as_it_is_drawn() {
    let setup = setup(ClientCertificate::None).await;
    let (code, browser) = setup.check("/drawn", &[]).await;
    // The exit code follows the browser.
    assert_eq!(code, 0, "{browser:#}");
    let differences = browser["differences"].as_array().unwrap();
    for difference in [
        "the browser shows the page, the exporter does not reach it (page_mismatch)",
        "the title is \"CCASS Lab Login\" once scripts have drawn the page, and \"\" as it is sent",
    ] {
        assert!(differences.contains(&json!(difference)), "{browser:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_redirects_downloads_and_login_boxes_end_with_their_reasons() {
    let setup = setup(ClientCertificate::None).await;
    for (path, reason, blocked) in [
        ("/loop", "http_too_many_redirects", None),
        ("/file", "page_mismatch", Some("download")),
        ("/login-box", "http_status", Some("authentication")),
    ] {
        let (code, browser) = setup.check(path, &[]).await;
        assert_eq!(code, 1, "{path}: {browser:#}");
        assert_eq!(browser["failure"]["reason"], reason, "{path}: {browser:#}");
        if let Some(what) = blocked {
            assert_eq!(
                browser["seen"]["blocked"][0]["what"], what,
                "{path}: {browser:#}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_page_is_ended() {
    let setup = setup(ClientCertificate::None).await;
    let (code, browser) = setup.check("/huge", &[]).await;
    assert_eq!(code, 1, "{browser:#}");
    assert_eq!(browser["failure"]["error"], "too_many_bytes", "{browser:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_script_is_ended() {
    let setup = setup(ClientCertificate::None).await;
    let (code, browser) = setup.check("/spin", &["--browser-timeout=20s"]).await;
    assert_eq!(code, 1, "{browser:#}");
    assert_eq!(browser["failure"]["error"], "unresponsive", "{browser:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_a_client_certificate_gets_none() {
    let setup = setup(ClientCertificate::Required).await;
    let (code, browser) = setup.check("/tricks", &[]).await;
    assert_eq!(code, 1, "{browser:#}");
    // The server sends an alert and closes the connection, which can reach the browser first.
    let reason = browser["failure"]["reason"].as_str().unwrap();
    let reasons = ["tls_alert", "tls_closed", "tls_reset"];
    assert!(reasons.contains(&reason), "{browser:#}");
    assert_eq!(setup.server.log(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_and_its_profile_are_gone_after_kill_9_of_the_exporter_or_of_the_checker() {
    let setup = setup(ClientCertificate::None).await;
    for victim in ["ccass-2fa-exporter", "ccass-2fa-browser"] {
        // The probe ends at once, the browser waits.
        let config = setup
            .config("/silent")
            .replace("timeout: 10s", "timeout: 1s");
        let before = setup.server.log().len();
        let mut exporter = setup.desk.command(&config, &["verify", "--browser"]);
        let mut exporter = exporter.spawn().unwrap();
        setup.server.wait_for(before + 2).await;
        let pid = exporter.id().unwrap();
        let target = if victim == "ccass-2fa-exporter" {
            pid
        } else {
            child_of(pid)
        };
        let kill = std::process::Command::new("kill")
            .args(["-9", &target.to_string()])
            .status();
        assert!(kill.unwrap().success());
        exporter.wait().await.unwrap();
        let is_gone = async {
            while !setup.desk.processes().is_empty()
                || std::fs::read_dir(setup.desk.path("tmp")).unwrap().count() > 0
            {
                sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        let waited = timeout(TIMEOUT, is_gone).await;
        let left = std::fs::read_dir(setup.desk.path("tmp")).unwrap();
        let left: Vec<_> = left.flatten().map(|entry| entry.path()).collect();
        assert!(
            waited.is_ok(),
            "{victim}: {left:?} {:?}",
            setup.desk.processes()
        );
    }
    setup.sends_only_gets();
}

/// The first child of a process.
fn child_of(parent: u32) -> u32 {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let children = entries.filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let fields = stat.rsplit_once(") ")?.1;
        let of: u32 = fields.split(' ').nth(1)?.parse().ok()?;
        (of == parent).then(|| entry.file_name().to_str()?.parse().ok())?
    });
    children.into_iter().next().expect("the checker runs")
}
