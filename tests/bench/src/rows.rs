//! The parts of a run, a file each.

mod background;
mod failures;
mod https;
mod program;
mod prometheus;
mod scaling;
mod timing;

use clap::ValueEnum;

use crate::contenders::Programs;
use crate::figures::Figures;
use crate::world::World;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// HTTPS by name, four at a time, and what is held after many of them
    Https,
    /// Refused, a name that does not exist, and silence
    Failures,
    /// 1,000 targets every 5 s through /probe
    Prometheus,
    /// 1,000 configured targets every minute
    Background,
    /// 1 to 10,000 targets
    Scaling,
    /// Whether the times that are told are those that were taken
    Timing,
    /// The program itself: its size and its start
    Program,
}

impl Part {
    pub const ALL: [Self; 7] = [
        Self::Program,
        Self::Https,
        Self::Failures,
        Self::Prometheus,
        Self::Background,
        Self::Scaling,
        Self::Timing,
    ];

    pub async fn measure(
        self,
        world: &World,
        programs: &Programs,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        eprintln!("{self:?}");
        match self {
            Self::Https => https::measure(world, programs, figures).await,
            Self::Failures => failures::measure(world, programs, figures).await,
            Self::Prometheus => prometheus::measure(world, programs, figures).await,
            Self::Background => background::measure(world, programs, figures).await,
            Self::Scaling => scaling::measure(world, programs, figures).await,
            Self::Timing => timing::measure(world, programs, figures).await,
            Self::Program => program::measure(world, programs, figures).await,
        }
    }
}
