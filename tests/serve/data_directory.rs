//! The data directory: two servers that share one, what is left behind, and who may write.

use ccass_2fa_lab::{Lab, scenario};
use harness::exporter::{ConfigFile, Exporter};

use crate::assertions::assert_contains;
use crate::lab_config::probed_once;
use crate::reloading::probe_again;
use crate::waiting::wait_for_metric;

const HISTORY: &str = "recording{content=\"history\"}";
const EVIDENCE: &str = "recording{content=\"evidence\"}";
const WAITING: &str = "waiting for another exporter that uses data_directory";

fn config(lab: &Lab) -> ConfigFile {
    ConfigFile::new(&format!("data_directory: kept\n{}", probed_once(lab)))
}

fn names(config: &ConfigFile) -> Vec<String> {
    let entries = std::fs::read_dir(config.directory().join("kept")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

fn records(config: &ConfigFile) -> usize {
    let files = std::fs::read_dir(config.directory().join("kept/evidence")).unwrap();
    let paths = files.map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    let texts = paths.map(|path| std::fs::read_to_string(path).unwrap());
    texts.map(|text| text.lines().count()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn second_server_of_a_data_directory_probes_and_records_nothing() {
    let lab = Lab::start().await.expect("the lab starts");
    let config = config(&lab);
    let first = Exporter::start(&[&config.argument()]).await;
    wait_for_metric(&first, "evidence_records", 1.0).await;

    let mut second = Exporter::start(&[&config.argument()]).await;
    second.line_with(WAITING).await;
    let line = second
        .line_with("another exporter uses data_directory")
        .await;
    assert_contains("the log", &line, "level=error");
    second.first_probe().await;
    let metrics = second.metrics().await;
    metrics.expect(HISTORY, 0.0);
    metrics.expect(EVIDENCE, 0.0);
    metrics.expect("probe_success{role=\"login\",target=\"sso\"}", 1.0);
    assert_eq!(second.terminate().await, Some(0));

    let metrics = first.metrics().await;
    metrics.expect(HISTORY, 1.0);
    metrics.expect(EVIDENCE, 1.0);
    metrics.expect("evidence_records", 1.0);
    assert_eq!(first.terminate().await, Some(0));
    assert_eq!(records(&config), 1);
    assert_eq!(names(&config), ["evidence", "serve.lock", "state.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_waits_until_the_previous_server_has_saved_its_state() {
    let lab = Lab::start().await.expect("the lab starts");
    let config = config(&lab);
    let mut first = Exporter::start(&[&config.argument()]).await;
    first.first_probe().await;
    let last_success = "probe_last_success_timestamp_seconds{target=\"sso\"}";
    let saved = first.metrics().await.value(last_success);
    assert!(saved.is_some());

    lab.provoke(scenario("tcp-refused").expect("a scenario"));
    let mut second = Exporter::start(&[&config.argument()]).await;
    second.line_with(WAITING).await;
    assert_eq!(first.terminate().await, Some(0));
    second.line_with("message=started").await;
    let metrics = second.metrics().await;
    metrics.expect(HISTORY, 1.0);
    metrics.expect(EVIDENCE, 1.0);
    assert_eq!(metrics.value(last_success), saved);
    assert_eq!(second.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_killed_server_are_removed() {
    let lab = Lab::start().await.expect("the lab starts");
    let config = config(&lab);
    let kept = config.directory().join("kept");
    std::fs::create_dir(&kept).unwrap();
    for name in ["state.json.1.new", "state.json.0123456789abcdef.new"] {
        std::fs::write(kept.join(name), "{").unwrap();
    }
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    assert_eq!(exporter.terminate().await, Some(0));
    assert_eq!(names(&config), ["evidence", "serve.lock", "state.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn history_that_cannot_be_saved_shows_until_it_can() {
    let lab = Lab::start().await.expect("the lab starts");
    let config = config(&lab);
    let kept = config.directory().join("kept");
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    wait_for_metric(&exporter, "evidence_records", 1.0).await;
    // A file cannot replace a directory.
    let state = kept.join("state.json");
    std::fs::remove_file(&state).unwrap();
    std::fs::create_dir(&state).unwrap();
    probe_again(&exporter, &config).await;
    exporter.line_with("cannot write the state file").await;
    wait_for_metric(&exporter, HISTORY, 0.0).await;
    std::fs::remove_dir(&state).unwrap();
    wait_for_metric(&exporter, HISTORY, 1.0).await;
    assert_eq!(exporter.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn state_file_that_cannot_be_read_is_left_as_it_is() {
    let lab = Lab::start().await.expect("the lab starts");
    let config = config(&lab);
    let state = config.directory().join("kept/state.json");
    std::fs::create_dir_all(&state).unwrap();
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    let line = exporter.line_with("state").await;
    assert_contains("the log", &line, "the file is left as it is");
    exporter.first_probe().await;
    let metrics = exporter.metrics().await;
    metrics.expect(HISTORY, 0.0);
    metrics.expect(EVIDENCE, 1.0);
    assert_eq!(exporter.terminate().await, Some(0));
    assert_eq!(names(&config), ["evidence", "serve.lock", "state.json"]);
    assert!(state.is_dir());
}
