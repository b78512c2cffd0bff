//! The rehearsal of the alarm, through a real Alertmanager to a webhook.

use harness::exporter::run;
use harness::prometheus::Alertmanager;
use harness::webhook::Webhook;

/// An Alertmanager that sends everything to the webhook.
async fn alertmanager(webhook: &Webhook) -> Alertmanager {
    let config = format!(
        "route: {{receiver: pager, group_wait: 1s, group_interval: 1s}}\n\
         receivers: [{{name: pager, webhook_configs: [{{url: \"{}\"}}]}}]\n",
        webhook.url
    );
    Alertmanager::start(&config).await
}

#[tokio::test]
async fn a_drill_rings_once_says_where_it_went_and_is_resolved() {
    let mut webhook = Webhook::start().await;
    let alertmanager = alertmanager(&webhook).await;
    let flag = format!("--alertmanager={}", alertmanager.peer.url);
    let arguments = ["drill", &flag, "--severity=warning", "--hold=3s"];
    let (output, rung) = tokio::join!(run(&arguments), webhook.next());
    let told = String::from_utf8(output.stdout).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{complaint}");
    assert!(
        told.contains("accepted   active, routed to pager"),
        "{told}"
    );
    assert!(told.contains("resolved"), "{told}");
    assert_eq!(rung["status"], "firing");
    let labels = &rung["alerts"][0]["labels"];
    assert_eq!(labels["alertname"], "Ccass2faDrill");
    assert_eq!(labels["severity"], "warning");
    let summary = rung["alerts"][0]["annotations"]["summary"]
        .as_str()
        .unwrap();
    assert!(summary.starts_with("DRILL"), "{summary}");
    assert_eq!(webhook.next().await["status"], "resolved");
}

#[tokio::test]
async fn an_alertmanager_that_cannot_be_reached_or_refuses_is_told_with_exit_code_one() {
    // Nothing listens on the discard port.
    let output = run(&["drill", "--alertmanager=http://127.0.0.1:9"]).await;
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("cannot reach Alertmanager"), "{told}");
    // A webhook is no Alertmanager: it takes the alert and shows nothing.
    let webhook = Webhook::start().await;
    let flag = format!("--alertmanager={}", webhook.url);
    let output = run(&["drill", &flag]).await;
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("Alertmanager's answer cannot be read"),
        "{told}"
    );
}

#[tokio::test]
async fn a_drill_that_makes_no_sense_is_refused_with_exit_code_two() {
    for (arguments, part) in [
        (&["drill"][..], "--alertmanager"),
        (
            &["drill", "--alertmanager=pager"],
            "write for example http://localhost:9093",
        ),
        (
            &["drill", "--alertmanager=http://127.0.0.1:9", "--hold=60"],
            "write it with its unit",
        ),
        (
            &["drill", "--alertmanager=http://127.0.0.1:9", "--username=x"],
            "--password-file",
        ),
    ] {
        let output = run(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(part), "{arguments:?}: {told}");
    }
}
