//! `make rehearsal`: an outage goes by, from the probe to the page, within two minutes and on this
//! machine's loopback alone. It needs neither a network nor root, and cleans up after itself.
//!
//! With Prometheus and Alertmanager installed it goes all the way; without them it ends at the
//! metrics, and says so. A step that does not come ends it with exit code 1.

#![allow(
    clippy::disallowed_methods,
    reason = "a demonstration outside the exporter, with a clock of its own"
)]

use std::time::{Duration, Instant};

use ccass_2fa_lab::{Lab, scenario};
use harness::exporter::{ConfigFile, Exporter, run};
use harness::prometheus::{
    ALERTMANAGERS, Alertmanager, PROMETHEUS, Prometheus, QUICK, alertmanager_yml,
};
use harness::webhook::Webhook;

const PATIENCE: Duration = Duration::from_secs(120);
const ALERT: &str = "Ccass2faLoginUnreachable";

#[tokio::main]
async fn main() {
    let start = Instant::now();
    tokio::select! {
        () = walk() => {}
        _ = tokio::signal::ctrl_c() => {
            say("Stopped. Everything that was started is ended.");
            std::process::exit(130);
        }
    }
    let seconds = start.elapsed().as_secs();
    say(&format!(
        "That was it, in {seconds} s. Everything that was started is ended; nothing is left behind."
    ));
}

async fn walk() {
    say(
        "A login server, a name server and a web filter of our own start, and the exporter with them.",
    );
    let lab = Lab::start().await.expect("a lab on loopback");
    let config = ConfigFile::new(&format!("site: rehearsal\n{}", lab.config()));
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let url = format!("http://{}", exporter.address);
    look("the exporter", &format!("{url}/metrics"));
    show(&exporter, &["probe_success", "probe_layer_success"]).await;
    let mut pager = Pager::start(&exporter).await;

    step(
        "08:00  Somebody switches on TLS inspection, with an authority that this host does not know.",
    );
    let fault = scenario("tls-unknown-issuer").expect("a scenario of the lab");
    lab.provoke(fault);
    say("What `ccass-2fa-exporter verify` says to the engineer who is called:\n");
    let output = run(&[&config.argument(), "verify"]).await;
    assert_eq!(
        output.status.code(),
        Some(1),
        "the login page is not reached"
    );
    println!("{}", indented(&String::from_utf8_lossy(&output.stdout)));
    say("Within one interval (10 s here, a minute by default) the metrics say the same:");
    exporter.line_with("message=\"the probe fails\"").await;
    show(
        &exporter,
        &[
            "probe_success",
            "probe_failure_info",
            "probe_failure_advice_info",
        ],
    )
    .await;
    if let Some(pager) = &mut pager {
        pager.rings("firing").await;
    }

    step("08:20: the login server is exempted from inspection.");
    lab.heal();
    exporter.line_with("message=\"the probe is good\"").await;
    show(&exporter, &["probe_success", "probe_failure_info"]).await;
    if let Some(pager) = &mut pager {
        pager.rings("resolved").await;
    }
}

/// Prometheus, Alertmanager and a pager.
struct Pager {
    prometheus: Prometheus,
    _alertmanager: Alertmanager,
    webhook: Webhook,
}

impl Pager {
    /// `None` where the programs are not installed.
    async fn start(exporter: &Exporter) -> Option<Self> {
        let missing: Vec<&str> = [&[PROMETHEUS][..], &ALERTMANAGERS[..]]
            .into_iter()
            .filter(|names| harness::prometheus::installed(names).is_none())
            .filter_map(|names| names.last().copied())
            .collect();
        if !missing.is_empty() {
            let missing = missing.join(" and ");
            say(&format!(
                "Not installed here: {missing}. The rehearsal ends at the metrics. (On Debian: apt \
                 install prometheus prometheus-alertmanager.)"
            ));
            return None;
        }
        let webhook = Webhook::start().await;
        let alertmanager = Alertmanager::start(&alertmanager_yml(&webhook.url)).await;
        let prometheus = Prometheus::start(&[&alertmanager.peer.url], QUICK).await;
        prometheus.scrape(&[("rehearsal", &exporter.address)]);
        prometheus.sees("ccass2fa_probe_success").await;
        say(
            "Prometheus scrapes it with the shipped rules, Alertmanager takes the alerts with the \
             shipped routes. Only their waits are shortened: minutes become seconds.",
        );
        look("Prometheus", &format!("{}/alerts", prometheus.peer.url));
        look(
            "Alertmanager",
            &format!("{}/#/alerts", alertmanager.peer.url),
        );
        Some(Self {
            prometheus,
            _alertmanager: alertmanager,
            webhook,
        })
    }

    /// Waits for the notification, and shows it.
    async fn rings(&mut self, status: &str) {
        if status == "firing" {
            let alert = format!("ALERTS{{alertname=\"{ALERT}\",alertstate=\"firing\"}}");
            self.prometheus.sees(&alert).await;
            say(&format!("Prometheus: {ALERT} fires."));
        }
        loop {
            let told = self.webhook.next_within(PATIENCE).await;
            if told["status"] != status || told["commonLabels"]["alertname"] != ALERT {
                continue;
            }
            say(&format!("The pager is told ({status}):"));
            for part in ["summary", "description"] {
                let text = told["commonAnnotations"][part].as_str().unwrap_or_default();
                println!("      {text}");
            }
            return;
        }
    }
}

/// Prints what the exporter says in these families.
async fn show(exporter: &Exporter, families: &[&str]) {
    let metrics = exporter.metrics().await;
    for family in families {
        for (series, value) in metrics.family(family) {
            println!("      {series} {value}");
        }
    }
}

fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("      {line}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn step(text: &str) {
    println!("\n== {text}");
}

fn say(text: &str) {
    println!("   {text}");
}

fn look(what: &str, url: &str) {
    println!("   Look at {what}: {url}");
}
