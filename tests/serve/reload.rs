//! The files read again while the exporter runs: whole or not at all, and nothing is lost of what
//! stays.

use ccass_2fa_lab::{Authority, HOST, HttpFault, Lab, Leaf};
use harness::exporter::{ConfigFile, Exporter};

/// A second target in the lab's configuration, which lies first in its list.
fn with_second_target(lab: &Lab) -> String {
    let line = format!(
        "targets:\n  - {{name: second, url: \"{}?second\", module: lab_page}}",
        lab.url()
    );
    lab.config().replacen("targets:", &line, 1)
}

fn hangup(exporter: &Exporter) {
    let id = exporter.child.id().expect("it runs").to_string();
    let sent = std::process::Command::new("kill")
        .args(["-HUP", &id])
        .status();
    assert!(sent.expect("kill").success());
}

async fn post(exporter: &Exporter, path: &str) -> (u16, String) {
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let answer = client
        .post(exporter.url(path))
        .send()
        .await
        .expect("an answer");
    (
        answer.status().as_u16(),
        answer.text().await.expect("a body"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_brings_a_new_target_and_leaves_the_old_one_its_counters_and_its_beat() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&lab.config());
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    exporter
        .metrics()
        .await
        .expect("probe_attempts_total{target=\"sso\"}", 1.0);
    std::fs::write(config.path(), with_second_target(&lab)).unwrap();
    hangup(&exporter);
    exporter.line_with("message=reloaded").await;
    exporter.line_with("target_name=second").await;
    let metrics = exporter.metrics().await;
    metrics.expect("probe_attempts_total{target=\"second\"}", 1.0);
    metrics.expect("probe_attempts_total{target=\"sso\"}", 1.0);
    metrics.expect("config_last_reload_successful", 1.0);
    let first = |request: &&ccass_2fa_lab::Seen| !request.path.contains("second");
    let asked = lab.login_server.requests();
    assert_eq!(
        asked.iter().filter(first).count(),
        1,
        "it was probed once more: {asked:#?}"
    );

    // And gone again, with every series of it.
    std::fs::write(config.path(), lab.config()).unwrap();
    assert_eq!(
        post(&exporter, "/-/reload").await,
        (200, "reloaded\n".to_owned())
    );
    let metrics = exporter.metrics().await;
    assert!(
        !metrics.text.contains("target=\"second\""),
        "{}",
        metrics.text
    );
    metrics.expect("probe_attempts_total{target=\"sso\"}", 1.0);
    assert_eq!(exporter.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asked_to_be_left_alone_is_left_alone_after_a_reload_too() {
    let lab = Lab::start().await.unwrap();
    // 503 with Retry-After: 120, at an interval of 10 s.
    lab.provoke(ccass_2fa_lab::scenario("http-503").unwrap());
    let config = ConfigFile::new(&lab.config());
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let rested = "probe_missed_total{cause=\"backoff\",target=\"sso\"}";
    let told = async {
        loop {
            match exporter.metrics().await.value(rested) {
                Some(missed) if missed > 0.0 => return missed,
                _ => {}
            }
        }
    };
    let missed = tokio::time::timeout(harness::exporter::PATIENCE, told).await;
    let missed = missed.expect("the rest is counted");
    let closed = "  - {name: closed, url: \"https://127.0.0.1:1/\", expect: unreachable}\n";
    std::fs::write(config.path(), lab.config() + closed).unwrap();
    assert_eq!(post(&exporter, "/-/reload").await.0, 200);
    // The new target's second probe comes after what would have been the next of the old one.
    let attempts = "probe_attempts_total{target=\"closed\"}";
    let twice = async { while exporter.metrics().await.value(attempts) != Some(2.0) {} };
    let probed = tokio::time::timeout(harness::exporter::PATIENCE, twice).await;
    probed.expect("the closed one is probed");
    assert_eq!(lab.login_server.requests().len(), 1);
    // Counted when it was asked for, and not again.
    exporter.metrics().await.expect(rested, missed);
    assert_eq!(exporter.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_leaves_the_old_configuration_in_force_and_is_told_and_shown() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&lab.config());
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let before = exporter.metrics().await;
    let read = "config_last_reload_success_timestamp_seconds";
    let mistaken = with_second_target(&lab).replace("module: lab_page}", "module: nowhere}");
    std::fs::write(config.path(), mistaken).unwrap();
    let (status, text) = post(&exporter, "/-/reload").await;
    assert_eq!(status, 500);
    let told = "targets[0].module: there is no module \"nowhere\"; there are lab_page, login_page";
    assert!(text.contains(told), "{text}");
    assert!(text.contains("ccass.yml:"), "{text}");
    exporter.line_with("what was in force goes on").await;
    let metrics = exporter.metrics().await;
    metrics.expect("config_last_reload_successful", 0.0);
    assert_eq!(metrics.value(read), before.value(read));
    metrics.expect("probe_attempts_total{target=\"sso\"}", 1.0);
    assert!(!metrics.text.contains("target=\"second\""));

    std::fs::write(config.path(), with_second_target(&lab)).unwrap();
    assert_eq!(post(&exporter, "/-/reload").await.0, 200);
    let metrics = exporter.metrics().await;
    metrics.expect("config_last_reload_successful", 1.0);
    assert!(metrics.value(read) > before.value(read));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_that_the_configuration_names_are_read_again() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new("");
    let holidays = config.directory().join("holidays.csv");
    let ca_file = config.directory().join("ca.pem");
    let text = lab
        .config()
        .replace(&lab.ca_file().display().to_string(), "ca.pem");
    assert!(text.contains("ca_file: \"ca.pem\""), "{text}");
    std::fs::write(
        config.path(),
        format!("{text}\ncalendar: {{file: holidays.csv}}\n"),
    )
    .unwrap();
    let until_2026 = "date,weekday,name\n2026-01-01,Thu,The first day of January\n";
    std::fs::write(&holidays, until_2026).unwrap();
    std::fs::copy(lab.ca_file(), &ca_file).unwrap();
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let until = "calendar_valid_until_timestamp_seconds";
    // 1 January 2027, 00:00 in Hong Kong.
    exporter.metrics().await.expect(until, 1_798_732_800.0);

    // Another authority, whose certificate the server has had all along.
    let authority = Authority::new("Next year's");
    lab.login_server
        .set_identity(authority.issue(&Leaf::for_name(HOST)));
    let (_, text) = exporter.get("/probe?target=sso").await;
    assert!(text.contains("reason=\"tls_unknown_issuer\""), "{text}");
    std::fs::write(&ca_file, authority.root_pem()).unwrap();
    std::fs::write(&holidays, format!("{until_2026}2027-01-01,Fri,The same\n")).unwrap();
    assert_eq!(post(&exporter, "/-/reload").await.0, 200);
    exporter.metrics().await.expect(until, 1_830_268_800.0);
    let (_, text) = exporter.get("/probe?target=sso").await;
    assert!(text.contains("\nprobe_success 1\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_under_way_is_taken_in_although_the_files_are_reloaded_meanwhile() {
    let lab = Lab::start().await.unwrap();
    lab.login_server.set_fault(HttpFault::SilentAfterRequest);
    let config = ConfigFile::new(&lab.config());
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    while lab.login_server.requests().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(post(&exporter, "/-/reload").await.0, 200);
    exporter.line_with("reason=http_timed_out").await;
    exporter
        .metrics()
        .await
        .expect("probe_attempts_total{target=\"sso\"}", 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_is_asked_for_by_post_alone() {
    let exporter = Exporter::start(&[&ConfigFile::new("targets: []").argument()]).await;
    let (status, text) = exporter.get("/-/reload").await;
    assert_eq!(
        (status, text.as_str()),
        (405, "This address answers POST, PUT only.\n")
    );
    assert_eq!(post(&exporter, "/metrics").await.0, 405);
}
