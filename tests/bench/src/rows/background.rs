//! 1,000 configured targets, each probed once a minute: memory, spread of the probes, cost of a scrape.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use tokio::time::sleep;

use crate::figures::Figures;
use crate::network::BenchNetwork;
use crate::programs::{Exporter, Programs, our_config, targets};
use crate::samples::Samples;

const TARGETS: usize = 1_000;
const SCRAPES: usize = 15;
const INTERVAL: Duration = Duration::from_secs(60);
const MIB: f64 = 1024.0 * 1024.0;

pub async fn measure(
    network: &BenchNetwork,
    programs: &Programs,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let one = Exporter::ours(network, programs, &our_config(network, "60s", &targets(1))).await?;
    ready(&one).await?;
    sleep(Duration::from_secs(1)).await;
    let held = one.process.resident()? as f64 / MIB;
    figures.row(
        "idle with one target: resident memory",
        "MiB",
        Samples::one(held),
        (15.0, 11.0),
    );
    one.process.end().await?;

    let ours = Exporter::ours(
        network,
        programs,
        &our_config(network, "60s", &targets(TARGETS)),
    )
    .await?;
    ready(&ours).await?;
    // The first interval has no jitter.
    let before = ours.process.cpu()?;
    sleep(INTERVAL + Duration::from_secs(4)).await;
    let spent = (ours.process.cpu()? - before).as_secs_f64();
    let text = ours.get("/metrics").await?;
    figures.row(
        "busiest second of an interval with 1,000 targets, against an even spread",
        "",
        Samples::one(busiest(&text)? / (TARGETS as f64 / INTERVAL.as_secs_f64())),
        (3.0, 2.0),
    );
    figures.measured(
        "ours: CPU of a probe in the background",
        "µs",
        Samples::one(spent / 64.0 * 60.0 * 1e6 / TARGETS as f64),
    );
    for (how, accepts, aim) in [("plain", "identity", 15.0), ("gzip", "gzip", 40.0)] {
        let mut each = Vec::new();
        for _ in 0..SCRAPES {
            let before = ours.process.cpu()?;
            let size = scrape(&ours, accepts).await?;
            let spent = ours.process.cpu()? - before;
            ensure!(size > 10_000, "an empty scrape");
            each.push(spent.as_secs_f64() * 1e3);
        }
        let what = format!("/metrics with 1,000 targets, {how}: CPU of one scrape");
        figures.row(&what, "ms", Samples::of(each), (80.0, aim));
    }
    figures.measured(
        "a scrape of 1,000 targets",
        "MiB",
        Samples::one(text.len() as f64 / MIB),
    );
    figures.measured(
        "a scrape of 1,000 targets",
        "series",
        Samples::one(text.lines().filter(|line| !line.starts_with('#')).count() as f64),
    );
    figures.row(
        "1,000 targets every minute in the background: resident memory",
        "MiB",
        Samples::one(ours.process.resident()? as f64 / MIB),
        (60.0, 40.0),
    );
    ours.process.end().await
}

/// Waits until each target was probed once, and checks that all succeeded.
pub async fn ready(exporter: &Exporter) -> anyhow::Result<()> {
    crate::process::answers(&exporter.address, "/-/ready").await?;
    let text = exporter.get("/metrics").await?;
    let of = |value: &str| {
        let ends = format!("}} {value}");
        text.lines()
            .filter(|line| line.starts_with("ccass2fa_probe_success{") && line.ends_with(&ends))
            .count()
    };
    ensure!(of("0") == 0 && of("1") > 0, "{} probes failed", of("0"));
    Ok(())
}

/// One scrape as Prometheus does it; returns its size on the wire.
pub async fn scrape(exporter: &Exporter, accepts: &str) -> anyhow::Result<usize> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = client.get(format!("http://{}/metrics", exporter.address));
    let answer = request.header("accept-encoding", accepts).send().await?;
    Ok(answer.error_for_status()?.bytes().await?.len())
}

/// The number of probes that began in the busiest second.
fn busiest(text: &str) -> anyhow::Result<f64> {
    let mut seconds: BTreeMap<i64, usize> = BTreeMap::new();
    for line in text.lines() {
        if line.starts_with("ccass2fa_probe_last_run_timestamp_seconds{")
            && let Some((_, value)) = line.rsplit_once(' ')
        {
            *seconds.entry(value.parse::<f64>()? as i64).or_default() += 1;
        }
    }
    ensure!(
        seconds.values().sum::<usize>() == TARGETS,
        "a target was not probed"
    );
    Ok(seconds.values().max().copied().unwrap_or_default() as f64)
}
