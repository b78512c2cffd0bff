//! One fuzz target; which one is the name of the binary. Metrics are also read by a parser that is not ours.

#![no_main]

use std::sync::LazyLock;

use ccass_2fa_exporter::fuzzing::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;
use openmetrics_parser::prometheus::parse_prometheus;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let mut targets = TARGETS.iter();
    let own = targets.find(|(name, _)| *name == env!("CARGO_BIN_NAME"));
    own.expect("a target of that name").1
});

fuzz_target!(|data: &[u8]| {
    // The parser is slower than everything else, and reads an eighth of the metrics.
    if let Some(metrics) = TARGET(data)
        && data.len() % 8 == 0
        && let Err(error) = parse_prometheus(&metrics)
    {
        panic!("{error}\n{metrics}");
    }
});
