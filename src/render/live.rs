//! What `verify` shows while it probes: a line for each layer of one target, or a line for each of
//! several targets.

use std::time::Duration;

use super::layer_name;
use super::page::{FACTS, format_duration};
use crate::report::LayerName;

/// A probe that runs, or waits for its turn.
pub struct InProgress<'a> {
    pub target: &'a str,
    pub url: &'a str,
    pub redirects: usize,
    pub done: &'a [(LayerName, Duration)],
    pub running: Option<(LayerName, Duration)>,
}

/// The lines, without colors.
pub fn lines(probes: &[InProgress<'_>]) -> Vec<String> {
    match probes {
        [one] => layers(one),
        several => several.iter().map(line).collect(),
    }
}

/// In the columns of the report that follows.
fn layers(probe: &InProgress<'_>) -> Vec<String> {
    let name = if probe.target == probe.url {
        String::new()
    } else {
        format!("{}  ", probe.target)
    };
    let mut lines = vec![
        format!("{name}{}  {}", probe.url, state(probe)),
        String::new(),
    ];
    let time_width = FACTS - 2 - 6 - 8;
    let mut layer = |name: LayerName, state: &str, time: Duration| {
        let time = format_duration(time);
        let name = layer_name(name);
        lines.push(format!("  {name:<6}{state:<8}{time:>time_width$}"));
    };
    for (name, duration) in probe.done {
        layer(*name, "OK", *duration);
    }
    if let Some((name, elapsed)) = probe.running {
        layer(name, "running", elapsed);
    }
    lines
}

fn line(probe: &InProgress<'_>) -> String {
    let mut text = format!("{}  {}", probe.target, state(probe));
    if let Some((layer, elapsed)) = probe.running {
        text.push_str(&format!(
            ": {} {}",
            layer_name(layer),
            format_duration(elapsed)
        ));
    }
    text
}

fn state(probe: &InProgress<'_>) -> String {
    match (probe.running, probe.redirects) {
        (None, _) => "waiting".to_owned(),
        (Some(_), 0) => "probing".to_owned(),
        (Some(_), redirects) => format!("probing, redirect {redirects}"),
    }
}
