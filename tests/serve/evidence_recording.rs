//! Evidence that `serve` records while other programs record, too.

use std::fs::File;
use std::path::{Path, PathBuf};

use ccass_2fa_exporter::clock::Clock;
use ccass_2fa_exporter::evidence::Ledger;
use ccass_2fa_lab::{Lab, scenario};
use harness::exporter::{ConfigFile, Exporter, binary, command_of, output_of, run};
use serde_json::Value;
use tokio::process::Command;

use crate::assertions::assert_contains;
use crate::lab_config::probed_once;
use crate::reloading::{post, probe_again};
use crate::silent_server::SilentServer;
use crate::waiting::wait_for_metric;

const RECORDS: &str = "evidence_records";
/// Bytes: enough for some records.
const FILE_SIZE_LIMIT: u64 = 4096;

struct Setup {
    lab: Lab,
    config: ConfigFile,
}

impl Setup {
    async fn start() -> Self {
        Self::start_with("").await
    }

    async fn start_with(more: &str) -> Self {
        let lab = Lab::start().await.expect("the lab starts");
        let config = ConfigFile::new(&format!(
            "data_directory: kept\nevidence: {{terminals: [t1, t2]}}\n{more}{}",
            probed_once(&lab)
        ));
        Self { lab, config }
    }

    async fn exporter(&self) -> Exporter {
        Exporter::start(&[&self.config.argument()]).await
    }

    fn provoke(&self, name: &str) {
        self.lab.provoke(scenario(name).expect("a scenario"));
    }

