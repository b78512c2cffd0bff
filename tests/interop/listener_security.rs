//! The listener with TLS, client certificates, passwords and a rate limit, used by curl, openssl and
//! Chromium.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use ccass_2fa_lab::{Authority, Identity, Leaf};
use harness::exporter::{ConfigFile, Exporter, command};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use crate::{TIMEOUT, cpu_time};

/// A web configuration file, and the certificates in its directory.
struct Site {
    directory: ConfigFile,
    authority: Authority,
}

const TLS: &str = "tls_server_config: {cert_file: server.crt, key_file: server.key";

impl Site {
    fn new(web: &str) -> Self {
        let site = Self {
            directory: ConfigFile::new(
                "targets: [{name: closed, url: \"https://127.0.0.1:1/\"}]\n",
            ),
            authority: Authority::new("Web"),
        };
        site.serve_as(&Leaf::for_name("localhost").also("127.0.0.1"));
        std::fs::write(site.path("ca.crt"), site.authority.root_pem()).unwrap();
        site.write(web);
        site
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.directory().join(name)
    }

    fn write(&self, web: &str) {
        std::fs::write(self.path("web-config.yml"), web).unwrap();
    }

    /// Replaces the certificate, then the key, as renewal programs do.
    fn serve_as(&self, leaf: &Leaf) {
        write_identity(&self.authority.issue(leaf), &self.path("server"));
    }

    async fn start(&self) -> Exporter {
        Exporter::start(&[&self.directory.argument(), &self.argument()]).await
    }

    fn argument(&self) -> String {
        format!(
            "--web.config.file={}",
            self.path("web-config.yml").display()
        )
    }

    /// Requests `/metrics`, or the URL among the arguments; returns the status and the output.
    async fn curl(&self, exporter: &Exporter, arguments: &[&str]) -> (u16, String) {
        let output = self.run_curl(exporter, arguments).await;
        let stdout = String::from_utf8(output.stdout).unwrap();
        let (text, status) = stdout.rsplit_once('\n').expect("a status");
        (status.parse().expect("a status"), text.to_owned())
    }

    async fn run_curl(&self, exporter: &Exporter, arguments: &[&str]) -> Output {
        let ca = self.path("ca.crt");
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--noproxy", "*", "--cacert"])
            .arg(ca)
            .args(["--write-out", "\n%{http_code}"])
            .args(arguments);
        if !arguments.iter().any(|one| one.starts_with("https://")) {
            curl.arg(format!("https://{}/metrics", exporter.address));
        }
        run(curl.kill_on_drop(true)).await
    }

    /// Waits until `healthcheck` exits with 0; on a busy machine it may find the exporter too slow.
    async fn assert_healthy(&self, exporter: &Exporter, more: &[&str]) {
        let healthy = async { while self.healthcheck(exporter, more).await != Some(0) {} };
        let healthy = tokio::time::timeout(TIMEOUT, healthy).await;
        healthy.unwrap_or_else(|_| panic!("not healthy within {} s", TIMEOUT.as_secs()));
    }

    /// Runs the subcommand `healthcheck` and returns its exit code.
    async fn healthcheck(&self, exporter: &Exporter, more: &[&str]) -> Option<i32> {
        let listen = format!("--web.listen-address={}", exporter.address);
        let mut healthcheck = command();
        healthcheck
            .args(["healthcheck", &listen, &self.argument()])
            .args(more);
        run(&mut healthcheck).await.status.code()
    }
}

fn write_identity(identity: &Identity, stem: &Path) {
    let directory = tempfile::tempdir().unwrap();
    let (chain, key) = identity.write_pem(directory.path()).unwrap();
    std::fs::copy(chain, stem.with_extension("crt")).unwrap();
    std::fs::copy(key, stem.with_extension("key")).unwrap();
}

async fn run(command: &mut Command) -> Output {
    let Ok(output) = tokio::time::timeout(TIMEOUT, command.output()).await else {
        panic!("no end within {} s: {command:?}", TIMEOUT.as_secs());
    };
    output.expect("the command starts")
}

