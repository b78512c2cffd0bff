//! The rehearsal of the alarm, through a real Alertmanager to a webhook.

mod exporter;
mod webhook;

use std::process::Stdio;

use exporter::run;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use webhook::Webhook;

/// An Alertmanager that sends everything to the webhook; it ends when dropped.
struct Alertmanager {
    _child: Child,
    url: String,
    _directory: tempfile::TempDir,
}

impl Alertmanager {
    async fn start(webhook: &Webhook) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("alertmanager.yml");
        let text = format!(
            "route: {{receiver: pager, group_wait: 1s, group_interval: 1s}}\n\
             receivers: [{{name: pager, webhook_configs: [{{url: \"{}\"}}]}}]\n",
            webhook.url
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.path={}",
                directory.path().join("data").display()
            ))
            .args([
                "--web.listen-address=127.0.0.1:0",
                "--cluster.listen-address=",
            ])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("tests/install.sh installs it");
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = loop {
            let line = log
                .next_line()
                .await
                .unwrap()
                .expect("it says where it listens");
            if let Some((_, address)) = line.split_once("address=127.0.0.1:") {
                let port: String = address.chars().take_while(char::is_ascii_digit).collect();
                break format!("http://127.0.0.1:{port}");
            }
        };
        // It must not stop at a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        Self {
            _child: child,
            url,
            _directory: directory,
        }
    }
}

#[tokio::test]
async fn a_drill_rings_once_says_where_it_went_and_is_resolved() {
    let mut webhook = Webhook::start().await;
    let alertmanager = Alertmanager::start(&webhook).await;
    let flag = format!("--alertmanager={}", alertmanager.url);
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
