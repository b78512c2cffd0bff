//! The listener as a bank exposes it: TLS, client certificates, passwords, a rate. Asked by curl,
//! openssl and a real browser.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use ccass_2fa_lab::{Authority, Identity, Leaf};
use harness::exporter::{ConfigFile, Exporter, PATIENCE, command};
use tokio::process::Command;

/// A web configuration with its certificates beside it.
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

    /// Replaces certificate and key as programs do: the certificate first.
    fn serve_as(&self, leaf: &Leaf) {
        put(&self.authority.issue(leaf), &self.path("server"));
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

    async fn curl(&self, exporter: &Exporter, arguments: &[&str]) -> (u16, String) {
        let output = self.run_curl(exporter, arguments).await;
        let text = String::from_utf8(output.stdout).unwrap();
        let (head, status) = text.rsplit_once('\n').expect("a status");
        (status.parse().expect("a status"), head.to_owned())
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
        let output = tokio::time::timeout(PATIENCE, curl.output()).await;
        output.expect("it ends").expect("curl")
    }

    async fn healthcheck(&self, exporter: &Exporter, more: &[&str]) -> Option<i32> {
        let listen = format!("--web.listen-address={}", exporter.address);
        let mut healthcheck = command();
        healthcheck
            .args(["healthcheck", &listen, &self.argument()])
            .args(more);
        healthcheck.status().await.expect("it runs").code()
    }
}

fn put(identity: &Identity, stem: &Path) {
    let own = tempfile::tempdir().unwrap();
    let (chain, key) = identity.write_pem(own.path()).unwrap();
    std::fs::copy(chain, stem.with_extension("crt")).unwrap();
    std::fs::copy(key, stem.with_extension("key")).unwrap();
}

