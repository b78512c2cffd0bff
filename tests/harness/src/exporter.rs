//! Runs the built exporter as a user does: as a process with a log and a port.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

/// The path of the built exporter, next to the running test or in the directory above.
pub fn binary() -> &'static str {
    static PATH: LazyLock<String> = LazyLock::new(find_binary);
    &PATH
}

fn find_binary() -> String {
    let test = std::env::current_exe().expect("the path of the test");
    let candidates = test.ancestors().skip(1).take(2);
    candidates
        .map(|directory| directory.join("ccass-2fa-exporter"))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("ccass-2fa-exporter is not built next to {}", test.display()))
        .into_os_string()
        .into_string()
        .expect("the target directory has a UTF-8 path")
}

/// Limits every wait of a test. It only ends a hang: no test depends on its length.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// The path of the release build, for measurements.
pub fn release_binary() -> PathBuf {
    let target = Path::new(binary()).ancestors().nth(2);
    let path = target
        .expect("the target directory")
        .join(format!("{}-unknown-linux-gnu", std::env::consts::ARCH))
        .join("release/ccass-2fa-exporter");
    assert!(
        path.is_file(),
        "{} is missing; run make release",
        path.display()
    );
    path
}

/// The library that the dynamic loader puts before the C library, and that changes the time that a process reads.
/// Debian has one directory for each architecture.
pub fn libfaketime() -> PathBuf {
    let directories = std::fs::read_dir("/usr/lib").expect("a directory");
    directories
        .map(|entry| {
            entry
                .expect("an entry")
                .path()
                .join("faketime/libfaketimeMT.so.1")
        })
        .find(|path| path.is_file())
        .expect("libfaketime is missing; run make install")
}

/// Copies a program that is to be started. A process of its own writes it: a child that another test
/// starts meanwhile would inherit the open file, and a file that is open for writing cannot be started.
pub fn copy_program(program: &Path, copy: &Path) {
    let copied = std::process::Command::new("cp")
        .args([program, copy])
        .status();
    assert!(copied.unwrap().success(), "cp to {}", copy.display());
}

/// The exporter's command without the `CCASS2FA_` variables of the environment.
pub fn command() -> Command {
    command_of(Path::new(binary()))
}

/// Like `command`, of another build.
pub fn command_of(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars() {
        if name.starts_with("CCASS2FA_") {
            command.env_remove(name);
        }
    }
    command.kill_on_drop(true).stdin(Stdio::null());
    command
}

/// Lets libfaketime set the clock that the program reads; its monotonic clock stays.
pub fn fake_clock(command: &mut Command) -> &mut Command {
    command
        .env("LD_PRELOAD", libfaketime())
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("DONT_FAKE_MONOTONIC", "1")
        .env("NO_FAKE_STAT", "1")
}

/// Runs the exporter with these arguments until it exits.
pub async fn run(arguments: &[&str]) -> Output {
    output_of(command().args(arguments)).await
}

/// Runs a prepared command until it exits.
pub async fn output_of(command: &mut Command) -> Output {
    timeout(TIMEOUT, command.output())
        .await
        .unwrap_or_else(|_| panic!("no exit within {TIMEOUT:?}: {:?}", command.as_std()))
        .expect("the exporter starts")
}

/// A configuration file in its own temporary directory.
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

/// Runs `verify --format=json`; returns the exit code and the first report.
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
    /// Host and port of the listener.
    pub address: String,
    log: UnboundedReceiver<String>,
}

impl Exporter {
    /// Starts the exporter on a free port and waits until it listens.
    pub async fn start(arguments: &[&str]) -> Self {
        Self::spawn(command().args(arguments)).await
    }

    /// Like `start`, with a prepared command.
    pub async fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .args(["--web.listen-address=127.0.0.1:0", "--log.level=debug"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the exporter starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let (sender, log) = unbounded_channel();
        // Always read to the end: a full pipe would block the exporter.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let _ = sender.send(line);
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

    /// Waits for a log line that contains `part`, after those that were returned before.
    pub async fn line_with(&mut self, part: &str) -> String {
        let mut seen = String::new();
        let found = timeout(TIMEOUT, async {
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
                    "no log line with {part:?} within {TIMEOUT:?}; the last lines, newest first:\n{}",
                    last.join("\n")
                )
            }
        }
    }

    /// Waits for the next log line that reports the end of a probe, of whichever target.
    pub async fn first_probe(&mut self) {
        self.line_with("message=\"probe ").await;
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The status and the body of a GET.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let response = CLIENT.get(self.url(path)).send().await;
        let response = response.unwrap_or_else(|error| panic!("GET {path}: {error:?}"));
        let status = response.status().as_u16();
        (status, response.text().await.expect("a body"))
    }

    pub async fn metrics(&self) -> Metrics {
        let (status, text) = self.get("/metrics").await;
        assert_eq!(status, 200, "{text}");
        Metrics::parse(&text)
    }

    /// Sends SIGTERM, as a service manager does, and returns the exit code.
    pub async fn terminate(mut self) -> Option<i32> {
        let id = self.child.id().expect("it is running");
        let sent = std::process::Command::new("kill")
            .args(["-TERM", &id.to_string()])
            .status()
            .expect("kill");
        assert!(sent.success());
        let status = timeout(TIMEOUT, self.child.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("no exit within {TIMEOUT:?} of SIGTERM"));
        status.expect("a status").code()
    }
}

/// A client without idle connections: they would belong to the runtime of another test.
static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
    reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .timeout(TIMEOUT)
        .build()
        .expect("a client")
});

/// Requests `/probe` of the exporter at `base`, which may be another program; `limit` is the value of
/// the header with the scrape timeout.
pub async fn probe(base: &str, query: &[(&str, &str)], limit: Option<&str>) -> (u16, String) {
    let mut url = url::Url::parse(base).expect("an address");
    url.set_path("/probe");
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    let mut request = CLIENT.get(url);
    if let Some(limit) = limit {
        request = request.header("X-Prometheus-Scrape-Timeout-Seconds", limit);
    }
    let response = request.send().await;
    let response = response.unwrap_or_else(|error| panic!("GET /probe: {error:?}"));
    let status = response.status().as_u16();
    (status, response.text().await.expect("a body"))
}

/// A scrape: the value of each series, written as `name{label="value"}` with sorted labels.
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
            let key = if labels.is_empty() {
                sample.metric.clone()
            } else {
                format!("{}{{{}}}", sample.metric, labels.join(","))
            };
            let duplicate = series.insert(key.clone(), value);
            assert!(duplicate.is_none(), "{key} appears twice");
        }
        Self {
            series,
            text: text.to_owned(),
        }
    }

    /// The value of a series, named without the prefix `ccass2fa_`.
    pub fn value(&self, series: &str) -> Option<f64> {
        self.series.get(&format!("ccass2fa_{series}")).copied()
    }

    #[track_caller]
    pub fn expect(&self, series: &str, value: f64) {
        let name = series.split('{').next().unwrap_or(series);
        assert_eq!(
            self.value(series),
            Some(value),
            "{series}; the metric has the series {:?}",
            self.family(name)
        );
    }

    /// Every series of a metric, named without the prefix `ccass2fa_`.
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
