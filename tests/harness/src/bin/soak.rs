//! `make soak`: three days of probes in half an hour. The exporter's clocks run 144 times as fast (libfaketime), 50
//! targets are probed at the default interval, and in the last ten minutes of each hour the login server or its
//! name server fails in another way.
//!
//! It prints how the process and its files grew, and exits with code 101 if descriptors, threads or memory keep
//! growing, if a file exceeds its bound, or if the counters differ from the number of connections that the
//! login server has seen. An argument is another number of hours; memory is compared from 25 hours on, when the
//! history of a day is full.

#![allow(
    clippy::disallowed_methods,
    reason = "a measurement outside the exporter, with a clock of its own"
)]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use ccass_2fa_lab::{Lab, scenario};
use harness::exporter::{Metrics, command_of, libfaketime};
use harness::prometheus::signal;
use tokio::process::Child;
use tokio::time::{sleep, sleep_until};

const TARGETS: usize = 50;
const SPEED: u32 = 144;
const HOURS: u32 = 72;
const MINUTE: Duration = Duration::from_millis(60_000 / SPEED as u64);
/// Healthy minutes of each hour.
const HEALTHY: u32 = 50;
const FAULTS: [&str; 6] = [
    "dns-servfail",
    "http-503",
    "tls-expired",
    "dns-nxdomain",
    "page-mismatch",
    "tls-name-mismatch",
];
/// Of a target's history in the state file.
const MAX_STATE: u64 = 200_000;
/// Growth of the resident memory in a day, as a part of it.
const MAX_GROWTH: f64 = 0.03;
const TIMEOUT: Duration = Duration::from_secs(60);

struct Sample {
    resident: u64,
    descriptors: u64,
    threads: u64,
    state: u64,
    evidence: u64,
}

struct Soak {
    exporter: Child,
    url: String,
    data: PathBuf,
    samples: Vec<Sample>,
}

#[tokio::main]
async fn main() {
    let hours = std::env::args().nth(1).map_or(HOURS, |hours| {
        hours.parse().expect("the argument is a number of hours")
    });
    let directory = tempfile::tempdir().expect("a directory");
    let lab = Lab::start().await.expect("the lab starts");
    let config = directory.path().join("ccass.yml");
    let data = directory.path().join("data");
    let write = |interval: &str| fs::write(&config, configuration(&lab, &data, interval));
    write("60s").expect("a file");
    let mut soak = Soak::start(&config, data.clone()).await;
    let start = tokio::time::Instant::now();
    let started = Instant::now();
    for hour in 0..hours {
        sleep_until(start + MINUTE * (60 * hour + HEALTHY)).await;
        soak.sample();
        let fault = FAULTS[hour as usize % FAULTS.len()];
        lab.provoke(scenario(fault).expect("a scenario"));
        sleep_until(start + MINUTE * (60 * (hour + 1))).await;
        lab.heal();
    }
    let took = started.elapsed().as_secs();
    // Until no probe is running.
    write("1h").expect("a file");
    signal(soak.exporter.id().expect("it runs"), "HUP");
    let metrics = soak.quiet_metrics().await;
    let attempts = sum(&metrics, "probe_attempts_total", "");
    let unresolved = sum(&metrics, "probe_failures_total", "layer=\"dns\"");
    let missed = sum(&metrics, "probe_missed_total", "");
    let connections = lab.login_server.connections();
    println!(
        "{hours} hours in {took} s, {TARGETS} targets, {attempts} probes, {missed} left out\n"
    );
    let is_flat = soak.report();
    println!(
        "\n{attempts} probes, {unresolved} of them without an address; the login server has seen \
         {connections} connections."
    );
    assert_eq!(lab.violations(), Vec::<String>::new());
    let connected = attempts - unresolved;
    assert!(
        (connected - connections as f64).abs() < 0.5,
        "{connected} probes should have connected"
    );
    assert!(is_flat, "see the table");
}

/// The lab's login page as so many targets.
fn configuration(lab: &Lab, data: &Path, interval: &str) -> String {
    let text = lab.config();
    let (_, rest) = text.split_once("modules:").expect("modules");
    let (modules, _) = rest.split_once("targets:").expect("targets");
    let mut text = format!(
        "data_directory: {}\nprobe: {{interval: {interval}, timeout: 60s}}\nmodules:{modules}targets:\n",
        data.display()
    );
    for number in 1..=TARGETS {
        let url = lab.url();
        text += &format!("  - {{name: t{number}, url: \"{url}\", module: lab_page}}\n");
    }
    text
}

fn sum(metrics: &Metrics, family: &str, part: &str) -> f64 {
    let series = metrics.family(family);
    let series = series.iter().filter(|(labels, _)| labels.contains(part));
    series.map(|(_, value)| value).sum()
}

