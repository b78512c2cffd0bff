//! Prometheus and Alertmanager with the shipped rules and configuration files. Only addresses are
//! filled in and durations shortened.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::documents::{self, repository};
use regex::{Captures, Regex};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{sleep, timeout};

pub const PROMETHEUS: &str = "prometheus";

/// The names of the Alertmanager program: Debian's and upstream's.
pub const ALERTMANAGERS: [&str; 2] = ["prometheus-alertmanager", "alertmanager"];

/// How long to wait for an event before the test fails: several times what a slow machine needs.
pub const TIMEOUT: Duration = Duration::from_secs(300);

/// Between two looks at a state that is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The path of a program in the newest version that Debian has, unpacked by `tests/newest.sh`.
pub fn newest(program: &str) -> String {
    let path = repository("target/newest/root/usr/bin").join(program);
    assert!(
        path.is_file(),
        "{} is missing; run make install",
        path.display()
    );
    path.to_string_lossy().into_owned()
}

/// The first of these programs that is on the `PATH`.
pub fn installed<'a>(names: &[&'a str]) -> Option<&'a str> {
    let path = std::env::var_os("PATH")?;
    let exists = |name: &&&str| std::env::split_paths(&path).any(|one| one.join(name).is_file());
    names.iter().find(exists).copied()
}

/// Polls until `condition` returns a value; panics with `awaited` after [`TIMEOUT`].
pub async fn wait_until<T>(awaited: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let polling = timeout(TIMEOUT, async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            sleep(POLL_INTERVAL).await;
        }
    });
    match polling.await {
        Ok(value) => value,
        Err(_) => panic!("not within {} s: {awaited}", TIMEOUT.as_secs()),
    }
}

/// Divisors for the durations of the shipped rules.
///
/// The exporter's shortest probe interval is 10 s instead of the default of 60 s, so a window
/// divided by more than 12 could hold no probe at all.
#[derive(Clone, Copy)]
pub struct Shortening {
    /// For `[3m]`.
    pub windows: u64,
    /// For `for: 2m`, `keep_firing_for: 5m` and `interval: 1m`.
    pub waits: u64,
}

/// Short, and still safe with probes every 10 s: the time for which a finding is remembered
/// (`[3m]`) stays shorter than the time for which it must last (`for: 10m`).
pub const QUICK: Shortening = Shortening {
    windows: 12,
    waits: 30,
};

