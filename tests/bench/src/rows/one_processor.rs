//! 10,000 configured targets, each probed once a minute by an exporter with one processor: whether a cycle is missed.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::sleep;

use super::background::ready;
use crate::figures::Figures;
use crate::network::BenchNetwork;
use crate::programs::{Exporter, Programs, our_config, targets};
use crate::samples::Samples;

const TARGETS: usize = 10_000;
const INTERVAL: Duration = Duration::from_secs(60);
const INTERVALS: u32 = 3;

pub async fn measure(
    network: &BenchNetwork,
    programs: &Programs,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let config = our_config(network, "60s", &targets(TARGETS));
    let ours = Exporter::ours_on_one_processor(network, programs, &config).await?;
    // The first probes are spread over the first interval.
    sleep(INTERVAL).await;
    ready(&ours).await?;
    let so_far = attempts(&ours.get("/metrics").await?)?;
    let before = ours.process.cpu()?;
    sleep(INTERVALS * INTERVAL).await;
    let spent = (ours.process.cpu()? - before).as_secs_f64();
    let text = ours.get("/metrics").await?;
    let probes = attempts(&text)? - so_far;
    // Jitter moves a probe by less than an interval.
    let least = (TARGETS as u32 * (INTERVALS - 1)).into();
    ensure!(probes >= least, "only {probes} probes");
    figures.row(
        "10,000 targets every minute on one processor: probes left out since the start",
        "",
        Samples::one(total(&text, "ccass2fa_probe_missed_total{")?),
        (0.0, 0.0),
    );
    let minutes = f64::from(INTERVALS);
    figures.measured(
        "ours: 10,000 targets every minute",
        "% of a processor",
        Samples::one(spent / (minutes * INTERVAL.as_secs_f64()) * 100.0),
    );
    figures.measured(
        "ours: 10,000 targets every minute",
        "probes a minute",
        Samples::one(probes / minutes),
    );
    ours.process.end().await
}

fn attempts(text: &str) -> anyhow::Result<f64> {
    total(text, "ccass2fa_probe_attempts_total{")
}

/// The sum of the series that begin so.
fn total(text: &str, start: &str) -> anyhow::Result<f64> {
    let mut total = 0.0;
    for line in text.lines().filter(|line| line.starts_with(start)) {
        if let Some((_, value)) = line.rsplit_once(' ') {
            total += value.parse::<f64>()?;
        }
    }
    Ok(total)
}