impl Soak {
    async fn start(config: &Path, data: PathBuf) -> Self {
        let this = std::env::current_exe().expect("this program");
        let program = this.ancestors().nth(2).expect("the target directory");
        let program = program.join("release/ccass-2fa-exporter");
        assert!(
            program.is_file(),
            "{} is missing; run make soak",
            program.display()
        );
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let exporter = command_of(&program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .env("LD_PRELOAD", libfaketime())
            .env("FAKETIME", format!("+0 x{SPEED}"))
            .env("NO_FAKE_STAT", "1")
            .stdout(Stdio::null())
            .spawn()
            .expect("the exporter starts");
        let soak = Self {
            exporter,
            url: format!("http://{address}/metrics"),
            data,
            samples: Vec::new(),
        };
        let begun = Instant::now();
        while soak.metrics().await.is_none() {
            assert!(begun.elapsed() < TIMEOUT, "no answer at {address}");
            sleep(Duration::from_millis(50)).await;
        }
        soak
    }

    async fn metrics(&self) -> Option<Metrics> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        let response = client.get(&self.url).send().await.ok()?;
        Some(Metrics::parse(&response.text().await.ok()?))
    }

    /// The metrics once no probe has ended for three seconds.
    async fn quiet_metrics(&self) -> Metrics {
        let begun = Instant::now();
        let mut before = -1.0;
        loop {
            sleep(Duration::from_secs(3)).await;
            if let Some(metrics) = self.metrics().await {
                let attempts = sum(&metrics, "probe_attempts_total", "");
                if attempts.total_cmp(&before).is_eq() {
                    return metrics;
                }
                before = attempts;
            }
            assert!(begun.elapsed() < TIMEOUT, "probes do not end");
        }
    }

    fn sample(&mut self) {
        let process = PathBuf::from(format!("/proc/{}", self.exporter.id().expect("it runs")));
        let status = fs::read_to_string(process.join("status")).expect("it runs");
        let field = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let text = line.and_then(|line| line.split_whitespace().next());
            text.expect("a field of the process")
                .parse()
                .expect("a number")
        };
        let descriptors = fs::read_dir(process.join("fd")).expect("it runs").count();
        let evidence = fs::read_dir(self.data.join("evidence"))
            .into_iter()
            .flatten();
        let evidence = evidence.flatten().map(|file| size(&file.path())).sum();
        self.samples.push(Sample {
            resident: 1024 * field("VmRSS:"),
            descriptors: descriptors as u64,
            threads: field("Threads:"),
            state: size(&self.data.join("state.json")),
            evidence,
        });
    }

    /// Prints a line for each figure; whether all are within their bounds.
    fn report(&self) -> bool {
        let row = |name: &str, of: fn(&Sample) -> u64, unit: u64| {
            let values: Vec<u64> = self.samples.iter().map(of).collect();
            // A day later than the start.
            let late = values.get(25..).unwrap_or_default();
            let growth = growth_in_a_day(late);
            let (first, last) = (values.first(), values.last());
            let shown = |value: Option<&u64>| value.map_or(0, |value| value / unit);
            println!(
                "{name:<22} {:>8} {:>8} {:>8} {:>9.2} %  {}",
                shown(first),
                shown(values.iter().max()),
                shown(last),
                100.0 * growth,
                plot(&values)
            );
            growth
        };
        println!(
            "{:<22} {:>8} {:>8} {:>8} {:>11}",
            "", "first", "largest", "last", "a day"
        );
        let descriptors = row("descriptors", |it| it.descriptors, 1);
        let threads = row("threads", |it| it.threads, 1);
        let resident = row("resident memory, KiB", |it| it.resident, 1024);
        let _ = row("state file, KiB", |it| it.state, 1024);
        let _ = row("evidence, KiB", |it| it.evidence, 1024);
        let largest = self.samples.iter().map(|it| it.state).max();
        largest.is_some_and(|largest| largest <= MAX_STATE * TARGETS as u64)
            && [descriptors, threads, resident]
                .iter()
                .all(|it| *it <= MAX_GROWTH)
    }
}

/// The slope of the line through values an hour apart, in a day, as a part of their mean.
fn growth_in_a_day(values: &[u64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<u64>() as f64 / count;
    let middle = (count - 1.0) / 2.0;
    let (mut product, mut square) = (0.0, 0.0);
    for (hour, value) in values.iter().enumerate() {
        let hour = hour as f64 - middle;
        product += hour * (*value as f64 - mean);
        square += hour * hour;
    }
    if square > 0.0 {
        24.0 * product / square / mean
    } else {
        0.0
    }
}

/// A bar for every third value, from 0 to the largest.
fn plot(values: &[u64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let largest = values.iter().max().copied().unwrap_or_default().max(1);
    let bar = |value: &u64| BARS[(value * 7 / largest) as usize];
    values.iter().step_by(3).map(bar).collect()
}

fn size(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}