impl Shortening {
    /// The text of a rule file with shorter durations.
    pub fn apply(self, rules: &str) -> String {
        let windows = Regex::new(r"\[(\d+)([smhd])\]").unwrap();
        let rules = windows.replace_all(rules, |found: &Captures| {
            let window = milliseconds(&found[1], &found[2]) / self.windows;
            format!("[{window}ms]")
        });
        let waits = Regex::new(r"(?m)^( +(?:for|keep_firing_for|interval): )(\d+)([smhd])$");
        let rules = waits.unwrap().replace_all(&rules, |found: &Captures| {
            let wait = milliseconds(&found[2], &found[3]) / self.waits;
            format!("{}{wait}ms", &found[1])
        });
        rules.into_owned()
    }
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

/// The shipped Alertmanager configuration with every webhook receiver sending to `webhook`, and with
/// a `group_wait` and `group_interval` of 2 s.
pub fn alertmanager_yml(webhook: &str) -> String {
    let text = documents::read("alerts/alertmanager.yml");
    let urls = Regex::new(r"- url: https://\S+").unwrap();
    let text = urls.replace_all(&text, format!("- url: {webhook}"));
    let waits = Regex::new(r"(group_wait|group_interval): \S+").unwrap();
    let text = waits.replace_all(&text, "$1: 2s");
    let templates = repository("alerts/templates");
    text.replace("- templates/", &format!("- {}/", templates.display()))
}

/// The shipped Prometheus configuration with shorter intervals. It scrapes the targets listed in
/// `targets.json` beside it and sends alerts to `alertmanagers`.
///
/// A scrape may take 2 s, so that a busy machine misses none.
fn prometheus_yml(alertmanagers: &[&str]) -> String {
    let text = documents::read("alerts/prometheus.yml");
    let scrapes = Regex::new(r"(scrape_interval|scrape_timeout): \d+s").unwrap();
    let text = scrapes.replace_all(&text, "$1: 2s");
    let text = text.replace("evaluation_interval: 15s", "evaluation_interval: 1s");
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

/// How the tests speak to a program.
#[derive(Clone)]
pub(crate) struct Contact {
    pub scheme: &'static str,
    pub client: reqwest::Client,
    /// The path that answers 200 once the program is ready.
    pub ready: &'static str,
}

impl Contact {
    /// In plain text.
    pub(crate) fn plain(ready: &'static str) -> Self {
        Self {
            scheme: "http",
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            ready,
        }
    }
}

/// A real server program as a child process; it is killed when dropped.
pub struct Peer {
    pub url: String,
    child: Child,
    client: reqwest::Client,
    log: UnboundedReceiver<String>,
}

impl Peer {
    /// Starts the program and waits until it is ready.
    pub(crate) async fn start(program: &str, arguments: &[String], contact: Contact) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; tests/install.sh installs it"));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, log) = unbounded_channel();
        // Reads on even if the receiver is gone, so that the program never blocks on a full pipe.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let _ = sender.send(line);
            }
        });
        let mut peer = Self {
            url: String::new(),
            child,
            client: contact.client,
            log,
        };
        let listening =
            r"(?:Listening on.* address=|started server at https?://)(127\.0\.0\.1:\d+)";
        let listening = Regex::new(listening).unwrap();
        let line = peer
            .log_line(program, |line| listening.is_match(line))
            .await;
        let address = &listening.captures(&line).unwrap()[1];
        peer.url = format!("{}://{address}", contact.scheme);
        wait_until(&format!("{program} is ready"), async || {
            (peer.request(contact.ready).await.status() == 200).then_some(())
        })
        .await;
        peer
    }

    /// Waits for a log line that contains `part`.
    pub async fn line_with(&mut self, part: &str) -> String {
        let url = self.url.clone();
        self.log_line(&url, |line| line.contains(part)).await
    }

    /// Forgets the log lines so far.
    pub fn skip_log(&mut self) {
        while self.log.try_recv().is_ok() {}
    }

    async fn log_line(&mut self, program: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut last = Vec::new();
        let found = timeout(TIMEOUT, async {
            while let Some(line) = self.log.recv().await {
                if wanted(&line) {
                    return Some(line);
                }
                last.push(line);
                if last.len() > 4 {
                    last.remove(0);
                }
            }
            None
        });
        if let Ok(Some(line)) = found.await {
            return line;
        }
        panic!(
            "{program}: the expected log line did not appear; the last lines:\n{}",
            last.join("\n")
        );
    }

    /// Sends a signal, for example `HUP`.
    pub fn signal(&self, name: &str) {
        signal(self.child.id().unwrap(), name);
    }

    /// Kills the process with SIGKILL.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Ends the process with SIGTERM and waits for it.
    pub async fn terminate(&mut self) {
        self.signal("TERM");
        self.child.wait().await.unwrap();
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }

    pub async fn get(&self, path: &str) -> serde_json::Value {
        self.request(path).await.json().await.unwrap()
    }

    /// The labels and the value of each series in the result of an instant query, at Prometheus or
    /// VictoriaMetrics.
    pub async fn query(&self, expression: &str) -> Vec<(serde_json::Value, f64)> {
        let query: String = url::form_urlencoded::byte_serialize(expression.as_bytes()).collect();
        // VictoriaMetrics would leave out the newest samples otherwise.
        let path = format!("/api/v1/query?nocache=1&query={query}");
        let answer = self.get(&path).await;
        assert_eq!(answer["status"], "success", "{answer}");
        let result = answer["data"]["result"].as_array().expect("a vector");
        let value = |one: &serde_json::Value| one["value"][1].as_str().unwrap().parse().unwrap();
        result
            .iter()
            .map(|one| (one["metric"].clone(), value(one)))
            .collect()
    }

    /// Waits until the first value of an expression is not 0.
    pub async fn wait_for(&self, expression: &str) {
        wait_until(
            &format!("{} evaluates {expression}", self.url),
            async || {
                let result = self.query(expression).await;
                let first = result.first().map_or(0.0, |(_, value)| *value);
                (first != 0.0).then_some(())
            },
        )
        .await;
    }

    pub async fn get_text(&self, path: &str) -> String {
        self.request(path).await.text().await.unwrap()
    }

    async fn request(&self, path: &str) -> reqwest::Response {
        let response = self.client.get(format!("{}{path}", self.url)).send().await;
        response.unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }
}

