//! The Python script of docs/evidence.md, with which an auditor checks evidence without the exporter.

use std::fs;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use ccass_2fa_exporter::clock::Clock;
use ccass_2fa_exporter::evidence::{Content, Drill, DrillOutcome, Head, Ledger};
use tokio::process::Command;

const PYTHON: &str = "/usr/bin/python3";

/// Appends a drill at that time and returns the new head.
fn append(directory: &tempfile::TempDir, at: &str) -> Head {
    let clock = Clock::Fixed(at.parse().unwrap());
    let ledger = Ledger::in_directory(directory.path(), Some("central"), clock);
    let drill = Content::Drill(Drill {
        severity: "critical".to_owned(),
        alertmanager: "alertmanager:9093".to_owned(),
        outcome: DrillOutcome::Good,
        reference: None,
    });
    ledger.append(&[drill]).unwrap().remove(0).head
}

async fn run_script(directory: PathBuf) -> Output {
    let document = harness::documents::read("docs/evidence.md");
    let (_, rest) = document.split_once("```python\n").expect("a script");
    let (script, _) = rest.split_once("```").expect("its end");
    let mut command = Command::new(PYTHON);
    command.args(["-c", script]).arg(directory);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await;
    output.unwrap_or_else(|error| panic!("{PYTHON}: {error}; run make install"))
}

#[tokio::test(flavor = "multi_thread")]
async fn documented_script_checks_the_chain_without_this_program() {
    let directory = tempfile::tempdir().unwrap();
    for minute in 0..4 {
        append(&directory, &format!("2026-11-24T00:0{minute}:00Z"));
    }
    let head = append(&directory, "2027-02-01T00:00:00Z");
    let files = directory.path().join("evidence");
    let output = run_script(files.clone()).await;
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        printed,
        format!("record 5 is the newest, hash {}\n", head.hash),
        "{output:?}"
    );
    let first_year = files.join("2026.jsonl");
    let text = fs::read_to_string(&first_year).unwrap();
    for altered in [
        text.replacen("\"critical\"", "\"warning\"", 1),
        // Content after the hash, which a forger may add.
        text.replacen("\"}\n", "\",\"content\":{}}\n", 1),
    ] {
        assert_ne!(altered, text);
        fs::write(&first_year, altered).unwrap();
        let output = run_script(files.clone()).await;
        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("2026.jsonl line 1"), "{error}");
    }
    let output = run_script(files.join("nowhere")).await;
    assert!(!output.status.success());
}
