//! The rules in VictoriaMetrics's vmalert.

use harness::prometheus::newest;

use super::tool;

/// Some of the unit tests, with all texts. docs/fleet.md has those that differ.
#[test]
fn vmalert_raises_the_alerts_that_prometheus_raises() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    for (file, name) in [
        ("firms.yml", "odd characters"),
        ("firms.yml", "are cut off"),
        ("fleet_gap.yml", ""),
        ("deadline.yml", ""),
        ("facts.yml", ""),
        ("watchdog.yml", ""),
    ] {
        tool("alerts/tests/vmalert.py", &[path, file, name]);
        let files = format!("--files={path}/{file}");
        tool(
            &newest("vmalert-tool"),
            &["unittest", "--disableAlertgroupLabel", &files],
        );
    }
}
