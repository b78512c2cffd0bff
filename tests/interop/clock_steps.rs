//! The host's clock is set while the exporter runs: libfaketime, which the dynamic loader puts before the
//! C library, changes the time that one process reads, and leaves the monotonic clock.

use std::path::Path;
use std::time::Duration;

use ccass_2fa_lab::Lab;
use harness::exporter::{ConfigFile, Exporter, Metrics, command, fake_clock, run};
use jiff::Timestamp;
use serde_json::Value;

/// For what needs several probes.
const TIMEOUT: Duration = Duration::from_secs(120);
const MESSAGE: &str = "clock set by more than a minute";

/// Sets the clock of the process, by its difference from the host's.
fn set_clock(file: &Path, difference: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, difference).unwrap();
    std::fs::rename(new, file).unwrap();
}

async fn exporter(config: &ConfigFile, clock: &Path) -> Exporter {
    let mut command = command();
    fake_clock(&mut command)
        .arg(config.argument())
        .env("FAKETIME_TIMESTAMP_FILE", clock)
        .env("FAKETIME_NO_CACHE", "1");
    Exporter::spawn(&mut command).await
}

async fn wait_for_records(exporter: &Exporter, count: f64) -> Metrics {
    let reached = tokio::time::timeout(TIMEOUT, async {
        loop {
            let metrics = exporter.metrics().await;
            if metrics.value("evidence_records") >= Some(count) {
                return metrics;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let reached = reached.await;
    reached.unwrap_or_else(|_| panic!("fewer than {count} records after {TIMEOUT:?}"))
}

async fn evidence(config: &ConfigFile, arguments: &[&str]) -> String {
    let config = config.argument();
    let output = run(&[&[config.as_str(), "evidence"], arguments].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn seconds_between(start: &Value, end: &Value) -> i64 {
    let at = |value: &Value| -> Timestamp { value.as_str().unwrap().parse().unwrap() };
    at(end).duration_since(at(start)).as_secs()
}

#[tokio::test(flavor = "multi_thread")]
async fn outage_during_which_the_clock_is_set_lasts_as_long_as_it_did() {
    let lab = Lab::start().await.expect("the lab starts");
    let probes = lab.config();
    let (_, targets) = probes.split_once('\n').expect("several lines");
    let config = ConfigFile::new(&format!(
        "data_directory: kept\nprobe: {{interval: 10s, timeout: 9s}}\n{targets}"
    ));
    let clock = config.directory().join("clock");
    // To a clock that is behind, the certificate is not valid yet: an outage.
    set_clock(&clock, "-400d");
    let mut exporter = exporter(&config, &clock).await;
    exporter.line_with("message=\"probe failed").await;
    wait_for_records(&exporter, 1.0).await;

    set_clock(&clock, "+0d");
    let line = exporter.line_with(MESSAGE).await;
    assert!(line.contains("level=warn"), "{line}");
    exporter.line_with("message=\"probe succeeded").await;
    let metrics = wait_for_records(&exporter, 4.0).await;
    metrics.expect("clock_steps_total", 1.0);

    let (_, text) = exporter.get("/api/v1/history?target=sso").await;
    let history: Value = serde_json::from_str(&text).unwrap();
    let outages = history["outages"].as_array().unwrap();
    assert_eq!(outages.len(), 1, "{text}");
    let seconds = seconds_between(&outages[0]["start"], &outages[0]["end"]);
    assert!((0..120).contains(&seconds), "{text}");
    let age = seconds_between(&outages[0]["start"], &history["generated"]);
    assert!((0..240).contains(&age), "{text}");
    assert_eq!(history["clock_steps"].as_array().unwrap().len(), 1);
    let (_, page) = exporter.get("/").await;
    assert!(page.contains("The exporter's clock was set from"), "{page}");

    let report: Value =
        serde_json::from_str(&evidence(&config, &["report", "--format=json"]).await).unwrap();
    let records = report["records"].as_array().unwrap();
    let kinds: Vec<_> = records.iter().map(|one| &one["kind"]).collect();
    assert_eq!(
        kinds,
        [
            "outage_began",
            "clock_stepped",
            "outage_ended",
            "verification"
        ]
    );
    let seconds = records[2]["content"]["duration_seconds"].as_i64().unwrap();
    assert!((0..120).contains(&seconds), "{report}");
    assert_eq!(report["clock_set_back"], serde_json::json!([]));
    let list = evidence(&config, &["list"]).await;
    assert!(list.contains("clock was set forward by 9600 h"), "{list}");
    assert!(list.contains("(the clock was set meanwhile)"), "{list}");
    let check = evidence(&config, &["check"]).await;
    assert!(!check.contains("backwards"), "{check}");

    set_clock(&clock, "-2d");
    exporter.line_with(MESSAGE).await;
    let metrics = wait_for_records(&exporter, 5.0).await;
    metrics.expect("clock_steps_total", 2.0);
    let check = evidence(&config, &["check"]).await;
    assert!(
        check.contains("time runs backwards: record 5 is of "),
        "{check}"
    );
    assert!(check.contains("Every record is intact."), "{check}");
    let html = evidence(&config, &["report"]).await;
    assert!(html.contains("time runs backwards: record 5"), "{html}");
    assert_eq!(exporter.terminate().await, Some(0));
}
