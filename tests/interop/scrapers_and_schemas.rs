//! The exporter's output, parsed by other programs: Prometheus's Python libraries, a JSON Schema
//! validator, an old and a new Prometheus.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ccass_2fa_exporter::clock::Clock;
use ccass_2fa_exporter::config::Config;
use ccass_2fa_exporter::evidence::{
    Content, Drill, DrillOutcome, Failure, Ledger, Origin, Outage, OutageEnd, Reference,
    TerminalCheck, TerminalOutcome, Verification,
};
use ccass_2fa_exporter::probe::{Engine, Roots};
use ccass_2fa_exporter::render::json;
use ccass_2fa_exporter::render::metrics::{self, Format, Outcome, Probed};
use ccass_2fa_exporter::report::history::{ClockStep, SavedState, TargetHistory, Watch};
use ccass_2fa_exporter::report::{Finding, LayerName, Reason, Report};
use ccass_2fa_lab::{Lab, Scenario};
use harness::documents::repository;
use harness::exporter::{ConfigFile, Exporter};
use harness::prometheus::{PROMETHEUS, Prometheus, newest};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::{TIMEOUT, with_limits};

const SCHEMA: &str = include_str!("../../docs/reports.schema.json");
const HISTORY_SCHEMA: &str = include_str!("../../docs/history.schema.json");
/// Name, labels, value.
type Sample = (String, BTreeMap<String, String>, f64);

