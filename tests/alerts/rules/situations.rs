//! Writes docs/alert-times.md: which situation leads to which alert, how soon, and who gets it.
//!
//! Input: the timelines of alerts/tests/situations.yml, which promtool runs against the rules, and the
//! routes and inhibition rules of alerts/alertmanager.yml.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::LazyLock;

use harness::documents::{assert_document, read};
use regex::Regex;
use serde_json::Value;

use super::{alerts, rule_files, tool, yaml};

/// When a situation begins, unless its name says otherwise.
const BEGIN: u64 = 600;

/// The time before an alert's first appearance in which the timeline must show that it does not fire.
const RESOLUTION: u64 = 90;

/// Begins the last column where another alert inhibits the notification.
const NOT_SENT: &str = "not sent";

type Labels = BTreeMap<String, String>;

/// The seconds of a duration such as `59m30s`.
fn seconds(text: &str) -> u64 {
    let part = Regex::new(r"(\d+)([smhd])").unwrap();
    let unit = |unit: &str| match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => 86400,
    };
    part.captures_iter(text)
        .map(|found| found[1].parse::<u64>().unwrap() * unit(&found[2]))
        .sum()
}

/// The labels of an expected sample, such as `{alertname="...",severity="..."}`.
fn labels(text: &str, categories: &BTreeMap<String, (String, Vec<String>)>) -> Labels {
    let label = Regex::new(r#"(\w+)="([^"]*)""#).unwrap();
    let mut labels: Labels = label
        .captures_iter(text)
        .map(|found| (found[1].to_owned(), found[2].to_owned()))
        .collect();
    let category = &categories[&labels["alertname"]].0;
    labels.insert("category".to_owned(), category.clone());
    labels.insert("service".to_owned(), "ccass2fa".to_owned());
    labels
}

/// Whether an Alertmanager configuration's list of matchers accepts an alert.
fn matches(matchers: &Value, alert: &Labels) -> bool {
    static MATCHER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"^(\w+)(=~|!~|!=|=)"?(.*?)"?$"#).unwrap());
    matchers.as_array().unwrap().iter().all(|one| {
        let parts = MATCHER.captures(one.as_str().unwrap()).unwrap();
        let value = alert.get(&parts[1]).map_or("", String::as_str);
        let pattern = || Regex::new(&format!("^(?:{})$", &parts[3])).unwrap();
        match &parts[2] {
            "=" => value == &parts[3],
            "!=" => value != &parts[3],
            "=~" => pattern().is_match(value),
            _ => !pattern().is_match(value),
        }
    })
}

/// In plain words, who gets the notification of an alert, and when.
fn recipient(config: &Value, alert: &Labels) -> String {
    let mut route = &config["route"];
    let mut receiver = &route["receiver"];
    while let Some(child) = route["routes"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|child| matches(&child["matchers"], alert))
    {
        route = child;
        receiver = child.get("receiver").unwrap_or(receiver);
    }
    let receiver = receiver.as_str().unwrap();
    let mut arguments: Vec<String> = ["config", "routes", "test"].map(str::to_owned).into();
    arguments.push("--config.file=alerts/alertmanager.yml".to_owned());
    arguments.extend(alert.iter().map(|(name, value)| format!("{name}={value}")));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let routed = tool("amtool", &arguments);
    assert_eq!(routed.lines().next(), Some(receiver), "{alert:?}");
    let who = match receiver {
        "pager" => "the on-call engineer",
        "tickets" => "the ticket queue",
        "mail" => "the mail recipients",
        "watchdog" => return "the dead man's switch, every minute".to_owned(),
        "null" => return "no notification: shown in Prometheus and on the dashboards".to_owned(),
        other => panic!("a receiver without words for it: {other}"),
    };
    let business_hours = route.get("active_time_intervals").is_some();
    let when = if business_hours {
        "in business hours"
    } else {
        "at any hour"
    };
    format!("{who}, {when}")
}

/// The name of an alert that inhibits this one, among those that fire at the same time.
fn inhibitor(config: &Value, alert: &Labels, firing: &[Labels]) -> Option<String> {
    let rules = config["inhibit_rules"].as_array().unwrap();
    let inhibits = |rule: &Value, source: &Labels| {
        let mut equal = rule["equal"].as_array().into_iter().flatten();
        source != alert
            && matches(&rule["source_matchers"], source)
            && matches(&rule["target_matchers"], alert)
            && equal.all(|name| {
                let name = name.as_str().unwrap();
                source.get(name) == alert.get(name)
            })
    };
    firing
        .iter()
        .find(|source| rules.iter().any(|rule| inhibits(rule, source)))
        .map(|source| format!("{} ({})", source["alertname"], source["severity"]))
}

fn link(alert: &str) -> String {
    format!("[{alert}](runbook.md#{})", alert.to_lowercase())
}

/// The rows of one situation. Adds its alerts to `names`.
fn rows(
    config: &Value,
    timeline: &Value,
    categories: &BTreeMap<String, (String, Vec<String>)>,
    names: &mut BTreeSet<String>,
) -> String {
    let name = timeline["name"].as_str().unwrap();
    let from = Regex::new(r" \(from (\w+)\)$").unwrap();
    let begin = from
        .captures(name)
        .map_or(BEGIN, |found| seconds(&found[1]));
    let situation = from.replace(name, "");
    // The alerts in the order of their first appearance: when each is sent first, and its recipient.
    let mut sent: Vec<(String, String, u64, String)> = Vec::new();
    let mut before = 0;
    for case in timeline["promql_expr_test"].as_array().unwrap() {
        let time = seconds(case["eval_time"].as_str().unwrap());
        assert!(time > before, "{name}: the times are not in order");
        let samples = case["exp_samples"].as_array().unwrap();
        let firing: Vec<Labels> = samples
            .iter()
            .map(|sample| labels(sample["labels"].as_str().unwrap(), categories))
            .collect();
        for alert in &firing {
            let [alertname, severity] = ["alertname", "severity"].map(|label| alert[label].clone());
            let known = sent
                .iter_mut()
                .find(|row| row.0 == alertname && row.1 == severity);
            if known
                .as_ref()
                .is_some_and(|row| !row.3.starts_with(NOT_SENT))
            {
                continue;
            }
            let who = match inhibitor(config, alert, &firing) {
                Some(source) => format!("{NOT_SENT}: {source} covers it"),
                None => recipient(config, alert),
            };
            if let Some(row) = known {
                if !who.starts_with(NOT_SENT) {
                    (row.2, row.3) = (time, who);
                }
                continue;
            }
            assert!(
                time - before <= RESOLUTION,
                "{name}: {alertname} may have fired long before {time} s"
            );
            names.insert(alertname.clone());
            sent.push((alertname, severity, time, who));
        }
        before = time;
    }
    if sent.is_empty() {
        return format!("| {situation} | none | | | |\n");
    }
    let mut rows = String::new();
    let mut first: &str = &situation;
    for (alert, severity, time, who) in sent {
        let minutes = time.checked_sub(begin).map_or_else(
            || "before".to_owned(),
            |elapsed| elapsed.div_ceil(60).to_string(),
        );
        let alert = link(&alert);
        let _ = writeln!(
            rows,
            "| {first} | {alert} | {severity} | {minutes} | {who} |"
        );
        first = "";
    }
    rows
}

/// The rows of the alerts that are in no timeline: the summary, and how long the condition must last.
fn other_rows(
    config: &Value,
    categories: &BTreeMap<String, (String, Vec<String>)>,
    names: &BTreeSet<String>,
) -> String {
    let rules: String = rule_files().iter().map(|file| read(file)).collect();
    let mut rows = String::new();
    for (name, (category, variants)) in categories {
        if names.contains(name) {
            continue;
        }
        let start = rules.find(&format!("- alert: {name}\n")).unwrap();
        let (_, summary) = rules[start..].split_once("summary: ").unwrap();
        let mut first = summary.lines().next().unwrap();
        // Stages of one severity that last as long are one row.
        let variants = variants.iter().map(|variant| {
            let mut words = variant.split(' ');
            (
                words.next().unwrap(),
                words.next_back().unwrap_or("at once"),
            )
        });
        let mut variants: Vec<(&str, &str)> = variants.collect();
        variants.dedup();
        for (severity, lasts) in variants {
            let alert = [
                ("alertname", name.as_str()),
                ("severity", severity),
                ("category", category),
                ("service", "ccass2fa"),
            ];
            let alert = alert.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let _ = writeln!(
                rows,
                "| {first} | {} | {severity} | {lasts} | {} |",
                link(name),
                recipient(config, &alert.into())
            );
            first = "";
        }
    }
    rows
}

#[test]
fn the_page_of_alert_times_matches_the_timelines_and_the_routes() {
    let config = yaml("alerts/alertmanager.yml");
    let timelines = yaml("alerts/tests/situations.yml");
    let categories = alerts();
    let mut names = BTreeSet::new();
    let table: String = timelines["tests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|timeline| rows(&config, timeline, &categories, &mut names))
        .collect();
    let wait = config["route"]["routes"][0]["group_wait"].as_str().unwrap();
    let others = other_rows(&config, &categories, &names);
    let page = format!(
        "\
# Alerts by situation

What the shipped rules and the shipped Alertmanager configuration do in each situation. There are two sites,
`head-office` and `data-centre`, and 2FA is the only way to log in, unless the situation says otherwise. What to
do then is in the [runbook](runbook.md).

Minutes, rounded up, count from the first result in Prometheus that shows the situation until the alert is sent. Add the time
until the next probe and its scrape (together at most 75 seconds with the default intervals), and the {wait} for
which Alertmanager waits before it sends. \"Business hours\" are those of `hk-business-hours` in alertmanager.yml,
without Hong Kong's general holidays.

| situation | alert | severity | minutes | who gets it |
|---|---|---|---|---|
{table}
## Other alerts

These have a deadline, or their condition is the situation. The time is how long the condition must last.

| condition | alert | severity | lasts | who gets it |
|---|---|---|---|---|
{others}
The tests of the rules write this page; `make documents` renews it.
"
    );
    assert_document("docs/alert-times.md", &page);
}
