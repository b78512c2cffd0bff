//! Who is measured: blackbox_exporter, ours, and the floor. Each is started by its own configuration
//! and asked in its own way; every answer is checked.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};

use crate::process::{Process, answers};
use crate::world::{self, World};

/// Of the scraper, in its header's words, where nothing else is said.
pub const LIMIT: &str = "5";
const LIMIT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";
/// Names that are asked for by turns: more than are ever under way at once.
pub const FEW: usize = 100;

/// The programs that are measured.
pub struct Programs {
    pub ours: PathBuf,
    pub floor: PathBuf,
    pub blackbox: PathBuf,
    pub prometheus: PathBuf,
}

impl Programs {
    /// Ours lie beside this one; tests/newest.sh unpacked the others.
    pub fn find() -> anyhow::Result<Self> {
        let here = std::env::current_exe()?;
        let beside = here.parent().context("a directory")?;
        let newest = std::env::current_dir()?.join("target/newest/root/usr/bin");
        let programs = Self {
            ours: beside.join("ccass-2fa-exporter"),
            floor: beside.join("ccass-2fa-floor"),
            blackbox: newest.join("prometheus-blackbox-exporter"),
            prometheus: newest.join("prometheus"),
        };
        for path in [&programs.ours, &programs.floor, &programs.blackbox] {
            ensure!(path.exists(), "{} is missing: make bench", path.display());
        }
        Ok(programs)
    }
}

/// What is asked of `/probe`, and what the answer must show.
#[derive(Clone, Copy)]
pub struct Question {
    pub domain: &'static str,
    pub port: u16,
    pub module: &'static str,
    pub limit: &'static str,
    /// How many are under way at once.
    pub at_once: usize,
    /// What stands in a good answer of either.
    pub both: &'static [&'static str],
    /// And in one of ours.
    pub ours: &'static [&'static str],
}