/// Sends a signal, for example `HUP`, to a process.
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
    /// Starts a single Alertmanager without clustering.
    pub async fn start(config: &str) -> Self {
        Self::start_with(config, &["--cluster.listen-address=".to_owned()]).await
    }

    pub async fn start_with(config: &str, arguments: &[String]) -> Self {
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
            peer: Peer::start(
                installed(&ALERTMANAGERS).unwrap_or(ALERTMANAGERS[0]),
                &all,
                Contact::plain("/-/ready"),
            )
            .await,
            _directory: directory,
        }
    }

    /// Name, severity and site of the alerts that are active and not inhibited.
    pub async fn active(&self) -> Vec<[String; 3]> {
        self.alerts("active=true&inhibited=false").await
    }

    /// Name, severity and site of the alerts that another alert inhibits.
    pub async fn inhibited(&self) -> Vec<[String; 3]> {
        self.alerts("active=false&inhibited=true").await
    }

    /// Without alerts of severity `info`, which are not sent.
    async fn alerts(&self, filter: &str) -> Vec<[String; 3]> {
        let path = format!("/api/v2/alerts?silenced=false&{filter}");
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

    /// The receivers that an alert of this name and severity is routed to.
    pub async fn receivers(&self, alert: &str, severity: &str) -> Vec<String> {
        let alerts = self.peer.get("/api/v2/alerts").await;
        let matching = alerts.as_array().unwrap().iter().filter(|one| {
            one["labels"]["alertname"] == alert && one["labels"]["severity"] == severity
        });
        matching
            .flat_map(|one| one["receivers"].as_array().unwrap())
            .map(|receiver| receiver["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The sum of the series of one of Alertmanager's own metrics whose labels contain `label`.
    pub async fn metric(&self, name: &str, label: &str) -> f64 {
        let text = self.peer.get_text("/metrics").await;
        let series = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let labels = series.strip_prefix(name)?;
            let whole_name = labels.is_empty() || labels.starts_with('{');
            (whole_name && labels.contains(label)).then(|| value.parse::<f64>().unwrap())
        });
        series.sum()
    }
}

/// A Prometheus with the shipped rules and these targets.
pub struct Scraping<'a> {
    pub program: &'a str,
    /// One label `instance` for all exporters.
    pub instance: Option<&'a str>,
    /// The site and the address of each.
    pub exporters: &'a [(&'a str, &'a str)],
    pub alertmanagers: &'a [&'a str],
    pub shortening: Shortening,
}

impl Scraping<'_> {
    /// Starts Prometheus with these targets, and loads the shipped rules once all are scraped.
    ///
    /// Prometheus finds its first targets only after 5 to 10 seconds. With the rules loaded and
    /// their durations shortened, `Ccass2faExporterAbsent` would fire meanwhile.
    pub async fn start(&self) -> Prometheus {
        let directory = tempfile::tempdir().unwrap();
        let config = prometheus_yml(self.alertmanagers);
        let (without_rules, after) = config.split_once("rule_files:\n").unwrap();
        let (_, after) = after.split_once("\nalerting:\n").unwrap();
        let without_rules = format!("{without_rules}alerting:\n{after}");
        write_targets(directory.path(), self.instance, self.exporters);
        let prometheus = Prometheus::start_in(self.program, directory, &without_rules).await;
        let all = format!("sum(ccass2fa_probe_success) == {}", self.exporters.len());
        prometheus.wait_for(&all).await;
        let directory = prometheus.directory.path();
        write_rules(directory, &config, self.shortening);
        std::fs::write(directory.join("prometheus.yml"), &config).unwrap();
        prometheus.peer.signal("HUP");
        let sites: BTreeSet<&str> = self.exporters.iter().map(|(site, _)| *site).collect();
        let loaded = format!(
            "count(target_site:ccass2fa_probe_success:max) == {}",
            sites.len()
        );
        prometheus.wait_for(&loaded).await;
        prometheus
    }
}

