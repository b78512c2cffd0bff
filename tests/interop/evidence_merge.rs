//! `evidence merge` with the hashes that a real Prometheus stored.

use std::path::Path;

use ccass_2fa_exporter::clock::Clock;
use ccass_2fa_exporter::evidence::{Content, Ledger, TerminalCheck, TerminalOutcome};
use harness::exporter::{ConfigFile, Exporter, run};
use harness::prometheus::Prometheus;
use serde_json::Value;

use crate::scrapers_and_schemas::assert_valid;

/// Evidence of site `central` below `root`, with a record of each of these terminals.
fn evidence(root: &Path, name: &str, terminals: &[&str]) -> String {
    let directory = root.join(name);
    let ledger = Ledger::in_directory(&directory, Some("central"), Clock::System);
    for terminal in terminals {
        let check = TerminalCheck {
            terminal: (*terminal).to_owned(),
            outcome: TerminalOutcome::Seen,
            reference: None,
        };
        ledger.append(&[Content::Terminal(check)]).unwrap();
    }
    directory.display().to_string()
}

/// Exit code, document and error messages of `evidence merge`.
async fn merge(directories: &[&str], prometheus: &Prometheus) -> (i32, Value, String) {
    let flag = format!("--prometheus={}", prometheus.peer.url);
    let directories = directories.iter().map(|one| format!("alpha={one}"));
    let directories: Vec<String> = directories.collect();
    let mut arguments = vec!["evidence", "merge", &flag, "--format=json"];
    arguments.extend(directories.iter().map(String::as_str));
    let output = run(&arguments).await;
    let error = String::from_utf8(output.stderr).unwrap();
    let document = serde_json::from_slice(&output.stdout).expect(&error);
    (output.status.code().unwrap(), document, error)
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_prometheus_knows_must_be_in_the_copies() {
    let root = tempfile::tempdir().unwrap();
    let whole = evidence(root.path(), "whole", &["t1", "t2", "t3"]);
    let config = ConfigFile::new(&format!("data_directory: {whole}\ntargets: []\n"));
    let exporter = Exporter::start(&[&config.argument()]).await;
    let address = &exporter.address;
    // The other exporter of the site has evidence of its own.
    let twin = evidence(root.path(), "twin", &["t1", "t2", "t3"]);
    let config = ConfigFile::new(&format!("data_directory: {twin}\ntargets: []\n"));
    let second = Exporter::start(&[&config.argument()]).await;
    let twin_address = &second.address;
    let prometheus = Prometheus::bare(
        "prometheus",
        &format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: ccass2fa\n  static_configs:\n  \
             - {{targets: ['{address}', '{twin_address}'], labels: {{firm: alpha, site: central}}}}\n  \
             - {{targets: ['{address}'], labels: {{firm: alpha, site: east}}}}\n"
        ),
    )
    .await;
    prometheus
        .wait_for("count(ccass2fa_evidence_head_info{number=\"3\"}) == 3")
        .await;

    let (code, document, error) = merge(&[&whole], &prometheus).await;
    assert_eq!(code, 0, "{error}");
    assert_eq!(document["sites"][0]["lost_hashes"], serde_json::json!([]));
    let not_given = [
        format!("alpha, central ({twin_address})"),
        format!("alpha, east ({address})"),
    ];
    assert_eq!(document["not_given"], serde_json::json!(not_given));
    let expected = format!("not in this report: {}", not_given.join("; "));
    assert!(error.contains(&expected), "{error}");
    let mut documents = vec![document];

    // A copy from before the last record, and one in which somebody rewrote the last two.
    let older = evidence(root.path(), "older", &["t1", "t2"]);
    let (code, document, error) = merge(&[&older, &twin], &prometheus).await;
    assert_eq!(code, 0, "{error}");
    assert_eq!(document["sites"][0]["newer_record"], 3);
    let expected = "older: The copy ends with record 2; Prometheus knows record 3.";
    assert!(error.contains(expected), "{error}");
    documents.push(document);

    let rewritten = evidence(root.path(), "rewritten", &["t1", "t4", "t5"]);
    let (code, document, error) = merge(&[&rewritten, &twin], &prometheus).await;
    assert_eq!(code, 1, "{error}");
    let lost = document["sites"][0]["lost_hashes"].as_array().unwrap();
    assert_eq!(lost.len(), 1);
    let expected = "rewritten: Prometheus stored record 3 with hash";
    assert!(error.contains(expected), "{error}");
    documents.push(document);

    assert_valid(
        include_str!("../../docs/evidence-merge.schema.json"),
        &documents,
    )
    .await;
    let each = documents
        .iter()
        .map(|document| document["sites"][0]["evidence"].clone());
    let each: Vec<Value> = each.collect();
    assert_valid(include_str!("../../docs/evidence.schema.json"), &each).await;
}
