//! Compares the durations that a probe reports with servers kind phases take known times.

use std::time::Duration;

use anyhow::Context;
use ccass_2fa_lab::Delays;

use super::background::ready;
use crate::figures::Figures;
use crate::network::{BenchNetwork, SLOW_ADDRESS, SLOW_NAME_SERVER};
use crate::programs::{Exporter, HTTPS, ProbeRequest, Programs, our_config, targets};
use crate::samples::Samples;

const PROBES: usize = 30;
const EVERY: Duration = Duration::from_secs(1);
const BUSY: usize = 500;

const SLOW: ProbeRequest = ProbeRequest {
    module: "slow",
    ours: &[],
    ..HTTPS
};

/// The phases by blackbox_exporter's names, and their durations.
const PHASES: [(&str, &str, Duration); 4] = [
    ("dns", "resolve", Delays::DNS),
    ("handshake", "tls", Delays::HANDSHAKE),
    ("first byte", "processing", Delays::FIRST_BYTE),
    ("body", "transfer", Delays::BODY),
];

pub async fn measure(
    network: &BenchNetwork,
    programs: &Programs,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let _delays = Delays::start(
        &network.slow,
        (SLOW_NAME_SERVER, 53).into(),
        (SLOW_ADDRESS, 443).into(),
    )
    .await?;
    for (count, how, bound) in [
        (0, "one probe per second", 5.0),
        (BUSY, "while 500 targets are probed", 20.0),
    ] {
        let config = our_config(network, "10s", &targets(count));
        let ours = Exporter::ours(network, programs, &config).await?;
        if count > 0 {
            ready(&ours).await?;
        }
        let mut format_value = [const { Vec::new() }; PHASES.len()];
        let mut ticks = tokio::time::interval(EVERY);
        for _ in 0..PROBES {
            ticks.tick().await;
            let text = ours
                .probe_one(&SLOW, "https://t0.slow.test/".to_owned())
                .await?;
            for ((_, phase, _), values) in PHASES.iter().zip(&mut format_value) {
                let series = format!("probe_http_duration_seconds{{phase=\"{phase}\"}} ");
                let value = text.lines().find_map(|line| line.strip_prefix(&series));
                values.push(value.context("the phase")?.parse::<f64>()?);
            }
        }
        for ((name, _, known), values) in PHASES.iter().zip(format_value) {
            let milliseconds = values
                .into_iter()
                .map(|format_value| 1e3 * (format_value - known.as_secs_f64()));
            let samples = Samples::of(milliseconds.collect());
            figures.row(
                &format!(
                    "{name}: deviation from the known {} ms, {how}",
                    known.as_millis()
                ),
                "ms",
                samples,
                (bound, bound),
            );
        }
        ours.process.end().await?;
    }
    Ok(())
}
