//! Probes that fail, by turns with blackbox_exporter.

use crate::figures::Figures;
use crate::network::BenchNetwork;
use crate::programs::{
    Exporter, NXDOMAIN, ProbeRequest, Programs, REFUSED, TIMED_OUT, our_config, targets,
};
use crate::samples::Samples;

const TURNS: usize = 7;
const PROBES: usize = 200;

pub async fn measure(
    network: &BenchNetwork,
    programs: &Programs,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let theirs = Exporter::blackbox(network, programs).await?;
    let ours = Exporter::ours(network, programs, &our_config(network, "60s", &targets(0))).await?;
    for (request, what) in [
        (&REFUSED, "TCP refused"),
        (&NXDOMAIN, "NXDOMAIN"),
        (&TIMED_OUT, "time-out"),
    ] {
        let mut spent = [const { Vec::new() }; 2];
        for turn in 0..=TURNS {
            for who in [turn % 2, (turn + 1) % 2] {
                let each = turn_of([&theirs, &ours][who], request, turn).await?;
                if turn > 0 {
                    spent[who].push(each);
                }
            }
        }
        let [theirs, ours] = &spent;
        figures.measured(
            format!("blackbox_exporter: CPU of a probe, {what}"),
            "µs",
            Samples::of(theirs.clone()),
        );
        figures.measured(
            format!("ours: CPU of a probe, {what}"),
            "µs",
            Samples::of(ours.clone()),
        );
        figures.row(
            &format!("{what}: CPU against blackbox_exporter"),
            "",
            Samples::ratio(ours, theirs),
            (0.35, 0.25),
        );
    }
    theirs.process.end().await?;
    ours.process.end().await
}

async fn turn_of(exporter: &Exporter, request: &ProbeRequest, turn: usize) -> anyhow::Result<f64> {
    let before = exporter.process.cpu()?;
    exporter.probe(request, turn * PROBES, PROBES).await?;
    let spent = exporter.process.cpu()? - before;
    Ok(spent.as_secs_f64() * 1e6 / PROBES as f64)
}
