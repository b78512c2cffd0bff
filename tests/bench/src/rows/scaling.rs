//! 1 to 10,000 configured targets: the cost of one probe and one scrape. A target's share of a scrape is its
//! cost beyond a scrape without targets; linear means the shares measured with 100 targets plus that base
//! cost.

use anyhow::ensure;

use super::background::{ready, scrape};
use crate::figures::Figures;
use crate::network::BenchNetwork;
use crate::programs::{Exporter, HTTPS, ProbeRequest, Programs, config_of, our_config, targets};
use crate::samples::Samples;

/// Zero first: the base cost of a scrape.
const SIZES: [usize; 6] = [0, 1, 10, 100, 1_000, 10_000];
const FIRST_PORT: u16 = 10_800;
const TURNS: usize = 7;
const PROBES: usize = 200;
/// The reference size.
const MIDDLE: usize = 100;

/// One request at a time: concurrent requests for a single target would share a probe.
const CONFIGURED: ProbeRequest = ProbeRequest {
    at_once: 1,
    ours: &[],
    ..HTTPS
};

/// An exporter with that many targets and the CPU it used, in microseconds.
struct Sized {
    size: usize,
    exporter: Exporter,
    probes: Vec<f64>,
    scrapes: Vec<f64>,
}

pub async fn measure(
    network: &BenchNetwork,
    programs: &Programs,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for (place, size) in (0..).zip(SIZES) {
        all.push(Sized::start(FIRST_PORT + place, size, network, programs).await?);
    }
    // By turns, since the machine's speed varies.
    for turn in 0..=TURNS {
        for one in &mut all {
            let (probe, scrape) = (one.probe(turn).await?, one.scrape().await?);
            if turn > 0 {
                one.probes.push(probe);
                one.scrapes.push(scrape);
            }
        }
    }
    let empty: Vec<f64> = match all.first() {
        Some(one) => one.scrapes.clone(),
        None => Vec::new(),
    };
    figures.measured(
        "ours: CPU of a scrape without targets",
        "µs",
        Samples::of(empty.clone()),
    );
    let share = |one: &Sized| -> Vec<f64> {
        let beyond = one.scrapes.iter().zip(&empty);
        beyond
            .map(|(scrape, empty)| (scrape - empty) / one.size as f64)
            .collect()
    };
    for one in all.iter().filter(|one| one.size > 0) {
        let size = one.size;
        let probes = Samples::of(one.probes.clone());
        figures.measured(
            format!("ours: CPU of a probe, {size} targets"),
            "µs",
            probes,
        );
        figures.measured(
            format!("ours: CPU of a scrape, for each of {size} targets"),
            "µs",
            Samples::of(share(one)),
        );
    }
    let Some(middle) = all.iter().find(|one| one.size == MIDDLE) else {
        return Ok(());
    };
    let shares = share(middle);
    for one in all.iter().filter(|one| one.size > 0 && one.size != MIDDLE) {
        let size = one.size;
        let linear = empty.iter().zip(&shares);
        let linear = linear.map(|(empty, share)| empty + share * size as f64);
        for (what, ratio) in [
            ("a probe", Samples::ratio(&one.probes, &middle.probes)),
            (
                "a scrape",
                Samples::ratio(&one.scrapes, &linear.collect::<Vec<_>>()),
            ),
        ] {
            let what = format!("{what}: CPU with {size} targets against linear from {MIDDLE}");
            figures.row(&what, "", ratio, (1.3, 1.15));
        }
    }
    for one in all {
        one.exporter.process.end().await?;
    }
    Ok(())
}

impl Sized {
    /// Probes every target once, then sets a long interval.
    async fn start(
        port: u16,
        size: usize,
        network: &BenchNetwork,
        programs: &Programs,
    ) -> anyhow::Result<Self> {
        let interval = if size > 1_000 { "40s" } else { "10s" };
        let config = |interval| our_config(network, interval, &targets(size));
        let exporter = Exporter::ours_on(port, network, programs, &config(interval)).await?;
        if size > 0 {
            ready(&exporter).await?;
        }
        network.write(&config_of(port), &config("1h"))?;
        let reload = format!("http://{}/-/reload", exporter.address);
        let client = reqwest::Client::builder().no_proxy().build()?;
        client.post(reload).send().await?.error_for_status()?;
        Ok(Self {
            size,
            exporter,
            probes: Vec::new(),
            scrapes: Vec::new(),
        })
    }

    /// The cost of one probe.
    async fn probe(&self, turn: usize) -> anyhow::Result<f64> {
        if self.size == 0 {
            return Ok(0.0);
        }
        let number = |count: usize| (turn * PROBES + count) * 7 % self.size;
        let names = (0..PROBES).map(|count| format!("t{}", number(count)));
        let before = self.exporter.process.cpu()?;
        self.exporter.probe_each(&CONFIGURED, names).await?;
        let spent = self.exporter.process.cpu()? - before;
        Ok(spent.as_secs_f64() * 1e6 / PROBES as f64)
    }

    /// The cost of a scrape, over enough of them to rise above noise.
    async fn scrape(&self) -> anyhow::Result<f64> {
        let times = (20_000 / self.size.max(1)).clamp(2, 200);
        let before = self.exporter.process.cpu()?;
        for _ in 0..times {
            let size = scrape(&self.exporter, "identity").await?;
            ensure!(size > 1_000, "an empty scrape");
        }
        let spent = self.exporter.process.cpu()? - before;
        Ok(spent.as_secs_f64() * 1e6 / times as f64)
    }
}
