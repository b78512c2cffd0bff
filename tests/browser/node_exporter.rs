//! The metrics of a check at a terminal, as a real node_exporter collects them.

use std::fs::File;
use std::io::Read;

use ccass_2fa_lab::{Lab, scenario};
use harness::exporter::Metrics;
use harness::node_exporter::NodeExporter;

use crate::desk::Desk;
use crate::lab_pages::config;

#[tokio::test(flavor = "multi_thread")]
async fn checks_of_a_terminal_reach_prometheus_by_the_textfile_collector() {
    let lab = Lab::start().await.unwrap();
    let desk = Desk::new(&[&lab.authority]).await.with_pac(&lab).await;
    let config = config(&lab, &desk);
    let file = desk.path("data/ccass.prom");
    let output = file.display().to_string();
    let arguments = [
        "--format=prometheus",
        "--output",
        &output,
        "--terminal=desk-1",
    ];
    let result = desk.verify(&config, &arguments).await;
    assert!(result.status.success(), "{result:?}");
    let node_exporter = NodeExporter::start(&desk.path("data")).await;
    let metrics = node_exporter.scrape().await;
    assert_eq!(metrics.series["node_textfile_scrape_error"], 0.0);
    for by in ["browser", "probe"] {
        let labels = format!(r#"by="{by}",target="sso",terminal="desk-1""#);
        metrics.expect(&format!("terminal_check_success{{{labels}}}"), 1.0);
    }
    let differs = r#"terminal_browser_differs_from_probe{target="sso",terminal="desk-1"}"#;
    metrics.expect(differs, 0.0);
    let checked = |metrics: &Metrics| {
        let series = r#"terminal_check_timestamp_seconds{terminal="desk-1"}"#;
        metrics.value(series).unwrap()
    };
    let first = checked(&metrics);
    let due = metrics.value(r#"terminal_check_due_timestamp_seconds{terminal="desk-1"}"#);
    assert!(due.unwrap() > first, "{}", metrics.text);

    // The file is replaced as a whole: whoever has it open reads the old one to its end.
    let mut old = File::open(&file).unwrap();
    lab.provoke(scenario("tls-expired").unwrap());
    let result = desk.verify(&config, &arguments).await;
    assert_eq!(result.status.code(), Some(1), "{result:?}");
    let mut text = String::new();
    old.read_to_string(&mut text).unwrap();
    assert!(text.ends_with('\n') && text.contains(" 1\n"), "{text}");
    let left = std::fs::read_dir(desk.path("data")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["ccass.prom"]);
    let metrics = node_exporter.scrape().await;
    for (by, error) in [("browser", "ERR_CERT_DATE_INVALID"), ("probe", "")] {
        let labels = format!(
            r#"by="{by}",error="{error}",reason="tls_expired",target="sso",terminal="desk-1""#
        );
        metrics.expect(&format!("terminal_check_failure_info{{{labels}}}"), 1.0);
    }
    assert!(checked(&metrics) > first, "{}", metrics.text);

    // A browser that cannot be started is a failure of the check, too.
    lab.heal();
    let missing = [&arguments[..], &["--browser-path=/nowhere/edge"]].concat();
    let result = desk.verify(&config, &missing).await;
    assert_eq!(result.status.code(), Some(2), "{result:?}");
    let metrics = node_exporter.scrape().await;
    let labels = r#"error="browser_not_found",reason="",target="sso",terminal="desk-1""#;
    let series = format!(r#"terminal_check_failure_info{{by="browser",{labels}}}"#);
    metrics.expect(&series, 1.0);
    let success = r#"terminal_check_success{by="probe",target="sso",terminal="desk-1"}"#;
    metrics.expect(success, 1.0);
}