/// bcrypt at a cost that tests can bear.
fn hashed(password: &str) -> String {
    bcrypt::hash(password, 8).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_it_speaks_http_1_and_2_and_nothing_below_tls_1_2() {
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
    for (flag, spoken) in [
        ("-tls1", false),
        ("-tls1_1", false),
        ("-tls1_2", true),
        ("-tls1_3", true),
    ] {
        let mut scan = Command::new("openssl");
        scan.args(["s_client", "-connect", &exporter.address, flag]);
        scan.args(["-cipher", "ALL:@SECLEVEL=0", "-brief"])
            .stdin(std::process::Stdio::null());
        let output = tokio::time::timeout(PATIENCE, scan.output())
            .await
            .unwrap()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            told.contains("CONNECTION ESTABLISHED"),
            spoken,
            "{flag}: {told}"
        );
    }
    // HTTP/2 has no Host header; discovery names this exporter all the same.
    for flag in ["--http1.1", "--http2"] {
        let sd = format!("https://{}/sd", exporter.address);
        let (status, text) = site.curl(&exporter, &[flag, &sd]).await;
        let told: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(status, 200);
        assert_eq!(told[0]["targets"][0], exporter.address.as_str());
        assert_eq!(told[0]["labels"]["__scheme__"], "https");
        assert_eq!(told[0]["labels"]["__metrics_path__"], "/probe");
    }
    // Plain HTTP on that port is no way round.
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(client.get(exporter.url("/metrics")).send().await.is_err());
    assert_eq!(site.healthcheck(&exporter, &[]).await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_can_be_left_out_and_versions_narrowed() {
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
async fn a_client_shows_a_certificate_of_the_authority_that_names_it() {
    let site = Site::new(&format!(
        "{TLS}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: clients.crt, \
         client_allowed_sans: [prometheus.example]}}\n"
    ));
    let clients = Authority::new("Clients");
    std::fs::write(site.path("clients.crt"), clients.root_pem()).unwrap();
    for (name, authority, san) in [
        ("good", &clients, "prometheus.example"),
        ("other", &clients, "laptop.example"),
        (
            "stranger",
            &Authority::new("Stranger"),
            "prometheus.example",
        ),
    ] {
        let leaf = Leaf::for_name(san).of_a_client();
        put(&authority.issue(&leaf), &site.path(name));
    }
    let exporter = site.start().await;
    for (name, admitted) in [("good", true), ("other", false), ("stranger", false)] {
        let [certificate, key] = ["crt", "key"].map(|kind| site.path(name).with_extension(kind));
        let [certificate, key] = [certificate, key].map(|path| path.display().to_string());
        let output = site
            .run_curl(&exporter, &["--cert", &certificate, "--key", &key])
            .await;
        assert_eq!(output.status.success(), admitted, "{name}: {output:?}");
    }
    assert!(
        !site.run_curl(&exporter, &[]).await.status.success(),
        "without a certificate"
    );
    assert_eq!(site.healthcheck(&exporter, &[]).await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_replaced_on_disk_is_served_without_a_restart() {
    let site = Site::new(&format!("{TLS}}}\n"));
    let mut exporter = site.start().await;
    assert_eq!(site.curl(&exporter, &[]).await.0, 200);
    // A name that the first one does not have.
    let address = format!("renewed.test:443:{}", exporter.address);
    let by_name = ["--connect-to", &address, "https://renewed.test/metrics"];
    let refused = site.run_curl(&exporter, &by_name).await;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("renewed.test"), "{told}");
    site.serve_as(
        &Leaf::for_name("localhost")
            .also("127.0.0.1")
            .also("renewed.test"),
    );
    exporter.line_with("changed, and are in force").await;
    let output = site.run_curl(&exporter, &by_name).await;
    assert!(output.status.success(), "{output:?}");
    // Half of a pair leaves what was there.
    std::fs::write(site.path("server.key"), "not a key").unwrap();
    exporter.line_with("what was in force goes on").await;
    let successful = "ccass2fa_config_last_reload_successful";
    let (status, text) = site.curl(&exporter, &[]).await;
    assert_eq!(status, 200);
    assert!(text.contains(&format!("\n{successful} 0\n")), "{text}");
    site.serve_as(&Leaf::for_name("localhost").also("127.0.0.1"));
    exporter.line_with("changed, and are in force").await;
    let (_, text) = site.curl(&exporter, &[]).await;
    assert!(text.contains(&format!("\n{successful} 1\n")), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_lets_in_and_nothing_else_does() {
    let hash = hashed("correct horse");
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
        assert!(
            text.contains("www-authenticate: Basic realm=\"ccass-2fa-exporter\""),
            "{text}"
        );
        assert!(!text.contains("ccass2fa_"), "{text}");
    }
    assert_eq!(site.healthcheck(&exporter, &[]).await, Some(0));

    let asked = serde_json::json!({
        "chromium": "/usr/bin/chromium", "username": "alice", "password": "correct horse",
        "url": format!("https://{}/", exporter.address)});
    let seen: serde_json::Value = harness::node::run("login.mjs", &asked).await;
    assert_eq!(seen["wrong"]["status"], 401);
    assert_eq!(seen["right"]["status"], 200);
    assert!(
        seen["right"]["title"].as_str().unwrap().contains("CCASS"),
        "{seen}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_costs_as_long_as_an_unknown_user_and_a_right_one_only_once() {
    let hash = bcrypt::hash("right", 9).unwrap();
    let site = Site::new(&format!("basic_auth_users: {{alice: \"{hash}\"}}\n"));
    let exporter = site.start().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async |user: &str, password: &str| {
        let request = client
            .get(exporter.url("/-/healthy"))
            .basic_auth(user, Some(password));
        let watch = Instant::now();
        let status = request.send().await.unwrap().status().as_u16();
        (status, watch.elapsed())
    };
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for turn in 0..15 {
        // Each is new, since verdicts are kept.
        let (status, wrong) = ask("alice", &format!("wrong {turn}")).await;
        assert_eq!(status, 401);
        known.push(wrong);
        let (status, nobody) = ask(&format!("nobody {turn}"), "right").await;
        assert_eq!(status, 401);
        unknown.push(nobody);
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64()
    };
    let (known, unknown) = (median(&mut known), median(&mut unknown));
    let ratio = known / unknown;
    assert!((0.7..1.4).contains(&ratio), "{known} s against {unknown} s");
    assert_eq!(ask("alice", "right").await.0, 200);
    let mut cached: Vec<Duration> = Vec::new();
    for _ in 0..15 {
        cached.push(ask("alice", "right").await.1);
    }
    let cached = median(&mut cached);
    assert!(cached < known / 3.0, "{cached} s, hashed each time");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_than_the_rate_allows_are_told_so() {
    let site = Site::new("rate_limit: {interval: 1h, burst: 3}\n");
    let exporter = site.start().await;
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(exporter.get("/-/healthy").await.0);
    }
    assert_eq!(answers, [200, 200, 200, 429, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn configured_headers_are_added_where_there_are_none() {
    let site = Site::new(
        "http_server_config:\n  headers:\n    Strict-Transport-Security: max-age=60\n    \
         X-Frame-Options: deny\n    Content-Security-Policy: \"default-src *\"\n",
    );
    let exporter = site.start().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let of = async |path: &str, name: &str| {
        let answer = client.get(exporter.url(path)).send().await.unwrap();
        let value = answer.headers().get(name);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    let told = |text: &str| Some(text.to_owned());
    assert_eq!(
        of("/metrics", "strict-transport-security").await,
        told("max-age=60")
    );
    assert_eq!(of("/nowhere", "x-frame-options").await, told("deny"));
    assert_eq!(
        of("/metrics", "content-security-policy").await,
        told("default-src *")
    );
    // The status page's own is stricter.
    assert!(
        of("/", "content-security-policy")
            .await
            .unwrap()
            .starts_with("default-src 'none'")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn below_a_prefix_everything_is_found_and_nothing_elsewhere() {
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
        let answer = client.get(exporter.url(path)).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["location"]),
            (302, &"/ccass/".parse().unwrap())
        );
    }
    let prefix = ["--web.external-url=https://mon.example/ccass/"];
    assert_eq!(site.healthcheck(&exporter, &prefix).await, Some(0));
    assert_eq!(site.healthcheck(&exporter, &[]).await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_the_web_configuration_stops_the_start_and_check_and_not_what_runs() {
    let site = Site::new("rate_limit: {interval: 1h, burst: 100}\n");
    let mut exporter = site.start().await;
    site.write("rate_limit: {interval: 1h, burst: 0}\n");
    exporter.line_with("what was in force goes on").await;
    assert_eq!(exporter.get("/-/healthy").await.0, 200);
    let argument = site.argument();
    for words in [&[argument.as_str()][..], &["check", &argument]] {
        let output = harness::exporter::run(words).await;
        assert_eq!(output.status.code(), Some(2));
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            told.contains("web-config.yml:1:35: rate_limit.burst: "),
            "{told}"
        );
    }
}
