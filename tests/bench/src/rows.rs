//! The parts of a run, one file each.

mod background;
mod failures;
mod https;
mod one_processor;
mod program;
mod prometheus;
mod scaling;
mod timing;

use clap::ValueEnum;

use crate::figures::Figures;
use crate::network::BenchNetwork;
use crate::programs::Programs;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// HTTPS by name, four at a time, and resident memory afterwards
    Https,
    /// Connection refused, NXDOMAIN, and no response
    Failures,
    /// 1,000 targets every 5 s through /probe
    Prometheus,
    /// 1,000 configured targets every minute
    Background,
    /// 1 to 10,000 targets
    Scaling,
    /// 10,000 configured targets every minute, on one processor
    OneProcessor,
    /// Whether reported durations match known delays
    Timing,
    /// Binary size and start-up time
    Program,
}

impl Part {
    pub const ALL: [Self; 8] = [
        Self::Program,
        Self::Https,
        Self::Failures,
        Self::Prometheus,
        Self::Background,
        Self::Scaling,
        Self::OneProcessor,
        Self::Timing,
    ];

    pub async fn measure(
        self,
        network: &BenchNetwork,
        programs: &Programs,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        eprintln!("{self:?}");
        match self {
            Self::Https => https::measure(network, programs, figures).await,
            Self::Failures => failures::measure(network, programs, figures).await,
            Self::Prometheus => prometheus::measure(network, programs, figures).await,
            Self::Background => background::measure(network, programs, figures).await,
            Self::Scaling => scaling::measure(network, programs, figures).await,
            Self::OneProcessor => one_processor::measure(network, programs, figures).await,
            Self::Timing => timing::measure(network, programs, figures).await,
            Self::Program => program::measure(network, programs, figures).await,
        }
    }
}