pub struct Prometheus {
    pub peer: Peer,
    program: String,
    directory: tempfile::TempDir,
}

impl Prometheus {
    /// Starts Prometheus with the shipped rules and no targets.
    pub async fn start(alertmanagers: &[&str], shortening: Shortening) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = prometheus_yml(alertmanagers);
        write_rules(directory.path(), &config, shortening);
        Self::start_in(PROMETHEUS, directory, &config).await
    }

    /// Starts the installed Prometheus with the rules of a centre, too: those for sites that send nothing.
    pub async fn start_with_rules_of_a_fleet(shortening: Shortening) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = prometheus_yml(&[]).replace("# - fleet.yml", "- fleet.yml");
        write_rules(directory.path(), &config, shortening);
        Self::start_in(PROMETHEUS, directory, &config).await
    }

    /// Starts the installed Prometheus, see [`Scraping::start`].
    pub async fn start_scraping(
        exporters: &[(&str, &str)],
        alertmanagers: &[&str],
        shortening: Shortening,
    ) -> Self {
        let scraping = Scraping {
            program: PROMETHEUS,
            instance: None,
            exporters,
            alertmanagers,
            shortening,
        };
        scraping.start().await
    }

    /// Starts this version of Prometheus with nothing but this configuration.
    pub async fn bare(program: &str, config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("prometheus.yml"), config).unwrap();
        Self {
            peer: Self::run(program, directory.path()).await,
            program: program.to_owned(),
            directory,
        }
    }

    async fn start_in(program: &str, directory: tempfile::TempDir, config: &str) -> Self {
        std::fs::write(directory.path().join("prometheus.yml"), config).unwrap();
        if !directory.path().join("targets.json").exists() {
            write_targets(directory.path(), None, &[]);
        }
        Self {
            peer: Self::run(program, directory.path()).await,
            program: program.to_owned(),
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
        Peer::start(program, &arguments, Contact::plain("/-/ready")).await
    }

    /// Stops Prometheus and starts it again with its stored data.
    pub async fn restart(&mut self) {
        self.peer.terminate().await;
        self.peer = Self::run(&self.program, self.directory.path()).await;
    }

    /// Replaces the targets: the site and the address of each exporter.
    pub fn scrape(&self, exporters: &[(&str, &str)]) {
        write_targets(self.directory.path(), None, exporters);
    }

    /// See [`Peer::query`].
    pub async fn query(&self, expression: &str) -> Vec<(serde_json::Value, f64)> {
        self.peer.query(expression).await
    }

    /// The first value in the result of an instant query.
    pub async fn value(&self, expression: &str) -> Option<f64> {
        let result = self.query(expression).await;
        result.first().map(|(_, value)| *value)
    }

    /// See [`Peer::wait_for`].
    pub async fn wait_for(&self, expression: &str) {
        self.peer.wait_for(expression).await;
    }
}

/// Writes the rule files that the configuration lists.
pub(crate) fn write_rules(directory: &Path, config: &str, shortening: Shortening) {
    for line in config.lines() {
        if let Some(file) = line.trim().strip_prefix("- ")
            && file.ends_with(".yml")
        {
            let rules = shortening.apply(&documents::read(&format!("alerts/{file}")));
            std::fs::write(directory.join(file), rules).unwrap();
        }
    }
}

fn write_targets(directory: &Path, instance: Option<&str>, exporters: &[(&str, &str)]) {
    let targets: Vec<serde_json::Value> = exporters
        .iter()
        .map(|(site, address)| {
            let mut labels = serde_json::json!({"site": site});
            if let Some(instance) = instance {
                labels["instance"] = instance.into();
            }
            serde_json::json!({"targets": [address], "labels": labels})
        })
        .collect();
    // Renamed into place, so that Prometheus never reads a half-written file.
    let file: PathBuf = directory.join("targets.json");
    let new = file.with_extension("new");
    std::fs::write(&new, serde_json::Value::from(targets).to_string()).unwrap();
    std::fs::rename(new, file).unwrap();
}
