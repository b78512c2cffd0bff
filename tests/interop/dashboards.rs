//! The dashboards: what stands in the files, and what a person reads on them, by Grafana's own library
//! and from a real Prometheus that scrapes the built exporter with the shipped rules.

use harness::documents::{self, repository};
use std::collections::{BTreeMap, BTreeSet};

use ccass_2fa_exporter::render::metrics::CATALOGUE;
use ccass_2fa_lab::{Lab, scenario};
use harness::exporter::{ConfigFile, Exporter};
use harness::prometheus::{Prometheus, QUICK};
use promql_parser::parser::{self, Expr};
use promql_parser::util::{ExprVisitor, walk_expr};
use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};

const NAMES: [&str; 4] = ["now", "readiness", "reliability", "monitoring"];

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

/// A query as Grafana sends it, every variable at All.
fn expanded(expression: &str) -> String {
    let variable = Regex::new(r"\$(job|instance|site|target)\b").unwrap();
    variable
        .replace_all(expression, ".*")
        .replace("$__rate_interval", "1m")
        .replace("$__range", "1h")
        .replace("$__interval", "15s")
}

/// Where, and the query.
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
        .map(|(place, expression)| (place.to_owned(), expanded(expression)))
        .collect()
}

/// The metrics that an expression names.
#[derive(Default)]
struct Named(BTreeSet<String>);

impl ExprVisitor for Named {
    type Error = String;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, String> {
        let selector = match expression {
            Expr::VectorSelector(selector) => selector,
            Expr::MatrixSelector(selector) => &selector.vs,
            _ => return Ok(true),
        };
        self.0.extend(selector.name.clone());
        Ok(true)
    }
}

