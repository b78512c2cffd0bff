//! The shipped rules and the shipped Alertmanager configuration, checked with promtool, amtool and vmalert-tool. They
//! only calculate, and run apart from what takes part in an outage: beside them that would be late.
//!
//! `make documents` writes the list of alerts and the texts of their notifications; review the
//! difference before you commit it.

mod migration;
mod situations;
mod texts;
mod vmalert;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Mutex;
use std::thread::available_parallelism;

use harness::documents::{assert_document, read, repository};
use harness::exporter::run;
use regex::Regex;
use serde_json::{Value, json};

#[tokio::test]
async fn alertmanager_holidays_match_the_calendar() {
    let output = run(&[
        "timetable",
        "--format=alertmanager",
        "--year=2026",
        "--year=2027",
    ])
    .await;
    assert_eq!(output.status.code(), Some(0));
    let generated = String::from_utf8(output.stdout).unwrap();
    let shipped = read("alerts/alertmanager.yml");
    let start = shipped
        .find("time_intervals:\n  - name: hk-business-hours")
        .unwrap();
    assert_eq!(generated, shipped[start..]);
    let output = run(&["timetable", "--format=alertmanager", "--year=1999"]).await;
    assert_eq!(output.status.code(), Some(2));
}

/// Runs a tool in the repository's root and returns its output. Panics if it fails.
pub fn tool(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(program)
        .args(arguments)
        .current_dir(repository(""))
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; tests/install.sh installs it"));
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    if !output.status.success() {
        // promtool prints an empty line for each test that passes.
        let lines = text.lines().filter(|line| !line.is_empty());
        let first: Vec<&str> = lines.take(20).collect();
        panic!("{program} {}: {}", arguments.join(" "), first.join("\n"));
    }
    text
}

/// A YAML file of this repository. Timelines repeat one expression by a YAML alias more often than the parser
/// expects of a file from outside.
pub fn yaml(file: &str) -> Value {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { enforce_alias_anchor_ratio: false },
    };
    serde_saphyr::from_str_with_options(&read(file), options)
        .unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The YAML files in a directory.
fn yaml_files(directory: &str) -> Vec<String> {
    let path = repository(directory);
    let mut files: Vec<String> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yml"))
        .map(|name| format!("{directory}/{name}"))
        .collect();
    files.sort();
    files
}

/// The rule files: all YAML files in `alerts` except the two configuration files.
pub fn rule_files() -> Vec<String> {
    let mut files = yaml_files("alerts");
    files.retain(|file| !file.ends_with("alertmanager.yml") && !file.ends_with("prometheus.yml"));
    assert!(files.len() >= 9, "{files:?}");
    files
}

#[test]
fn rules_pass_promtool_with_all_lints_fatal() {
    let files = rule_files();
    let mut arguments = vec!["check", "rules", "--lint=all", "--lint-fatal"];
    arguments.extend(files.iter().map(String::as_str));
    tool("promtool", &arguments);
    tool("promtool", &["check", "config", "alerts/prometheus.yml"]);
    let listed = read("alerts/prometheus.yml");
    for file in files {
        let file = file.trim_start_matches("alerts/");
        assert!(
            listed.contains(&format!("- {file}\n")),
            "prometheus.yml does not load {file}"
        );
    }
}

/// Runs `promtool test rules` with each file, the largest first. promtool uses one processor.
fn run_unit_tests(mut files: Vec<String>) {
    assert!(files.len() >= 9, "{files:?}");
    files.sort_by_key(|file| Reverse(std::fs::metadata(file).expect("a file").len()));
    let files = Mutex::new(files.into_iter());
    let next = || files.lock().unwrap().next();
    let run_tests = || {
        while let Some(file) = next() {
            // Seldom collecting garbage saves an eighth of its time.
            tool("env", &["GOGC=400", "promtool", "test", "rules", &file]);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..available_parallelism().map_or(1, usize::from) {
            scope.spawn(run_tests);
        }
    });
}

#[test]
fn rules_pass_their_unit_tests() {
    run_unit_tests(yaml_files("alerts/tests"));
}

