//! The dashboards: their files, and what they show. Grafana's own library renders them from a real
//! Prometheus that scrapes the built exporter and evaluates the shipped rules.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ccass_2fa_exporter::render::metrics::{DEFINITIONS, TERMINAL_DEFINITIONS};
use ccass_2fa_exporter::report::{Finding, advice};
use ccass_2fa_lab::{Lab, scenario};
use harness::documents::{self, repository};
use harness::exporter::{ConfigFile, Exporter};
use harness::node_exporter::NodeExporter;
use harness::prometheus::{Prometheus, QUICK, newest, wait_until};
use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::TIMEOUT;

const NAMES: [&str; 5] = ["now", "readiness", "reliability", "monitoring", "fleet"];

fn dashboard(name: &str) -> Value {
    let text = documents::read(&format!("grafana/{name}.json"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn dashboards() -> Vec<(&'static str, Value)> {
    NAMES.map(|name| (name, dashboard(name))).to_vec()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

#[track_caller]
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key} in {value:#}"))
}

/// Replaces Grafana's variables, each set to "All".
fn expand_variables(expression: &str) -> String {
    let variable = Regex::new(r"\$(job|firm|instance|site|target|reason)\b").unwrap();
    variable
        .replace_all(expression, ".*")
        .replace("$__rate_interval", "1m")
        .replace("$__range", "1h")
        .replace("$__interval", "15s")
}

/// Each panel or annotation with one of its queries.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let annotations = list(&dashboard["annotations"], "list");
    let annotations = annotations
        .iter()
        .map(|one| (text(one, "name"), text(one, "expr")));
    let panels = list(dashboard, "panels").iter().flat_map(|panel| {
        let targets = list(panel, "targets").iter();
        targets.map(move |target| (text(panel, "title"), text(target, "expr")))
    });
    annotations
        .chain(panels)
        .map(|(place, expression)| (place.to_owned(), expand_variables(expression)))
        .collect()
}

/// Adds the metric names of a parsed expression, which is the tree that `/api/v1/parse_query` answers with.
fn add_metric_names(node: &Value, names: &mut BTreeSet<String>) {
    match node {
        Value::Array(nodes) => nodes.iter().for_each(|one| add_metric_names(one, names)),
        Value::Object(fields) => {
            if ["vectorSelector", "matrixSelector"]
                .map(Value::from)
                .contains(&node["type"])
            {
                names.insert(text(node, "name").to_owned());
            }
            fields.values().for_each(|one| add_metric_names(one, names));
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_parse_and_use_only_existing_metrics() {
    let recorded = Regex::new(r"(?m)record: (\S+)$").unwrap();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for definition in DEFINITIONS.iter().chain(TERMINAL_DEFINITIONS) {
        let name = definition.full_name;
        for suffix in ["", "_bucket", "_sum", "_count"] {
            known.insert(format!("{name}{suffix}"));
        }
    }
    for entry in std::fs::read_dir(repository("alerts")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|one| one == "yml") {
            let rules = std::fs::read_to_string(path).unwrap();
            known.extend(
                recorded
                    .captures_iter(&rules)
                    .map(|found| found[1].to_owned()),
            );
        }
    }
    let others = [
        "up",
        "ALERTS",
        "scrape_duration_seconds",
        "prometheus_rule_evaluation_failures_total",
    ];
    known.extend(others.map(str::to_owned));
    // The installed one does not tell what it has parsed.
    let prometheus = Prometheus::bare(&newest("prometheus"), "").await;
    for (name, dashboard) in dashboards() {
        let queries = queries(&dashboard);
        assert!(queries.len() > 10, "{name}");
        for (place, query) in queries {
            let encoded: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
            let path = format!("/api/v1/parse_query?query={encoded}");
            let parsed = prometheus.peer.get(&path).await;
            assert_eq!(
                parsed["status"], "success",
                "{name}, {place}: {parsed}\n{query}"
            );
            let mut names = BTreeSet::new();
            add_metric_names(&parsed["data"], &mut names);
            assert!(!names.is_empty(), "{name}, {place}: {query}");
            for metric in names {
                let exists = known.contains(&metric) || metric.starts_with("process_");
                assert!(exists, "{name}, {place}: {metric} does not exist");
            }
        }
    }
}

#[test]
fn dashboards_are_provisionable_and_every_panel_is_described() {
    let source = json!({"type": "prometheus", "uid": "${datasource}"});
    for (name, dashboard) in dashboards() {
        assert_eq!(dashboard["uid"], format!("ccass2fa-{name}"));
        assert_eq!(dashboard["id"], Value::Null, "{name}");
        assert_eq!(dashboard["editable"], false, "{name}");
        assert_eq!(dashboard["timezone"], "Asia/Hong_Kong", "{name}");
        assert!(dashboard["schemaVersion"].as_u64() >= Some(39), "{name}");
        assert!(dashboard.get("__inputs").is_none(), "{name}");
        let variables = list(&dashboard["templating"], "list").iter();
        let variables: Vec<&str> = variables.map(|one| text(one, "name")).collect();
        let mut expected = vec!["datasource", "job", "firm", "instance", "site", "target"];
        if name == "fleet" {
            expected.push("reason");
        }
        assert_eq!(variables, expected, "{name}");

        let mut ids = BTreeSet::new();
        let mut occupied = BTreeSet::new();
        for panel in list(&dashboard, "panels") {
            let title = text(panel, "title");
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(
                ids.insert(panel["id"].as_u64()),
                "{name}, {title}: duplicate id"
            );
            for (value, key) in [
                (panel, "description"),
                (defaults, "unit"),
                (defaults, "noValue"),
            ] {
                assert!(
                    !text(value, key).trim().is_empty(),
                    "{name}, {title}: {key}"
                );
            }
            // These units render 12.5 days as "1.79 weeks".
            assert!(
                !["d", "dtdurations"].contains(&text(defaults, "unit")),
                "{name}, {title}"
            );
            if panel["type"] == "state-timeline" {
                // With colors by threshold, "< 1" appears in place of the mapped text.
                assert_eq!(
                    defaults["color"]["mode"], "palette-classic",
                    "{name}, {title}"
                );
            }
            assert_eq!(panel["datasource"], source, "{name}, {title}");
            for target in list(panel, "targets") {
                assert_eq!(target["datasource"], source, "{name}, {title}");
            }
            let position = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
            let (x, y) = (position("x"), position("y"));
            assert!(x + position("w") <= 24, "{name}, {title}: too far right");
            for column in x..x + position("w") {
                for row in y..y + position("h") {
                    assert!(
                        occupied.insert((column, row)),
                        "{name}, {title} overlaps another panel"
                    );
                }
            }
        }
    }
}

#[test]
fn findings_are_shown_with_the_contact_of_each_kind() {
    let now = dashboard("now");
    let panel = list(&now, "panels")
        .iter()
        .find(|panel| panel["title"] == "Findings");
    let expression = text(&panel.expect("a panel")["targets"][0], "expr");
    let labelled = Regex::new(r#""ask", "(\w+)", "finding", "([\w|]+)"\)"#).unwrap();
    let mut shown = BTreeMap::new();
    for found in labelled.captures_iter(expression) {
        for finding in found[2].split('|') {
            let earlier = shown.insert(finding.to_owned(), found[1].to_owned());
            assert_eq!(earlier, None, "{finding} has two contacts");
        }
    }
    let expected = Finding::ALL.iter().map(|finding| {
        let contact = advice::of_finding(*finding).contact.into_str();
        (finding.to_string(), contact.to_owned())
    });
    assert_eq!(shown, expected.collect());
}

/// The form of grafana.com: every input that is used is declared, and nothing else is a placeholder.
#[test]
fn dashboards_with_inputs_are_importable() {
    let directory = tempfile::tempdir().unwrap();
    let script = repository("grafana/with_inputs.py");
    let written = std::process::Command::new(script)
        .arg(directory.path())
        .status();
    assert!(written.unwrap().success());
    let placeholder = Regex::new(r"\$\{(\w+)\}").unwrap();
    for (name, dashboard) in dashboards() {
        let file = directory.path().join(format!("{name}.json"));
        let text = std::fs::read_to_string(file).unwrap();
        let imported: Value = serde_json::from_str(&text).unwrap();
        let inputs = list(&imported, "__inputs");
        assert_eq!(inputs.len(), 1, "{name}");
        for (key, value) in [
            ("name", "DS_PROMETHEUS"),
            ("type", "datasource"),
            ("pluginId", "prometheus"),
        ] {
            assert_eq!(inputs[0][key], value, "{name}");
        }
        let uids = placeholder.captures_iter(&text);
        let uids: BTreeSet<String> = uids.map(|found| found[1].to_owned()).collect();
        assert!(uids.contains("DS_PROMETHEUS"), "{name}");
        for found in uids {
            let is_variable = ["__url_time_range", "__all_variables"].contains(&found.as_str());
            assert!(is_variable || found == "DS_PROMETHEUS", "{name}: {found}");
        }
        assert!(!text.contains("$datasource"), "{name}");
        let required: BTreeSet<&str> = list(&imported, "__requires")
            .iter()
            .filter(|one| one["type"] == "panel")
            .map(|one| self::text(one, "id"))
            .collect();
        let used = list(&dashboard, "panels").iter();
        let used: BTreeSet<&str> = used.map(|panel| self::text(panel, "type")).collect();
        assert_eq!(required, used, "{name}");
        // The rest is the same dashboard.
        for key in ["uid", "title", "time", "links", "schemaVersion"] {
            assert_eq!(imported[key], dashboard[key], "{name}: {key}");
        }
        assert_eq!(
            list(&imported, "panels").len(),
            list(&dashboard, "panels").len()
        );
    }
}

#[test]
fn links_target_existing_dashboards_and_keep_time_and_variables() {
    let uids: BTreeSet<String> = NAMES.map(|name| format!("ccass2fa-{name}")).into();
    let link = Regex::new(r"/d/([a-z0-9-]+)").unwrap();
    for (name, dashboard) in dashboards() {
        let mut linked = BTreeSet::from([text(&dashboard, "uid").to_owned()]);
        for one in list(&dashboard, "links") {
            assert_eq!(one["keepTime"], true, "{name}");
            assert_eq!(one["includeVars"], true, "{name}");
            linked.extend(
                link.captures(text(one, "url"))
                    .map(|found| found[1].to_owned()),
            );
        }
        assert_eq!(linked, uids, "{name}");
        for found in link.captures_iter(&dashboard.to_string()) {
            assert!(uids.contains(&found[1]), "{name} links to {}", &found[1]);
        }
    }
    let alerts = Regex::new(r"dashboard_base \}\}/([a-z0-9-]+)").unwrap();
    let mut count = 0;
    for file in [
        "reachability",
        "diagnosis",
        "certificate",
        "slo",
        "deadline",
        "readiness",
        "meta",
    ] {
        for found in alerts.captures_iter(&documents::read(&format!("alerts/{file}.yml"))) {
            assert!(
                uids.contains(&found[1]),
                "alerts/{file}.yml links to {}",
                &found[1]
            );
            count += 1;
        }
    }
    assert!(count >= 20, "only {count} alerts link to a dashboard");
}

#[test]
fn every_query_filters_by_firm_and_site_and_every_variable_is_used() {
    for (name, dashboard) in dashboards() {
        let raw = dashboard.to_string();
        for variable in ["job", "firm", "instance", "site", "target"] {
            assert!(
                raw.contains(&format!("=~\\\"${variable}")),
                "{name} does not use {variable}"
            );
        }
        for panel in list(&dashboard, "panels") {
            for target in list(panel, "targets") {
                let query = text(target, "expr");
                assert!(
                    query.contains("site=~\"$site"),
                    "{name}, {}",
                    text(panel, "title")
                );
                assert_eq!(
                    query.matches("site=~\"$site").count(),
                    query.matches("firm=~\"$firm").count(),
                    "{name}, {}: a selector without the firm",
                    text(panel, "title")
                );
            }
        }
    }
}

/// Reads the numbers from the rules.
#[test]
fn thresholds_match_the_alert_rules() {
    let found = |file: &str, pattern: &str| -> BTreeSet<String> {
        let rules = documents::read(&format!("alerts/{file}.yml"));
        let numbers = Regex::new(pattern).unwrap();
        let all = numbers.captures_iter(&rules);
        all.map(|one| one[1].to_owned()).collect()
    };
    let steps = |dashboard: &str, title: &str| -> BTreeSet<String> {
        let dashboard = self::dashboard(dashboard);
        let panel = list(&dashboard, "panels")
            .iter()
            .find(|one| one["title"] == title);
        let panel = panel.unwrap_or_else(|| panic!("no panel {title}"));
        let mut numbers = BTreeSet::new();
        let defaults = std::slice::from_ref(&panel["fieldConfig"]["defaults"]);
        let overrides = list(&panel["fieldConfig"], "overrides").iter();
        let overrides = overrides.flat_map(|one| list(one, "properties"));
        let overrides = overrides.filter(|one| one["id"] == "thresholds");
        let all = defaults.iter().map(|one| &one["thresholds"]);
        for thresholds in all.chain(overrides.map(|one| &one["value"])) {
            for step in list(thresholds, "steps") {
                numbers.extend(step["value"].as_f64().map(|number| number.to_string()));
            }
        }
        numbers
    };
    let certificate = found("certificate", r"seconds_left:min < (\d+) \* 86400");
    assert_eq!(certificate.len(), 2);
    assert!(steps("now", "Certificates").is_superset(&certificate));
    for (title, windows) in [
        ("Budget burn, fast", "rate1h"),
        ("Budget burn, slow", "rate6h"),
    ] {
        let burn = found("slo", &format!(r"{windows} > \(([\d.]+) \* 0.005\)"));
        assert_eq!(burn.len(), 1, "{title}");
        assert!(steps("reliability", title).is_superset(&burn), "{title}");
    }
    let budget = found("slo", r"\* (0\.\d+)\)");
    assert_eq!(budget, BTreeSet::from(["0.005".to_owned()]));
    for (place, query) in queries(&dashboard("reliability")) {
        if place.contains("udget") {
            assert!(query.contains("0.005"), "{place}");
        }
    }
    let skew = found("diagnosis", r"> (30)\b");
    assert!(steps("monitoring", "Clock skew").is_superset(&skew));
    let latency = found("slo", r"duration_of_timeout:ratio15m > ([\d.]+)\)");
    assert_eq!(latency, BTreeSet::from(["0.5".to_owned()]));
    let half = queries(&dashboard("now"));
    let half = half.iter().any(|(place, query)| {
        place == "Latency by layer"
            && query.starts_with("0.5 * ")
            && query.contains("probe_timeout")
    });
    assert!(half, "no line at half of the timeout");
}

#[test]
fn provisioning_files_define_provider_and_data_source() {
    let provider = documents::read("grafana/provisioning/dashboards/ccass2fa.yml");
    let provider: Value = serde_saphyr::from_str(&provider).unwrap();
    assert_eq!(provider["apiVersion"], 1);
    assert_eq!(provider["providers"][0]["type"], "file");
    assert_eq!(provider["providers"][0]["allowUiUpdates"], false);
    let path = text(&provider["providers"][0]["options"], "path");
    assert!(path.starts_with('/'), "{path}");
    let source = documents::read("grafana/provisioning/datasources/ccass2fa.yml");
    let source: Value = serde_saphyr::from_str(&source).unwrap();
    assert_eq!(source["datasources"][0]["type"], "prometheus");
    assert!(text(&source["datasources"][0], "url").contains("example.com"));
}

/// In the JSON, enumerations are plain values, and a data source adds properties of its own (`expr`)
/// that the published types leave out.
const TYPES: &str = "
import type { Dashboard, Panel } from '@grafana/schema';
type Json<T> = T extends string ? `${T}`
  : T extends number | boolean | null | undefined ? T
  : T extends (infer U)[] ? Json<U>[]
  : T extends object ? { [K in keyof T]?: Json<T[K]> } & { [key: string]: unknown }
  : T;
";

/// Checks against the types that Grafana publishes. They accept any panel options and custom field
/// configuration (`Record<string, unknown>`); the rendering below covers those.
#[tokio::test]
async fn dashboards_match_grafanas_published_types() {
    let project =
        tempfile::tempdir_in(harness::node::path("")).expect("a directory beside node_modules");
    let mut code = TYPES.to_owned();
    for (name, dashboard) in dashboards() {
        let mut head = dashboard.clone();
        let panels = head["panels"].take();
        head["panels"] = json!([]);
        code += &format!("const {name}: Json<Dashboard> = {head};\nvoid {name};\n");
        for (index, panel) in panels.as_array().expect("panels").iter().enumerate() {
            code += &format!("const {name}{index}: Json<Panel> = {panel};\nvoid {name}{index};\n");
        }
    }
    std::fs::write(project.path().join("dashboards.ts"), code).unwrap();
    let options = json!({"compilerOptions": {
        "strict": true, "skipLibCheck": true, "types": [],
        "module": "nodenext", "moduleResolution": "nodenext"}});
    std::fs::write(project.path().join("tsconfig.json"), options.to_string()).unwrap();
    harness::node::check_types(project.path()).await;
}

/// A panel as text.
#[derive(Deserialize)]
struct Panel {
    title: String,
    #[serde(rename = "type")]
    kind: String,
    empty: bool,
    texts: Vec<String>,
    error: Option<String>,
}

/// A dashboard: its panels, and the texts that a viewer could not read.
#[derive(Deserialize)]
struct Rendered {
    panels: Vec<Panel>,
    problems: Vec<String>,
}

/// A lab and an exporter that probes it.
struct Site {
    name: String,
    lab: Lab,
    exporter: Exporter,
    config: ConfigFile,
}

impl Site {
    /// Starts both and waits for the first probe.
    async fn start(name: &str, config: impl Fn(&Lab) -> String) -> Self {
        let lab = Lab::start().await.expect("the lab starts");
        let config = ConfigFile::new(&config(&lab));
        let mut exporter = Exporter::start(&[&config.argument()]).await;
        exporter.first_probe().await;
        Self {
            name: name.to_owned(),
            lab,
            exporter,
            config,
        }
    }
}

/// Sites and a Prometheus that scrapes them, with the shipped rules.
struct Monitoring {
    sites: Vec<Site>,
    prometheus: Prometheus,
}

/// The panels of all dashboards by "dashboard: title".
type Panels = BTreeMap<String, Panel>;

impl Monitoring {
    async fn start(sites: Vec<Site>) -> Self {
        let prometheus = Prometheus::start_with_rules_of_a_fleet(QUICK).await;
        let addresses: Vec<(&str, &str)> = sites
            .iter()
            .map(|site| (site.name.as_str(), site.exporter.address.as_str()))
            .collect();
        prometheus.scrape(&addresses);
        Self { sites, prometheus }
    }

    /// Starts one site, "central".
    async fn of_one_site(config: impl Fn(&Lab) -> String) -> Self {
        Self::start(vec![Site::start("central", config).await]).await
    }

    /// Renders all dashboards once every site is healthy and the rules have been evaluated.
    async fn render_healthy(&self, more: &[&str]) -> Panels {
        let count = self.sites.len();
        let mut conditions = vec![
            "min(up) == bool 1".to_owned(),
            format!("count(ccass2fa_probe_success == 1) == bool {count}"),
            format!("count(target_site:ccass2fa_probe_success:max == 1) == bool {count}"),
            // There is a rate from the second probe on.
            format!("count(increase(ccass2fa_probe_successes_total[1m]) > 0) == bool {count}"),
        ];
        conditions.extend(more.iter().map(|&one| one.to_owned()));
        self.render_when(&conditions).await
    }

    /// Renders all dashboards at a time at which each of `conditions` has a value other than 0. No
    /// query may fail, an empty panel must show a text, and nothing may be cut off or too small to read,
    /// in a wide or in a narrow window.
    async fn render_when(&self, conditions: &[String]) -> Panels {
        let input = json!({
            "prometheus": self.prometheus.peer.url,
            "files": NAMES.map(|name| repository(&format!("grafana/{name}.json"))),
            "variables": {"job": "ccass2fa", "firm": ".*", "instance": ".*", "site": ".*", "target": ".*", "reason": ".*"},
            "time": self.time_when(conditions).await,
            "range": 300,
            "step": 5,
            "widths": [1600, 1000],
            "screenshots": std::env::var("DASHBOARD_SCREENSHOTS").ok(),
        });
        let rendered: Vec<Rendered> = harness::node::run("render_dashboards.mjs", &input).await;
        assert_eq!(rendered.len(), NAMES.len());
        let mut all = Panels::new();
        let mut problems = Vec::new();
        for (name, rendered) in NAMES.into_iter().zip(rendered) {
            problems.extend(rendered.problems.iter().map(|one| format!("{name} {one}")));
            for panel in rendered.panels {
                let title = &panel.title;
                assert_eq!(panel.error, None, "{name}, {title}");
                assert!(!panel.texts.is_empty(), "{name}, {title} is blank");
                for text in &panel.texts {
                    let unwanted = ["week", "< 1", "NaN", "undefined", "Invalid", "Infinity"];
                    let found = unwanted.iter().find(|part| text.contains(**part));
                    assert!(
                        found.is_none() || panel.kind == "text",
                        "{name}, {title}: {text}"
                    );
                }
                all.insert(format!("{name}: {title}"), panel);
            }
        }
        let first: Vec<&str> = problems.iter().map(String::as_str).take(40).collect();
        assert!(first.is_empty(), "unreadable:\n{}", first.join("\n"));
        all
    }

    /// Waits until all conditions hold, and returns a time at which they do. All dashboards are
    /// evaluated at this one time, so that a later scrape, which may be late or fail on a busy machine,
    /// does not change what they show.
    async fn time_when(&self, conditions: &[String]) -> f64 {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let time = now.as_millis() as f64 / 1000.0;
            let mut unmet = self.first_unmet(conditions, time).await;
            // Samples of a scrape bear the time of its start: wait until those before `time` are stored.
            while unmet.is_none() && Instant::now() < deadline {
                let latest = self.value_at("min(timestamp(up))", None).await;
                // Without a target there is nothing to wait for.
                if latest.is_none_or(|latest| latest > time) {
                    unmet = self.first_unmet(conditions, time).await;
                    break;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            let Some(unmet) = unmet else { return time };
            assert!(
                Instant::now() < deadline,
                "not true within {} s: {unmet}",
                TIMEOUT.as_secs()
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// The reasons in the rows of all sites, filtered by one.
    async fn rows_of_fleet(&self, reason: &str) -> Vec<String> {
        let dashboard = dashboard("fleet");
        let mut panels = list(&dashboard, "panels").iter();
        let table = panels.find(|panel| FLEET.ends_with(text(panel, "title")));
        let query = text(&list(table.unwrap(), "targets")[0], "expr");
        let query = expand_variables(&query.replace("$reason", reason));
        let rows = self.prometheus.query(&query).await.into_iter();
        rows.map(|(labels, _)| text(&labels, "reason").to_owned())
            .collect()
    }

    async fn first_unmet<'a>(&self, conditions: &'a [String], time: f64) -> Option<&'a String> {
        for condition in conditions {
            let value = self.value_at(condition, Some(time)).await;
            if value.unwrap_or_default() == 0.0 {
                return Some(condition);
            }
        }
        None
    }

    /// The first value of an expression, at `time` (Unix seconds) or now.
    async fn value_at(&self, expression: &str, time: Option<f64>) -> Option<f64> {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("query", expression);
        if let Some(time) = time {
            query.append_pair("time", &time.to_string());
        }
        let path = format!("/api/v1/query?{}", query.finish());
        let answer = self.prometheus.peer.get(&path).await;
        assert_eq!(answer["status"], "success", "{expression}");
        let value = answer["data"]["result"][0]["value"][1].as_str()?;
        Some(value.parse().expect("a number"))
    }
}

/// The conditions under which a failing probe of a site is in Prometheus, with what the rules make of it.
fn failing(site: &str, reason: &str) -> Vec<String> {
    vec![
        format!("ccass2fa_probe_failure_info{{site=\"{site}\",reason=\"{reason}\"}}"),
        format!("ccass2fa_probe_failures_total{{site=\"{site}\",reason=\"{reason}\"}}"),
        format!("target_site:ccass2fa_probe_success:max{{site=\"{site}\"}} == bool 0"),
    ]
}

/// Asserts that one text of the panel, a value or a row of a table, contains all `parts`.
#[track_caller]
fn assert_shows(panels: &Panels, name: &str, parts: &[&str]) {
    let panel = panels
        .get(name)
        .unwrap_or_else(|| panic!("no panel {name}"));
    let shown = panel
        .texts
        .iter()
        .any(|text| parts.iter().all(|part| text.contains(part)));
    assert!(shown, "{name}: {parts:?} not found in {}", excerpt(panel));
}

#[track_caller]
fn assert_does_not_show(panels: &Panels, name: &str, part: &str) {
    let panel = &panels[name];
    let shown = panel.texts.iter().any(|text| text.contains(part));
    assert!(!shown, "{name}: {part:?} found in {}", excerpt(panel));
}

#[track_caller]
fn assert_empty(panels: &Panels, name: &str, text: &str) {
    let panel = &panels[name];
    assert!(panel.empty, "{name} is not empty: {}", excerpt(panel));
    assert_eq!(panel.texts, [text], "{name}");
}

/// The first lines of a panel, for a failure's message.
fn excerpt(panel: &Panel) -> String {
    let lines: Vec<&str> = panel.texts.iter().map(String::as_str).take(6).collect();
    format!("{} texts:\n{}", panel.texts.len(), lines.join("\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_of_a_healthy_site_and_of_a_dead_exporter() {
    let mut monitoring = Monitoring::of_one_site(Lab::config).await;
    let panels = monitoring.render_healthy(&[]).await;
    for (panel, part) in [
        ("now: Can we log in?", "central | sso | reachable"),
        ("now: Sites that reach the login", "1 of 1"),
        ("now: Phase of the migration", "2FA only"),
        ("now: Layer by layer", "central sso tls: good"),
        ("now: Resolver by resolver", "| A | 1 address"),
        ("now: Resolver by resolver", "| AAAA | none of this family"),
        ("now: Address by address", "127.0.0.1 | connects, TLS good"),
        (
            "now: Certificates",
            "335.0 days | sso.lab.test | 0 | yes | C=HK, O=CCASS Lab Login",
        ),
        (
            "readiness: Will we be ready?",
            "over, no longer followed up",
        ),
        (
            "readiness: Deadlines",
            "Fri 28 Apr 2023 00:00 | Sat 29 Apr 2023 00:00",
        ),
        (
            "readiness: Timetable",
            "First briefing, in person | confirmed",
        ),
        ("readiness: Sites verified", "no full pass on record"),
        (
            "readiness: What the circular says: deadlines",
            "CD/OES/CCASS/013/2023",
        ),
        ("reliability: Available, 1 day", "100.00%"),
        ("monitoring: Exporters that answer", "1 of 1"),
        ("monitoring: Alerting", "Rules: at work"),
        (
            "monitoring: Latest reload of the configuration",
            "accepted: the file is active",
        ),
        ("monitoring: Calendar ends in", "days"),
        (
            "monitoring: What each exporter runs with",
            env!("CARGO_PKG_VERSION"),
        ),
        ("fleet: Sites by state", "NOT reachable: 0"),
        ("fleet: Sites by state", "silent: 0"),
        ("fleet: Sites by state", "no fresh result: 0"),
        ("fleet: Sites by state", ": 1"),
        (FLEET, "central | sso | reachable | "),
    ] {
        assert_shows(&panels, panel, &[part]);
    }
    for (panel, text) in [
        ("now: Failures and contacts", "Nothing fails"),
        ("fleet: Failing sites by reason", "Nothing fails"),
        ("now: Findings", "No findings: good"),
        ("now: Changed since it was last good", "Nothing changed"),
        ("now: Is it us or them?", "No controls configured"),
        ("now: In a browser", "No target is opened in a browser"),
        (
            "now: Terminals",
            "No terminal writes a file for the textfile collector",
        ),
        (
            "reliability: Failures by layer and reason",
            "No failures on record",
        ),
        (
            "readiness: Accounts with an e-mail address",
            "No counts: no readiness file is configured",
        ),
    ] {
        assert_empty(&panels, panel, text);
    }

    let exporter = &mut monitoring.sites[0].exporter;
    exporter.child.kill().await.expect("it was running");
    // Its last result counts for a while.
    let panels = monitoring
        .render_when(&[
            "max(up) == bool 0".to_owned(),
            "absent(target_site:ccass2fa_login:since)".to_owned(),
            "count(ccass2fa:fact:held{metric=~\"target_info|exporter_time_seconds\"}) == bool 2"
                .to_owned(),
        ])
        .await;
    assert_shows(&panels, "monitoring: Exporters that answer", &["0 of 1"]);
    assert_shows(&panels, "monitoring: Each exporter", &["does NOT answer"]);
    assert_does_not_show(&panels, "now: Can we log in?", "| reachable");
    assert_shows(&panels, "fleet: Sites by state", &["no fresh result: 1"]);
    assert_shows(&panels, FLEET, &["central | sso | no fresh result | "]);
    assert_does_not_show(&panels, FLEET, "not known");

    // As if its agent had stopped to send.
    monitoring.prometheus.scrape(&[]);
    let silent = "firm_site:ccass2fa_site_data:silent".to_owned();
    let panels = monitoring.render_when(&[silent]).await;
    assert_shows(&panels, "fleet: Sites by state", &["silent: 1"]);
    assert_shows(&panels, FLEET, &["central | All | silent | "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_dashboard_shows_accounts_terminals_and_verification() {
    let config = |lab: &Lab| {
        format!(
            "data_directory: kept\nreadiness: {{file: accounts.csv}}\n\
             evidence: {{terminals: [t1, t2]}}\nbrowser: {{path: /bin/false}}\n{}",
            lab.config()
        )
    };
    let monitoring = Monitoring::of_one_site(config).await;
    let config = &monitoring.sites[0].config;
    let accounts = "kind,email,count\nuser,confirmed,38\nuser,missing,2\nda,submitted,2\n";
    std::fs::write(config.directory().join("accounts.csv"), accounts).unwrap();
    let config = config.argument();
    let arguments = ["record", "--terminal=t1", "--outcome=seen"];
    let recorded = harness::exporter::run(&[&[config.as_str()][..], &arguments].concat()).await;
    assert_eq!(recorded.status.code(), Some(0));
    // Two terminals write a file for the textfile collector.
    let lab = &monitoring.sites[0].lab;
    let files = tempfile::tempdir().unwrap();
    for (terminal, code) in [("t1", 0), ("t2", 1)] {
        if code == 1 {
            lab.provoke(scenario("page-empty").unwrap());
        }
        let output = files.path().join(format!("{terminal}.prom"));
        let output = output.display().to_string();
        let arguments = [
            &config,
            "verify",
            "--format=prometheus",
            "--output",
            &output,
            "--terminal",
            terminal,
        ];
        let checked = harness::exporter::run(&arguments).await;
        assert_eq!(checked.status.code(), Some(code), "{checked:?}");
    }
    lab.heal();
    let node_exporter = NodeExporter::start(files.path()).await;
    monitoring.prometheus.scrape(&[
        ("central", &monitoring.sites[0].exporter.address),
        ("central", &node_exporter.address),
    ]);
    let panels = monitoring
        .render_healthy(&[
            "ccass2fa_terminals_checked{outcome=\"seen\"} == bool 1",
            "ccass2fa_accounts{kind=\"user\",email=\"confirmed\"} == bool 38",
            "ccass2fa_verification_last_pass_timestamp_seconds",
            "ccass2fa_browser_last_run_timestamp_seconds",
            "count(ccass2fa_terminal_check_success) == bool 2",
        ])
        .await;
    let verified = "readiness: Sites verified";
    assert_shows(&panels, verified, &["central | sso | "]);
    assert_does_not_show(&panels, verified, "no full pass on record");
    let terminals = "readiness: Terminals checked";
    assert_shows(&panels, terminals, &["central | 2 | 1 | 0"]);
    // No browser was started, neither there nor on the exporter's host.
    let terminals = "now: Terminals";
    assert_shows(
        &panels,
        terminals,
        &["central | t1 | login page shown | none"],
    );
    assert_shows(&panels, terminals, &["central | t2 | page_empty | none"]);
    assert_shows(
        &panels,
        "now: In a browser",
        &["central | sso", "not compared"],
    );
    for count in ["38", "2"] {
        assert_shows(
            &panels,
            "readiness: Accounts with an e-mail address",
            &[count],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_without_data_show_what_is_missing() {
    let monitoring = Monitoring::start(Vec::new()).await;
    let panels = monitoring.render_when(&["vector(1)".to_owned()]).await;
    assert!(panels["now: Can we log in?"].empty);
}

const FLEET: &str = "fleet: Every site, worst first";

/// The outages of the sites: scenario, layer, reason, advice.
const OUTAGES: [(&str, &str, &str, &str); 5] = [
    ("dns-nxdomain", "dns", "dns_nxdomain", "your DNS team"),
    ("tcp-refused", "tcp", "tcp_refused", "your firewall team"),
    (
        "tls-expired",
        "tls",
        "tls_expired",
        "HKEX, CCASS Hotline 2979 7111",
    ),
    (
        "http-500",
        "http",
        "http_status",
        "HKEX, CCASS Hotline 2979 7111",
    ),
    (
        "page-empty",
        "page",
        "page_empty",
        "HKEX, CCASS Hotline 2979 7111",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_of_an_outage_show_layer_reason_and_contact() {
    // Ten sites, with long names.
    let places = ["head-office", "data-centre"];
    let outages: Vec<_> = places
        .into_iter()
        .flat_map(|place| OUTAGES.map(|outage| (format!("{place}-{}", outage.0), outage)))
        .collect();
    let mut sites = Vec::new();
    for (site, (name, ..)) in &outages {
        let site = Site::start(site, Lab::config).await;
        // After a good probe, so that there is something to compare with.
        site.lab.provoke(scenario(name).expect("a scenario"));
        sites.push(site);
    }
    let monitoring = Monitoring::start(sites).await;
    let mut conditions =
        vec!["ALERTS{alertname=\"Ccass2faLoginUnreachable\",alertstate=\"firing\"}".to_owned()];
    for (site, (_, _, reason, _)) in &outages {
        conditions.extend(failing(site, reason));
    }
    let panels = monitoring.render_when(&conditions).await;
    assert_shows(&panels, "now: Sites that reach the login", &["0 of 10"]);
    assert_shows(&panels, "now: Alerts", &["LoginUnreachable"]);
    for (site, (_, layer, reason, advice)) in &outages {
        let verdict = format!("{site} | sso | NOT reachable");
        assert_shows(&panels, "now: Can we log in?", &[&verdict]);
        let row = [site.as_str(), &format!("{layer} | {reason}"), advice];
        assert_shows(&panels, "now: Failures and contacts", &row);
        let failing = format!("{site} sso {layer}: fails");
        assert_shows(&panels, "now: Layer by layer", &[&failing]);
        let failures = "reliability: Failures by layer and reason";
        assert_shows(&panels, failures, &[site, reason]);
        let row = [&format!("{site} | sso | NOT reachable | "), row[1], advice];
        assert_shows(&panels, FLEET, &row);
        let row = format!("2 | {layer} | {reason} | {advice}");
        assert_shows(&panels, "fleet: Failing sites by reason", &[&row]);
        let awaited = format!("two rows of the fleet filtered by {reason}");
        wait_until(&awaited, async || {
            let rows = monitoring.rows_of_fleet(reason).await;
            (rows == [*reason; 2]).then_some(())
        })
        .await;
    }
    assert_shows(&panels, "now: Certificates", &["tls-expired", "-3.0 days"]);
    assert_shows(
        &panels,
        "now: Changed since it was last good",
        &["tls-expired", "the certificate's key"],
    );
    assert_shows(&panels, "now: Address by address", &["tls-expired", "TLS"]);
    assert_shows(
        &panels,
        "now: Resolver by resolver",
        &["dns-nxdomain", "dns_nxdomain"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_attribute_a_refusal_by_the_web_proxy_to_the_proxy() {
    let refusal = scenario("proxy-denied").expect("a scenario");
    let monitoring = Monitoring::of_one_site(|lab| lab.config_for(refusal)).await;
    let panels = monitoring.render_healthy(&[]).await;
    assert_shows(&panels, "now: Layer by layer", &["central sso proxy: good"]);
    monitoring.sites[0].lab.provoke(refusal);
    let panels = monitoring
        .render_when(&failing("central", "proxy_denied"))
        .await;
    for (panel, parts) in [
        (
            "now: Can we log in?",
            &["central | sso | NOT reachable"][..],
        ),
        (
            "now: Failures and contacts",
            &["proxy | proxy_denied", "your web-proxy team"],
        ),
        ("now: Layer by layer", &["central sso proxy: fails"]),
    ] {
        assert_shows(&panels, panel, parts);
    }
}
