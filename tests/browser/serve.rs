//! `serve` with the key `browser`: checks in intervals, their metrics, status page and picture.

use ccass_2fa_lab::{Lab, scenario};
use harness::exporter::{Exporter, TIMEOUT};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::desk::{Desk, matches_schema};
use crate::lab_pages::config;

async fn serve(desk: &Desk, config: &str) -> Exporter {
    Exporter::spawn(&mut desk.command(config, &[])).await
}

async fn report(exporter: &Exporter) -> Value {
    let (status, text) = exporter.get("/api/v1/reports").await;
    assert_eq!(status, 200, "{text}");
    let reports = serde_json::from_str(&text).unwrap();
    matches_schema("reports.schema.json", &reports).await;
    reports["reports"][0].clone()
}

fn differs(report: &Value) -> bool {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .any(|found| found["finding"] == "browser_differs")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_browser_shows_is_on_every_page_and_so_is_its_difference_from_the_probe() {
    let lab = Lab::start().await.unwrap();
    let desk = Desk::new(&[&lab.authority]).await.with_pac(&lab).await;
    // The browser fetches the missing intermediate, the exporter asks no private address for it.
    lab.provoke(scenario("tls-issuer-on-a-private-address").unwrap());
    let text = config(&lab, &desk);
    let mut exporter = serve(&desk, &format!("{text}\nbrowser: {{}}\n")).await;
    exporter.line_with("the browser shows the page").await;
    let metrics = exporter.metrics().await;
    let target = r#"{target="sso"}"#;
    for (name, value) in [
        ("browser_success", 1.0),
        ("browser_differs_from_probe", 1.0),
        ("browser_interval_seconds", 900.0),
    ] {
        metrics.expect(&format!("{name}{target}"), value);
    }
    metrics.expect(
        r#"finding_info{finding="browser_differs",target="sso"}"#,
        1.0,
    );
    assert!(
        metrics.family("browser_failure_info").is_empty(),
        "{}",
        metrics.text
    );
    let load = metrics.value(&format!("browser_duration_seconds{target}"));
    assert!(load.unwrap() > 0.0);
    let ran = metrics.value(&format!("browser_last_run_timestamp_seconds{target}"));
    assert!(ran.unwrap() <= metrics.value("exporter_time_seconds").unwrap());
    assert!(differs(&report(&exporter).await));

    let (_, page) = exporter.get("/").await;
    for part in [
        "In Chromium 1",
        "The browser shows the page, the exporter does not reach it (tls_incomplete_chain).",
        "The browser fetched the missing intermediate, or has it from before.",
        "With this outcome since",
    ] {
        assert!(page.contains(part), "{part:?} is not in {page}");
    }
    assert!(
        !page.contains("data:image/png"),
        "the picture is not in the page itself"
    );
    let (_, wall) = exporter.get("/?view=wall").await;
    assert!(!wall.contains("Chromium"), "{wall}");
    let source = page.split("<img ").nth(1).unwrap();
    let source = source.split("src=\"").nth(1).unwrap();
    let source = source.split('"').next().unwrap().replace("&amp;", "&");
    assert!(source.starts_with("browser.png?target=sso&at="), "{source}");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = exporter.url(&format!("/{source}"));
    let picture = client.get(url).send().await.unwrap();
    assert_eq!(picture.headers()["content-type"], "image/png");
    assert_eq!(picture.headers()["cache-control"], "private, max-age=3600");
    // Without the time of the check, the next one has the same path.
    let url = exporter.url("/browser.png?target=sso");
    let latest = client.get(url).send().await.unwrap();
    assert_eq!(latest.headers()["cache-control"], "no-store");
    let picture = picture.bytes().await.unwrap();
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"), "{picture:?}");
    let (_, printed) = exporter.get("/report?target=sso").await;
    assert!(
        printed.contains("src=\"data:image/png;base64,"),
        "{printed}"
    );
    assert_eq!(exporter.get("/browser.png?target=other").await.0, 404);

    // The same check is compared with each new probe.
    lab.heal();
    exporter.line_with("probe succeeded").await;
    let metrics = exporter.metrics().await;
    metrics.expect(&format!("browser_differs_from_probe{target}"), 0.0);
    let report = report(&exporter).await;
    assert!(!differs(&report), "{report:#}");
    assert!(report["browser_not_started"].is_null(), "{report:#}");
    assert_eq!(report["browser"]["seen"]["status"], 200, "{report:#}");
    assert_eq!(exporter.terminate().await, Some(0));
    desk.is_clean();
    assert_eq!(lab.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_cannot_be_started_is_an_instruction_and_is_tried_again_after_a_reload() {
    let lab = Lab::start().await.unwrap();
    let desk = Desk::new(&[]).await;
    let script = |body: &str| {
        let path = desk.write("edge", &format!("#!/bin/sh\n{body}\n"));
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        path.display().to_string()
    };
    let path = script("echo 'Running as root without --no-sandbox is not supported.' >&2; exit 1");
    let text = config(&lab, &desk);
    let mut exporter = serve(&desk, &format!("{text}\nbrowser: {{path: {path:?}}}\n")).await;
    let line = exporter.line_with("cannot start a browser").await;
    assert!(
        line.contains("run the check as a user other than root"),
        "{line}"
    );
    let metrics = exporter.metrics().await;
    metrics.expect(r#"browser_success{target="sso"}"#, 0.0);
    let failure = r#"browser_failure_info{error="no_sandbox",reason="",target="sso"}"#;
    metrics.expect(failure, 1.0);
    assert!(metrics.family("browser_differs_from_probe").is_empty());
    metrics.expect(r#"probe_success{role="login",target="sso"}"#, 1.0);
    let (_, page) = exporter.get("/").await;
    assert!(
        page.contains("run the check as a user other than root"),
        "{page}"
    );

    let failed = report(&exporter).await;
    assert!(failed["browser"].is_null(), "{failed:#}");
    let not_started = &failed["browser_not_started"];
    assert_eq!(not_started["error"], "no_sandbox", "{not_started:#}");
    assert_eq!(not_started["since"], not_started["attempted"]);
    let message = not_started["message"].as_str().unwrap();
    assert!(line.contains(message), "{line}: {message}");

    // A SIGHUP without a change of the configuration: somebody has installed another one.
    script(
        r#"printf '{"id":1,"result":{"product":"Chrome/100.0.1","userAgent":"Chrome/100"}}\0' >&4; cat <&3"#,
    );
    let id = exporter.child.id().unwrap().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-HUP", &id])
        .status();
    assert!(sent.unwrap().success());
    let line = exporter.line_with("cannot start a browser").await;
    let old = "is version 100.0.1, and the check needs 112 or later";
    assert!(
        line.contains(old) && line.contains("browser.path"),
        "{line}"
    );
    assert_eq!(exporter.terminate().await, Some(0));
    desk.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_browser_of_a_check_that_runs() {
    let lab = Lab::start().await.unwrap();
    let desk = Desk::new(&[&lab.authority]).await.with_pac(&lab).await;
    // The browser waits for the page when the probe has given up.
    lab.provoke(scenario("http-timed-out").unwrap());
    let text = config(&lab, &desk).replace("timeout: 10s", "timeout: 1s");
    let exporter = serve(&desk, &format!("{text}\nbrowser: {{targets: [sso]}}\n")).await;
    let started = async {
        while desk.processes().is_empty() {
            sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    timeout(TIMEOUT, started).await.expect("the browser starts");
    assert_eq!(exporter.terminate().await, Some(0));
    desk.is_clean();
}
