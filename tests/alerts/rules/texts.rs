//! The descriptions of the alerts, as promtool renders them: what to do, the contact, and their length.

use std::fmt::Write as _;

use ccass_2fa_exporter::report::{Reason, advice};
use harness::documents::repository;
use regex::Regex;
use serde_json::Value;

use super::cases;

const MAX_CHARACTERS: usize = 1_500;

/// More sites than a text lists.
const SITES: usize = 40;

/// Each alert's name and the description that a unit test expects.
fn descriptions() -> Vec<(String, String)> {
    let cases = cases();
    let texts = cases.iter().flat_map(|case| {
        let name = case["alertname"].as_str().unwrap();
        let alerts: &[Value] = case["exp_alerts"].as_array().map_or(&[], Vec::as_slice);
        alerts
            .iter()
            .filter_map(|alert| alert["exp_annotations"]["description"].as_str())
            .map(|text| (name.to_owned(), text.to_owned()))
    });
    texts.collect()
}

#[test]
fn each_text_has_an_instruction_and_a_contact() {
    let instruction = Regex::new(
        r"(?:^|[.:;,!?] )(?:Run|Open|Look|Ask|Call|Compare|Check|Load|Register|Give|Do not|Restart|Keep|Send|Correct|Configure|Act|run|open|load|ask|call) ",
    )
    .unwrap();
    let contact = Regex::new(r"\b(?:[Aa]sk|[Cc]all)\b").unwrap();
    let texts = descriptions();
    assert!(texts.len() > 100, "{}", texts.len());
    for (alert, text) in texts {
        if alert == "Ccass2faWatchdog" {
            continue;
        }
        assert!(instruction.is_match(&text), "{alert}: {text}");
        assert!(contact.is_match(&text), "{alert}: {text}");
        assert!(text.chars().count() <= MAX_CHARACTERS, "{alert}: {text}");
    }
}

#[test]
fn texts_about_interception_and_pins_forbid_to_log_in_from_that_site() {
    let alerts = ["Ccass2faTlsIntercepted", "Ccass2faPinMismatch"];
    for alert in alerts {
        let texts: Vec<_> = descriptions();
        let mut texts = texts.iter().filter(|(name, _)| name == alert).peekable();
        assert!(texts.peek().is_some(), "{alert} has no text");
        for (_, text) in texts {
            let warning = "Do not log in from this site until it is explained";
            assert!(text.contains(warning), "{alert}: {text}");
        }
    }
}

/// A unit test of many sites with long names. It expects no alert, so that promtool prints those that fire.
fn many_sites(interval: &str, series: &[&str], alert: &str, time: &str) -> String {
    let mut test = format!("  - interval: {interval}\n    input_series:\n");
    for number in 0..SITES {
        let site = format!("{number:02}-the-branch-office-with-a-very-long-name");
        for one in series {
            let one = one
                .replace(
                    "SITE",
                    &format!("job=\"ccass2fa\",instance=\"h{number}:1\",site=\"{site}\""),
                )
                .replace("PARITY", &(number % 2).to_string());
            let _ = writeln!(test, "      - {{series: '{one}', values: '1x200'}}");
        }
        let failing = format!(
            "ccass2fa_probe_success{{job=\"ccass2fa\",instance=\"h{number}:1\",site=\"{site}\",target=\"sso\",role=\"login\"}}"
        );
        let value = u8::from(!alert.contains("Unreachable") && !alert.contains("Page"));
        let _ = writeln!(
            test,
            "      - {{series: '{failing}', values: '{value}x200'}}"
        );
    }
    let _ = writeln!(
        test,
        "    alert_rule_test: [{{eval_time: {time}, alertname: {alert}, exp_alerts: []}}]"
    );
    test
}

