//! The ready receivers: one alert through the newest Alertmanager to a local server for each provider.

use std::process::Command;

use harness::documents::repository;
use harness::prometheus::newest;

#[test]
fn receivers_send_what_their_providers_document() {
    let output = Command::new("/usr/bin/python3")
        .arg(repository("tests/alerts/receivers.py"))
        .arg(newest("prometheus-alertmanager"))
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}{error}");
    for name in [
        "email",
        "slack",
        "teams",
        "pagerduty",
        "opsgenie",
        "webhook",
    ] {
        assert!(report.contains(&format!("valid: {name}")), "{report}");
    }
}
