//! Prometheus and Alertmanager as a firm runs them: the real programs with the shipped files, into
//! which only addresses are put and whose durations alone are shortened.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::documents::{self, repository};
use regex::{Captures, Regex};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

pub const PROMETHEUS: &str = "prometheus";

/// The newest version that Debian has of a program, which `tests/newest.sh` unpacks.
pub fn newest(program: &str) -> String {
    let path = repository("target/newest/root/usr/bin").join(program);
    assert!(
        path.is_file(),
        "{} is missing; run tests/newest.sh",
        path.display()
    );
    path.to_string_lossy().into_owned()
}

/// As Debian calls it, and as its makers do.
pub const ALERTMANAGERS: [&str; 2] = ["prometheus-alertmanager", "alertmanager"];

/// The first of these programs that this machine has.
pub fn installed<'a>(names: &[&'a str]) -> Option<&'a str> {
    let path = std::env::var_os("PATH")?;
    let has = |name: &&&str| std::env::split_paths(&path).any(|one| one.join(name).is_file());
    names.iter().find(has).copied()
}

/// What the durations of the shipped rules are divided by. The exporter probes every 10 s at the
/// soonest, instead of every minute: windows divided by more than 12 would hold a single probe.
#[derive(Clone, Copy)]
pub struct Shortened {
    /// `[3m]`
    pub windows: u64,
    /// `for: 2m`, `keep_firing_for: 5m`, `interval: 1m`
    pub waits: u64,
}

/// As quick as it goes with probes every 10 s.
pub const QUICK: Shortened = Shortened {
    windows: 10,
    waits: 20,
};
/// As the interval is: everything happens in its real proportion.
pub const IN_PROPORTION: Shortened = Shortened {
    windows: 6,
    waits: 6,
};

impl Shortened {
    /// The rules with shorter durations and nothing else changed.
    pub fn rules(self, text: &str) -> String {
        let windows = Regex::new(r"\[(\d+)([smhd])\]").unwrap();
        let text = windows.replace_all(text, |found: &Captures| {
            format!("[{}]", divided(found, self.windows))
        });
        let waits = Regex::new(r"(?m)^( +(?:for|keep_firing_for|interval): )(\d+)([smhd])$");
        let waits = waits.unwrap().replace_all(&text, |found: &Captures| {
            let wait = milliseconds(&found[2], &found[3]) / self.waits;
            format!("{}{wait}ms", &found[1])
        });
        waits.into_owned()
    }
}

fn divided(found: &Captures, by: u64) -> String {
    format!("{}ms", milliseconds(&found[1], &found[2]) / by)
}

fn milliseconds(number: &str, unit: &str) -> u64 {
    let number: u64 = number.parse().unwrap();
    number
        * match unit {
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => 86_400_000,
        }
}

/// The shipped Alertmanager configuration with this webhook for each receiver that is one, and
/// with groups sent after 2 seconds instead of half a minute and more.
pub fn alertmanager_yml(webhook: &str) -> String {
    let text = documents::read("alerts/alertmanager.yml");
    let urls = Regex::new(r"- url: https://\S+").unwrap();
    let text = urls.replace_all(&text, format!("- url: {webhook}"));
    let waits = Regex::new(r"(group_wait|group_interval): \S+").unwrap();
    let text = waits.replace_all(&text, "$1: 2s");
    let templates = repository("alerts/templates");
    text.replace("- templates/", &format!("- {}/", templates.display()))
}

/// The shipped Prometheus configuration that scrapes every second what `targets.json` beside it
/// names, and sends to these Alertmanagers.
fn prometheus_yml(alertmanagers: &[&str]) -> String {
    let text = documents::read("alerts/prometheus.yml");
    let intervals = Regex::new(r"(_interval|_timeout): \d+s").unwrap();
    let text = intervals.replace_all(&text, "$1: 1s");
    let example = Regex::new(r" +- alertmanager-[ab]\.example\.com:9093\n").unwrap();
    let text = example.replace_all(&text, "");
    let listed: String = alertmanagers
        .iter()
        .map(|url| format!("            - {}\n", url.trim_start_matches("http://")))
        .collect();
    let text = text.replacen(
        "        - targets:\n",
        &format!("        - targets:\n{listed}"),
        1,
    );
    let (before, _) = text
        .split_once("    static_configs:\n      - targets: [")
        .unwrap();
    format!("{before}    file_sd_configs: [{{files: [targets.json], refresh_interval: 1s}}]\n")
}

/// A program of the outside world; it is killed when dropped.
pub struct Peer {
    pub url: String,
    child: Child,
}

