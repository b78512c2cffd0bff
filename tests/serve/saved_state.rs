//! The saved state: what an exporter remembers, also after it was killed.

use std::time::Duration;

use ccass_2fa_lab::{Authority, HOST, Lab, Leaf, scenario};
use harness::exporter::{ConfigFile, Exporter, run};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::assertions::{assert_contains, excerpt};
use crate::lab_config::{probed_every_ten_seconds, probed_once};

const TIMEOUT: Duration = Duration::from_secs(60);

struct Setup {
    lab: Lab,
    config: ConfigFile,
}

impl Setup {
    async fn start(config: fn(&Lab) -> String) -> Self {
        let lab = Lab::start().await.expect("the lab starts");
        // Relative to the configuration file.
        let config = ConfigFile::new(&format!("data_directory: kept\n{}", config(&lab)));
        Self { lab, config }
    }

    /// Starts an exporter and waits for its first probe.
    async fn exporter(&self) -> Exporter {
        let mut exporter = Exporter::start(&[&self.config.argument()]).await;
        exporter.first_probe().await;
        exporter
    }

    fn provoke(&self, name: &str) {
        self.lab.provoke(scenario(name).expect("a scenario"));
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.config.directory().join("kept").join(name)
    }

    async fn wait_for_saved(&self, part: &str) {
        let mut text = String::new();
        let saved = timeout(TIMEOUT, async {
            while !text.contains(part) {
                sleep(Duration::from_millis(20)).await;
                text = std::fs::read_to_string(self.file("state.json")).unwrap_or_default();
            }
        });
        if saved.await.is_err() {
            let lines = excerpt(&text, part);
            panic!("state.json has no {part:?} after {TIMEOUT:?}:\n{lines}");
        }
    }
}

