//! The measured programs: blackbox_exporter, this exporter and the baseline. Every response is checked.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};

use crate::network::{self, BenchNetwork};
use crate::process::{Process, answers};

/// The default scrape timeout, in seconds.
pub const TIMEOUT: &str = "5";
const TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";
/// Names that are probed by turns: more than are ever in flight.
pub const NAME_COUNT: usize = 100;

/// Paths of the measured programs.
pub struct Programs {
    pub ours: PathBuf,
    pub baseline: PathBuf,
    pub blackbox: PathBuf,
    pub prometheus: PathBuf,
}

impl Programs {
    /// `make release` builds the exporter; tests/newest.sh unpacks the programs of Debian.
    pub fn find() -> anyhow::Result<Self> {
        let here = std::env::current_exe()?;
        let directory = here.parent().context("a directory")?;
        let newest = std::env::current_dir()?.join("target/newest/root/usr/bin");
        let programs = Self {
            ours: directory
                .with_file_name(format!("{}-unknown-linux-gnu", std::env::consts::ARCH))
                .join("release/ccass-2fa-exporter"),
            baseline: directory.join("ccass-2fa-baseline"),
            blackbox: newest.join("prometheus-blackbox-exporter"),
            prometheus: newest.join("prometheus"),
        };
        for path in [&programs.ours, &programs.baseline, &programs.blackbox] {
            ensure!(
                path.exists(),
                "{} is missing; run make bench",
                path.display()
            );
        }
        Ok(programs)
    }
}

/// A request to `/probe`, and what its response must contain.
#[derive(Clone, Copy)]
pub struct ProbeRequest {
    pub domain: &'static str,
    pub port: u16,
    pub module: &'static str,
    pub timeout: &'static str,
    /// Concurrent requests.
    pub at_once: usize,
    /// Parts of a correct response of either exporter.
    pub both: &'static [&'static str],
    /// Further parts of this exporter's response.
    pub ours: &'static [&'static str],
}

impl ProbeRequest {
    pub fn url(&self, number: usize) -> String {
        let (domain, number) = (self.domain, number % NAME_COUNT);
        match self.port {
            443 => format!("https://t{number}.{domain}/sso"),
            port => format!("https://t{number}.{domain}:{port}/sso"),
        }
    }
}

const GOOD_OF_BOTH: &[&str] = &[
    "probe_success 1\n",
    "probe_http_status_code 200\n",
    "probe_ssl_last_chain_info{",
    "probe_tls_version_info{version=\"TLS 1.3\"}",
];
/// Every layer, every resolver by record, the chain by each set of roots, the page's response.
const GOOD_OF_EXPORTER: &[&str] = &[
    "resolver=\"udp://10.76.2.53:53\",record=\"A\"} 1\n",
    "resolver=\"udp://10.76.2.53:53\",record=\"AAAA\"} 1\n",
    "ccass2fa_tcp_connect_success{",
    "ccass2fa_tls_cert_info{",
    "position=\"1\"",
    "roots=\"platform\"} 0\n",
    "roots=\"public_web\"} 0\n",
    "roots=\"ca_file\"} 1\n",
    "ccass2fa_http_response_bytes{",
];

pub const HTTPS: ProbeRequest = ProbeRequest {
    domain: network::GOOD,
    port: 443,
    module: "page",
    timeout: TIMEOUT,
    at_once: 4,
    both: GOOD_OF_BOTH,
    ours: GOOD_OF_EXPORTER,
};

pub const HTTPS_RSA: ProbeRequest = ProbeRequest {
    domain: network::RSA,
    module: "rsa",
    ..HTTPS
};

pub const REFUSED: ProbeRequest = ProbeRequest {
    port: 444,
    both: &["probe_success 0\n"],
    ours: &["reason=\"tcp_refused\"", "dns_lookup_success{"],
    ..HTTPS
};

pub const NXDOMAIN: ProbeRequest = ProbeRequest {
    domain: network::NONE,
    both: &["probe_success 0\n"],
    ours: &["reason=\"dns_nxdomain\"", "dns_lookup_failure_info{"],
    ..HTTPS
};

