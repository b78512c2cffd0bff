//! From a spreadsheet to the readiness figures, while the exporter runs.

use harness::exporter::{ConfigFile, Exporter, run};

const CONFIG: &str = "targets: []\nreadiness: {file: accounts.csv, max_age: 2d, \
                      expected_total: {user: 4, delegated_admin: 1}}\n\
                      timetable: {done: {email_registration_users: true}}\n";

/// Renamed into its place, or written over, as programs do.
fn write(config: &ConfigFile, text: &str) {
    let new = config.directory().join("accounts.new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, config.directory().join("accounts.csv")).unwrap();
}

const GOOD: &str = "\u{feff}Kind;Email;Created_after_launch\r\nuser;confirmed;no\r\n\
                    user;confirmed;yes\r\nuser;submitted;no\r\nUSER;MISSING;no\r\n\
                    delegated_admin;confirmed;no\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn counts_follow_the_file_and_a_bad_one_leaves_the_last_good_data() {
    let config = ConfigFile::new(CONFIG);
    write(&config, GOOD);
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.line_with("the readiness file is read").await;
    let metrics = exporter.metrics().await;
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
    metrics.expect("readiness_readable", 1.0);
    // Marked as done, and one is missing.
    metrics.expect("readiness_contradictions", 1.0);
    let written = metrics.value("accounts_updated_timestamp_seconds");
    let (_, page) = exporter.get("/").await;
    assert!(
        page.contains(
            "users: 2 of 4 confirmed, 1 submitted, 1 missing; 1 created since the launch"
        ),
        "{page}"
    );

    // Half of it is there.
    let half = GOOD.split_at(GOOD.len() - 9).0;
    std::fs::write(config.directory().join("accounts.csv"), half).unwrap();
    let line = exporter
        .line_with("the readiness file cannot be used")
        .await;
    assert!(line.contains("line 6"), "{line}");
    let (_, page) = exporter.get("/").await;
    assert!(page.contains("the readiness file cannot be read"), "{page}");
    assert!(
        page.contains("What follows is of the last good file."),
        "{page}"
    );
    let metrics = exporter.metrics().await;
    metrics.expect("readiness_readable", 0.0);
    metrics.expect("accounts{email=\"confirmed\",kind=\"user\"}", 2.0);
    assert_eq!(metrics.value("accounts_updated_timestamp_seconds"), written);

    write(&config, &GOOD.replace("USER;MISSING", "USER;CONFIRMED"));
    exporter.line_with("the readiness file is read").await;
    let metrics = exporter.metrics().await;
    metrics.expect("accounts{email=\"missing\",kind=\"user\"}", 0.0);
    metrics.expect("readiness_contradictions", 0.0);
    metrics.expect("readiness_readable", 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_there_stops_nothing_and_shows() {
    let config = ConfigFile::new(CONFIG);
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter
        .line_with("the readiness file cannot be used")
        .await;
    let metrics = exporter.metrics().await;
    metrics.expect("readiness_readable", 0.0);
    assert_eq!(metrics.family("accounts"), []);
    write(&config, GOOD);
    exporter.line_with("the readiness file is read").await;
    exporter.metrics().await.expect("readiness_readable", 1.0);
}

#[tokio::test]
async fn check_tells_the_counts_the_contradictions_and_each_mistake() {
    let config = ConfigFile::new(CONFIG);
    write(&config, GOOD);
    let output = run(&["check", &config.argument()]).await;
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.contains("users: 2 of 4 confirmed, 1 submitted, 1 missing"),
        "{told}"
    );
    assert!(
        told.contains(
            "contradiction: timetable.done says that email_registration_users is done, and 1 of the"
        ),
        "{told}"
    );

    write(&config, "kind,email\nuser,chan.tai.man@broker.example\n");
    let output = run(&["check", &config.argument()]).await;
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("accounts.csv: line 2: an address stands in it"),
        "{told}"
    );
    assert!(!told.contains("chan"), "{told}");
}
