//! HTTPS by name through `/probe`, four at a time, by turns with blackbox_exporter and the baseline, with
//! P-256 and RSA-2048 chains; resident memory after 10,000 probes.

use crate::figures::Figures;
use crate::network::BenchNetwork;
use crate::process::Process;
use crate::programs::{
    Baseline, Exporter, HTTPS, HTTPS_RSA, ProbeRequest, Programs, our_config, targets,
};
use crate::samples::Samples;

const TURNS: usize = 7;
const PROBES: usize = 300;
/// Probes before resident memory is read.
const MANY: usize = 10_000;
const MIB: f64 = 1024.0 * 1024.0;

pub async fn measure(
    network: &BenchNetwork,
    programs: &Programs,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let theirs = Exporter::blackbox(network, programs).await?;
    let ours = Exporter::ours(network, programs, &our_config(network, "60s", &targets(0))).await?;
    turns(
        &theirs,
        &ours,
        network,
        programs,
        (&HTTPS, "P-256"),
        figures,
    )
    .await?;
    let so_far = (TURNS + 1) * PROBES;
    for exporter in [&theirs, &ours] {
        exporter.probe(&HTTPS, 0, MANY - so_far).await?;
    }
    let (theirs_held, ours_held) = (held(&theirs.process)?, held(&ours.process)?);
    figures.measured(
        "blackbox_exporter after 10,000 probes",
        "MiB",
        Samples::one(theirs_held),
    );
    figures.measured("ours after 10,000 probes", "MiB", Samples::one(ours_held));
    figures.row(
        "resident memory after 10,000 probes, against blackbox_exporter",
        "",
        Samples::one(ours_held / theirs_held),
        (0.40, 0.30),
    );
    turns(
        &theirs,
        &ours,
        network,
        programs,
        (&HTTPS_RSA, "RSA-2048"),
        figures,
    )
    .await?;
    theirs.process.end().await?;
    ours.process.end().await
}

fn held(process: &Process) -> anyhow::Result<f64> {
    Ok(process.resident()? as f64 / MIB)
}

async fn turns(
    theirs: &Exporter,
    ours: &Exporter,
    network: &BenchNetwork,
    programs: &Programs,
    (request, chain): (&ProbeRequest, &str),
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let mut baseline = Baseline::start(network, programs, request)?;
    let mut spent = [const { Vec::new() }; 3];
    // The first turn is a warm-up and not counted.
    for turn in 0..=TURNS {
        let first = turn * PROBES;
        for who in (0..3).map(|place| (place + turn) % 3) {
            let process = [&theirs.process, &ours.process, &baseline.process][who];
            let before = process.cpu()?;
            match who {
                0 => theirs.probe(request, first, PROBES).await?,
                1 => ours.probe(request, first, PROBES).await?,
                _ => baseline.probe(request, first, PROBES).await?,
            }
            let process = [&theirs.process, &ours.process, &baseline.process][who];
            let each = (process.cpu()? - before).as_secs_f64() * 1e6 / PROBES as f64;
            if turn > 0 {
                spent[who].push(each);
            }
        }
    }
    for (who, values) in ["blackbox_exporter", "ours", "the baseline"]
        .iter()
        .zip(&spent)
    {
        let what = format!("{who}: CPU of an HTTPS probe, {chain}");
        figures.measured(what, "µs", Samples::of(values.clone()));
    }
    let [theirs, ours, least] = &spent;
    figures.row(
        &format!("HTTPS by name through /probe, {chain}: CPU against blackbox_exporter"),
        "",
        Samples::ratio(ours, theirs),
        (0.36, 0.30),
    );
    figures.row(
        &format!("HTTPS by name through /probe, {chain}: CPU against the baseline"),
        "",
        Samples::ratio(ours, least),
        (1.35, 1.20),
    );
    baseline.process.end().await
}
