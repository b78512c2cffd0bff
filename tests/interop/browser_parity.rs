//! The lab's catalogue in Chromium and in the probe: the login page is reached by both or by neither.
//! `docs/browser-parity.md` lists every case; a difference that is not listed here fails the test.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread::available_parallelism;
use std::time::Duration;

use ccass_2fa_lab::{Lab, Scenario, scenarios, variations};
use harness::documents::assert_document;
use harness::exporter::{ConfigFile, verify};
use harness::node;
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Cases at a time for each processor, each case in a lab of its own.
const LABS_PER_PROCESSOR: usize = 3;
/// How long the browser waits in a case without an answer, and otherwise.
const PATIENCE: Duration = Duration::from_secs(6);
const LONG_PATIENCE: Duration = Duration::from_secs(60);
/// For all cases together.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(900);

/// Cases that differ, each with the reason.
const DIFFERENCES: &[(&str, &str)] = &[
    (
        "dns-sinkhole",
        "for Chromium 0.0.0.0 is this host, and the test's login server is on it",
    ),
    ("tcp-local", "a source address is configured"),
    (
        "tcp-unexpectedly-open",
        "`expect: unreachable` is configured",
    ),
    (
        "proxy-socks-with-credentials",
        "Chromium sends no credentials to SOCKS proxies",
    ),
    ("tls-incomplete-chain", PRIVATE_ISSUER),
    ("tls-intermediate-expired", PRIVATE_ISSUER),
    ("tls-wrong-generation", PRIVATE_ISSUER),
    ("tls-issuer-on-a-private-address", PRIVATE_ISSUER),
    (
        "tls-issuer-not-fetched",
        "`tls.fetch_intermediates: off` is configured",
    ),
    ("tls-pin-mismatch", "a pin is configured"),
    (
        "tls-intercepted",
        "`tls.on_interception: fail` is configured",
    ),
];
const PRIVATE_ISSUER: &str = "Chromium fetches issuers from any address, the probe from public ones \
                              and from `tls.aia_hosts`";

/// Cases in which the browser's error depends on what arrives first.
const VARIES: &[&str] = &["tls-client-certificate"];

/// What Chromium shows.
#[derive(Clone, Debug, Deserialize)]
struct Seen {
    id: u64,
    error: Option<String>,
    status: Option<u16>,
    title: String,
}