/// The descriptions that promtool prints for this test.
fn rendered(test: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let mut text = "rule_files:\n".to_owned();
    for file in ["context", "reachability", "certificate", "meta"] {
        let rules = repository(&format!("alerts/{file}.yml"));
        let _ = writeln!(text, "  - {}", rules.display());
    }
    text += "evaluation_interval: 1m\ngroup_eval_order: [ccass2fa-held, ccass2fa-context, \
             ccass2fa-reachability, ccass2fa-certificate, ccass2fa-meta]\ntests:\n";
    text += test;
    let file = directory.path().join("many.yml");
    std::fs::write(&file, text).unwrap();
    let output = std::process::Command::new("promtool")
        .args(["test", "rules"])
        .arg(&file)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let description = Regex::new(r#"description="((?:[^"\\]|\\.)*)""#).unwrap();
    let found = description.captures_iter(&text);
    let texts: Vec<String> = found.map(|one| one[1].replace("\\\"", "\"")).collect();
    assert!(!texts.is_empty(), "no alert fires: {text}");
    texts
}

#[track_caller]
fn assert_short(alert: &str, series: &[&str], time: &str, more: &str) {
    for text in rendered(&many_sites("1m", series, alert, time)) {
        let length = text.chars().count();
        assert!(length <= MAX_CHARACTERS, "{alert}: {length}: {text}");
        assert!(text.contains(more), "{alert}: {text}");
        let listed = text.matches("-the-branch-office-").count();
        assert!(listed <= 7, "{alert} lists {listed} sites: {text}");
    }
}

const UP: &str = "up{SITE}";
const PHASE: &str = "ccass2fa_phase{SITE,phase=\"sole_2fa\"}";
const FAILURE: &str = "ccass2fa_probe_failure_info{SITE,target=\"sso\",layer=\"tls\",reason=\"tls_large_hello_dropped\"}";
const PAGE: &str =
    "ccass2fa_probe_failure_info{SITE,target=\"sso\",layer=\"page\",reason=\"page_block_page\"}";
const ADVICE: &str =
    "ccass2fa_probe_failure_advice_info{SITE,target=\"sso\",ask=\"hkex\",answered_by=\"origin\"}";

#[test]
fn texts_about_the_outage_of_many_sites_are_short_and_count_the_others() {
    let series = [UP, PHASE, FAILURE, ADVICE];
    assert_short(
        "Ccass2faLoginUnreachableAllSites",
        &series,
        "8m",
        "And 34 more.",
    );
    assert_short(
        "Ccass2faLoginUnreachableManySites",
        &series,
        "8m",
        "And 34 more.",
    );
    assert_short(
        "Ccass2faLoginUnreachable",
        &series,
        "8m",
        "And 33 more sites",
    );
    let series = [UP, PHASE, PAGE, ADVICE];
    assert_short(
        "Ccass2faUnexpectedPageAllSites",
        &series,
        "15m",
        "And 34 more.",
    );
}

#[test]
fn texts_about_differences_between_many_sites_are_short_and_count_the_others() {
    let series = [
        UP,
        PHASE,
        "ccass2fa_target_info{SITE,target=\"sso\",role=\"login\"}",
        "ccass2fa_tls_cert_info{SITE,target=\"sso\",host=\"sso.example\",position=\"0\",issuer=\"CN=The Certification Authority PARITY\",serial=\"0123456789abcdef0123456789abcdef\",fingerprint_sha256=\"PARITY\"}",
        "ccass2fa_timetable_info{SITE,reference=\"CD/OES/CCASS/013/2023\",hash=\"PARITY\"}",
    ];
    assert_short(
        "Ccass2faCertificateDiffersBetweenSites",
        &series,
        "70m",
        "and 34 more;",
    );
    assert_short(
        "Ccass2faSitesDisagreeOnTimetable",
        &series,
        "70m",
        "and 34 more;",
    );
}

/// A block of the notification templates.
fn template(name: &str) -> &'static str {
    let templates = include_str!("../../../alerts/templates/ccass2fa.tmpl");
    let start = format!("{{{{ define \"{name}\" -}}}}");
    let (_, rest) = templates.split_once(&start).expect("such a block");
    rest.split("\n{{ define ").next().unwrap()
}

#[test]
fn notifications_have_words_and_the_contact_of_each_reason() {
    let words = template("ccass2fa.reason");
    let contacts = template("ccass2fa.reason.ask");
    for reason in Reason::ALL {
        let quoted = format!("\"{reason}\"");
        assert!(words.contains(&quoted), "no words for {reason}");
        let named = contacts.split("if eq .").find(|one| one.contains(&quoted));
        let named = named.unwrap_or_else(|| panic!("no contact for {reason}"));
        let contact = advice::of_reason(*reason).contact.into_str();
        let expected = format!("template \"ccass2fa.contact.{contact}");
        assert!(named.contains(&expected), "{reason}: {contact}: {named}");
    }
}
