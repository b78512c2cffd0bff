//! What the exporter writes, read by others: Prometheus's Python libraries, a JSON schema's
//! validator, Prometheis old and new.

use harness::documents::repository;
use harness::prometheus::newest;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ccass_2fa_exporter::clock::Clock;
use ccass_2fa_exporter::config::Config;
use ccass_2fa_exporter::evidence::{
    Content, Drill, DrillOutcome, Failure, Ledger, Origin, Outage, OutageEnd, Reference, Sighting,
    TerminalCheck, Verification,
};
use ccass_2fa_exporter::probe::{Engine, Roots};
use ccass_2fa_exporter::render::json;
use ccass_2fa_exporter::render::metrics::{self, Format, Outcome, Probed};
use ccass_2fa_exporter::report::memory::Memory;
use ccass_2fa_exporter::report::{Finding, LayerName, Reason, Report};
use ccass_2fa_lab::{Lab, Scenario};
use harness::exporter::{ConfigFile, Exporter, PATIENCE};
use harness::prometheus::{PROMETHEUS, Prometheus};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::task::JoinSet;

const SCHEMA: &str = include_str!("../../docs/reports.schema.json");
/// A sample: its name, its labels, its value.
type Sample = (String, BTreeMap<String, String>, f64);

async fn python(asked: &Value) -> BTreeMap<String, Vec<Vec<Sample>>> {
    let mut child = Command::new(repository("tests/interop/parse_metrics.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("tests/install.sh has run");
    let mut stdin = child.stdin.take().expect("a pipe");
    let text = asked.to_string();
    let write = async move { stdin.write_all(text.as_bytes()).await };
    let both = async { tokio::join!(write, child.wait_with_output()) };
    let (_written, output) = tokio::time::timeout(PATIENCE, both).await.expect("it ends");
    let output = output.expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    serde_json::from_slice(&output.stdout).expect("an answer")
}

/// One report of each way to fail, and of each oddity.
async fn every_report() -> Vec<Report> {
    let mut tasks = JoinSet::new();
    let all = ccass_2fa_lab::scenarios()
        .iter()
        .chain(ccass_2fa_lab::variations());
    for scenario in all {
        tasks.spawn(report(scenario));
    }
    tasks.join_all().await
}

async fn report(scenario: &Scenario) -> Report {
    let lab = Lab::start().await.expect("the lab starts");
    lab.provoke(scenario);
    let config = Config::parse(&lab.config_for(scenario), Path::new("lab.yml"));
    let config = config.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let engine = Engine::new(&config.modules, &Roots::load(), None, Clock::System);
    engine.probe(&config.targets[0]).await
}

fn sorted(samples: &[Sample]) -> Vec<String> {
    let mut lines: Vec<String> = samples
        .iter()
        .map(|(name, labels, value)| format!("{name} {labels:?} {value}"))
        // One form writes 1, the other 1.0.
        .map(|line| {
            line.replace("\"le\": \"1\"", "\"le\": \"1.0\"")
                .replace("\"le\": \"5\"", "\"le\": \"5.0\"")
                .replace("\"le\": \"10\"", "\"le\": \"10.0\"")
        })
        .collect();
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn every_report_meets_the_schema_and_every_probe_reads_the_same_in_both_formats() {
    let reports = every_report().await;
    assert!(reports.len() > 60, "{}", reports.len());
    let config = Config::load(None).unwrap();
    let together: Vec<&Report> = reports.iter().collect();
    let document = json::reports(
        &together,
        &config.contacts,
        &Memory::default(),
        Clock::System.now(),
    );
    let document: Value = serde_json::from_str(&document.unwrap()).unwrap();
    let texts = |format| -> Vec<String> {
        let text = |report: &Report| {
            let probed = Probed {
                outcome: Outcome::Report(report),
                limit: Duration::from_secs(5),
            };
            metrics::probe(&probed, format).unwrap()
        };
        reports
            .iter()
            .map(text)
            .map(|text| String::from_utf8(text).unwrap())
            .collect()
    };
    let read = python(&json!({
        "schema": serde_json::from_str::<Value>(SCHEMA).unwrap(),
        "documents": [document],
        "text": texts(Format::Text),
        "openmetrics": texts(Format::OpenMetrics),
    }))
    .await;
    assert_eq!(read["text"].len(), reports.len());
    for (text, open) in read["text"].iter().zip(&read["openmetrics"]) {
        assert_eq!(sorted(text), sorted(open));
    }
}

/// The documents meet the schema, by a validator that is not ours.
async fn meets(schema: &str, documents: &[Value]) {
    let schema: Value = serde_json::from_str(schema).unwrap();
    python(&json!({"schema": schema, "documents": documents})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timetable_meets_its_schema_at_every_stage_and_with_every_answer() {
    let answered = ConfigFile::new(
        "timetable: {done: {connection_verification: true}, actual: {launch: 2023-05-29}, \
         attendees: {briefing_1: 2}}\n",
    );
    let plain = ConfigFile::new("");
    let mut documents = Vec::new();
    for config in [&plain, &answered] {
        for at in [
            "2022-12-01",
            "2023-04-03",
            "2023-04-28",
            "2023-05-25",
            "2023-07-25",
            "2026-11-26",
            // Outside the calendar.
            "2040-01-01",
        ] {
            let arguments = [&config.argument(), "timetable", "--format=json", "--at", at];
            let output = harness::exporter::run(&arguments).await;
            documents.push(serde_json::from_slice(&output.stdout).unwrap());
        }
    }
    meets(include_str!("../../docs/timetable.schema.json"), &documents).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_evidence_meets_its_schema_whatever_was_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::in_directory(directory.path(), Some("central"), Clock::System);
    let outage = Outage {
        target: "sso".to_owned(),
        url: "https://sso.lab.test/".to_owned(),
        since: Clock::System.now(),
        failure: Failure {
            layer: LayerName::Tcp,
            reason: Reason::TcpRefused,
        },
    };
    let mut contents: Vec<Content> = every_report()
        .await
        .iter()
        .map(|report| Verification::of(report, Origin::Verify, Some(reference("CHG-1"))))
        .map(|verification| Content::Verification(Box::new(verification)))
        .collect();
    contents.extend([
        Content::Terminal(TerminalCheck {
            terminal: "t1".to_owned(),
            outcome: Sighting::NotSeen,
            reference: Some(reference("INC/7#2")),
        }),
        Content::OutageBegan(outage.clone()),
        Content::OutageEnded(OutageEnd {
            outage,
            until: Clock::System.now(),
        }),
        Content::Drill(Drill {
            severity: "critical".to_owned(),
            alertmanager: "localhost:9093".to_owned(),
            outcome: DrillOutcome::Failed,
            reference: None,
        }),
    ]);
    ledger.append(&contents).unwrap();
    // Half a line, which the next record tells of.
    let files = ledger.files().unwrap();
    let mut text = std::fs::read(&files[0]).unwrap();
    text.extend(b"{\"schema\":1,");
    std::fs::write(&files[0], text).unwrap();
    let config = ConfigFile::new("data_directory: kept\nevidence: {terminals: [t1, t2]}\n");
    let argument = config.argument();
    let place = format!("--data-directory={}", directory.path().display());
    ledger.append(&contents[..1]).unwrap();
    let mut documents = Vec::new();
    for more in [
        &[][..],
        &["--from=2020-01-01", "--to=2099-01-01", "--of=t1"],
    ] {
        let mut all = vec![
            argument.as_str(),
            "evidence",
            "report",
            "--format=json",
            &place,
        ];
        all.extend(more);
        let output = harness::exporter::run(&all).await;
        assert_eq!(output.status.code(), Some(0));
        documents.push(serde_json::from_slice(&output.stdout).unwrap());
    }
    let kinds: std::collections::BTreeSet<&str> = documents
        .iter()
        .flat_map(|document: &Value| document["records"].as_array().unwrap())
        .map(|record| record["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds.len(), 6, "{kinds:?}");
    meets(include_str!("../../docs/evidence.schema.json"), &documents).await;
}

fn reference(text: &str) -> Reference {
    Reference::try_from(text.to_owned()).unwrap()
}

#[test]
fn the_schemas_name_every_reason_and_finding() {
    for schema in [SCHEMA, include_str!("../../docs/evidence.schema.json")] {
        names_every_reason_and_finding(schema);
    }
}

fn names_every_reason_and_finding(schema: &str) {
    let schema: Value = serde_json::from_str(schema).unwrap();
    let reasons: Vec<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(schema["$defs"]["reason"]["enum"], json!(reasons));
    let findings: Vec<&str> = Finding::ALL.iter().map(|finding| finding.code()).collect();
    assert_eq!(schema["$defs"]["finding"]["enum"], json!(findings));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_board_is_served_as_json_and_in_both_formats_and_compressed() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&lab.config());
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |path: &str, accept: &str, encoding: &str| {
        let request = client.get(exporter.url(path));
        let request = request
            .header("accept", accept)
            .header("accept-encoding", encoding);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let types: Vec<_> = answer
            .headers()
            .get_all("content-type")
            .iter()
            .cloned()
            .collect();
        assert_eq!(types.len(), 1, "{path}: {types:?}");
        let encoding = answer.headers().get("content-encoding").cloned();
        let media_type = types[0].to_str().unwrap().to_owned();
        (media_type, encoding, answer.bytes().await.unwrap())
    };
    let (media_type, _, body) = get("/api/v1/reports", "*/*", "identity").await;
    assert_eq!(media_type, "application/json");
    let document: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(document["reports"][0]["verdict"]["outcome"], "good");

    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = "text/plain; version=0.0.4; charset=utf-8";
    let (media_type, _, as_text) = get("/metrics", "*/*", "identity").await;
    assert_eq!(media_type, text);
    let (media_type, _, as_open) =
        get("/metrics", "application/openmetrics-text", "identity").await;
    assert_eq!(media_type, open);
    let (media_type, encoding, small) = get("/metrics", "text/plain", "gzip").await;
    assert_eq!(
        (media_type.as_str(), encoding),
        (text, Some("gzip".parse().unwrap()))
    );
    assert!(
        small.len() < as_text.len() / 3,
        "{} of {}",
        small.len(),
        as_text.len()
    );
    let mut unpacked = String::new();
    let mut decoder = flate2::read::GzDecoder::new(&*small);
    std::io::Read::read_to_string(&mut decoder, &mut unpacked).unwrap();
    let read = python(&json!({
        "schema": serde_json::from_str::<Value>(SCHEMA).unwrap(),
        "documents": [document],
        "text": [String::from_utf8_lossy(&as_text), unpacked],
        "openmetrics": [String::from_utf8_lossy(&as_open)],
    }))
    .await;
    let names = |samples: &[Sample]| -> Vec<String> {
        let stable = |line: &String| !line.contains("process_") && !line.contains("exporter_time");
        let lines = sorted(samples);
        lines.into_iter().filter(stable).collect()
    };
    assert_eq!(names(&read["text"][0]), names(&read["openmetrics"][0]));
    assert_eq!(names(&read["text"][0]), names(&read["text"][1]));
}

/// Every way in which a Prometheus may ask; the older one is asked for none, since it has no choice.
const PROTOCOLS: [&str; 5] = [
    "PrometheusText0.0.4",
    "PrometheusText1.0.0",
    "OpenMetricsText0.0.1",
    "OpenMetricsText1.0.0",
    "PrometheusProto",
];

fn scrape_config(exporter: &str, protocols: &[&str]) -> String {
    let mut text =
        "global: {scrape_interval: 1s, scrape_timeout: 900ms}\nscrape_configs:\n".to_owned();
    let kinds = protocols.iter().map(|one| Some(*one)).chain([None]);
    for kind in kinds {
        let (name, line) = match kind {
            None => ("any", String::new()),
            Some(one) => (
                one,
                format!(
                    "    scrape_protocols: [{one}]\n    fallback_scrape_protocol: PrometheusText0.0.4\n"
                ),
            ),
        };
        text += &format!(
            "  - job_name: metrics-{name}\n{line}    static_configs: [{{targets: [\"{exporter}\"]}}]\n\
             \x20 - job_name: probe-{name}\n{line}    http_sd_configs: [{{url: \"http://{exporter}/sd\", refresh_interval: 1s}}]\n"
        );
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheis_old_and_new_scrape_metrics_and_what_discovery_names_by_every_protocol() {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&lab.config());
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    for (program, protocols) in [(PROMETHEUS, &[][..]), (&newest("prometheus"), &PROTOCOLS)] {
        let prometheus =
            Prometheus::bare(program, &scrape_config(&exporter.address, protocols)).await;
        let jobs = 2 * (protocols.len() + 1);
        prometheus
            .sees(&format!("count(up == 1) == bool {jobs}"))
            .await;
        prometheus
            .sees(&format!("count(probe_success == 1) == bool {}", jobs / 2))
            .await;
        let read = format!("count(ccass2fa_probe_success == 1) == bool {}", jobs / 2);
        prometheus.sees(&read).await;
        // The target is known by its address, and by its module.
        let labels = format!(
            "probe_success{{instance=\"{}\",module=\"lab_page\"}}",
            lab.url()
        );
        assert_eq!(prometheus.value(&labels).await, Some(1.0));
        let targets = prometheus.peer.get("/api/v1/targets").await;
        for target in targets["data"]["activeTargets"].as_array().unwrap() {
            assert_eq!(target["lastError"], "", "{program}: {target}");
        }
    }
}
