//! Whether the times that a probe tells are those that were taken: against servers whose every phase
//! takes a known time.

use std::time::Duration;

use anyhow::Context;
use ccass_2fa_lab::Delays;

use super::background::ready;
use crate::contenders::{Exporter, HTTPS, Programs, Question, our_config, targets};
use crate::figures::Figures;
use crate::samples::Samples;
use crate::world::{SLOW_ADDRESS, SLOW_NAME_SERVER, World};

const PROBES: usize = 30;
const EVERY: Duration = Duration::from_secs(1);
const BUSY: usize = 500;

const SLOW: Question = Question {
    module: "slow",
    ours: &[],
    ..HTTPS
};

/// The phases by blackbox_exporter's names, and how long each takes.
const PHASES: [(&str, &str, Duration); 4] = [
    ("dns", "resolve", Delays::DNS),
    ("handshake", "tls", Delays::HANDSHAKE),
    ("first byte", "processing", Delays::FIRST_BYTE),
    ("body", "transfer", Delays::BODY),
];

pub async fn measure(
    world: &World,
    programs: &Programs,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let _delays = Delays::start(
        &world.slow,
        (SLOW_NAME_SERVER, 53).into(),
        (SLOW_ADDRESS, 443).into(),
    )
    .await?;
    for (count, how, bound) in [
        (0, "one probe a second", 5.0),
        (BUSY, "500 targets are probed", 20.0),
    ] {
        let config = our_config(world, "10s", &targets(count));
        let ours = Exporter::ours(world, programs, &config).await?;
        if count > 0 {
            ready(&ours).await?;
        }
        let mut told = [const { Vec::new() }; PHASES.len()];
        let mut ticks = tokio::time::interval(EVERY);
        for _ in 0..PROBES {
            ticks.tick().await;
            let text = ours
                .probe_one(&SLOW, "https://t0.slow.test/".to_owned())
                .await?;
            for ((_, phase, _), values) in PHASES.iter().zip(&mut told) {
                let series = format!("probe_http_duration_seconds{{phase=\"{phase}\"}} ");
                let value = text.lines().find_map(|line| line.strip_prefix(&series));
                values.push(value.context("the phase")?.parse::<f64>()?);
            }
        }
        for ((name, _, known), values) in PHASES.iter().zip(told) {
            let milliseconds = values
                .into_iter()
                .map(|told| 1e3 * (told - known.as_secs_f64()));
            let samples = Samples::of(milliseconds.collect());
            figures.row(
                &format!("{name}: beyond the known {} ms, {how}", known.as_millis()),
                "ms",
                samples,
                (bound, bound),
            );
        }
        ours.process.end().await?;
    }
    Ok(())
}
