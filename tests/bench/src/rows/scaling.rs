//! 1 to 10,000 configured targets: what one probe and one target's share of a scrape cost.

use anyhow::ensure;

use super::background::{ready, scrape};
use crate::contenders::{Exporter, HTTPS, Programs, Question, our_config, targets};
use crate::figures::Figures;
use crate::samples::Samples;
use crate::world::World;

const SIZES: [usize; 5] = [1, 10, 100, 1_000, 10_000];
const TURNS: usize = 7;
const PROBES: usize = 200;

/// A configured target, one at a time: with one target alone two at once would be one.
const CONFIGURED: Question = Question {
    at_once: 1,
    ours: &[],
    ..HTTPS
};

/// What is taken off each scrape: what one without targets costs.
struct Cost {
    size: usize,
    probe: Samples,
    scrape: Samples,
}

pub async fn measure(
    world: &World,
    programs: &Programs,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let mut costs = Vec::new();
    for size in SIZES {
        let cost = of(world, programs, size).await?;
        figures.measured(
            format!("ours: CPU of a probe, {size} targets"),
            "µs",
            cost.probe,
        );
        figures.measured(
            format!("ours: CPU of a scrape for each of {size} targets"),
            "µs",
            cost.scrape,
        );
        costs.push(cost);
    }
    let at_100 = |of: fn(&Cost) -> f64| {
        costs
            .iter()
            .find(|cost| cost.size == 100)
            .map_or(f64::NAN, of)
    };
    let (probe, scrape) = (
        at_100(|cost| cost.probe.median),
        at_100(|cost| cost.scrape.median),
    );
    let (mut probes, mut scrapes) = (Vec::new(), Vec::new());
    for cost in &costs {
        probes.push((cost.size, cost.probe.median / probe));
        scrapes.push((cost.size, cost.scrape.median / scrape));
    }
    for (what, list) in [("a probe", probes), ("a scrape, for each target", scrapes)] {
        for (size, ratio) in list.into_iter().filter(|(size, _)| *size != 100) {
            figures.row(
                &format!("{what}: CPU with {size} targets against 100"),
                "",
                Samples::one(ratio),
                (1.3, 1.15),
            );
        }
    }
    Ok(())
}

async fn of(world: &World, programs: &Programs, size: usize) -> anyhow::Result<Cost> {
    // Every target is probed once; then a long interval leaves it quiet.
    let interval = if size > 1_000 { "40s" } else { "10s" };
    let ours = Exporter::ours(
        world,
        programs,
        &our_config(world, interval, &targets(size)),
    )
    .await?;
    ready(&ours).await?;
    world.write("ccass.yml", &our_config(world, "6h", &targets(size)))?;
    let reload = format!("http://{}/-/reload", ours.address);
    let client = reqwest::Client::builder().no_proxy().build()?;
    client.post(reload).send().await?.error_for_status()?;
    let (mut probes, mut scrapes) = (Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let names = (0..PROBES).map(|number| format!("t{}", (turn * PROBES + number) * 7 % size));
        let before = ours.process.cpu()?;
        ours.probe_each(&CONFIGURED, names).await?;
        let probe = (ours.process.cpu()? - before).as_secs_f64() * 1e6 / PROBES as f64;
        // Enough of them that the clock's grain does not show.
        let times = (1_000 / size).clamp(1, 100);
        let before = ours.process.cpu()?;
        for _ in 0..times {
            ensure!(scrape(&ours, "identity").await? > 1_000, "an empty scrape");
        }
        let spent = (ours.process.cpu()? - before).as_secs_f64() * 1e6;
        if turn > 0 {
            probes.push(probe);
            scrapes.push(spent / (times * size) as f64);
        }
    }
    ours.process.end().await?;
    Ok(Cost {
        size,
        probe: Samples::of(probes),
        scrape: Samples::of(scrapes),
    })
}