/// Validates documents and parses expositions with `parse_metrics.py`, which describes the input.
async fn parse_with_python(input: &Value) -> BTreeMap<String, Vec<Vec<Sample>>> {
    let mut child = Command::new(repository("tests/interop/parse_metrics.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("tests/install.sh has installed the libraries");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let text = input.to_string();
    let write = async move { stdin.write_all(text.as_bytes()).await };
    let both = async { tokio::join!(write, child.wait_with_output()) };
    let Ok((_written, output)) = tokio::time::timeout(TIMEOUT, both).await else {
        panic!(
            "parse_metrics.py did not end within {} s",
            TIMEOUT.as_secs()
        );
    };
    let output = output.expect("an exit status");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "parse_metrics.py: {stderr}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// One report per scenario of the lab, made once for all tests.
async fn report_of_every_scenario() -> &'static [Report] {
    static REPORTS: OnceCell<Vec<Report>> = OnceCell::const_new();
    REPORTS
        .get_or_init(async || {
            let reports = Arc::new(Mutex::new(Vec::new()));
            let all = ccass_2fa_lab::scenarios()
                .iter()
                .chain(ccass_2fa_lab::variations());
            harness::scenarios::for_each(all, |scenario| {
                let reports = Arc::clone(&reports);
                async move {
                    let report = Box::pin(report(scenario)).await;
                    reports.lock().unwrap().push(report);
                    Ok(())
                }
            })
            .await;
            let mut reports = reports.lock().unwrap();
            std::mem::take(&mut *reports)
        })
        .await
}

async fn report(scenario: &Scenario) -> Report {
    let lab = Lab::start().await.expect("the lab starts");
    lab.provoke(scenario);
    let config = Config::parse(&lab.config_for(scenario), Path::new("lab.yml"));
    let config = config.unwrap_or_else(|errors| panic!("{}: {errors}", scenario.name));
    let engine = Engine::new(&config.modules, &Roots::load(), None, Clock::System);
    engine.probe(&config.targets[0]).await
}

fn sorted(samples: &[Sample]) -> Vec<String> {
    let mut lines: Vec<String> = samples
        .iter()
        .map(|(name, labels, value)| format!("{name} {labels:?} {value}"))
        // The text format has 1, OpenMetrics 1.0.
        .map(|line| {
            line.replace("\"le\": \"1\"", "\"le\": \"1.0\"")
                .replace("\"le\": \"5\"", "\"le\": \"5.0\"")
                .replace("\"le\": \"10\"", "\"le\": \"10.0\"")
        })
        .collect();
    lines.sort();
    lines
}

#[track_caller]
fn assert_same(left: &[String], right: &[String]) {
    let difference = left.iter().zip(right).find(|(left, right)| left != right);
    assert!(difference.is_none(), "they differ: {difference:?}");
    assert_eq!(left.len(), right.len(), "the number of samples");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_match_the_schema_and_parse_alike_in_both_metric_formats() {
    let reports = report_of_every_scenario().await;
    assert!(reports.len() > 60, "{}", reports.len());
    let config = Config::load(None, None).unwrap();
    let together: Vec<&Report> = reports.iter().collect();
    let document = json::reports(
        &together,
        &config.contacts,
        &SavedState::default(),
        Clock::System.now(),
    );
    let document: Value = serde_json::from_str(&document.unwrap()).unwrap();
    let texts = |format| -> Vec<String> {
        let text = |report: &Report| {
            let probed = Probed {
                outcome: Outcome::Report(report),
                limit: Duration::from_secs(5),
            };
            metrics::probe(&probed, format)
        };
        reports
            .iter()
            .map(text)
            .map(|text| String::from_utf8(text).unwrap())
            .collect()
    };
    let parsed = parse_with_python(&json!({
        "schema": serde_json::from_str::<Value>(SCHEMA).unwrap(),
        "documents": [document],
        "text": texts(Format::Text),
        "openmetrics": texts(Format::OpenMetrics),
    }))
    .await;
    assert_eq!(parsed["text"].len(), reports.len());
    for (text, open) in parsed["text"].iter().zip(&parsed["openmetrics"]) {
        assert_same(&sorted(text), &sorted(open));
    }
}

/// Asserts that the documents match the schema, with Python's jsonschema.
pub async fn assert_valid(schema: &str, documents: &[Value]) {
    let schema: Value = serde_json::from_str(schema).unwrap();
    parse_with_python(&json!({"schema": schema, "documents": documents})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn timetable_matches_its_schema_at_every_stage_and_with_overrides() {
    let overridden = ConfigFile::new(
        "timetable: {done: {connection_verification: true}, actual: {launch: 2023-05-29}, \
         attendees: {briefing_1: 2}}\n",
    );
    let plain = ConfigFile::new("");
    let mut documents = Vec::new();
    for config in [&plain, &overridden] {
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
    assert_valid(include_str!("../../docs/timetable.schema.json"), &documents).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_matches_its_schema_for_every_kind_of_record() {
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
    let mut contents: Vec<Content> = report_of_every_scenario()
        .await
        .iter()
        .map(|report| Verification::of(report, Origin::Verify, Some(reference("CHG-1"))))
        .map(|verification| Content::Verification(Box::new(verification)))
        .collect();
    contents.extend([
        Content::Terminal(TerminalCheck {
            terminal: "t1".to_owned(),
            outcome: TerminalOutcome::NotSeen,
            reference: Some(reference("INC/7#2")),
        }),
        Content::OutageBegan(outage.clone()),
        Content::OutageEnded(OutageEnd {
            outage,
            until: Clock::System.now(),
            duration_seconds: Some(20),
        }),
        Content::ClockStepped(ClockStep {
            from: Clock::System.now(),
            to: Clock::System.now(),
        }),
        Content::Drill(Drill {
            severity: "critical".to_owned(),
            alertmanager: "localhost:9093".to_owned(),
            outcome: DrillOutcome::Failed,
            reference: None,
        }),
    ]);
    ledger.append(&contents).unwrap();
    // Half a line; the next record notes it.
    let files = ledger.files().unwrap();
    let mut text = std::fs::read(&files[0]).unwrap();
    text.extend(b"{\"schema\":1,");
    std::fs::write(&files[0], text).unwrap();
    let config = ConfigFile::new("data_directory: kept\nevidence: {terminals: [t1, t2]}\n");
    let argument = config.argument();
    let data_directory = format!("--data-directory={}", directory.path().display());
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
            &data_directory,
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
    assert_eq!(kinds.len(), 7, "{kinds:?}");
    assert_valid(include_str!("../../docs/evidence.schema.json"), &documents).await;
}

fn reference(text: &str) -> Reference {
    Reference::try_from(text.to_owned()).unwrap()
}

/// A history with every kind of transition, of facts and of ends of an outage.
#[tokio::test(flavor = "multi_thread")]
async fn history_matches_its_schema_for_every_reason_and_range() {
    let now = Clock::System.now();
    let watch = |in_service_hours| Watch {
        max_gap: Duration::from_secs(300),
        in_service_hours,
    };
    let mut history = TargetHistory::of("https://sso.lab.test/");
    let mut documents = vec![history.clone()];
    // Every third one is good, so that outages end; gaps and long outages come in between.
    let reports = report_of_every_scenario().await;
    let (good, failed): (Vec<_>, Vec<_>) =
        reports.iter().partition(|report| report.verdict.is_good());
    let mut at = now - SignedDuration::from_hours(100);
    for (index, report) in failed.into_iter().enumerate() {
        for report in [report, report, good[index % good.len()]] {
            at += SignedDuration::from_mins(if index % 5 == 0 { 20 } else { 2 });
            let mut report = report.clone();
            report.started = at;
            history.observe(&report, watch(index % 2 == 0));
            documents.push(history.clone());
        }
    }
    let step = ClockStep {
        from: at,
        to: at + SignedDuration::from_hours(1),
    };
    history.apply(step, at - SignedDuration::from_mins(30));
    documents.push(history);
    let document = |history: &TargetHistory, range| {
        let generated = history.last_probe.unwrap_or(now);
        let text = json::history("sso", history, range, generated).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()
    };
    let day = Duration::from_secs(24 * 3600);
    let documents: Vec<Value> = documents
        .iter()
        .flat_map(|history| [None, Some(day), Some(30 * day)].map(|range| document(history, range)))
        .collect();
    let last = &documents[documents.len() - 2..];
    assert!(last[0]["minutes"].as_array().unwrap().len() > 50);
    assert!(last[1]["hours"].as_array().unwrap().len() > 5);
    let text = serde_json::to_string(&documents).unwrap();
    for part in [
        "not_watched",
        "\"ended_by\":{",
        "\"changes\":",
        "\"changed\":[\"",
    ] {
        assert!(text.contains(part), "no history has {part}");
    }
    assert_valid(HISTORY_SCHEMA, &documents).await;
}

#[test]
fn schemas_list_every_reason_and_finding() {
    let reasons: Vec<&str> = Reason::ALL.iter().map(|reason| reason.into_str()).collect();
    let history: Value = serde_json::from_str(HISTORY_SCHEMA).unwrap();
    assert_eq!(history["$defs"]["reason"]["enum"], json!(reasons));
    for schema in [SCHEMA, include_str!("../../docs/evidence.schema.json")] {
        let schema: Value = serde_json::from_str(schema).unwrap();
        assert_eq!(schema["$defs"]["reason"]["enum"], json!(reasons));
        let findings: Vec<&str> = Finding::ALL
            .iter()
            .map(|finding| finding.into_str())
            .collect();
        assert_eq!(schema["$defs"]["finding"]["enum"], json!(findings));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_served_as_json_in_both_metric_formats_and_gzipped() {
    let lab = Lab::start().await.unwrap();
    // A single probe, so that all scrapes have the same results.
    let config = with_limits(&lab.config(), "interval: 1h, timeout: 10s");
    let config = ConfigFile::new(&config);
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
    let parsed = parse_with_python(&json!({
        "schema": serde_json::from_str::<Value>(SCHEMA).unwrap(),
        "documents": [document],
        "text": [String::from_utf8_lossy(&as_text), unpacked],
        "openmetrics": [String::from_utf8_lossy(&as_open)],
    }))
    .await;
    let stable_samples = |samples: &[Sample]| -> Vec<String> {
        let stable = |line: &String| !line.contains("process_") && !line.contains("exporter_time");
        let lines = sorted(samples);
        lines.into_iter().filter(stable).collect()
    };
    let expected = stable_samples(&parsed["text"][0]);
    assert!(!expected.is_empty());
    assert_same(&expected, &stable_samples(&parsed["openmetrics"][0]));
    assert_same(&expected, &stable_samples(&parsed["text"][1]));
}

/// Every protocol of a new Prometheus. The old one is not configured with any; it has no choice.
const PROTOCOLS: [&str; 5] = [
    "PrometheusText0.0.4",
    "PrometheusText1.0.0",
    "OpenMetricsText0.0.1",
    "OpenMetricsText1.0.0",
    "PrometheusProto",
];

/// For each protocol, and for the default, a job for `/metrics` and one for the discovered targets.
fn scrape_config(exporter: &str, protocols: &[&str]) -> String {
    let mut text =
        "global: {scrape_interval: 3s, scrape_timeout: 3s}\nscrape_configs:\n".to_owned();
    let mut add_jobs = |name: &str, line: &str| {
        text += &format!(
            "  - job_name: metrics-{name}\n{line}    static_configs: [{{targets: [\"{exporter}\"]}}]\n\
             \x20 - job_name: probe-{name}\n{line}    http_sd_configs: [{{url: \"http://{exporter}/sd\", refresh_interval: 1s}}]\n"
        );
    };
    for protocol in protocols {
        let line = format!(
            "    scrape_protocols: [{protocol}]\n    fallback_scrape_protocol: PrometheusText0.0.4\n"
        );
        add_jobs(protocol, &line);
    }
    add_jobs("default", "");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn old_prometheus_scrapes_metrics_and_discovered_probes() {
    assert_scrapes(PROMETHEUS, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_prometheus_scrapes_metrics_and_discovered_probes_over_every_protocol() {
    assert_scrapes(&newest("prometheus"), &PROTOCOLS).await;
}

/// Asserts that every job of this Prometheus succeeds, with the same results.
async fn assert_scrapes(program: &str, protocols: &[&str]) {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&lab.config());
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let prometheus = Prometheus::bare(program, &scrape_config(&exporter.address, protocols)).await;
    let pairs = protocols.len() + 1;
    // On a busy machine a scrape may time out; all of them succeed at some time.
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let targets = prometheus.peer.get("/api/v1/targets").await;
        let targets = targets["data"]["activeTargets"].as_array().unwrap().clone();
        let failed = targets.iter().find(|target| target["health"] != "up");
        if targets.len() == 2 * pairs && failed.is_none() {
            assert!(targets.iter().all(|target| target["lastError"] == ""));
            break;
        }
        let failed = failed.map(|target| {
            let [job, error] = ["scrapePool", "lastError"].map(|key| target[key].to_string());
            format!("{job}: {error}")
        });
        assert!(
            Instant::now() < deadline,
            "{program} has {} of {} targets after {} s; failed: {failed:?}",
            targets.len(),
            2 * pairs,
            TIMEOUT.as_secs()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for metric in ["probe_success", "ccass2fa_probe_success"] {
        let condition = format!("count({metric} == 1) == bool {pairs}");
        prometheus.wait_for(&condition).await;
    }
    // A discovered target has its URL as the instance, and its module.
    let discovered = format!(
        "count(last_over_time(probe_success{{instance=\"{}\",module=\"lab_page\"}}[5m])) == bool {pairs}",
        lab.url()
    );
    assert_eq!(prometheus.value(&discovered).await, Some(1.0));
}