struct Case {
    scenario: &'static Scenario,
    browser: String,
    browser_logs_in: bool,
    probe: String,
    probe_is_good: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probe_reaches_the_login_page_where_a_browser_shows_it() {
    let mut labs = Vec::new();
    let processors = available_parallelism().map_or(1, usize::from);
    for _ in 0..LABS_PER_PROCESSOR * processors {
        labs.push(Lab::start().await.expect("a lab"));
    }
    // Chromium does not speak DNS over TLS, and over HTTPS no question or answer is lost.
    let is_compared = |scenario: &&Scenario| {
        !["dns-lossy", "dns-wrong-id"].contains(&scenario.name)
            && !labs[0].config_for(scenario).contains("\"tls://")
    };
    let all = scenarios().iter().chain(variations());
    let compared: VecDeque<_> = all.filter(is_compared).collect();
    let home = tempfile::tempdir().expect("a home directory");
    trust_roots(home.path(), &labs).await;
    let browser = Arc::new(Browser::start(home.path()));
    let queue = Arc::new(Mutex::new(compared));
    let mut running = JoinSet::new();
    for lab in labs {
        let (browser, queue) = (Arc::clone(&browser), Arc::clone(&queue));
        running.spawn(async move {
            let mut cases = Vec::new();
            loop {
                let next = queue.lock().expect("no panic").pop_front();
                let Some(scenario) = next else {
                    return cases;
                };
                cases.push(compare(&lab, scenario, &browser).await);
            }
        });
    }
    let all = timeout(TOTAL_TIMEOUT, running.join_all()).await;
    let mut cases: BTreeMap<&str, Case> = BTreeMap::new();
    for case in all.expect("an end in time").into_iter().flatten() {
        cases.insert(case.scenario.name, case);
    }
    let known: BTreeMap<&str, &str> = DIFFERENCES.iter().copied().collect();
    let mut unexpected = Vec::new();
    for (name, case) in &cases {
        let differs = case.browser_logs_in != case.probe_is_good;
        if differs != known.contains_key(name) {
            let (browser, probe) = (&case.browser, &case.probe);
            unexpected.push(format!("{name}: Chromium {browser}, the probe {probe}"));
        }
    }
    for name in known.keys().filter(|name| !cases.contains_key(*name)) {
        unexpected.push(format!("{name}: there is no such case"));
    }
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
    assert_document("docs/browser-parity.md", &document(&cases, &known));
}

async fn compare(lab: &Lab, scenario: &'static Scenario, browser: &Browser) -> Case {
    let text = lab.config_for(scenario);
    let config = ConfigFile::new(&text);
    lab.provoke(scenario);
    let ((code, report), seen) = if scenario.times_out {
        tokio::join!(verify(&config), browser.open(lab, scenario, &text))
    } else {
        let verified = verify(&config).await;
        lab.provoke(scenario);
        (verified, browser.open(lab, scenario, &text).await)
    };
    let title = quoted(&text, "title: ").expect("the page has a title");
    let is_good_status = seen.status == Some(200);
    let browser_logs_in = seen.error.is_none() && is_good_status && seen.title == title;
    let shown = match (&seen.error, seen.status) {
        (Some(error), _) if error == "timeout" => "waits".to_owned(),
        (Some(_), _) if VARIES.contains(&scenario.name) => "an error that varies".to_owned(),
        (Some(error), _) => error.trim_start_matches("net::").to_owned(),
        (None, None) => "nothing".to_owned(),
        (None, Some(_)) if browser_logs_in => "login page".to_owned(),
        (None, Some(status)) => format!("another page, status {status}"),
    };
    // Which of the acceptable reasons it is depends on what arrives first.
    let reason = report["verdict"]["reason"].as_str();
    let reason = reason.map(|code| {
        if scenario.allows(code) {
            scenario.reason
        } else {
            code
        }
    });
    Case {
        scenario,
        browser: shown,
        browser_logs_in,
        probe: reason.unwrap_or("good").to_owned(),
        probe_is_good: code == 0,
    }
}

/// The text in quotation marks behind `key`.
fn quoted<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("{key}\""))?;
    rest.split('"').next()
}

/// Makes the browser trust the roots of every lab, as `ca.pem` makes the probe do.
async fn trust_roots(home: &Path, labs: &[Lab]) {
    let database = home.join(".pki/nssdb");
    std::fs::create_dir_all(&database).expect("a directory");
    let name = format!("sql:{}", database.display());
    certutil(&["-N", "--empty-password", "-d", &name]).await;
    for (number, lab) in labs.iter().enumerate() {
        let roots = [
            ("own", lab.authority.root_pem()),
            ("interceptor", lab.interceptor.root_pem()),
            ("retired", lab.retired.root_pem()),
        ];
        for (root, pem) in roots {
            let file = home.join("root.pem");
            std::fs::write(&file, pem).expect("a file");
            let nickname = format!("{root} {number}");
            let file = file.to_string_lossy();
            certutil(&["-A", "-d", &name, "-t", "C,,", "-n", &nickname, "-i", &file]).await;
        }
    }
}

