//! Configurations of the lab that differ in how often the scheduler probes.

use ccass_2fa_lab::Lab;

/// Each target is probed once, and has a minute for that: the next interval begins in an hour.
pub fn probed_once(lab: &Lab) -> String {
    with_limits(lab, "interval: 1h, timeout: 60s")
}

/// Targets are probed at the shortest interval there is.
pub fn probed_every_ten_seconds(lab: &Lab) -> String {
    with_limits(lab, "interval: 10s, timeout: 10s")
}

pub fn with_limits(lab: &Lab, limits: &str) -> String {
    let config = lab.config();
    let (first, rest) = config.split_once('\n').expect("several lines");
    assert!(first.starts_with("probe:"), "the first line is {first:?}");
    format!("probe: {{{limits}}}\n{rest}")
}
