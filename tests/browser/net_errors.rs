//! The browser's errors against the list of the installed one.

use ccass_2fa_exporter::report::Reason;
use tokio::process::Command;

use crate::desk::Desk;

#[path = "../../browser-check/src/net_errors.rs"]
mod table;

#[tokio::test(flavor = "multi_thread")]
async fn every_error_of_the_installed_browser_has_a_reason_or_is_named_as_having_none() {
    let desk = Desk::new(&[]).await;
    let log = desk.path("net-log.json");
    // The exporter's command, for its user and directories.
    let exporter = desk.command("{}", &[]);
    let mut browser = Command::new("chromium");
    for (name, value) in exporter.as_std().get_envs() {
        if let Some(value) = value {
            browser.env(name, value);
        }
    }
    browser
        .args([
            "--headless=new",
            "--disable-gpu",
            "--no-sandbox",
            "--dump-dom",
            "about:blank",
        ])
        .arg(format!(
            "--user-data-dir={}",
            desk.path("profile").display()
        ))
        .arg(format!("--log-net-log={}", log.display()));
    let output = browser.output().await.unwrap();
    let text = std::fs::read_to_string(&log).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let constants = text.lines().next().unwrap().trim_end_matches(',');
    let log: serde_json::Value = serde_json::from_str(&format!("{constants}}}")).unwrap();
    let errors = log["constants"]["netError"].as_object().unwrap();
    assert!(errors.len() > 200, "{errors:?}");
    for name in errors.keys() {
        let name = name.trim_start_matches("net::");
        let Some(name) = name.strip_prefix("ERR_") else {
            continue;
        };
        let error = format!("ERR_{name}");
        let meaning = table::meaning(&error).unwrap_or_else(|| panic!("{error} is new"));
        if let table::Meaning::Reason(code) = meaning {
            assert_eq!(table::reason(&error), Some(code));
            assert!(
                Reason::ALL.iter().any(|reason| reason.into_str() == code),
                "{code}"
            );
        }
    }
}