async fn history(exporter: &Exporter) -> Value {
    let (status, text) = exporter.get("/api/v1/history?target=sso").await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_exporter_still_knows_the_outage_and_what_changed() {
    let setup = Setup::start(probed_every_ten_seconds).await;
    let mut exporter = setup.exporter().await;
    let good = history(&exporter).await;
    assert_eq!(good["transitions"].as_array().unwrap().len(), 1, "{good:#}");
    assert!(good["transitions"][0].get("failure").is_none());

    // A web filter intercepts the connection; its CA is not trusted.
    let unknown_ca = Authority::new("Example Unknown CA");
    let identity = unknown_ca.issue(&Leaf::for_name(HOST));
    setup.lab.login_server.set_identity(identity);
    exporter.line_with("message=\"probe failed\"").await;
    let metrics = exporter.metrics().await;
    for fact in ["issuer", "key"] {
        metrics.expect(
            &format!("last_good_changed_info{{fact=\"{fact}\",target=\"sso\"}}"),
            1.0,
        );
    }
    assert_eq!(metrics.family("last_good_changed_info").len(), 2);
    let before = history(&exporter).await;
    setup.wait_for_saved("tls_unknown_issuer").await;
    exporter
        .child
        .kill()
        .await
        .expect("the exporter was running");

    let exporter = setup.exporter().await;
    let after = history(&exporter).await;
    for part in ["last_good", "transitions", "failures", "url"] {
        assert_eq!(after[part], before[part], "{part}");
    }
    assert_eq!(after["transitions"][1]["failure"], "tls_unknown_issuer");
    assert_eq!(after["changes"][1]["fact"], "key", "{after:#}");
    assert_eq!(after["changes"][0]["since"], before["changes"][0]["since"]);
    let issuer = after["changes"][0]["before"].as_str().expect("an issuer");
    assert!(issuer.contains("CCASS Lab"), "{issuer}");
    assert_eq!(after["failures"][0]["verdict"]["layer"], "tls");
    let metrics = exporter.metrics().await;
    let last_success = metrics.value("probe_last_success_timestamp_seconds{target=\"sso\"}");
    assert!(last_success.is_some());

    // verify compares its own probe with the same state.
    let output = run(&[&setup.config.argument(), "verify"]).await;
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "Last OK 20",
        "Changed certificate issuer: C=HK, O=CCASS Lab, CN=CCASS Lab Issuing CA before, \
         C=HK, O=Example Unknown CA, CN=Example Unknown CA Issuing CA now",
        "Changed certificate key: sha256/",
    ] {
        assert_contains("verify", &text, part);
    }
    let output = run(&[&setup.config.argument(), "verify", "--format=json"]).await;
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["reports"][0]["changed"][0]["fact"], "issuer");
    assert_eq!(
        document["reports"][0]["last_good"],
        after["last_good"]["at"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_cleared_when_the_target_recovers() {
    let setup = Setup::start(probed_every_ten_seconds).await;
    // Each start probes at once: only the last probe has to wait for an interval.
    setup.provoke("dns-sinkhole");
    let mut exporter = setup.exporter().await;
    assert!(history(&exporter).await.get("last_good").is_none());
    setup.wait_for_saved("\"transitions\":[{").await;
    exporter
        .child
        .kill()
        .await
        .expect("the exporter was running");
    setup.lab.heal();
    let mut exporter = setup.exporter().await;
    setup.wait_for_saved("\"last_good\":{").await;
    exporter
        .child
        .kill()
        .await
        .expect("the exporter was running");

    setup.provoke("dns-sinkhole");
    let mut exporter = Exporter::start(&[&setup.config.argument()]).await;
    exporter.line_with("message=\"probe failed\"").await;
    let metrics = exporter.metrics().await;
    let changed = "last_good_changed_info{fact=\"addresses\",target=\"sso\"}";
    metrics.expect(changed, 1.0);
    setup.lab.heal();
    exporter.line_with("message=\"probe succeeded\"").await;
    let metrics = exporter.metrics().await;
    assert_eq!(metrics.family("last_good_changed_info"), []);
    assert_eq!(metrics.family("last_good_changed_timestamp_seconds"), []);
    // The history still shows that the target went up and down.
    let transitions = history(&exporter).await["transitions"].clone();
    assert_eq!(transitions.as_array().unwrap().len(), 4, "{transitions:#}");
}

/// A success that lies ahead would look recent to the alert rules for as long as it does.
#[tokio::test(flavor = "multi_thread")]
async fn saved_times_ahead_of_the_clock_are_not_used() {
    let setup = Setup::start(probed_once).await;
    std::fs::create_dir(setup.file("")).expect("a directory");
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let url = setup.lab.url();
    let state = serde_json::json!({"schema": 1, "targets": {"sso": {
        "url": url, "last_good": {"at": tomorrow, "issuer": "CN=Ahead"},
        "transitions": [{"at": tomorrow}], "failures": [],
    }}});
    std::fs::write(setup.file("state.json"), state.to_string()).expect("a file");
    setup.provoke("tcp-refused");
    let exporter = setup.exporter().await;
    let metrics = exporter.metrics().await;
    assert_eq!(metrics.family("probe_last_success_timestamp_seconds"), []);
    let history = history(&exporter).await;
    assert!(history.get("last_good").is_none(), "{history:#}");
    assert_eq!(history["transitions"][0]["failure"], "tcp_refused");
    let output = run(&[&setup.config.argument(), "verify"]).await;
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(!text.contains("Last OK"), "{text}");
    // The clock may be what is wrong.
    let kept = std::fs::read_to_string(setup.file("state.json.ahead")).expect("a file");
    assert_eq!(kept, state.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_state_is_set_aside_and_never_fatal() {
    let setup = Setup::start(probed_once).await;
    std::fs::create_dir(setup.file("")).expect("a directory");
    for text in ["", "{\"schema\": 1, \"targets\": {\"sso\""] {
        std::fs::write(setup.file("state.json"), text).expect("a file");
        let output = run(&[&setup.config.argument(), "verify"]).await;
        assert_eq!(output.status.code(), Some(0), "{text}");
        let mut exporter = Exporter::start(&[&setup.config.argument()]).await;
        exporter.first_probe().await;
        let aside = std::fs::read_to_string(setup.file("state.json.corrupt"));
        assert_eq!(aside.expect("a copy of the unreadable file"), text);
        setup.wait_for_saved("\"transitions\":[{").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn state_of_a_newer_release_is_kept_aside() {
    let setup = Setup::start(probed_once).await;
    std::fs::create_dir(setup.file("")).expect("a directory");
    // The rest of a newer file may have any form.
    let newer = "{\"schema\":3,\"targets\":[\"in another form\"]}";
    std::fs::write(setup.file("state.json"), newer).expect("a file");
    let mut exporter = Exporter::start(&[&setup.config.argument()]).await;
    let line = exporter.line_with("cannot read the state file").await;
    for part in ["state.json.newer", "version 3", "up to version 2"] {
        assert_contains("log", &line, part);
    }
    exporter.first_probe().await;
    let aside = std::fs::read_to_string(setup.file("state.json.newer"));
    assert_eq!(aside.expect("the newer file"), newer);
    setup.wait_for_saved("\"schema\":2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_of_an_older_release_is_migrated() {
    let setup = Setup::start(probed_once).await;
    std::fs::create_dir(setup.file("")).expect("a directory");
    let url = setup.lab.url();
    let older = serde_json::json!({"schema": 1, "targets": {"sso": {
        "url": url,
        "last_good": {"at": "2026-11-20T00:00:00Z", "issuer": "CN=Example CA", "key": "sha256/x"},
        "transitions": [
            {"at": "2026-11-19T00:00:00Z"},
            {"at": "2026-11-19T01:00:00Z", "failure": "http_status"},
            {"at": "2026-11-19T01:05:00Z"},
        ],
        "failures": [],
    }}});
    std::fs::write(setup.file("state.json"), older.to_string()).expect("a file");
    let exporter = setup.exporter().await;
    let history = history(&exporter).await;
    let outages = &history["outages"];
    assert_eq!(outages[0]["reasons"][0], "http_status", "{history:#}");
    assert_eq!(outages[0]["end"], "2026-11-19T01:05:00Z");
    // From the last success until this probe, nothing probed.
    assert_eq!(history["transitions"][3]["at"], "2026-11-20T00:00:00Z");
    assert_eq!(history["transitions"][3]["not_watched"], true);
    setup.wait_for_saved("\"schema\":2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_has_the_results_of_the_range_that_is_asked_for() {
    let setup = Setup::start(probed_once).await;
    let exporter = setup.exporter().await;
    let get = async |range: &str| {
        let path = format!("/api/v1/history?target=sso&range={range}");
        let (status, text) = exporter.get(&path).await;
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    };
    let (status, day) = get("24h").await;
    assert_eq!(status, 200, "{day}");
    assert!(
        day["minutes"][0]["layers"]["tls"].as_f64() > Some(0.0),
        "{day:#}"
    );
    assert!(day.get("hours").is_none());
    let (_, month) = get("30d").await;
    assert_eq!(month["hours"][0]["successes"], 1, "{month:#}");
    assert!(month.get("minutes").is_none());
    assert_eq!(month["availability"][2]["days"], 30);
    for range in ["91d", "yesterday"] {
        let (status, text) = get(range).await;
        assert_eq!(status, 400, "{range}");
        assert_contains(range, text.as_str().unwrap(), "such as 24h, 7d or 30d");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_report_is_a_page_to_print_or_to_send() {
    let setup = Setup::start(probed_once).await;
    setup.provoke("http-503");
    let exporter = setup.exporter().await;
    let (status, page) = exporter.get("/report?target=sso").await;
    assert_eq!(status, 200, "{page}");
    assert_contains("the page", &page, "answered 503 Service Unavailable");
    let (status, text) = exporter.get("/report").await;
    assert_eq!(
        (status, text.as_str()),
        (400, "Missing parameter target: /report?target=NAME\n")
    );
    assert_eq!(exporter.get("/report?target=unknown").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_data_directory_is_reported_and_probing_goes_on() {
    let setup = Setup::start(probed_once).await;
    std::fs::write(setup.config.directory().join("kept"), "").expect("a file");
    let output = run(&[&setup.config.argument(), "check"]).await;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    for part in ["1:17: data_directory:", "is not a directory"] {
        assert_contains("check", &error, part);
    }

    let text = std::fs::read_to_string(setup.config.path()).expect("the configuration");
    let config = ConfigFile::new(&text.replace("kept", "/dev/null/kept"));
    let mut command = harness::exporter::command();
    let mut exporter = Exporter::spawn(command.arg(config.argument())).await;
    exporter
        .line_with("cannot write evidence, records are queued")
        .await;
    let metrics = exporter.metrics().await;
    metrics.expect("probe_success{role=\"login\",target=\"sso\"}", 1.0);
    assert!(metrics.value("evidence_errors_total") > Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_selected_by_target_name() {
    let setup = Setup::start(probed_once).await;
    let exporter = setup.exporter().await;
    let (status, _) = exporter.get("/api/v1/history").await;
    assert_eq!(status, 200, "the only target needs no name");
    let (status, text) = exporter.get("/api/v1/history?target=unknown").await;
    assert_eq!(
        (status, text.as_str()),
        (404, "Unknown target \"unknown\"; configured targets: sso\n")
    );
    for (path, expected) in [("", 200), ("?target=sso", 200), ("?target=nope", 404)] {
        let (status, text) = exporter.get(&format!("/api/v1/reports{path}")).await;
        assert_eq!(status, expected, "{path}: {text}");
    }
}
