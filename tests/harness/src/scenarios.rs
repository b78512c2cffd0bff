//! Runs the lab's scenarios in parallel and reports failures briefly.

use std::sync::LazyLock;
use std::thread::available_parallelism;

use ccass_2fa_lab::Scenario;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Limits how many scenarios of this process use the processors at once, so that none of them runs
/// into the probe's timeout for want of CPU time.
static PERMITS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(2 * available_parallelism().map_or(1, usize::from)));

/// Runs `check` for every scenario and fails with one line for each that failed. Scenarios that end
/// by the probe's timeout hardly use the processors: they all wait at the same time, without a permit.
pub async fn for_each<F>(
    scenarios: impl IntoIterator<Item = &'static Scenario>,
    check: impl Fn(&'static Scenario) -> F,
) where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let mut running = JoinSet::new();
    for scenario in scenarios {
        let check = check(scenario);
        running.spawn(async move {
            let _permit = if scenario.times_out {
                None
            } else {
                Some(PERMITS.acquire().await)
            };
            // In a task of its own, so that a panic is attributed to its scenario.
            match tokio::spawn(check).await {
                Ok(Ok(())) => None,
                Ok(Err(failure)) => Some(format!("{}: {failure}", scenario.name)),
                Err(panic) => Some(format!("{}: {panic}", scenario.name)),
            }
        });
    }
    assert!(!running.is_empty(), "no scenario was selected");
    let failures: Vec<String> = running.join_all().await.into_iter().flatten().collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A report in one line: the verdict, the probe's duration and timeout, and the duration of each layer.
pub fn summary(report: &Value) -> String {
    let mut text = format!(
        "verdict {} after {} s of {} s",
        report["verdict"], report["duration_seconds"], report["timeout_seconds"]
    );
    for hop in report["hops"].as_array().into_iter().flatten() {
        for layer in ["dns", "tcp", "proxy", "tls", "http"] {
            if let Some(seconds) = hop[layer]["duration_seconds"].as_f64() {
                text += &format!(", {layer} {seconds:.3} s");
            }
        }
    }
    text
}
