//! What is remembered, also by an exporter that was killed.

use ccass_2fa_lab::{HOST, Lab, Leaf, scenario};
use harness::exporter::{ConfigFile, Exporter, run};
use serde_json::Value;

struct Site {
    lab: Lab,
    config: ConfigFile,
}

impl Site {
    async fn start() -> Self {
        let lab = Lab::start().await.expect("the lab starts");
        // Relative: beside the configuration.
        let config = ConfigFile::new(&format!("data_directory: kept\n{}", lab.config()));
        Self { lab, config }
    }

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

    /// Waits until the file says what it must.
    async fn file_says(&self, part: &str) {
        let says = || std::fs::read_to_string(self.file("memory.json")).unwrap_or_default();
        let said = tokio::time::timeout(harness::exporter::PATIENCE, async {
            while !says().contains(part) {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        });
        assert!(said.await.is_ok(), "{}", says());
    }
}

async fn history(exporter: &Exporter) -> Value {
    let (status, text) = exporter.get("/api/v1/history?target=sso").await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_killed_in_an_outage_still_knows_since_when_and_what_it_was_before() {
    let site = Site::start().await;
    let mut exporter = site.exporter().await;
    let good = history(&exporter).await;
    assert_eq!(good["transitions"].as_array().unwrap().len(), 1, "{good:#}");
    assert!(good["transitions"][0].get("failure").is_none());

    // A web filter steps in between, whose authority this host trusts for nothing.
    let stranger = ccass_2fa_lab::Authority::new("Example Stranger");
    let identity = stranger.issue(&Leaf::for_name(HOST));
    site.lab.login_server.set_identity(identity);
    exporter.line_with("message=\"the probe fails\"").await;
    let metrics = exporter.metrics().await;
    for fact in ["issuer", "key"] {
        metrics.expect(
            &format!("last_good_changed_info{{fact=\"{fact}\",target=\"sso\"}}"),
            1.0,
        );
    }
    assert_eq!(metrics.family("last_good_changed_info").len(), 2);
    let before = history(&exporter).await;
    site.file_says("tls_unknown_issuer").await;
    exporter.child.kill().await.expect("it was alive");

    let exporter = site.exporter().await;
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
    assert!(last_success.is_some(), "{}", metrics.text);

    // verify sets its own probe against the same memory.
    let output = run(&[&site.config.argument(), "verify"]).await;
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let told = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "Last good 20",
        "Changed issuer of the certificate: C=HK, O=CCASS Lab, CN=CCASS Lab Issuing CA then, \
         C=HK, O=Example Stranger, CN=Example Stranger Issuing CA now",
        "Changed key of the certificate: sha256/",
    ] {
        assert!(told.contains(part), "{part}: {text}");
    }
    let output = run(&[&site.config.argument(), "verify", "--format=json"]).await;
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["reports"][0]["changed"][0]["fact"], "issuer");
    assert_eq!(
        document["reports"][0]["last_good"],
        after["last_good"]["at"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_is_forgotten_when_the_target_is_good_again() {
    let site = Site::start().await;
    site.provoke("dns-sinkhole");
    let mut exporter = site.exporter().await;
    assert!(history(&exporter).await.get("last_good").is_none());
    site.lab.heal();
    exporter.line_with("message=\"the probe is good\"").await;
    site.provoke("dns-sinkhole");
    exporter.line_with("message=\"the probe fails\"").await;
    let metrics = exporter.metrics().await;
    let changed = "last_good_changed_info{fact=\"addresses\",target=\"sso\"}";
    metrics.expect(changed, 1.0);
    site.lab.heal();
    exporter.line_with("message=\"the probe is good\"").await;
    let metrics = exporter.metrics().await;
    assert_eq!(metrics.family("last_good_changed_info"), []);
    assert_eq!(metrics.family("last_good_changed_timestamp_seconds"), []);
    // The flap is still seen.
    let transitions = history(&exporter).await["transitions"].clone();
    assert_eq!(transitions.as_array().unwrap().len(), 4, "{transitions:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_that_cannot_be_read_is_set_aside_and_never_fatal() {
    let site = Site::start().await;
    std::fs::create_dir(site.file("")).expect("a directory");
    for text in [
        "",
        "{\"schema\": 1, \"targets\": {\"sso\"",
        "{\"schema\":2,\"targets\":{}}",
    ] {
        std::fs::write(site.file("memory.json"), text).expect("a file");
        let output = run(&[&site.config.argument(), "verify"]).await;
        assert_eq!(output.status.code(), Some(0), "{text}");
        let mut exporter = Exporter::start(&[&site.config.argument()]).await;
        exporter.first_probe().await;
        let aside = std::fs::read_to_string(site.file("memory.json.corrupt"));
        assert_eq!(aside.expect("it is set aside"), text);
        site.file_says("\"transitions\":[{").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_that_cannot_be_used_is_told_at_the_start_and_probing_goes_on() {
    let site = Site::start().await;
    std::fs::write(site.config.directory().join("kept"), "").expect("a file");
    let output = run(&[&site.config.argument(), "check"]).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("1:17: data_directory:"), "{told}");
    assert!(told.contains("is not a directory"), "{told}");

    let text = std::fs::read_to_string(site.config.path()).expect("the configuration");
    let config = ConfigFile::new(&text.replace("kept", "/dev/null/kept"));
    let mut command = harness::exporter::command();
    let mut exporter = Exporter::spawn(command.arg(config.argument())).await;
    exporter
        .line_with("evidence cannot be recorded; it waits, and probing goes on")
        .await;
    let metrics = exporter.metrics().await;
    metrics.expect("probe_success{role=\"login\",target=\"sso\"}", 1.0);
    assert!(metrics.value("evidence_errors_total") > Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_one_target_is_asked_for_by_its_name() {
    let site = Site::start().await;
    let exporter = site.exporter().await;
    let (status, _) = exporter.get("/api/v1/history").await;
    assert_eq!(status, 200, "the only target needs no name");
    let (status, text) = exporter.get("/api/v1/history?target=nobody").await;
    assert_eq!(
        (status, text.as_str()),
        (404, "No target of that name is configured.\n")
    );
}