/// Half a second each, so many at once.
pub const TIMED_OUT: ProbeRequest = ProbeRequest {
    domain: network::SILENT,
    timeout: "1",
    at_once: 50,
    both: &["probe_success 0\n"],
    ours: &["reason=\"tcp_timed_out\"", "dns_lookup_success{"],
    ..HTTPS
};

/// Which exporter is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExporterKind {
    Blackbox,
    Ours,
}

/// A running exporter.
pub struct Exporter {
    pub process: Process,
    pub address: String,
    kind: ExporterKind,
    client: reqwest::Client,
}

impl Exporter {
    pub async fn blackbox(network: &BenchNetwork, programs: &Programs) -> anyhow::Result<Self> {
        let module = |name: &str, ca_file: &Path| {
            format!(
                "  {name}: {{prober: http, http: {{tls_config: {{ca_file: {}}}}}}}\n",
                ca_file.display()
            )
        };
        let text = format!(
            "modules:\n{}{}",
            module("page", &network.path("ca.pem")),
            module("rsa", &network.path("rsa.pem"))
        );
        let config = network.write("blackbox.yml", &text)?;
        let mut command = Command::new(&programs.blackbox);
        command.arg(format!("--config.file={}", config.display()));
        Self::start(command, "127.0.0.1:9115", ExporterKind::Blackbox, network).await
    }

    pub async fn ours(
        network: &BenchNetwork,
        programs: &Programs,
        config: &str,
    ) -> anyhow::Result<Self> {
        Self::ours_on(10762, network, programs, config).await
    }

    /// On another port, to run several.
    pub async fn ours_on(
        port: u16,
        network: &BenchNetwork,
        programs: &Programs,
        config: &str,
    ) -> anyhow::Result<Self> {
        Self::ours_by(Command::new(&programs.ours), port, network, config).await
    }

    /// With the first processor only.
    pub async fn ours_on_one_processor(
        network: &BenchNetwork,
        programs: &Programs,
        config: &str,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", "0"]).arg(&programs.ours);
        Self::ours_by(command, 10762, network, config).await
    }

    async fn ours_by(
        mut command: Command,
        port: u16,
        network: &BenchNetwork,
        config: &str,
    ) -> anyhow::Result<Self> {
        let config = network.write(&config_of(port), config)?;
        command.arg(format!("--config.file={}", config.display()));
        let address = format!("127.0.0.1:{port}");
        Self::start(command, &address, ExporterKind::Ours, network).await
    }

