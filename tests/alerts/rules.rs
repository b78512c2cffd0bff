//! The shipped rules and the shipped Alertmanager configuration, by the tools that load them, and the
//! texts that a person gets. `make documents` writes the list of names
//! and the texts; read the difference before you commit it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use harness::documents::{assert_document, read, repository};
use harness::exporter::run;
use regex::Regex;
use serde_json::{Value, json};

#[tokio::test]
async fn the_holidays_of_the_shipped_configuration_are_those_of_the_calendar() {
    let output = run(&[
        "timetable",
        "--format=alertmanager",
        "--year=2026",
        "--year=2027",
    ])
    .await;
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8(output.stdout).unwrap();
    let shipped = read("alerts/alertmanager.yml");
    let start = shipped
        .find("time_intervals:\n  - name: hk-business-hours")
        .unwrap();
    assert_eq!(told, shipped[start..]);
    let output = run(&["timetable", "--format=alertmanager", "--year=1999"]).await;
    assert_eq!(output.status.code(), Some(2));
}

/// Runs a tool in the repository; its output, which is shown where it fails.
fn tool(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(program)
        .args(arguments)
        .current_dir(repository(""))
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; tests/install.sh installs it"));
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {told}");
    told
}

/// The YAML files of a folder.
fn yaml(folder: &str) -> Vec<String> {
    let path = repository(folder);
    let mut files: Vec<String> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yml"))
        .map(|name| format!("{folder}/{name}"))
        .collect();
    files.sort();
    files
}

/// The rule files: all but the configurations that stand beside them.
fn rules() -> Vec<String> {
    let mut files = yaml("alerts");
    files.retain(|file| !file.ends_with("alertmanager.yml") && !file.ends_with("prometheus.yml"));
    assert!(files.len() >= 9, "{files:?}");
    files
}

#[test]
fn the_rules_pass_promtool_with_every_lint_fatal() {
    let files = rules();
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

#[test]
fn the_rules_fire_and_stay_silent_as_their_unit_tests_say() {
    let files = yaml("alerts/tests");
    assert!(files.len() >= 9, "{files:?}");
    let mut arguments = vec!["test", "rules"];
    arguments.extend(files.iter().map(String::as_str));
    tool("promtool", &arguments);
}

#[test]
fn alertmanager_takes_the_shipped_configuration_and_routes_by_it() {
    tool("amtool", &["check-config", "alerts/alertmanager.yml"]);
    tool("bash", &["alerts/tests/routes.sh"]);
}

/// An alert's rules: its category, and its severities with the time that each waits.
fn alerts() -> BTreeMap<String, (String, Vec<String>)> {
    let rule = Regex::new(r"(?m)^      - alert: (\w+)$").unwrap();
    let field = |text: &str, name: &str| {
        let found = Regex::new(&format!(r"(?m)\b{name}: ([\w.]+)")).unwrap();
        found
            .captures(text)
            .map_or(String::new(), |found| found[1].to_owned())
    };
    let mut alerts: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    for file in rules() {
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
            let wait = field(body, "for");
            let which = [field(body, "stage"), field(body, "window")].concat();
            let rule = [field(body, "severity"), which, wait];
            let rule: Vec<String> = rule.into_iter().filter(|part| !part.is_empty()).collect();
            alert.1.push(rule.join(" "));
        }
    }
    alerts
}

#[test]
fn each_alert_is_listed_tested_and_has_its_section_in_the_runbook() {
    let runbook = read("docs/runbook.md");
    let (mut fired, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for case in cases() {
        let name = case["alertname"].as_str().unwrap().to_owned();
        match case["exp_alerts"]
            .as_array()
            .is_some_and(|list| !list.is_empty())
        {
            true => fired.insert(name),
            false => silent.insert(name),
        };
    }
    let alerts = alerts();
    let mut told =
        "# Every alert: its category, and its severities, each with what it waits.\n".to_owned();
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
        let never = name == "Ccass2faWatchdog";
        assert!(
            never || silent.contains(&name),
            "{name} has no unit test in which it is silent"
        );
        let _ = writeln!(told, "{name:40} {category:12} {}", severities.join(", "));
    }
    for heading in runbook
        .lines()
        .filter_map(|line| line.strip_prefix("### Ccass2fa"))
    {
        assert!(
            alerts.contains_key(&format!("Ccass2fa{heading}")),
            "the runbook's section {heading} is of no alert"
        );
    }
    assert_document("alerts/names.txt", &told);
}

/// Every case of the unit tests that expects alerts, or expects none.
fn cases() -> Vec<Value> {
    let mut cases = Vec::new();
    for file in yaml("alerts/tests") {
        let document: Value =
            serde_saphyr::from_str(&read(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
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

/// One alert of each name and severity as the unit tests expect it, with all its words.
fn examples() -> BTreeMap<(String, String), Value> {
    let mut examples = BTreeMap::new();
    for case in cases() {
        for alert in case["exp_alerts"].as_array().into_iter().flatten() {
            let name = case["alertname"].as_str().unwrap();
            let labels = &alert["exp_labels"];
            let words = &alert["exp_annotations"];
            let severity = labels["severity"].as_str().unwrap_or_default();
            let linked = words["runbook_url"]
                .as_str()
                .unwrap_or_default()
                .starts_with("http");
            let mut labels = labels.clone();
            labels["alertname"] = name.into();
            let key = (name.to_owned(), severity.to_owned());
            let example = json!({
                "status": "firing", "labels": labels, "annotations": words,
                "startsAt": "2026-11-24T00:05:00Z", "endsAt": "2026-11-24T01:20:00Z",
                "generatorURL": "", "fingerprint": "",
            });
            if linked {
                examples.entry(key).or_insert(example);
            }
        }
    }
    examples
}

/// A notification as the shipped templates word it: its subject and its text.
fn worded(alerts: &[Value], status: &str) -> String {
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
fn the_texts_that_a_person_gets_are_those_that_were_read() {
    let examples = examples();
    let mut told = "\
What a person gets for each alert: the subject of the mail (the title of the webhook's message), then
the text. Written from the unit tests' alerts and the shipped templates; tests/alerts/rules.rs holds it.
"
    .to_owned();
    for (name, _) in alerts() {
        let of_it: Vec<_> = examples
            .iter()
            .filter(|((one, _), _)| *one == name)
            .collect();
        assert!(
            !of_it.is_empty(),
            "{name}: no unit test expects it with its links"
        );
        for (_, alert) in of_it {
            let text = worded(std::slice::from_ref(alert), "firing");
            assert!(!text.contains("  "), "two spaces: {text}");
            assert!(!text.contains("<no value>"), "{text}");
            let _ = write!(told, "\n==== {name}\n\n{}\n", text.trim_end());
        }
    }
    let outage = &examples[&("Ccass2faLoginUnreachable".to_owned(), "critical".to_owned())];
    let expires = &examples[&(
        "Ccass2faCertificateExpiresSoon".to_owned(),
        "warning".to_owned(),
    )];
    for (title, alerts, status) in [
        ("an outage that is over", vec![outage.clone()], "resolved"),
        (
            "two in one message",
            vec![expires.clone(), outage.clone()],
            "firing",
        ),
    ] {
        let _ = write!(
            told,
            "\n==== {title}\n\n{}\n",
            worded(&alerts, status).trim_end()
        );
    }
    assert_document("alerts/tests/texts.txt", &told);
}