/// Each unit test once more, beside that of another firm with the same sites and targets.
#[test]
fn no_firm_changes_the_alerts_of_another() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    tool("alerts/tests/firms.py", &[path]);
    run_unit_tests(yaml_files(path));
}

#[test]
fn alertmanager_routes_each_alert_to_its_receiver() {
    tool("amtool", &["check-config", "alerts/alertmanager.yml"]);
    tool("bash", &["alerts/tests/routes.sh"]);
}

/// The category of each alert, and of each of its rules the severity, stage and `for`.
pub fn alerts() -> BTreeMap<String, (String, Vec<String>)> {
    let rule = Regex::new(r"(?m)^      - alert: (\w+)$").unwrap();
    let fields = ["category", "severity", "stage", "window", "for"].map(|name| {
        (
            name,
            Regex::new(&format!(r"(?m)\b{name}: ([\w.]+)")).unwrap(),
        )
    });
    let fields = BTreeMap::from(fields);
    let field = |text: &str, name: &str| {
        let found = fields[name].captures(text);
        found.map_or(String::new(), |found| found[1].to_owned())
    };
    let mut alerts: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    for file in rule_files() {
        let text = read(&file);
        let starts: Vec<_> = rule.captures_iter(&text).collect();
        for (index, start) in starts.iter().enumerate() {
            let from = start.get(0).unwrap().start();
            let to = starts
                .get(index + 1)
                .map_or(text.len(), |next| next.get(0).unwrap().start());
            let body = &text[from..to];
            for label in ["service: ccass2fa", "severity: ", "category: "] {
                assert!(body.contains(label), "{}: no {label}", &start[1]);
            }
            let alert = alerts.entry(start[1].to_owned()).or_default();
            alert.0 = field(body, "category");
            let stage = [field(body, "stage"), field(body, "window")].concat();
            let rule = [field(body, "severity"), stage, field(body, "for")];
            let rule: Vec<String> = rule.into_iter().filter(|part| !part.is_empty()).collect();
            alert.1.push(rule.join(" "));
        }
    }
    alerts
}