impl Peer {
    async fn start(program: &str, arguments: &[String]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; tests/install.sh installs it"));
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut told = String::new();
        let found = tokio::time::timeout(Duration::from_secs(60), async {
            while let Some(line) = log.next_line().await.unwrap() {
                if let Some((_, address)) = line.split_once("address=127.0.0.1:")
                    && line.contains("Listening on")
                {
                    let port: String = address.chars().take_while(char::is_ascii_digit).collect();
                    return Some(format!("http://127.0.0.1:{port}"));
                }
                told += &(line + "\n");
            }
            None
        });
        let Ok(Some(url)) = found.await else {
            panic!("{program} does not say where it listens:\n{told}");
        };
        // It must not stop at a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        let peer = Self { url, child };
        let ready = tokio::time::timeout(Duration::from_secs(60), async {
            while peer.answer("/-/ready").await.status() != 200 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        assert!(ready.await.is_ok(), "{program} is never ready");
        peer
    }

    /// Ends it as a machine that loses power does.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Ends it as a service manager does.
    pub async fn terminate(&mut self) {
        signal(self.child.id().unwrap(), "TERM");
        self.child.wait().await.unwrap();
    }

    pub async fn get(&self, path: &str) -> serde_json::Value {
        self.answer(path).await.json().await.unwrap()
    }

    async fn answer(&self, path: &str) -> reqwest::Response {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(format!("{}{path}", self.url)).send();
        answer.await.unwrap()
    }
}

pub fn signal(id: u32, name: &str) {
    let sent = std::process::Command::new("kill")
        .args([format!("-{name}"), id.to_string()])
        .status();
    assert!(sent.unwrap().success(), "kill -{name} {id}");
}

pub struct Alertmanager {
    pub peer: Peer,
    _directory: tempfile::TempDir,
}

impl Alertmanager {
    /// By itself.
    pub async fn start(config: &str) -> Self {
        Self::with(config, &["--cluster.listen-address=".to_owned()]).await
    }

    pub async fn with(config: &str, arguments: &[String]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("alertmanager.yml");
        std::fs::write(&file, config).unwrap();
        let mut all = vec![
            format!("--config.file={}", file.display()),
            format!("--storage.path={}", directory.path().join("data").display()),
            "--web.listen-address=127.0.0.1:0".to_owned(),
        ];
        all.extend_from_slice(arguments);
        Self {
            peer: Peer::start(installed(&ALERTMANAGERS).unwrap_or(ALERTMANAGERS[0]), &all).await,
            _directory: directory,
        }
    }

    /// The alerts that stand and are neither muted nor only shown: name, severity, site.
    pub async fn active(&self) -> Vec<[String; 3]> {
        self.alerts("active=true&inhibited=false").await
    }

    /// The alerts that another one mutes.
    pub async fn inhibited(&self) -> Vec<[String; 3]> {
        self.alerts("active=false&inhibited=true").await
    }

    async fn alerts(&self, which: &str) -> Vec<[String; 3]> {
        let path = format!("/api/v2/alerts?silenced=false&{which}");
        let alerts = self.peer.get(&path).await;
        let label = |alert: &serde_json::Value, name: &str| {
            alert["labels"][name]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let mut alerts: Vec<[String; 3]> = alerts
            .as_array()
            .unwrap()
            .iter()
            .map(|alert| ["alertname", "severity", "site"].map(|name| label(alert, name)))
            .filter(|[_, severity, _]| severity != "info")
            .collect();
        alerts.sort();
        alerts
    }
}

pub struct Prometheus {
    pub peer: Peer,
    directory: tempfile::TempDir,
}

impl Prometheus {
    /// With the shipped rules.
    pub async fn start(alertmanagers: &[&str], shortened: Shortened) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = prometheus_yml(alertmanagers);
        for line in config.lines() {
            if let Some(file) = line.trim().strip_prefix("- ")
                && file.ends_with(".yml")
            {
                let rules = shortened.rules(&documents::read(&format!("alerts/{file}")));
                std::fs::write(directory.path().join(file), rules).unwrap();
            }
        }
        std::fs::write(directory.path().join("prometheus.yml"), config).unwrap();
        std::fs::write(directory.path().join("targets.json"), "[]").unwrap();
        Self {
            peer: Self::run(PROMETHEUS, directory.path()).await,
            directory,
        }
    }

    /// Any version of it, with this configuration alone.
    pub async fn bare(program: &str, config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("prometheus.yml"), config).unwrap();
        Self {
            peer: Self::run(program, directory.path()).await,
            directory,
        }
    }

    async fn run(program: &str, directory: &Path) -> Peer {
        let arguments = [
            format!(
                "--config.file={}",
                directory.join("prometheus.yml").display()
            ),
            format!("--storage.tsdb.path={}", directory.join("data").display()),
            "--web.listen-address=127.0.0.1:0".to_owned(),
        ];
        Peer::start(program, &arguments).await
    }

    /// Stops it and starts it again on what it has stored.
    pub async fn restart(&mut self) {
        self.peer.terminate().await;
        self.peer = Self::run(PROMETHEUS, self.directory.path()).await;
    }

    /// Scrapes these exporters, each at its site, and no others.
    pub fn scrape(&self, exporters: &[(&str, &str)]) {
        let targets: Vec<serde_json::Value> = exporters
            .iter()
            .map(|(site, address)| {
                serde_json::json!({"targets": [address], "labels": {"site": site}})
            })
            .collect();
        // Renamed into its place, so that it is never read half written.
        let file: PathBuf = self.directory.path().join("targets.json");
        let new = file.with_extension("new");
        std::fs::write(&new, serde_json::Value::from(targets).to_string()).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    /// What an expression yields: the value of each series, and its labels.
    pub async fn query(&self, expression: &str) -> Vec<(serde_json::Value, f64)> {
        let query: String = url::form_urlencoded::byte_serialize(expression.as_bytes()).collect();
        let answer = self.peer.get(&format!("/api/v1/query?query={query}")).await;
        assert_eq!(answer["status"], "success", "{answer}");
        let result = answer["data"]["result"].as_array().expect("a vector");
        let value = |one: &serde_json::Value| one["value"][1].as_str().unwrap().parse().unwrap();
        result
            .iter()
            .map(|one| (one["metric"].clone(), value(one)))
            .collect()
    }

    /// The value of an expression that has one.
    pub async fn value(&self, expression: &str) -> Option<f64> {
        let result = self.query(expression).await;
        result.first().map(|(_, value)| *value)
    }

    /// Waits until an expression has a value other than 0.
    pub async fn sees(&self, expression: &str) {
        let seen = tokio::time::timeout(Duration::from_secs(120), async {
            while self.value(expression).await.unwrap_or_default() == 0.0 {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        if seen.await.is_err() {
            panic!("Prometheus never sees {expression}");
        }
    }
}
