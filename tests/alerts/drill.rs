//! The `drill` command: a test alert through a real Alertmanager to a webhook.

use harness::exporter::run;
use harness::prometheus::{Alertmanager, TIMEOUT};
use harness::terminal::Terminal;
use harness::webhook::Webhook;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// An Alertmanager that sends every alert to the webhook.
async fn alertmanager(webhook: &Webhook) -> Alertmanager {
    let config = format!(
        "route: {{receiver: pager, group_wait: 0s, group_interval: 1s}}\n\
         receivers: [{{name: pager, webhook_configs: [{{url: \"{}\"}}]}}]\n",
        webhook.url
    );
    Alertmanager::start(&config).await
}

#[tokio::test]
async fn drill_notifies_once_reports_the_receiver_and_resolves() {
    let mut webhook = Webhook::start().await;
    let alertmanager = alertmanager(&webhook).await;
    let flag = format!("--alertmanager={}", alertmanager.peer.url);
    let arguments = ["drill", &flag, "--severity=warning", "--hold=10s"];
    let (output, notification) =
        tokio::join!(run(&arguments), webhook.next("the drill fires", TIMEOUT));
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(
        stdout.contains("accepted   active, routed to pager"),
        "{stdout}"
    );
    assert!(stdout.contains("resolved"), "{stdout}");
    assert_eq!(notification["status"], "firing");
    let alert = &notification["alerts"][0];
    assert_eq!(alert["labels"]["alertname"], "Ccass2faDrill");
    assert_eq!(alert["labels"]["severity"], "warning");
    let summary = alert["annotations"]["summary"].as_str().unwrap();
    assert!(summary.starts_with("DRILL"), "{summary}");
    let notification = webhook.next("the drill is resolved", TIMEOUT).await;
    assert_eq!(notification["status"], "resolved");
}

#[tokio::test(flavor = "multi_thread")]
async fn drill_on_a_terminal_shows_how_long_it_has_been_waiting() {
    let webhook = Webhook::start().await;
    let alertmanager = alertmanager(&webhook).await;
    let flag = format!("--alertmanager={}", alertmanager.peer.url);
    let mut terminal = Terminal::start(100, &["drill", &flag, "--hold=3s"], &[]);
    terminal.wait_for("firing     for 3 s");
    terminal.wait_for("waiting    1 s so far");
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(0), "{screen}");
    assert!(
        screen.contains("resolved") && !screen.contains("waiting"),
        "{screen}"
    );
}

#[tokio::test]
async fn drill_exits_1_without_a_working_alertmanager() {
    // Nothing listens on the discard port.
    let output = run(&["drill", "--alertmanager=http://127.0.0.1:9"]).await;
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("cannot reach Alertmanager"), "{stderr}");
    // A webhook accepts the alert, but its answer is not Alertmanager's.
    let webhook = Webhook::start().await;
    let flag = format!("--alertmanager={}", webhook.url);
    let output = run(&["drill", &flag]).await;
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("cannot decode the response of Alertmanager"),
        "{stderr}"
    );
}

/// Accepts the alert, and answers the query with a JSON array without an end.
async fn endless_alertmanager() -> (String, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.unwrap_or_default();
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n";
                if request[..length].starts_with(b"POST") {
                    let response = format!("{head}content-length: 0\r\n\r\n");
                    let _ = stream.write_all(response.as_bytes()).await;
                    return;
                }
                let _ = stream.write_all(format!("{head}\r\n[").as_bytes()).await;
                let items = "{},".repeat(8192);
                while stream.write_all(items.as_bytes()).await.is_ok() {}
            });
        }
    });
    (url, AbortOnDropHandle::new(task))
}

#[tokio::test(flavor = "multi_thread")]
async fn drill_gives_up_an_answer_without_an_end() {
    let (url, _server) = endless_alertmanager().await;
    let output = run(&["drill", &format!("--alertmanager={url}")]).await;
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("the response of Alertmanager is larger than 1024 KiB"),
        "{stderr}"
    );
}

#[tokio::test]
async fn drill_exits_2_on_invalid_arguments() {
    for (arguments, part) in [
        (&["drill"][..], "--alertmanager"),
        (
            &["drill", "--alertmanager=pager"],
            "write for example http://localhost:9093",
        ),
        (
            &["drill", "--alertmanager=http://127.0.0.1:9", "--hold=60"],
            "add a unit, for example 60s",
        ),
        (
            &["drill", "--alertmanager=http://127.0.0.1:9", "--username=x"],
            "--password-file",
        ),
    ] {
        let output = run(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(part), "{arguments:?}: {stderr}");
    }
}
