//! 1,000 targets every 5 s under a real Prometheus, through `/probe`.

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::process::Command;

use crate::figures::Figures;
use crate::network::{self, BenchNetwork};
use crate::process::{Process, answers};
use crate::programs::{Exporter, Programs, our_config, targets};
use crate::samples::Samples;

const TARGETS: usize = 1_000;
const TURNS: usize = 3;
const SETTLED: Duration = Duration::from_secs(12);
const WATCHED: Duration = Duration::from_secs(15);
const ADDRESS: &str = "127.0.0.1:9090";

pub async fn measure(
    network: &BenchNetwork,
    programs: &Programs,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let theirs = Exporter::blackbox(network, programs).await?;
    let mut config = our_config(network, "60s", &targets(0));
    for number in 0..TARGETS {
        let _ = writeln!(config, "  - {}", host(number));
    }
    let ours = Exporter::ours(network, programs, &config).await?;
    let mut spent = [const { Vec::new() }; 2];
    for turn in 0..TURNS {
        for who in [turn % 2, (turn + 1) % 2] {
            let share = watch(network, programs, [&theirs, &ours][who]).await?;
            spent[who].push(100.0 * share);
        }
    }
    let [theirs_spent, ours_spent] = &spent;
    figures.measured(
        "blackbox_exporter: 1,000 targets every 5 s",
        "% of a processor",
        Samples::of(theirs_spent.clone()),
    );
    figures.measured(
        "ours: 1,000 targets every 5 s",
        "% of a processor",
        Samples::of(ours_spent.clone()),
    );
    figures.row(
        "1,000 targets every 5 s under Prometheus through /probe: CPU against blackbox_exporter",
        "",
        Samples::ratio(ours_spent, theirs_spent),
        (0.45, 0.33),
    );
    theirs.process.end().await?;
    ours.process.end().await
}

/// The share of a processor that the exporter uses while Prometheus scrapes it.
async fn watch(
    network: &BenchNetwork,
    programs: &Programs,
    exporter: &Exporter,
) -> anyhow::Result<f64> {
    let config = network.write("prometheus.yml", &configuration(&exporter.address))?;
    let data = tempfile::tempdir()?;
    let mut command = Command::new(&programs.prometheus);
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", data.path().display()))
        .arg(format!("--web.listen-address={ADDRESS}"))
        .stdout(Stdio::null());
    let prometheus = Process::start(&mut command, &network.path("prometheus.log"))?;
    answers(ADDRESS, "/-/ready").await?;
    tokio::time::sleep(SETTLED).await;
    let (before, began) = (exporter.process.cpu()?, Instant::now());
    tokio::time::sleep(WATCHED).await;
    let spent = exporter.process.cpu()? - before;
    let share = spent.as_secs_f64() / began.elapsed().as_secs_f64();
    let window = WATCHED.as_secs();
    for (query, wanted) in [
        (
            format!("count(min_over_time(probe_success[{window}s]) == 1)"),
            TARGETS,
        ),
        (
            format!("min(count_over_time(probe_success[{window}s])) >= bool 2"),
            1,
        ),
    ] {
        let found = value(&query).await?;
        ensure!(
            found == wanted.to_string(),
            "{query}: {found} and not {wanted}"
        );
    }
    prometheus.end().await?;
    Ok(share)
}

fn host(number: usize) -> String {
    format!("t{number}.{}", network::GOOD)
}

fn configuration(exporter: &str) -> String {
    let mut text = format!(
        "global: {{scrape_interval: 5s, scrape_timeout: 4s}}
scrape_configs:
- job_name: probe
  metrics_path: /probe
  params: {{module: [page]}}
  relabel_configs:
  - {{source_labels: [__address__], target_label: __param_target}}
  - {{source_labels: [__param_target], target_label: instance}}
  - {{target_label: __address__, replacement: \"{exporter}\"}}
  static_configs:
  - targets:
"
    );
    for number in 0..TARGETS {
        let _ = writeln!(text, "    - https://{}/sso", host(number));
    }
    text
}

/// The single value of a query, if any.
async fn value(query: &str) -> anyhow::Result<String> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut url = reqwest::Url::parse(&format!("http://{ADDRESS}/api/v1/query"))?;
    url.query_pairs_mut().append_pair("query", query);
    let answer: serde_json::Value = client.get(url).send().await?.json().await?;
    let found = &answer["data"]["result"][0]["value"][1];
    Ok(found.as_str().unwrap_or_default().to_owned())
}
