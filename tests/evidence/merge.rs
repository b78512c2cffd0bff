//! `evidence merge`: one report of several sites' evidence.

use std::path::{Path, PathBuf};

use ccass_2fa_exporter::clock::Clock;
use ccass_2fa_exporter::evidence::{Content, Ledger, Verification};
use harness::exporter::run;
use serde_json::{Value, json};

/// A data directory below `root` with a full pass on each of these days of November 2026.
pub fn site(root: &Path, name: &str, site: &str, days: &[u8]) -> PathBuf {
    let directory = root.join(name);
    for day in days {
        let at = format!("2026-11-{day:02}T00:05:00Z");
        let verification: Verification = serde_json::from_value(json!({
            "origin": "daily", "target": "sso", "url": "https://sso.hkexposttrade.com.hk/sso",
            "module": "login_page", "started": at, "duration_seconds": 0.1, "outcome": "full_pass",
            "layers": [], "sources": [], "addresses": [], "checks": [], "findings": [],
        }))
        .unwrap();
        let clock = Clock::Fixed(at.parse().unwrap());
        Ledger::in_directory(&directory, Some(site), clock)
            .append(&[Content::Verification(Box::new(verification))])
            .unwrap();
    }
    directory
}

/// Exit code, output and error messages of `evidence merge`.
pub async fn merge(arguments: &[&str]) -> (i32, String, String) {
    let output = run(&[&["evidence", "merge"], arguments].concat()).await;
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// Every file below `directory` with its content.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            all.push((path.clone(), std::fs::read(path).unwrap()));
        }
    }
    all.sort();
    all
}

#[tokio::test]
async fn sites_of_two_firms_are_reported_with_the_days_they_miss_and_nothing_is_written() {
    let root = tempfile::tempdir().unwrap();
    // Monday to Friday; both firms use the same name for their site.
    let alpha = site(root.path(), "alpha", "central", &[23, 24, 27]);
    let beta = site(root.path(), "beta", "central", &[23, 24, 25, 26, 27]);
    let before = contents(root.path());
    let directories = [
        format!("beta={}", beta.display()),
        format!("alpha={}", alpha.display()),
    ];
    let arguments = |format| {
        let period = ["--from=2026-11-21", "--to=2026-11-29", "--format", format];
        [&[directories[0].as_str(), &directories[1]], &period[..]].concat()
    };
    let (code, text, error) = merge(&arguments("json")).await;
    assert_eq!((code, error.as_str()), (0, ""));
    let document: Value = serde_json::from_str(&text).unwrap();
    let sites = document["sites"].as_array().unwrap();
    let summary: Vec<Value> = sites
        .iter()
        .map(|site| json!([site["firm"], site["site"], site["gaps"]]))
        .collect();
    assert_eq!(
        json!(summary),
        json!([
            ["alpha", "central", [{"from": "2026-11-25", "to": "2026-11-26"}]],
            ["beta", "central", []]
        ])
    );
    assert_eq!(sites[1]["evidence"]["records"].as_array().unwrap().len(), 5);

    let (_, page, _) = merge(&arguments("html")).await;
    for part in [
        "alpha, central",
        "2026-11-25 to 2026-11-26",
        "beta, central",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let (_, table, _) = merge(&arguments("csv")).await;
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), 9, "{table}");
    assert!(rows[0].starts_with("firm,number,"), "{table}");
    assert!(rows[1].starts_with("alpha,1,"), "{table}");
    assert_eq!(contents(root.path()), before);
}

#[tokio::test]
async fn fault_in_one_copy_is_named_with_its_directory_and_leaves_the_others_intact() {
    let root = tempfile::tempdir().unwrap();
    let altered = site(root.path(), "altered", "east", &[23, 24]);
    let intact = site(root.path(), "intact", "west", &[23, 24]);
    let file = altered.join("evidence/2026.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("full_pass", "failed", 1)).unwrap();
    let (altered, intact) = (altered.display().to_string(), intact.display().to_string());
    let (code, text, error) = merge(&[&altered, &intact, "--format=json"]).await;
    assert_eq!(code, 1, "{error}");
    let expected = format!("{altered}: 2026.jsonl line 1: record 1 was altered\n");
    assert_eq!(error, expected);
    let document: Value = serde_json::from_str(&text).unwrap();
    let faults: Vec<usize> = document["sites"]
        .as_array()
        .unwrap()
        .iter()
        .map(|site| site["evidence"]["faults"].as_array().unwrap().len())
        .collect();
    assert_eq!(faults, [1, 0]);
}

#[tokio::test]
async fn arguments_that_are_no_evidence_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let empty = root.path().display().to_string();
    for (arguments, expected) in [
        (vec!["/nowhere"], "/nowhere is not a directory"),
        (vec![empty.as_str()], "contains no evidence: name a copy of"),
        (
            vec![empty.as_str(), "--from=2026-11-24", "--to=2026-11-23"],
            "is later than --to 2026-11-23",
        ),
    ] {
        let (code, _, error) = merge(&arguments).await;
        assert_eq!(code, 2, "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn clock_that_was_set_back_is_a_note_and_no_fault() {
    let root = tempfile::tempdir().unwrap();
    let copy = site(root.path(), "alpha", "central", &[24, 23]);
    let (code, _, error) = merge(&[copy.to_str().unwrap()]).await;
    assert_eq!(code, 0, "{error}");
    assert!(error.contains("time runs backwards: record 2"), "{error}");
}