#[test]
fn each_query_parses_and_names_only_what_is_there() {
    let recorded = Regex::new(r"(?m)record: (\S+)$").unwrap();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for definition in CATALOGUE {
        let name = definition.full_name();
        for ending in ["", "_bucket", "_sum", "_count"] {
            known.insert(format!("{name}{ending}"));
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
    known.extend(["up", "ALERTS", "scrape_duration_seconds"].map(str::to_owned));
    for (name, dashboard) in dashboards() {
        let queries = queries(&dashboard);
        assert!(queries.len() > 10, "{name}");
        for (place, query) in queries {
            let expression = parser::parse(&query)
                .unwrap_or_else(|error| panic!("{name}, {place}: {error}\n{query}"));
            let mut named = Named::default();
            walk_expr(&mut named, &expression).unwrap();
            for metric in named.0 {
                let fits = known.contains(&metric) || metric.starts_with("process_");
                assert!(fits, "{name}, {place}: there is no {metric}");
            }
        }
    }
}

#[test]
fn each_dashboard_can_be_provisioned_and_says_what_it_shows() {
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
        assert_eq!(
            variables,
            ["datasource", "job", "instance", "site", "target"],
            "{name}"
        );

        let mut ids = BTreeSet::new();
        let mut taken = BTreeSet::new();
        for panel in list(&dashboard, "panels") {
            let title = text(panel, "title");
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(
                ids.insert(panel["id"].as_u64()),
                "{name}, {title}: a twin's id"
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
            // 12.5 days become "1.79 weeks".
            assert!(
                !["d", "dtdurations"].contains(&text(defaults, "unit")),
                "{name}, {title}"
            );
            if panel["type"] == "state-timeline" {
                // By thresholds it prints "< 1" in place of the words.
                assert_eq!(
                    defaults["color"]["mode"], "palette-classic",
                    "{name}, {title}"
                );
            }
            assert_eq!(panel["datasource"], source, "{name}, {title}");
            for target in list(panel, "targets") {
                assert_eq!(target["datasource"], source, "{name}, {title}");
            }
            let place = |key: &str| panel["gridPos"][key].as_u64().expect("a place");
            let (x, y) = (place("x"), place("y"));
            assert!(x + place("w") <= 24, "{name}, {title}: too far right");
            for column in x..x + place("w") {
                for row in y..y + place("h") {
                    assert!(
                        taken.insert((column, row)),
                        "{name}, {title} lies on another"
                    );
                }
            }
        }
    }
}

#[test]
fn links_lead_to_dashboards_that_exist_and_keep_time_and_variables() {
    let uids: BTreeSet<String> = NAMES.map(|name| format!("ccass2fa-{name}")).into();
    let link = Regex::new(r"/d/([a-z0-9-]+)").unwrap();
    for (name, dashboard) in dashboards() {
        let mut reached = BTreeSet::from([text(&dashboard, "uid").to_owned()]);
        for one in list(&dashboard, "links") {
            assert_eq!(one["keepTime"], true, "{name}");
            assert_eq!(one["includeVars"], true, "{name}");
            reached.extend(
                link.captures(text(one, "url"))
                    .map(|found| found[1].to_owned()),
            );
        }
        assert_eq!(reached, uids, "{name}");
        for found in link.captures_iter(&dashboard.to_string()) {
            assert!(uids.contains(&found[1]), "{name} leads to {}", &found[1]);
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
                "alerts/{file}.yml leads to {}",
                &found[1]
            );
            count += 1;
        }
    }
    assert!(count >= 20, "only {count} alerts lead to a dashboard");
}

#[test]
fn each_variable_narrows_every_query_that_can_be_narrowed() {
    for (name, dashboard) in dashboards() {
        let raw = dashboard.to_string();
        for variable in ["job", "instance", "site", "target"] {
            assert!(
                raw.contains(&format!("=~\\\"${variable}")),
                "{name} has {variable} for nothing"
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
            }
        }
    }
}

/// The numbers of the rules, out of the rules.
#[test]
fn thresholds_are_those_of_the_alerts() {
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
    assert!(half, "no line at half of the time limit");
}

#[test]
fn the_provisioning_names_what_the_dashboards_need() {
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

/// A file is text: enumerations stand in it by their values, and a data source adds properties of its
/// own (`expr`), which the published types leave out.
const TYPES: &str = "
import type { Dashboard, Panel } from '@grafana/schema';
type Json<T> = T extends string ? `${T}`
  : T extends number | boolean | null | undefined ? T
  : T extends (infer U)[] ? Json<U>[]
  : T extends object ? { [K in keyof T]?: Json<T[K]> } & { [key: string]: unknown }
  : T;
";

/// By the types that Grafana publishes. Their panels leave options and custom field configuration open
/// (`Record<string, unknown>`), so that these are held by what is rendered below.
#[tokio::test]
async fn grafanas_own_types_accept_each_file() {
    let directory =
        tempfile::tempdir_in(harness::node::path("")).expect("a directory beside the libraries");
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
    let file = directory.path().join("dashboards.ts");
    std::fs::write(&file, code).expect("a file");
    let options = json!({"compilerOptions": {
        "noEmit": true, "strict": true, "skipLibCheck": true, "types": [],
        "module": "nodenext", "moduleResolution": "nodenext"}});
    std::fs::write(directory.path().join("tsconfig.json"), options.to_string()).expect("a file");
    let output = harness::node::node()
        .arg(harness::node::path("node_modules/typescript/bin/tsc"))
        .args(["--project", "tsconfig.json"])
        .current_dir(directory.path())
        .output()
        .await
        .expect("tests/install.sh has run");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}");
}

/// What a person reads on one panel.
#[derive(Deserialize)]
struct Panel {
    title: String,
    #[serde(rename = "type")]
    kind: String,
    empty: bool,
    texts: Vec<String>,
    error: Option<String>,
}

/// The lab, an exporter that probes it, and a Prometheus with the shipped rules.
struct Site {
    lab: Lab,
    exporter: Exporter,
    config: ConfigFile,
    prometheus: Prometheus,
}

/// The panels of all dashboards by title.
type Read = BTreeMap<String, Panel>;

impl Site {
    async fn start() -> Self {
        Self::with(Lab::config).await
    }

    async fn with(config: impl Fn(&Lab) -> String) -> Self {
        let lab = Lab::start().await.expect("the lab starts");
        let config = ConfigFile::new(&config(&lab));
        let mut exporter = Exporter::start(&[&config.argument()]).await;
        exporter.first_probe().await;
        let prometheus = Prometheus::start(&[], QUICK).await;
        prometheus.scrape(&[("central", &exporter.address)]);
        prometheus.sees("ccass2fa_probe_success").await;
        let recorded = "target_site:ccass2fa_probe_success:max";
        prometheus.sees(recorded).await;
        // From the second probe on there is a rate.
        let counted = "increase(ccass2fa_probe_successes_total[1m]) > bool 0";
        prometheus.sees(counted).await;
        Self {
            lab,
            exporter,
            config,
            prometheus,
        }
    }

    async fn breaks(&self, name: &str, reason: &str) -> Read {
        self.lab.provoke(scenario(name).expect("a scenario"));
        let failing = format!("ccass2fa_probe_failure_info{{reason=\"{reason}\"}}");
        self.prometheus.sees(&failing).await;
        self.read().await
    }

    /// Reads every dashboard. No query may fail, and an empty panel must say why that may be.
    async fn read(&self) -> Read {
        let mut all = Read::new();
        for name in NAMES {
            for panel in self.render(name).await {
                let title = &panel.title;
                assert_eq!(panel.error, None, "{name}, {title}");
                assert!(!panel.texts.is_empty(), "{name}, {title} shows nothing");
                for words in &panel.texts {
                    let odd = ["week", "< 1", "NaN", "undefined", "Invalid", "Infinity"];
                    let odd = odd.iter().find(|odd| words.contains(**odd));
                    assert!(
                        odd.is_none() || panel.kind == "text",
                        "{name}, {title}: {words}"
                    );
                }
                all.insert(format!("{name}: {title}"), panel);
            }
        }
        all
    }

    async fn render(&self, name: &str) -> Vec<Panel> {
        let asked = json!({
            "prometheus": self.prometheus.peer.url,
            "file": repository(&format!("grafana/{name}.json")),
            "variables": {"job": "ccass2fa", "instance": ".*", "site": ".*", "target": ".*"},
            "range": 300,
            "step": 5,
        });
        harness::node::run("render.mjs", &asked).await
    }
}

/// What the panel must say, among other things.
#[track_caller]
fn says(read: &Read, panel: &str, part: &str) {
    let panel = read
        .get(panel)
        .unwrap_or_else(|| panic!("no panel {panel}"));
    let said = panel.texts.iter().any(|words| words.contains(part));
    assert!(
        said,
        "{}: {part:?} is not in {:#?}",
        panel.title, panel.texts
    );
}

#[track_caller]
fn is_empty_and_says(read: &Read, panel: &str, words: &str) {
    let panel = &read[panel];
    assert!(panel.empty, "{}: {:#?}", panel.title, panel.texts);
    assert_eq!(panel.texts, [words], "{}", panel.title);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_healthy_state_a_person_reads_that_all_is_good() {
    let site = Site::start().await;
    let read = site.read().await;
    for (panel, part) in [
        ("now: Can we log in?", "central sso: reachable"),
        ("now: Sites that reach the login", "1 of 1"),
        ("now: Phase of the migration", "2FA only"),
        ("now: Layer by layer", "central sso tls: good"),
        ("now: Resolver by resolver", "| A | 1 address"),
        ("now: Resolver by resolver", "| AAAA | none of this family"),
        ("now: Address by address", "127.0.0.1 | connects, TLS good"),
        (
            "now: Certificates",
            "335.0 days | sso.lab.test | 0 | C=HK, O=CCASS Lab Login",
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
        ("monitoring: Configuration", "read"),
        ("monitoring: Calendar of holidays ends in", "days"),
        (
            "monitoring: What each exporter runs with",
            env!("CARGO_PKG_VERSION"),
        ),
    ] {
        says(&read, panel, part);
    }
    for (panel, words) in [
        ("now: What fails, and whom to ask", "Nothing fails"),
        ("now: Findings", "No findings: good"),
        ("now: Changed since it was last good", "Nothing changed"),
        ("now: Is it us or them?", "No controls configured"),
        (
            "reliability: Failures by layer and reason",
            "No failures on record",
        ),
    ] {
        is_empty_and_says(&read, panel, words);
    }
    is_empty_and_says(
        &read,
        "readiness: Accounts with an e-mail address",
        "No counts: no readiness file is configured",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_whether_we_will_be_ready_reads_accounts_terminals_and_verification() {
    let site = Site::with(|lab| {
        format!(
            "data_directory: kept\nreadiness: {{file: accounts.csv}}\n\
             evidence: {{terminals: [t1, t2]}}\n{}",
            lab.config()
        )
    })
    .await;
    let accounts = "kind,email,count\nuser,confirmed,38\nuser,missing,2\nda,submitted,2\n";
    let accounts_file = site.config.directory().join("accounts.csv");
    std::fs::write(accounts_file, accounts).unwrap();
    let arguments = ["record", "--terminal=t1", "--outcome=seen"];
    let config = site.config.argument();
    let recorded = harness::exporter::run(&[&[config.as_str()][..], &arguments].concat()).await;
    assert_eq!(recorded.status.code(), Some(0));
    for seen in [
        "ccass2fa_terminals_checked{outcome=\"seen\"} == 1",
        "ccass2fa_accounts{kind=\"user\",email=\"confirmed\"} == 38",
        "ccass2fa_verification_last_pass_timestamp_seconds",
    ] {
        site.prometheus.sees(seen).await;
    }
    let read = site.read().await;
    says(&read, "readiness: Sites verified", "central | sso | ");
    let verified = &read["readiness: Sites verified"].texts;
    let is_missing = |words: &String| words.contains("no full pass on record");
    assert!(!verified.iter().any(is_missing), "{verified:?}");
    says(&read, "readiness: Terminals checked", "central | 2 | 1 | 0");
    for part in ["38", "2"] {
        says(&read, "readiness: Accounts with an e-mail address", part);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_outage_a_person_reads_the_layer_the_reason_and_whom_to_ask() {
    let mut site = Site::start().await;
    for (name, reason, asks) in [
        ("dns-nxdomain", "dns | dns_nxdomain", "ask: your DNS team"),
        (
            "tcp-refused",
            "tcp | tcp_refused",
            "ask: your firewall team",
        ),
        (
            "tls-expired",
            "tls | tls_expired",
            "ask: HKEX, CCASS Hotline 2979 7111",
        ),
        (
            "http-500",
            "http | http_status",
            "ask: HKEX, CCASS Hotline 2979 7111",
        ),
        (
            "page-empty",
            "page | page_empty",
            "ask: HKEX, CCASS Hotline 2979 7111",
        ),
    ] {
        let (layer, code) = reason.split_once(" | ").expect("layer and code");
        let read = site.breaks(name, code).await;
        says(&read, "now: Can we log in?", "central sso: NOT reachable");
        says(&read, "now: Sites that reach the login", "0 of 1");
        says(&read, "now: What fails, and whom to ask", reason);
        says(&read, "now: What fails, and whom to ask", asks);
        says(
            &read,
            "now: Layer by layer",
            &format!("central sso {layer}: fails"),
        );
        says(&read, "reliability: Failures by layer and reason", code);
        if name == "tls-expired" {
            says(&read, "now: Certificates", "-3.0 days");
            says(
                &read,
                "now: Changed since it was last good",
                "the certificate's key",
            );
            says(&read, "now: Address by address", "TLS");
        }
        if name == "dns-nxdomain" {
            says(&read, "now: Resolver by resolver", "dns_nxdomain");
        }
    }
    site.prometheus
        .sees("ALERTS{alertname=\"Ccass2faLoginUnreachable\",alertstate=\"firing\"}")
        .await;
    says(&site.read().await, "now: Firing alerts", "LoginUnreachable");

    site.exporter.child.kill().await.expect("it was alive");
    site.prometheus.sees("up == bool 0").await;
    let read = site.read().await;
    says(&read, "monitoring: Exporters that answer", "0 of 1");
    says(&read, "monitoring: Each exporter", "does NOT answer");
    let verdict = &read["now: Can we log in?"].texts;
    assert!(
        !verdict.iter().any(|words| words.ends_with(": reachable")),
        "{verdict:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_web_proxy_is_read_as_the_proxys() {
    let refusal = scenario("proxy-denied").expect("a scenario");
    let site = Site::with(|lab| lab.config_for(refusal)).await;
    says(
        &site.read().await,
        "now: Layer by layer",
        "central sso proxy: good",
    );
    let read = site.breaks("proxy-denied", "proxy_denied").await;
    says(&read, "now: Can we log in?", "central sso: NOT reachable");
    says(
        &read,
        "now: What fails, and whom to ask",
        "proxy | proxy_denied",
    );
    says(
        &read,
        "now: What fails, and whom to ask",
        "ask: your web-proxy team",
    );
    says(&read, "now: Layer by layer", "central sso proxy: fails");
}