#[test]
fn each_alert_is_listed_tested_and_in_the_runbook() {
    let runbook = read("docs/runbook.md");
    let (mut fired, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for case in cases() {
        let name = case["alertname"].as_str().unwrap().to_owned();
        let expected = case["exp_alerts"].as_array();
        if expected.is_some_and(|list| !list.is_empty()) {
            fired.insert(name);
        } else {
            silent.insert(name);
        }
    }
    let alerts = alerts();
    let mut list = "# Each alert, its category, and the severity and `for` of each of its rules.\n\
        # tests/alerts/rules/mod.rs checks this file.\n"
        .to_owned();
    for (name, (category, severities)) in alerts.clone() {
        assert!(name.starts_with("Ccass2fa") && name.len() <= 40, "{name}");
        assert!(
            runbook.contains(&format!("\n### {name}\n")),
            "{name} has no section in docs/runbook.md"
        );
        assert!(
            fired.contains(&name),
            "{name} has no unit test in which it fires"
        );
        let always_fires = name == "Ccass2faWatchdog";
        assert!(
            always_fires || silent.contains(&name),
            "{name} has no unit test in which it is silent"
        );
        let _ = writeln!(list, "{name:40} {category:12} {}", severities.join(", "));
    }
    for heading in runbook
        .lines()
        .filter_map(|line| line.strip_prefix("### Ccass2fa"))
    {
        assert!(
            alerts.contains_key(&format!("Ccass2fa{heading}")),
            "docs/runbook.md has a section for {heading}, which is not an alert"
        );
    }
    assert_document("alerts/names.txt", &list);
}

/// The `alert_rule_test` cases of the unit tests.
pub fn cases() -> Vec<Value> {
    let mut cases = Vec::new();
    for file in yaml_files("alerts/tests") {
        let document = yaml(&file);
        for group in document["tests"].as_array().unwrap() {
            cases.extend(
                group["alert_rule_test"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default(),
            );
        }
    }
    cases
}

/// An expected alert of a unit test as Alertmanager's templates see it.
fn example(name: &str, alert: &Value) -> Value {
    let mut labels = alert["exp_labels"].clone();
    labels["alertname"] = name.into();
    json!({
        "status": "firing", "labels": labels, "annotations": alert["exp_annotations"],
        "startsAt": "2026-11-24T00:05:00Z", "endsAt": "2026-11-24T01:20:00Z",
        "generatorURL": "", "fingerprint": "",
    })
}

/// An outage of a firm whose name, site and target have characters that are special in YAML, PromQL,
/// regular expressions, templates and URLs, and that is named like a reason.
fn example_with_odd_characters() -> Value {
    cases()
        .iter()
        .flat_map(|case| case["exp_alerts"].as_array().cloned().unwrap_or_default())
        .find(|alert| {
            let firm = alert["exp_labels"]["firm"].as_str().unwrap_or_default();
            firm.contains("|$1 tls_expired")
        })
        .map(|alert| example("Ccass2faLoginUnreachable", &alert))
        .expect("alerts/tests/firms.yml has it")
}

/// By name and severity, the first alert that a unit test expects with all its annotations.
fn examples() -> BTreeMap<(String, String), Value> {
    let mut examples = BTreeMap::new();
    for case in cases() {
        for alert in case["exp_alerts"].as_array().into_iter().flatten() {
            let name = case["alertname"].as_str().unwrap();
            let labels = &alert["exp_labels"];
            let annotations = &alert["exp_annotations"];
            let severity = labels["severity"].as_str().unwrap_or_default();
            let has_links = annotations["runbook_url"]
                .as_str()
                .unwrap_or_default()
                .starts_with("http");
            let key = (name.to_owned(), severity.to_owned());
            if has_links {
                examples.entry(key).or_insert(example(name, alert));
            }
        }
    }
    examples
}

/// The subject and the text of a notification, rendered with the shipped templates.
fn render(alerts: &[Value], status: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data.json");
    let alerts: Vec<Value> = alerts
        .iter()
        .map(|alert| {
            let mut alert = alert.clone();
            alert["status"] = status.into();
            alert
        })
        .collect();
    let notification = json!({
        "receiver": "pager", "status": status, "alerts": alerts, "groupLabels": {},
        "commonLabels": {}, "commonAnnotations": {}, "externalURL": "",
    });
    std::fs::write(&data, notification.to_string()).unwrap();
    tool(
        "amtool",
        &[
            "template",
            "render",
            "--template.glob=alerts/templates/*.tmpl",
            "--template.text={{ template \"ccass2fa.mail.subject\" . }}\n\n{{ template \"ccass2fa.mail.text\" . }}",
            &format!("--template.data={}", data.display()),
        ],
    )
}

#[test]
fn notification_texts_match_the_reviewed_document() {
    let examples = examples();
    let mut document = "\
The notification of each alert: the subject of the mail (or the title of the webhook's message), then the
text. Rendered with the shipped templates from the alerts of the unit tests; tests/alerts/rules/mod.rs
checks this file.
"
    .to_owned();
    for (name, _) in alerts() {
        let matching: Vec<_> = examples
            .iter()
            .filter(|((one, _), _)| *one == name)
            .collect();
        assert!(
            !matching.is_empty(),
            "no unit test expects {name} with its links"
        );
        for (_, alert) in matching {
            let text = render(std::slice::from_ref(alert), "firing");
            assert!(!text.contains("  "), "two spaces in {name}: {text}");
            assert!(!text.contains("<no value>"), "{name}: {text}");
            let _ = write!(document, "\n==== {name}\n\n{}\n", text.trim_end());
        }
    }
    let outage = &examples[&("Ccass2faLoginUnreachable".to_owned(), "critical".to_owned())];
    let expires = &examples[&(
        "Ccass2faCertificateExpiresSoon".to_owned(),
        "warning".to_owned(),
    )];
    for (title, alerts, status) in [
        ("a resolved outage", vec![outage.clone()], "resolved"),
        (
            "an outage of one of several firms, with odd characters in its labels",
            vec![example_with_odd_characters()],
            "firing",
        ),
        (
            "two alerts in one notification",
            vec![expires.clone(), outage.clone()],
            "firing",
        ),
    ] {
        let _ = write!(
            document,
            "\n==== {title}\n\n{}\n",
            render(&alerts, status).trim_end()
        );
    }
    assert_document("alerts/tests/texts.txt", &document);
}