impl Question {
    pub fn url(&self, number: usize) -> String {
        let (domain, number) = (self.domain, number % FEW);
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
const GOOD_OF_OURS: &[&str] = &[
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

pub const HTTPS: Question = Question {
    domain: world::GOOD,
    port: 443,
    module: "page",
    limit: LIMIT,
    at_once: 4,
    both: GOOD_OF_BOTH,
    ours: GOOD_OF_OURS,
};

pub const HTTPS_RSA: Question = Question {
    domain: world::RSA,
    module: "rsa",
    ..HTTPS
};

pub const REFUSED: Question = Question {
    port: 444,
    both: &["probe_success 0\n"],
    ours: &["reason=\"tcp_refused\"", "dns_lookup_success{"],
    ..HTTPS
};

pub const NXDOMAIN: Question = Question {
    domain: world::NONE,
    both: &["probe_success 0\n"],
    ours: &["reason=\"dns_nxdomain\"", "dns_lookup_failure_info{"],
    ..HTTPS
};

/// Half a second each: many at once, or it lasts.
pub const TIMED_OUT: Question = Question {
    domain: world::SILENT,
    limit: "1",
    at_once: 50,
    both: &["probe_success 0\n"],
    ours: &["reason=\"tcp_timed_out\"", "dns_lookup_success{"],
    ..HTTPS
};

/// Whose answers are checked by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Theirs,
    Ours,
}

/// An exporter under measure.
pub struct Exporter {
    pub process: Process,
    pub address: String,
    whose: Whose,
    client: reqwest::Client,
}

impl Exporter {
    pub async fn blackbox(world: &World, programs: &Programs) -> anyhow::Result<Self> {
        let module = |name: &str, ca_file: &Path| {
            format!(
                "  {name}: {{prober: http, http: {{tls_config: {{ca_file: {}}}}}}}\n",
                ca_file.display()
            )
        };
        let text = format!(
            "modules:\n{}{}",
            module("page", &world.path("ca.pem")),
            module("rsa", &world.path("rsa.pem"))
        );
        let config = world.write("blackbox.yml", &text)?;
        let mut command = Command::new(&programs.blackbox);
        command.arg(format!("--config.file={}", config.display()));
        Self::start(command, "127.0.0.1:9115", Whose::Theirs, world).await
    }

    pub async fn ours(world: &World, programs: &Programs, config: &str) -> anyhow::Result<Self> {
        Self::ours_on(10762, world, programs, config).await
    }

    /// Beside others of ours.
    pub async fn ours_on(
        port: u16,
        world: &World,
        programs: &Programs,
        config: &str,
    ) -> anyhow::Result<Self> {
        let config = world.write(&config_of(port), config)?;
        let mut command = Command::new(&programs.ours);
        command.arg(format!("--config.file={}", config.display()));
        let address = format!("127.0.0.1:{port}");
        Self::start(command, &address, Whose::Ours, world).await
    }

    async fn start(
        mut command: Command,
        address: &str,
        whose: Whose,
        world: &World,
    ) -> anyhow::Result<Self> {
        command
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let log = world.path(&format!("{whose:?}.log"));
        let process = Process::start(&mut command, &log)?;
        answers(address, "/-/healthy")
            .await
            .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
        Ok(Self {
            process,
            address: address.to_owned(),
            whose,
            client: reqwest::Client::builder().no_proxy().build()?,
        })
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<String> {
        let url = format!("http://{}{path}", self.address);
        let answer = self.client.get(url).send().await?.error_for_status()?;
        Ok(answer.text().await?)
    }

    /// Probes `count` targets from the number `first` on; fails with the first answer that is not
    /// as it should be.
    pub async fn probe(
        &self,
        question: &Question,
        first: usize,
        count: usize,
    ) -> anyhow::Result<()> {
        let urls = (first..first + count).map(|number| question.url(number));
        self.probe_each(question, urls).await
    }

    /// The same of targets by their names or addresses.
    pub async fn probe_each(
        &self,
        question: &Question,
        targets: impl Iterator<Item = String>,
    ) -> anyhow::Result<()> {
        stream::iter(targets)
            .map(|target| self.probe_one(question, target))
            .buffer_unordered(question.at_once)
            .try_for_each(|_| std::future::ready(Ok(())))
            .await
    }

    /// One checked answer.
    pub async fn probe_one(&self, question: &Question, target: String) -> anyhow::Result<String> {
        let module = question.module;
        let url = format!(
            "http://{}/probe?module={module}&target={target}",
            self.address
        );
        let request = self.client.get(url).header(LIMIT_HEADER, question.limit);
        let answer = request.send().await?.error_for_status()?;
        let text = answer.text().await?;
        let ours: &[&str] = match self.whose {
            Whose::Theirs => &[],
            Whose::Ours => question.ours,
        };
        for part in question.both.iter().chain(ours) {
            ensure!(
                text.contains(part),
                "{target}: no {part:?} in the answer:\n{text}"
            );
        }
        Ok(text)
    }
}

/// The file of the one that listens there.
pub fn config_of(port: u16) -> String {
    format!("ccass-{port}.yml")
}

/// Our configuration: modules for both chains, `targets` in YAML, and the names that are asked for.
pub fn our_config(world: &World, interval: &str, targets: &str) -> String {
    let module = |name: &str, ca_file: &str, rest: &str| {
        format!(
            "  {name}: {{tls: {{ca_file: {}}}{rest}}}\n",
            world.path(ca_file).display()
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
                world::SLOW_NAME_SERVER
            )
        ),
    );
    for number in 0..FEW {
        for domain in [world::GOOD, world::RSA, world::SILENT, world::NONE] {
            text.push_str(&format!("  - t{number}.{domain}\n"));
        }
        text.push_str(&format!("  - t{number}.{}:444\n", world::GOOD));
    }
    text.push_str(&format!("  - t0.{}\n", world::SLOW));
    text
}

/// `count` configured targets, each of a name of its own.
pub fn targets(count: usize) -> String {
    if count == 0 {
        return " []".to_owned();
    }
    let one = |number| {
        let domain = world::GOOD;
        format!("\n  - {{name: t{number}, url: \"https://t{number}.{domain}/sso\", module: page}}")
    };
    (0..count).map(one).collect()
}

/// The barest client.
pub struct Floor {
    pub process: Process,
    turns: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Floor {
    pub fn start(world: &World, programs: &Programs, question: &Question) -> anyhow::Result<Self> {
        let (ca_file, address) = match question.domain {
            world::RSA => ("rsa.pem", world::RSA_ADDRESS),
            _ => ("ca.pem", world::GOOD_ADDRESS),
        };
        let mut command = Command::new(&programs.floor);
        command
            .arg(format!("--ca-file={}", world.path(ca_file).display()))
            .arg(format!("--address={address}:443"))
            .arg(format!("--domain={}", question.domain))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = Process::start(&mut command, &world.path("floor.log"))?;
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
        question: &Question,
        first: usize,
        count: usize,
    ) -> anyhow::Result<()> {
        let turn = format!("{count} {first} {}\n", question.at_once);
        self.turns.write_all(turn.as_bytes()).await?;
        let good = self.answers.next_line().await?.context("it ended")?;
        ensure!(
            good == count.to_string(),
            "{good} of {count} answers are good"
        );
        Ok(())
    }
}