    async fn start(
        mut command: Command,
        address: &str,
        kind: ExporterKind,
        network: &BenchNetwork,
    ) -> anyhow::Result<Self> {
        command
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let log = network.path(&format!("{kind:?}.log"));
        let process = Process::start(&mut command, &log)?;
        answers(address, "/-/healthy")
            .await
            .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
        Ok(Self {
            process,
            address: address.to_owned(),
            kind,
            client: reqwest::Client::builder().no_proxy().build()?,
        })
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<String> {
        let url = format!("http://{}{path}", self.address);
        let answer = self.client.get(url).send().await?.error_for_status()?;
        Ok(answer.text().await?)
    }

    /// Probes `count` targets from number `first` on; fails with the first incorrect response.
    pub async fn probe(
        &self,
        request: &ProbeRequest,
        first: usize,
        count: usize,
    ) -> anyhow::Result<()> {
        let urls = (first..first + count).map(|number| request.url(number));
        self.probe_each(request, urls).await
    }

    /// Probes targets by name or URL.
    pub async fn probe_each(
        &self,
        request: &ProbeRequest,
        targets: impl Iterator<Item = String>,
    ) -> anyhow::Result<()> {
        stream::iter(targets)
            .map(|target| self.probe_one(request, target))
            .buffer_unordered(request.at_once)
            .try_for_each(|_| std::future::ready(Ok(())))
            .await
    }

    /// One checked response.
    pub async fn probe_one(
        &self,
        request: &ProbeRequest,
        target: String,
    ) -> anyhow::Result<String> {
        let module = request.module;
        let url = format!(
            "http://{}/probe?module={module}&target={target}",
            self.address
        );
        let call = self.client.get(url).header(TIMEOUT_HEADER, request.timeout);
        let answer = call.send().await?.error_for_status()?;
        let text = answer.text().await?;
        let ours: &[&str] = match self.kind {
            ExporterKind::Blackbox => &[],
            ExporterKind::Ours => request.ours,
        };
        for part in request.both.iter().chain(ours) {
            ensure!(
                text.contains(part),
                "{target}: no {part:?} in the response:\n{text}"
            );
        }
        Ok(text)
    }
}

/// The configuration file of the exporter on that port.
pub fn config_of(port: u16) -> String {
    format!("ccass-{port}.yml")
}

/// The exporter's configuration: modules for both chains, `targets` in YAML, and the allowed names.
pub fn our_config(network: &BenchNetwork, interval: &str, targets: &str) -> String {
    let module = |name: &str, ca_file: &str, rest: &str| {
        format!(
            "  {name}: {{tls: {{ca_file: {}}}{rest}}}\n",
            network.path(ca_file).display()
        )
    };
    let mut text = format!(
        "probe: {{interval: {interval}, timeout: 5s}}\nmodules:\n{}{}{}targets:{targets}\n\
         probe_endpoint:\n  allowed_hosts:\n",
        module("page", "ca.pem", ""),
        module("rsa", "rsa.pem", ""),
        module(
            "slow",
            "ca.pem",
            &format!(
                ", system_resolvers: ignore, route: {}",
                network::SLOW_NAME_SERVER
            )
        ),
    );
    for number in 0..NAME_COUNT {
        for domain in [network::GOOD, network::RSA, network::SILENT, network::NONE] {
            text.push_str(&format!("  - t{number}.{domain}\n"));
        }
        text.push_str(&format!("  - t{number}.{}:444\n", network::GOOD));
    }
    text.push_str(&format!("  - t0.{}\n", network::SLOW));
    text
}

/// `count` configured targets with different names.
pub fn targets(count: usize) -> String {
    if count == 0 {
        return " []".to_owned();
    }
    let one = |number| {
        let domain = network::GOOD;
        format!("\n  - {{name: t{number}, url: \"https://t{number}.{domain}/sso\", module: page}}")
    };
    (0..count).map(one).collect()
}

/// The running baseline client.
pub struct Baseline {
    pub process: Process,
    turns: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Baseline {
    pub fn start(
        network: &BenchNetwork,
        programs: &Programs,
        request: &ProbeRequest,
    ) -> anyhow::Result<Self> {
        let (ca_file, address) = match request.domain {
            network::RSA => ("rsa.pem", network::RSA_ADDRESS),
            _ => ("ca.pem", network::GOOD_ADDRESS),
        };
        let mut command = Command::new(&programs.baseline);
        command
            .arg(format!("--ca-file={}", network.path(ca_file).display()))
            .arg(format!("--address={address}:443"))
            .arg(format!("--domain={}", request.domain))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = Process::start(&mut command, &network.path("baseline.log"))?;
        let turns = process.child.stdin.take().context("a pipe")?;
        let answers = process.child.stdout.take().context("a pipe")?;
        Ok(Self {
            process,
            turns,
            answers: BufReader::new(answers).lines(),
        })
    }

    pub async fn probe(
        &mut self,
        request: &ProbeRequest,
        first: usize,
        count: usize,
    ) -> anyhow::Result<()> {
        let turn = format!("{count} {first} {}\n", request.at_once);
        self.turns.write_all(turn.as_bytes()).await?;
        let good = self.answers.next_line().await?.context("it ended")?;
        ensure!(
            good == count.to_string(),
            "{good} of {count} probes succeeded"
        );
        Ok(())
    }
}