async fn certutil(arguments: &[&str]) {
    let output = Command::new("certutil").args(arguments).output().await;
    let output = output.unwrap_or_else(|error| panic!("certutil: {error}; run make install"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "certutil {arguments:?}: {stderr}");
}

/// One Chromium for all cases.
struct Browser {
    requests: tokio::sync::Mutex<(u64, ChildStdin)>,
    waiting: Arc<Mutex<BTreeMap<u64, oneshot::Sender<Seen>>>>,
    _process: Child,
}

impl Browser {
    fn start(home: &Path) -> Self {
        let mut process = Command::new(node::path("node_modules/node/bin/node"))
            .arg(node::path("judge_pages.mjs"))
            .arg(home)
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("Node.js: {error}; run make install"));
        let stdin = process.stdin.take().expect("standard input is piped");
        let stdout = process.stdout.take().expect("standard output is piped");
        let waiting = Arc::default();
        tokio::spawn(deliver(
            BufReader::new(stdout).lines(),
            Arc::clone(&waiting),
        ));
        Self {
            requests: tokio::sync::Mutex::new((0, stdin)),
            waiting,
            _process: process,
        }
    }

    /// Opens the login page with the proxy of the configuration.
    async fn open(&self, lab: &Lab, scenario: &Scenario, config: &str) -> Seen {
        let patience = if scenario.times_out {
            PATIENCE
        } else {
            LONG_PATIENCE
        };
        let credentials = quoted(config, "proxy_credentials_file: ").map(|file| {
            let text = std::fs::read_to_string(file).expect("the credentials");
            let (username, password) = text.trim().split_once(':').expect("a colon");
            json!({"username": username, "password": password})
        });
        let (sender, receiver) = oneshot::channel();
        {
            let mut requests = self.requests.lock().await;
            requests.0 += 1;
            let request = json!({
                "id": requests.0,
                "url": lab.url(),
                "title": quoted(config, "title: "),
                "own_browser": scenario.name.starts_with("tls-"),
                "resolver": scenario.name.starts_with("dns-").then(|| lab.resolver_template()),
                "patience": u64::try_from(patience.as_millis()).expect("short"),
                "proxy": quoted(config, "proxy: "),
                "credentials": credentials,
            });
            self.waiting
                .lock()
                .expect("no panic")
                .insert(requests.0, sender);
            let line = format!("{request}\n");
            requests.1.write_all(line.as_bytes()).await.expect("a pipe");
        }
        receiver.await.expect("an answer of the browser")
    }
}

/// Hands each answer to the case that waits for it; those that still wait at the end fail.
async fn deliver(
    mut answers: Lines<BufReader<ChildStdout>>,
    waiting: Arc<Mutex<BTreeMap<u64, oneshot::Sender<Seen>>>>,
) {
    while let Ok(Some(line)) = answers.next_line().await {
        let seen: Seen = serde_json::from_str(&line).expect("an answer in JSON");
        let sender = waiting.lock().expect("no panic").remove(&seen.id);
        if let Some(sender) = sender {
            let _ = sender.send(seen);
        }
    }
    waiting.lock().expect("no panic").clear();
}

fn document(cases: &BTreeMap<&str, Case>, known: &BTreeMap<&str, &str>) -> String {
    let mut text = "# The probe beside a browser\n\n\
        Generated by `tests/interop/browser_parity.rs` with `make documents`: each case of the test\n\
        servers, opened by Chromium and by the probe. *login page* means status 200 and the expected\n\
        title; *waits*, that nothing arrived within the browser's wait. In the cases of name resolution,\n\
        Chromium asks the test's name server by DNS over HTTPS; those of DNS over TLS, which Chromium does\n\
        not speak, and of what is lost over UDP are left out.\n\n\
        | case | what the server does | Chromium | probe | why they differ |\n|---|---|---|---|---|\n"
        .to_owned();
    for scenario in scenarios().iter().chain(variations()) {
        let Some(case) = cases.get(scenario.name) else {
            continue;
        };
        let why = known.get(scenario.name).copied().unwrap_or_default();
        text += &format!(
            "| `{}` | {} | {} | {} | {why} |\n",
            scenario.name,
            scenario.about,
            code(&case.browser),
            code(&case.probe)
        );
    }
    text.replace("  |", " |")
}

/// Codes in the type of code.
fn code(text: &str) -> String {
    let is_code = text.contains('_');
    if is_code {
        format!("`{text}`")
    } else {
        text.to_owned()
    }
}