    /// Runs a command that succeeds and returns its output.
    async fn run(&self, arguments: &[&str]) -> String {
        let config = self.config.argument();
        let output = run(&[&[config.as_str()], arguments].concat()).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    async fn record_terminal(&self, terminal: &str, outcome: &str) {
        let terminal = format!("--terminal={terminal}");
        let outcome = format!("--outcome={outcome}");
        self.run(&["record", &terminal, &outcome]).await;
    }

    fn data_directory(&self) -> PathBuf {
        self.config.directory().join("kept")
    }

    fn records(&self) -> Vec<Value> {
        let ledger = Ledger::in_directory(&self.data_directory(), None, Clock::System);
        let files = ledger.files().expect("readable evidence");
        let text: String = files
            .iter()
            .map(|path| std::fs::read_to_string(path).expect("a readable file"))
            .collect();
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    fn kinds(&self) -> Vec<String> {
        let records = self.records();
        let kinds = records.iter().map(|record| record["kind"].as_str());
        kinds.map(|kind| kind.expect("a kind").to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn daily_verification_is_recorded_and_records_of_others_are_shown() {
    let setup = Setup::start().await;
    let exporter = setup.exporter().await;
    let metrics = wait_for_metric(&exporter, RECORDS, 1.0).await;
    metrics.expect("evidence_errors_total", 0.0);
    metrics.expect("terminals_expected", 2.0);
    metrics.expect("terminals_checked{outcome=\"seen\"}", 0.0);
    let first = setup.records()[0].clone();
    assert_eq!(first["content"]["origin"], "daily");
    let hash = first["hash"].as_str().unwrap();
    metrics.expect(
        &format!("evidence_head_info{{hash=\"{hash}\",number=\"1\"}}"),
        1.0,
    );
    let pass = metrics.value("verification_last_pass_timestamp_seconds{target=\"sso\"}");
    assert!(pass.is_some());

    setup.record_terminal("t2", "seen").await;
    wait_for_metric(&exporter, "terminals_checked{outcome=\"seen\"}", 1.0).await;
    let (_, page) = exporter.get("/").await;
    let text = "Login page seen at 1 of 2 CCASS Terminals:";
    assert_contains("the status page", &page, text);
    assert_eq!(exporter.terminate().await, Some(0));
    assert_eq!(setup.kinds(), ["verification", "terminal"]);
}

/// The exporter with a limit of the size of its files, which may be raised later.
fn limited(setup: &Setup) -> Command {
    let mut command = command_of(Path::new("prlimit"));
    let limit = format!("--fsize={FILE_SIZE_LIMIT}:unlimited");
    command
        .args([&limit, binary()])
        .arg(setup.config.argument());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn limit_of_file_sizes_loses_no_evidence_and_ends_nothing() {
    let setup = Setup::start().await;
    let mut acknowledged = 0;
    let refused = loop {
        let mut command = limited(&setup);
        command.args(["record", "--terminal=t1", "--outcome=seen"]);
        let output = output_of(&mut command).await;
        if !output.status.success() {
            break output;
        }
        acknowledged += 1;
        assert!(acknowledged < 100, "{FILE_SIZE_LIMIT} bytes hold no more");
    };
    let error = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{error}");
    assert_contains("the error", &error, "NOT recorded");
    assert_contains("the error", &error, "File too large");

    // The verification of the day does not fit, either.
    let mut exporter = Exporter::spawn(&mut limited(&setup)).await;
    exporter
        .line_with("cannot write evidence, records are queued")
        .await;
    probe_again(&exporter, &setup.config).await;
    exporter.line_with("message=\"probe succeeded\"").await;
    let id = exporter.child.id().expect("it runs").to_string();
    let raised = std::process::Command::new("prlimit")
        .args(["--pid", &id, "--fsize=unlimited"])
        .status();
    assert!(raised.expect("prlimit, of util-linux, starts").success());
    exporter.line_with("evidence writes recovered").await;
    assert_eq!(exporter.terminate().await, Some(0));
    setup.run(&["evidence", "check"]).await;
    let kinds = setup.kinds();
    let recorded = kinds.iter().filter(|kind| *kind == "terminal").count();
    assert_eq!(recorded, acknowledged, "{kinds:?}");
    assert!(kinds.contains(&"verification".to_owned()), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn outage_is_recorded_once_across_a_restart() {
    let setup = Setup::start().await;
    let mut exporter = setup.exporter().await;
    exporter.line_with("message=\"probe succeeded\"").await;
    wait_for_metric(&exporter, RECORDS, 1.0).await;
    // The second failing probe makes it an outage.
    setup.provoke("tcp-refused");
    for _ in 0..2 {
        probe_again(&exporter, &setup.config).await;
        exporter.line_with("message=\"probe failed\"").await;
    }
    wait_for_metric(&exporter, RECORDS, 2.0).await;
    exporter.child.kill().await.unwrap();

    // Started during the outage, which does not begin a second time.
    let mut exporter = setup.exporter().await;
    exporter.line_with("message=\"probe failed\"").await;
    probe_again(&exporter, &setup.config).await;
    exporter.line_with("message=\"probe failed\"").await;
    setup.lab.heal();
    probe_again(&exporter, &setup.config).await;
    exporter.line_with("message=\"probe succeeded\"").await;
    wait_for_metric(&exporter, RECORDS, 3.0).await;
    let kinds = setup.kinds();
    assert_eq!(kinds, ["verification", "outage_began", "outage_ended"]);
    let records = setup.records();
    assert_eq!(records[1]["content"]["reason"], "tcp_refused");
    assert_eq!(
        records[2]["content"]["since"],
        records[1]["content"]["since"]
    );
    assert_eq!(exporter.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn deadline_is_done_after_every_target_and_terminal_was_verified() {
    // A circular that was issued yesterday.
    let today = ccass_2fa_exporter::calendar::date_at(Clock::System.now());
    let issued = today.yesterday().unwrap();
    let due = today.saturating_add(jiff::Span::new().days(20));
    let dates = format!(
        "reference: NEXT/001\nissuer: HKSCC\nissued: {issued}\nstatus: confirmed\nsubject: Next\n\
         deadlines:\n  - id: connection_verification\n    title: Verify the connection\n    \
         status: confirmed\n    due:\n      - form: {{before: {due}}}\n        words: soon\n        \
         sentences: [Verify soon.]\n    alert_until: {{on: {due}}}\n"
    );
    let setup = Setup::start_with("timetable: {file: dates.yml}\n").await;
    std::fs::write(setup.config.directory().join("dates.yml"), dates).unwrap();
    setup.run(&["check"]).await;
    let done = "deadline_done{deadline=\"connection_verification\"}";
    let exporter = setup.exporter().await;
    let metrics = wait_for_metric(&exporter, RECORDS, 1.0).await;
    metrics.expect(done, 0.0);
    setup.record_terminal("t1", "seen").await;
    setup.record_terminal("t2", "not-seen").await;
    let metrics = wait_for_metric(&exporter, RECORDS, 3.0).await;
    metrics.expect(done, 0.0);
    setup.record_terminal("t2", "seen").await;
    let metrics = wait_for_metric(&exporter, RECORDS, 4.0).await;
    metrics.expect(done, 1.0);
    let printed = setup.run(&["timetable", "--format=json"]).await;
    let document: Value = serde_json::from_str(&printed).unwrap();
    let deadlines = document["deadlines"].as_array().unwrap();
    let verification = deadlines
        .iter()
        .find(|deadline| deadline["id"] == "connection_verification")
        .unwrap();
    assert_eq!(verification["done"], true, "{verification:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lock_held_by_another_program_costs_no_probe_and_no_record() {
    let setup = Setup::start().await;
    setup.record_terminal("t1", "seen").await;
    let config = std::fs::read_to_string(setup.config.path()).unwrap();
    let (before, _) = config.split_once("targets:\n").expect("targets");
    std::fs::write(setup.config.path(), format!("{before}targets: []\n")).unwrap();
    let mut exporter = setup.exporter().await;
    wait_for_metric(&exporter, RECORDS, 1.0).await;

    let lock = File::open(setup.data_directory().join("evidence/lock")).unwrap();
    lock.lock().unwrap();
    // The target is probed at once, and its first success is to be recorded.
    std::fs::write(setup.config.path(), config).unwrap();
    assert_eq!(post(&exporter, "/-/reload").await.0, 200);
    let line = exporter.line_with("cannot write evidence").await;
    assert_contains("the log", &line, "another program has held");
    let metrics = exporter.metrics().await;
    assert!(metrics.value("evidence_errors_total") >= Some(1.0));
    metrics.expect("probe_success{role=\"login\",target=\"sso\"}", 1.0);
    assert_eq!(setup.kinds(), ["terminal"]);
    drop(lock);
    exporter.line_with("evidence writes recovered").await;
    assert_eq!(setup.kinds(), ["terminal", "verification"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn probe_that_ends_after_the_stop_is_no_error() {
    let mut server = SilentServer::start().await;
    let config = ConfigFile::new(&format!("data_directory: kept\n{}", server.config()));
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    server.wait_for_connection().await;
    let id = exporter.child.id().unwrap().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-TERM", &id])
        .status();
    assert!(sent.unwrap().success());
    // The listener and the recorder stop together.
    while std::net::TcpStream::connect(&exporter.address).is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    drop(server);
    let mut log = String::new();
    while !log.contains("message=stopped") {
        log = exporter.line_with("").await;
        assert!(!log.contains("level=error"), "{log}");
    }
}
