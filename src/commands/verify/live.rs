//! Probes every target once and shows meanwhile, on a terminal, which layer each has reached.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::clock::Stopwatch;
use crate::commands::status_lines::StatusLines;
use crate::config::Target;
use crate::probe::{Engine, LayerStarted};
use crate::render::live::{self, InProgress};
use crate::report::{LayerName, Report};

/// How often the running time is updated.
const TICK: Duration = Duration::from_millis(200);

/// The reports, in the order of the targets.
pub(super) async fn probe(
    engine: &Engine,
    targets: &[Arc<Target>],
    concurrency: usize,
) -> Vec<Report> {
    let Some(lines) = StatusLines::on_terminal() else {
        return probe_all(engine, targets, concurrency).await;
    };
    let (sender, events) = unbounded_channel();
    let engine = engine.clone().watched_by(sender);
    let display = Display {
        lines,
        probes: targets.iter().map(Probe::of).collect(),
    };
    tokio::select! {
        reports = probe_all(&engine, targets, concurrency) => reports,
        reports = display.run(events) => reports,
    }
}

async fn probe_all(engine: &Engine, targets: &[Arc<Target>], concurrency: usize) -> Vec<Report> {
    let probes = targets.iter().map(|target| engine.probe(target));
    stream::iter(probes).buffered(concurrency).collect().await
}

struct Display {
    lines: StatusLines,
    probes: Vec<Probe>,
}

/// The layers of a probe since its last redirect.
struct Probe {
    target: Arc<Target>,
    hop: usize,
    /// Finished layers with their duration, in order.
    done: Vec<(LayerName, Duration)>,
    running: Option<(LayerName, Stopwatch)>,
}

impl Display {
    /// Updates the lines until it is dropped.
    async fn run(mut self, mut events: UnboundedReceiver<LayerStarted>) -> Vec<Report> {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                Some(event) = events.recv() => self.update(&event),
                _ = tick.tick() => {}
            }
            let running = self.probes.iter().map(Probe::in_progress);
            let running: Vec<InProgress<'_>> = running.collect();
            self.lines.show(&live::lines(&running));
        }
    }

    fn update(&mut self, event: &LayerStarted) {
        let mut probes = self.probes.iter_mut();
        if let Some(probe) = probes.find(|one| *one.target.name == *event.target) {
            probe.start(event);
        }
    }
}

impl Probe {
    fn of(target: &Arc<Target>) -> Self {
        Self {
            target: Arc::clone(target),
            hop: 0,
            done: Vec::new(),
            running: None,
        }
    }

    fn start(&mut self, event: &LayerStarted) {
        if event.hop > self.hop {
            self.hop = event.hop;
            self.done.clear();
            self.running = None;
        }
        // Several addresses connect at once: the first one counts.
        let is_new = |(layer, _): &(LayerName, Stopwatch)| *layer < event.layer;
        if self.running.as_ref().is_none_or(is_new) {
            if let Some((layer, watch)) = self.running.take() {
                self.done.push((layer, watch.elapsed()));
            }
            self.running = Some((event.layer, Stopwatch::start()));
        }
    }

    fn in_progress(&self) -> InProgress<'_> {
        let running = self.running.as_ref();
        InProgress {
            target: &self.target.name,
            url: self.target.url.as_str(),
            redirects: self.hop,
            done: &self.done,
            running: running.map(|(layer, watch)| (*layer, watch.elapsed())),
        }
    }
}
