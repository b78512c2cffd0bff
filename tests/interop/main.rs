#![allow(
    clippy::disallowed_methods,
    reason = "tests run outside the exporter and read the system clock"
)]

mod browser_parity;
mod calendar_programs;
mod clock_steps;
mod dashboards;
mod evidence_merge;
mod evidence_script;
mod failing_system_calls;
mod listener_security;
mod memory_limit;
mod performance;
mod scrapers_and_schemas;
mod status_page;

use std::time::Duration;

/// The CPU time of a process and its ended threads, in steps of 10 ms.
fn cpu_time(process: u32) -> Duration {
    let stat =
        std::fs::read_to_string(format!("/proc/{process}/stat")).expect("the process exists");
    let (_, fields) = stat.rsplit_once(") ").expect("a command name");
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().expect("a number"))
        .sum();
    Duration::from_millis(10 * ticks)
}

/// The limit of every wait; it protects from hanging.
const TIMEOUT: Duration = Duration::from_secs(240);

/// The lab's configuration with another interval and timeout of its probes.
fn with_limits(config: &str, limits: &str) -> String {
    let (before, rest) = config.split_once("probe: {").expect("the limits");
    let (_, after) = rest.split_once('}').expect("their end");
    format!("{before}probe: {{{limits}}}{after}")
}
