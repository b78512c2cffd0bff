//! The readiness file: from a spreadsheet to metrics, while the exporter runs.

use harness::exporter::{ConfigFile, Exporter, run};

use crate::assertions::{assert_contains, assert_lacks};
use crate::waiting::wait_for_metric;

const CONFIG: &str = "targets: []\nreadiness: {file: accounts.csv, max_age: 2d, \
                      expected_total: {user: 4, delegated_admin: 1}}\n\
                      timetable: {done: {email_registration_users: true}}\n";

/// Replaces the file in one step, as spreadsheet programs do.
fn replace(config: &ConfigFile, text: &str) {
    let new = config.directory().join("accounts.new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, config.directory().join("accounts.csv")).unwrap();
}

const GOOD: &str = "\u{feff}Kind;Email;Created_after_launch\r\nuser;confirmed;no\r\n\
                    user;confirmed;yes\r\nuser;submitted;no\r\nUSER;MISSING;no\r\n\
                    delegated_admin;confirmed;no\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn counts_follow_the_file_and_survive_an_invalid_one() {
    let config = ConfigFile::new(CONFIG);
    replace(&config, GOOD);
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.line_with("readiness file loaded").await;
    let metrics = wait_for_metric(&exporter, "readiness_readable", 1.0).await;
    for (kind, email, count) in [
        ("user", "missing", 1.0),
        ("user", "submitted", 1.0),
        ("user", "confirmed", 2.0),
        ("delegated_admin", "missing", 0.0),
        ("delegated_admin", "submitted", 0.0),
        ("delegated_admin", "confirmed", 1.0),
    ] {
        metrics.expect(
            &format!("accounts{{email=\"{email}\",kind=\"{kind}\"}}"),
            count,
        );
    }
    metrics.expect("accounts_created_after_launch{kind=\"user\"}", 1.0);
    metrics.expect("readiness_max_age_seconds", 172_800.0);
    // The task is marked as done, and one account is missing.
    metrics.expect("readiness_contradictions", 1.0);
    let updated = "accounts_updated_timestamp_seconds";
    let updated_at = metrics.value(updated);
    let (_, page) = exporter.get("/").await;
    assert_contains(
        "the status page",
        &page,
        "users: 2 of 4 confirmed, 1 submitted, 1 missing",
    );

    // Written over in place, and incomplete. The exporter may also have seen it when it was empty.
    let half = GOOD.split_at(GOOD.len() - 9).0;
    std::fs::write(config.directory().join("accounts.csv"), half).unwrap();
    let line = exporter.line_with("line 6").await;
    assert_contains("the log", &line, "cannot load the readiness file");
    let metrics = wait_for_metric(&exporter, "readiness_readable", 0.0).await;
    let (_, page) = exporter.get("/").await;
    for part in [
        "the readiness file is invalid",
        "The counts below are from the last valid file.",
    ] {
        assert_contains("the status page", &page, part);
    }
    metrics.expect("accounts{email=\"confirmed\",kind=\"user\"}", 2.0);
    assert_eq!(metrics.value(updated), updated_at);

    replace(&config, &GOOD.replace("USER;MISSING", "USER;CONFIRMED"));
    exporter.line_with("readiness file loaded").await;
    let metrics = wait_for_metric(&exporter, "readiness_readable", 1.0).await;
    metrics.expect("accounts{email=\"missing\",kind=\"user\"}", 0.0);
    metrics.expect("readiness_contradictions", 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_file_is_reported_and_read_once_it_exists() {
    let config = ConfigFile::new(CONFIG);
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.line_with("cannot load the readiness file").await;
    let metrics = exporter.metrics().await;
    metrics.expect("readiness_readable", 0.0);
    assert_eq!(metrics.family("accounts"), []);
    replace(&config, GOOD);
    exporter.line_with("readiness file loaded").await;
    wait_for_metric(&exporter, "readiness_readable", 1.0).await;
}

#[tokio::test]
async fn check_prints_counts_contradictions_and_errors() {
    let config = ConfigFile::new(CONFIG);
    replace(&config, GOOD);
    let output = run(&["check", &config.argument()]).await;
    assert_eq!(output.status.code(), Some(0));
    let printed = String::from_utf8(output.stdout).unwrap();
    for part in [
        "users: 2 of 4 confirmed, 1 submitted, 1 missing",
        "contradiction: timetable.done lists email_registration_users, but 1 of the users",
    ] {
        assert_contains("check", &printed, part);
    }

    replace(&config, "kind,email\nuser,chan.tai.man@broker.example\n");
    let output = run(&["check", &config.argument()]).await;
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_contains(
        "check",
        &error,
        "accounts.csv: line 2: email contains an address",
    );
    assert_lacks("check", &error, "chan");
}
