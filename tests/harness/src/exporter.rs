//! The built exporter as a user runs it: a process, its log, its port.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

/// The built exporter: it lies where Cargo puts it, beside or above the running test.
pub fn binary() -> &'static str {
    static PATH: LazyLock<String> = LazyLock::new(find_binary);
    &PATH
}

fn find_binary() -> String {
    let test = std::env::current_exe().expect("the test's own path");
    let candidates = test.ancestors().skip(1).take(2);
    candidates
        .map(|directory| directory.join("ccass-2fa-exporter"))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("ccass-2fa-exporter is not built beside {}", test.display()))
        .into_os_string()
        .into_string()
        .expect("the target directory has a UTF-8 path")
}

/// Nothing that a test waits for takes longer on a machine that works.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The release build of the exporter, for what is measured.
pub fn release_binary() -> PathBuf {
    let target = Path::new(binary()).ancestors().nth(2);
    let path = target
        .expect("the target directory")
        .join("release/ccass-2fa-exporter");
    assert!(
        path.is_file(),
        "{} is missing; run make release",
        path.display()
    );
    path
}

/// The exporter with a clean environment, so that the machine's own settings do not matter.
pub fn command() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars() {
        if name.starts_with("CCASS2FA_") {
            command.env_remove(name);
        }
    }
    command.kill_on_drop(true).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub async fn run(arguments: &[&str]) -> Output {
    let output = command().args(arguments).output();
    timeout(PATIENCE, output)
        .await
        .expect("the command ends")
        .expect("the command starts")
}

/// A configuration file in a directory of its own.
pub struct ConfigFile {
    directory: tempfile::TempDir,
}

impl ConfigFile {
    pub fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("ccass.yml"), text).expect("a file");
        Self { directory }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("ccass.yml")
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn argument(&self) -> String {
        format!("--config.file={}", self.path().display())
    }
}

/// `verify` in JSON: its exit code and its one report.
pub async fn verify(config: &ConfigFile) -> (i32, serde_json::Value) {
    let output = run(&[&config.argument(), "verify", "--format=json"]).await;
    let code = output.status.code().expect("an exit code");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let document: serde_json::Value = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (code, document["reports"][0].clone())
}

/// A running exporter; it is killed when dropped.
pub struct Exporter {
    pub child: Child,
    pub address: String,
    log: UnboundedReceiver<String>,
}

impl Exporter {
    /// Starts on a free port and waits until it listens.
    pub async fn start(arguments: &[&str]) -> Self {
        Self::spawn(command().args(arguments)).await
    }

    pub async fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .args(["--web.listen-address=127.0.0.1:0", "--log.level=debug"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the exporter starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let (sender, log) = unbounded_channel();
        // Read to its end whether anybody listens or not: it must not stop at a full pipe.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let _nobody_listens = sender.send(line);
            }
        });
        let mut exporter = Self {
            child,
            address: String::new(),
            log,
        };
        let line = exporter.line_with("message=listening").await;
        let (_, address) = line.split_once("address=").expect("the address");
        exporter.address = address.split(' ').next().expect("the address").to_owned();
        exporter
    }

    /// Waits for a line of the log that holds `part`.
    pub async fn line_with(&mut self, part: &str) -> String {
        let mut seen = String::new();
        let found = timeout(PATIENCE, async {
            while let Some(line) = self.log.recv().await {
                if line.contains(part) {
                    return Some(line);
                }
                seen.push_str(&line);
                seen.push('\n');
            }
            None
        });
        match found.await {
            Ok(Some(line)) => line,
            _ => {
                let last: Vec<&str> = seen.lines().rev().take(4).collect();
                panic!(
                    "no line with {part:?} in the log within {} s; the last ones, newest first:\n{}",
                    PATIENCE.as_secs(),
                    last.join("\n")
                )
            }
        }
    }

    /// Waits until each of the targets has been probed once.
    pub async fn first_probe(&mut self) {
        self.line_with("message=\"the probe ").await;
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, path: &str) -> (u16, String) {
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        let answer = client.get(self.url(path)).send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.text().await.expect("a body"))
    }

    pub async fn metrics(&self) -> Metrics {
        let (status, text) = self.get("/metrics").await;
        assert_eq!(status, 200, "{text}");
        Metrics::parse(&text)
    }

    /// Ends it as a service manager does, and gives its exit code.
    pub async fn terminate(mut self) -> Option<i32> {
        let id = self.child.id().expect("it runs");
        let sent = std::process::Command::new("kill")
            .args(["-TERM", &id.to_string()])
            .status()
            .expect("kill");
        assert!(sent.success());
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends");
        status.expect("a status").code()
    }
}

/// Calls `/probe` of an exporter of that address, ours or another; `limit` is the scraper's header.
pub async fn probe(base: &str, query: &[(&str, &str)], limit: Option<&str>) -> (u16, String) {
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let mut url = url::Url::parse(base).expect("an address");
    url.set_path("/probe");
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    let mut request = client.get(url);
    if let Some(limit) = limit {
        request = request.header("X-Prometheus-Scrape-Timeout-Seconds", limit);
    }
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.text().await.expect("a body"))
}

/// A scrape: each series as Prometheus writes it, `name{label="value"}`, labels sorted.
#[derive(Debug)]
pub struct Metrics {
    pub series: BTreeMap<String, f64>,
    pub text: String,
}

impl Metrics {
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().map(|line| Ok(line.to_owned()));
        let scrape = prometheus_parse::Scrape::parse(lines).expect("the text format");
        let mut series = BTreeMap::new();
        for sample in scrape.samples {
            let value = match sample.value {
                prometheus_parse::Value::Counter(value)
                | prometheus_parse::Value::Gauge(value)
                | prometheus_parse::Value::Untyped(value) => value,
                prometheus_parse::Value::Histogram(_) | prometheus_parse::Value::Summary(_) => {
                    continue;
                }
            };
            let mut labels: Vec<_> = sample
                .labels
                .iter()
                .map(|(name, value)| format!("{name}={value:?}"))
                .collect();
            labels.sort();
            let key = match labels.is_empty() {
                true => sample.metric.clone(),
                false => format!("{}{{{}}}", sample.metric, labels.join(",")),
            };
            let twin = series.insert(key.clone(), value);
            assert!(twin.is_none(), "{key} stands twice");
        }
        Self {
            series,
            text: text.to_owned(),
        }
    }

    /// The value of a series, written without the prefix.
    pub fn value(&self, series: &str) -> Option<f64> {
        self.series.get(&format!("ccass2fa_{series}")).copied()
    }

    #[track_caller]
    pub fn expect(&self, series: &str, value: f64) {
        let name = series.split('{').next().unwrap_or(series);
        assert_eq!(
            self.value(series),
            Some(value),
            "{series}; the family has {:?}",
            self.family(name)
        );
    }

    /// The series of a family, written without the prefix.
    pub fn family(&self, name: &str) -> Vec<(&str, f64)> {
        let prefix = format!("ccass2fa_{name}");
        let belongs = |series: &str| {
            series
                .strip_prefix(&prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
        };
        self.series
            .iter()
            .filter(|(series, _)| belongs(series))
            .map(|(series, value)| (series.as_str(), *value))
            .collect()
    }
}