/// With a low cost, which keeps the tests fast.
fn hash(password: &str) -> String {
    bcrypt::hash(password, 8).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_listener_serves_http_1_and_2_and_rejects_old_tls() {
    let site = Site::new(&format!("{TLS}}}\n"));
    let exporter = site.start().await;
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let (status, text) = site
            .curl(
                &exporter,
                &[
                    flag,
                    "--output",
                    "/dev/null",
                    "--write-out",
                    "%{http_version}\n%{http_code}",
                ],
            )
            .await;
        assert_eq!((status, text.as_str()), (200, version));
    }
    for (flag, accepted) in [
        ("-tls1", false),
        ("-tls1_1", false),
        ("-tls1_2", true),
        ("-tls1_3", true),
    ] {
        let mut scan = Command::new("openssl");
        scan.args(["s_client", "-connect", &exporter.address, flag]);
        scan.args(["-cipher", "ALL:@SECLEVEL=0", "-brief"])
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let stderr = String::from_utf8_lossy(&run(&mut scan).await.stderr).into_owned();
        assert_eq!(
            stderr.contains("CONNECTION ESTABLISHED"),
            accepted,
            "{flag}: {stderr}"
        );
    }
    // HTTP/2 has no Host header; service discovery returns this exporter's address nevertheless.
    for flag in ["--http1.1", "--http2"] {
        let sd = format!("https://{}/sd", exporter.address);
        let (status, text) = site.curl(&exporter, &[flag, &sd]).await;
        let groups: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(status, 200);
        assert_eq!(groups[0]["targets"][0], exporter.address.as_str());
        assert_eq!(groups[0]["labels"]["__scheme__"], "https");
        assert_eq!(groups[0]["labels"]["__metrics_path__"], "/probe");
    }
    // Plain HTTP is not served on that port.
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(client.get(exporter.url("/metrics")).send().await.is_err());
    site.assert_healthy(&exporter, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_not_renegotiated() {
    let site = Site::new(&format!("{TLS}}}\n"));
    let exporter = site.start().await;
    let mut client = Command::new("openssl")
        .args(["s_client", "-tls1_2", "-connect", &exporter.address])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // This line asks for a new handshake; s_client then reads on until the listener answers.
    let mut stdin = client.stdin.take().unwrap();
    stdin.write_all(b"R\n").await.unwrap();
    let mut stderr = BufReader::new(client.stderr.take().unwrap()).lines();
    let refused = tokio::time::timeout(TIMEOUT, async {
        while let Some(line) = stderr.next_line().await.unwrap() {
            if line.contains("no renegotiation") {
                return true;
            }
        }
        false
    });
    assert!(refused.await.expect("an answer to the new handshake"));
    site.assert_healthy(&exporter, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_and_tls_12_can_be_disabled() {
    let site = Site::new(&format!(
        "{TLS}, min_version: TLS13}}\nhttp_server_config: {{http2: false}}\n"
    ));
    let exporter = site.start().await;
    let version = [
        "--http2",
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_version}\n%{http_code}",
    ];
    assert_eq!(
        site.curl(&exporter, &version).await,
        (200, "1.1".to_owned())
    );
    let old = site.run_curl(&exporter, &["--tls-max", "1.2"]).await;
    assert_eq!(old.status.code(), Some(35), "TLS 1.2 should be refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_client_certificates_with_known_ca_and_allowed_name_are_accepted() {
    let site = Site::new(&format!(
        "{TLS}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: clients.crt, \
         client_allowed_sans: [prometheus.example]}}\n"
    ));
    let clients = Authority::new("Clients");
    std::fs::write(site.path("clients.crt"), clients.root_pem()).unwrap();
    for (name, authority, san) in [
        ("good", &clients, "prometheus.example"),
        ("other-name", &clients, "laptop.example"),
        (
            "unknown-ca",
            &Authority::new("Unknown"),
            "prometheus.example",
        ),
    ] {
        let leaf = Leaf::for_name(san).of_a_client();
        write_identity(&authority.issue(&leaf), &site.path(name));
    }
    let exporter = site.start().await;
    for (name, accepted) in [("good", true), ("other-name", false), ("unknown-ca", false)] {
        let [certificate, key] = ["crt", "key"].map(|kind| site.path(name).with_extension(kind));
        let [certificate, key] = [certificate, key].map(|path| path.display().to_string());
        let output = site
            .run_curl(&exporter, &["--cert", &certificate, "--key", &key])
            .await;
        assert_eq!(output.status.success(), accepted, "{name}: {output:?}");
    }
    assert!(
        !site.run_curl(&exporter, &[]).await.status.success(),
        "without a certificate"
    );
    site.assert_healthy(&exporter, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_certificate_is_served_without_restart() {
    let site = Site::new(&format!("{TLS}}}\n"));
    let mut exporter = site.start().await;
    assert_eq!(site.curl(&exporter, &[]).await.0, 200);
    // The first certificate does not have this name.
    let address = format!("renewed.test:443:{}", exporter.address);
    let by_name = ["--connect-to", &address, "https://renewed.test/metrics"];
    let refused = site.run_curl(&exporter, &by_name).await;
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(stderr.contains("renewed.test"), "{stderr}");
    site.serve_as(
        &Leaf::for_name("localhost")
            .also("127.0.0.1")
            .also("renewed.test"),
    );
    exporter.line_with("web configuration reloaded").await;
    let output = site.run_curl(&exporter, &by_name).await;
    assert!(output.status.success(), "{output:?}");
    // An unusable key leaves the previous pair active.
    std::fs::write(site.path("server.key"), "not a key").unwrap();
    exporter.line_with("web configuration reload failed").await;
    let successful = "ccass2fa_config_last_reload_successful";
    let (status, text) = site.curl(&exporter, &[]).await;
    assert_eq!(status, 200);
    assert_eq!(sample(&text, successful), Some("0"));
    site.serve_as(&Leaf::for_name("localhost").also("127.0.0.1"));
    exporter.line_with("web configuration reloaded").await;
    let (_, text) = site.curl(&exporter, &[]).await;
    assert_eq!(sample(&text, successful), Some("1"));
}

/// The value of a metric without labels.
fn sample<'a>(exposition: &'a str, name: &str) -> Option<&'a str> {
    let mut samples = exposition.lines().filter_map(|line| line.split_once(' '));
    samples
        .find(|(series, _)| *series == name)
        .map(|(_, value)| value)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_right_password_is_accepted_also_from_a_browser() {
    let hash = hash("correct horse");
    let site = Site::new(&format!(
        "{TLS}}}\nbasic_auth_users: {{alice: \"{hash}\"}}\n"
    ));
    let exporter = site.start().await;
    assert_eq!(
        site.curl(&exporter, &["--user", "alice:correct horse"])
            .await
            .0,
        200
    );
    for arguments in [
        &["--user", "alice:wrong"][..],
        &["--user", "alice:"],
        &["--user", "bob:correct horse"],
        &["--user", ":correct horse"],
        &["--header", "Authorization: Basic !!!"],
        &["--header", "Authorization: Bearer alice"],
        &[],
    ] {
        let (status, text) = site
            .curl(
                &exporter,
                &[&["--include", "--http1.1"], arguments].concat(),
            )
            .await;
        assert_eq!(status, 401, "{arguments:?}");
        let challenge = "www-authenticate: Basic realm=\"ccass-2fa-exporter\"";
        assert!(text.contains(challenge), "{arguments:?}: {text:.500}");
        assert!(!text.contains("ccass2fa_"), "{arguments:?}: metrics served");
    }
    site.assert_healthy(&exporter, &[]).await;

    let input = serde_json::json!({
        "username": "alice", "password": "correct horse",
        "url": format!("https://{}/", exporter.address)});
    let pages: serde_json::Value = harness::node::run("login.mjs", &input).await;
    assert_eq!(pages["wrong"]["status"], 401);
    assert_eq!(pages["right"]["status"], 200);
    let title = pages["right"]["title"].as_str().unwrap();
    assert!(title.contains("CCASS"), "{title}");
}

/// Measures CPU time, which other programs on the machine do not change. The kinds of request
/// alternate.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_and_unknown_users_cost_the_same_and_verdicts_are_cached() {
    const ROUNDS: usize = 3;
    const REQUESTS: usize = 5;
    let hash = bcrypt::hash("right", 9).unwrap();
    let site = Site::new(&format!("basic_auth_users: {{alice: \"{hash}\"}}\n"));
    let exporter = site.start().await;
    let process = exporter.child.id().expect("it runs");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = async |user: &str, password: &str, expected: u16| {
        let request = client
            .get(exporter.url("/-/healthy"))
            .basic_auth(user, Some(password));
        let status = request.send().await.unwrap().status();
        assert_eq!(status.as_u16(), expected, "{user}");
    };
    let [mut wrong, mut unknown] = [Duration::ZERO; 2];
    for round in 0..ROUNDS {
        // Each user and password is new, since verdicts are cached.
        let start = cpu_time(process);
        for turn in 0..REQUESTS {
            request("alice", &format!("wrong {round} {turn}"), 401).await;
        }
        let middle = cpu_time(process);
        for turn in 0..REQUESTS {
            request(&format!("unknown {round} {turn}"), "right", 401).await;
        }
        wrong += middle - start;
        unknown += cpu_time(process) - middle;
    }
    let ratio = wrong.as_secs_f64() / unknown.as_secs_f64();
    assert!(
        (0.8..1.25).contains(&ratio),
        "CPU time of wrong passwords {wrong:?}, of unknown users {unknown:?}"
    );
    request("alice", "right", 200).await;
    let start = cpu_time(process);
    for _ in 0..ROUNDS * REQUESTS {
        request("alice", "right", 200).await;
    }
    let cached = cpu_time(process) - start;
    assert!(
        cached < wrong / 3,
        "CPU time of cached verdicts {cached:?}, of as many new ones {wrong:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_above_the_rate_limit_get_status_429() {
    let site = Site::new("rate_limit: {interval: 1h, burst: 3}\n");
    let exporter = site.start().await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(exporter.get("/-/healthy").await.0);
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn configured_headers_are_added_unless_already_set() {
    let site = Site::new(
        "http_server_config:\n  headers:\n    Strict-Transport-Security: max-age=60\n    \
         X-Frame-Options: deny\n    Content-Security-Policy: \"default-src *\"\n",
    );
    let exporter = site.start().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let header = async |path: &str, name: &str| {
        let response = client.get(exporter.url(path)).send().await.unwrap();
        let value = response.headers().get(name);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    for (path, name, expected) in [
        ("/metrics", "strict-transport-security", "max-age=60"),
        ("/nowhere", "x-frame-options", "deny"),
        ("/metrics", "content-security-policy", "default-src *"),
    ] {
        let value = header(path, name).await;
        assert_eq!(value.as_deref(), Some(expected), "{path}, {name}");
    }
    // The status page keeps its own, stricter policy.
    let policy = header("/", "content-security-policy").await.unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn external_url_prefix_applies_to_every_path() {
    let site = Site::new("");
    let arguments = [
        &site.directory.argument()[..],
        "--web.external-url=https://mon.example/ccass/",
    ];
    let exporter = Exporter::start(&arguments).await;
    for (path, status) in [
        ("/ccass/", 200),
        ("/ccass/metrics", 200),
        ("/ccass/-/healthy", 200),
        ("/metrics", 404),
        ("/ccassmetrics", 404),
    ] {
        assert_eq!(exporter.get(path).await.0, status, "{path}");
    }
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    let client = client.build().unwrap();
    for path in ["/", "/ccass"] {
        let response = client.get(exporter.url(path)).send().await.unwrap();
        assert_eq!(response.status(), 302, "{path}");
        assert_eq!(response.headers()["location"], "/ccass/", "{path}");
    }
    let prefix = ["--web.external-url=https://mon.example/ccass/"];
    site.assert_healthy(&exporter, &prefix).await;
    assert_eq!(site.healthcheck(&exporter, &[]).await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_web_configuration_fails_start_and_check_but_not_a_running_exporter() {
    let site = Site::new("rate_limit: {interval: 1h, burst: 100}\n");
    let mut exporter = site.start().await;
    site.write("rate_limit: {interval: 1h, burst: 0}\n");
    exporter.line_with("web configuration reload failed").await;
    assert_eq!(exporter.get("/-/healthy").await.0, 200);
    let argument = site.argument();
    for arguments in [&[argument.as_str()][..], &["check", &argument]] {
        let output = harness::exporter::run(arguments).await;
        assert_eq!(output.status.code(), Some(2));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            stderr.contains("web-config.yml:1:35: rate_limit.burst: "),
            "{stderr}"
        );
    }
}
