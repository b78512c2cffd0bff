//! `make rehearsal`: an outage from the first failing probe to the notification and back, in about a
//! minute and on loopback. It needs neither a network nor root, and cleans up after itself.
//!
//! Without Prometheus and Alertmanager it ends at the exporter's metrics. A step that fails ends it
//! with exit code 101.

#![allow(
    clippy::disallowed_methods,
    reason = "a demonstration outside the exporter, with a clock of its own"
)]

use std::time::Instant;

use ccass_2fa_lab::{Lab, scenario};
use harness::exporter::{ConfigFile, Exporter, run};
use harness::prometheus::{
    ALERTMANAGERS, Alertmanager, PROMETHEUS, Prometheus, QUICK, TIMEOUT, alertmanager_yml,
};
use harness::webhook::Webhook;

const ALERT: &str = "Ccass2faLoginUnreachable";

#[tokio::main]
async fn main() {
    let start = Instant::now();
    tokio::select! {
        () = rehearse() => {}
        _ = tokio::signal::ctrl_c() => {
            print_text("Interrupted. All programs that were started have been stopped.");
            std::process::exit(130);
        }
    }
    print_text(&format!(
        "Finished in {} s. All programs that were started have been stopped.",
        start.elapsed().as_secs()
    ));
}

async fn rehearse() {
    print_text("Starting a test login server, a DNS server and the exporter on loopback.");
    let lab = Lab::start().await.expect("the lab starts on loopback");
    let config = ConfigFile::new(&format!("site: rehearsal\n{}", lab.config()));
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    print_link("exporter", &format!("http://{}", exporter.address));
    print_metrics(&exporter, &["probe_success", "probe_layer_success"]).await;
    let mut alerting = Alerting::start(&exporter).await;

    print_heading("08:00  TLS inspection is switched on, with a CA that this host does not trust.");
    lab.provoke(scenario("tls-unknown-issuer").expect("a scenario of the lab"));
    print_text("Output of `ccass-2fa-exporter verify`:\n");
    let output = run(&[&config.argument(), "verify"]).await;
    assert_eq!(
        output.status.code(),
        Some(1),
        "verify reports that the login page is not reachable"
    );
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        println!("      {line}");
    }
    println!();
    print_text("Metrics after the next probe (every 10 s here, every minute by default):");
    exporter.line_with("message=\"probe failed\"").await;
    let families = [
        "probe_success",
        "probe_failure_info",
        "probe_failure_advice_info",
    ];
    print_metrics(&exporter, &families).await;
    if let Some(alerting) = &mut alerting {
        alerting.print_notification("firing").await;
    }

    print_heading("08:20  The login server is exempted from TLS inspection.");
    lab.heal();
    exporter.line_with("message=\"probe succeeded\"").await;
    print_metrics(&exporter, &["probe_success", "probe_failure_info"]).await;
    if let Some(alerting) = &mut alerting {
        alerting.print_notification("resolved").await;
    }
}

/// Prometheus, Alertmanager and the webhook that receives the notifications.
struct Alerting {
    prometheus: Prometheus,
    _alertmanager: Alertmanager,
    webhook: Webhook,
}

impl Alerting {
    /// `None` if the programs are not installed.
    async fn start(exporter: &Exporter) -> Option<Self> {
        let missing: Vec<&str> = [&[PROMETHEUS][..], &ALERTMANAGERS[..]]
            .into_iter()
            .filter(|names| harness::prometheus::installed(names).is_none())
            .filter_map(|names| names.last().copied())
            .collect();
        if !missing.is_empty() {
            print_text(&format!(
                "Not installed: {}. The rehearsal ends at the metrics. (On Debian: apt install \
                 prometheus prometheus-alertmanager.)",
                missing.join(" and ")
            ));
            return None;
        }
        let webhook = Webhook::start().await;
        let alertmanager = Alertmanager::start(&alertmanager_yml(&webhook.url)).await;
        let targets = [("rehearsal", exporter.address.as_str())];
        let prometheus =
            Prometheus::start_scraping(&targets, &[&alertmanager.peer.url], QUICK).await;
        print_text(
            "Prometheus runs with the shipped rules and Alertmanager with the shipped routes; only \
             their durations are shorter.",
        );
        print_link("Prometheus", &format!("{}/alerts", prometheus.peer.url));
        print_link(
            "Alertmanager",
            &format!("{}/#/alerts", alertmanager.peer.url),
        );
        Some(Self {
            prometheus,
            _alertmanager: alertmanager,
            webhook,
        })
    }

    /// Waits for the alert's notification with this status, and prints it.
    async fn print_notification(&mut self, status: &str) {
        if status == "firing" {
            let alert = format!("ALERTS{{alertname=\"{ALERT}\",alertstate=\"firing\"}}");
            self.prometheus.wait_for(&alert).await;
            print_text(&format!("Prometheus: {ALERT} is firing."));
        }
        loop {
            let awaited = format!("{ALERT} {status}");
            let notification = self.webhook.next(&awaited, TIMEOUT).await;
            if notification["status"] != status
                || notification["commonLabels"]["alertname"] != ALERT
            {
                continue;
            }
            let receiver = notification["receiver"].as_str().unwrap_or_default();
            print_text(&format!("Alertmanager notifies {receiver} ({status}):"));
            for part in ["summary", "description"] {
                let text = &notification["commonAnnotations"][part];
                println!("      {}", text.as_str().unwrap_or_default());
            }
            return;
        }
    }
}

async fn print_metrics(exporter: &Exporter, families: &[&str]) {
    let metrics = exporter.metrics().await;
    for family in families {
        for (series, value) in metrics.family(family) {
            println!("      {series} {value}");
        }
    }
}

fn print_heading(text: &str) {
    println!("\n== {text}");
}

fn print_text(text: &str) {
    println!("   {text}");
}

fn print_link(program: &str, url: &str) {
    println!("   {program}: {url}");
}
