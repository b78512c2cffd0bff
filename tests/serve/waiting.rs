//! Waiting for what the exporter shows.

use std::time::Duration;

use harness::exporter::{Exporter, Metrics};
use tokio::time::{sleep, timeout};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Scrapes until a series has that value; returns that scrape.
pub async fn wait_for_metric(exporter: &Exporter, series: &str, value: f64) -> Metrics {
    let mut last = None;
    let reached = timeout(TIMEOUT, async {
        loop {
            let metrics = exporter.metrics().await;
            last = metrics.value(series);
            if last == Some(value) {
                return metrics;
            }
            sleep(Duration::from_millis(100)).await;
        }
    });
    let reached = reached.await;
    reached.unwrap_or_else(|_| panic!("{series} is {last:?} and not {value} after {TIMEOUT:?}"))
}
