//! `make fleet`: two sites whose agents send to a centre, on loopback, in about two minutes. One site
//! loses its uplink, the other its login; it prints each page, its time and its receiver.
//!
//! The centre is Prometheus, and VictoriaMetrics with vmalert beside it if `tests/newest.sh` has unpacked
//! them. A page that is missing or unexpected ends it with exit code 101.

#![allow(
    clippy::disallowed_methods,
    reason = "a demonstration outside the exporter, with a clock of its own"
)]

use std::collections::BTreeSet;
use std::time::Instant;

use ccass_2fa_lab::scenario;
use harness::fleet::{
    Agent, Certificates, PrometheusCentre, Site, VictoriaCentre, alertmanager_of_centres,
    victoria_metrics_installed,
};
use harness::prometheus::{Alertmanager, Peer, TIMEOUT};
use harness::webhook::Webhook;

#[tokio::main]
async fn main() {
    let start = Instant::now();
    tokio::select! {
        () = Box::pin(rehearse(start)) => {}
        _ = tokio::signal::ctrl_c() => {
            println!("Interrupted. All programs that were started have been stopped.");
            std::process::exit(130);
        }
    }
    println!(
        "\nFinished in {} s. All programs that were started have been stopped.",
        start.elapsed().as_secs()
    );
}

async fn rehearse(start: Instant) {
    println!(
        "Two sites, each with a login server, an exporter and agents; a centre; Alertmanager. The shipped\n\
         files of alerts/ and deploy/fleet/, with windows a twelfth and waits a thirtieth as long.\n"
    );
    let certificates = Certificates::issue();
    let (alpha, beta) = tokio::join!(
        Site::start("alpha", "central"),
        Site::start("beta", "kowloon")
    );
    let mut webhook = Webhook::start().await;
    let alertmanager = Alertmanager::start(&alertmanager_of_centres(&webhook.url)).await;
    let alertmanager_url = &alertmanager.peer.url;

    let prometheus = PrometheusCentre::start(alertmanager_url, &certificates).await;
    let address = prometheus.peer.address();
    let mut lines = Vec::new();
    for site in [&alpha, &beta] {
        let agent = Agent::prometheus(site, address, &certificates).await;
        lines.push((site.firm, address.to_owned(), agent));
    }
    wait_for_sites(&prometheus.peer).await;
    prometheus.load_rules();
    print_step(
        start,
        "Prometheus receives from a Prometheus agent at each site (TLS, client certificates).",
    );
    let mut centres = BTreeSet::from(["prometheus"]);
    let mut victoria = None;
    if victoria_metrics_installed() {
        let mut centre = VictoriaCentre::start(&certificates, &[&alpha, &beta]).await;
        let address = centre.vmauth.address().to_owned();
        for site in [&alpha, &beta] {
            let agent = Agent::vmagent(site, &address, &certificates).await;
            lines.push((site.firm, address.clone(), agent));
        }
        wait_for_sites(&centre.metrics).await;
        centre.load_rules(alertmanager_url).await;
        centres.insert("victoria-metrics");
        print_step(
            start,
            "VictoriaMetrics receives from vmagent at each site, through vmauth (TLS, a token for each).",
        );
        wait_for_rules(&centre.metrics).await;
        victoria = Some(centre);
    } else {
        print_step(
            start,
            "VictoriaMetrics is not here: tests/newest.sh unpacks it.",
        );
    }
    wait_for_rules(&prometheus.peer).await;

    print_step(
        start,
        "The uplink of alpha's site central is cut. At beta's site kowloon TLS inspection begins.",
    );
    for (_, _, agent) in lines.iter().filter(|(firm, ..)| *firm == "alpha") {
        agent.uplink.cut();
    }
    beta.lab
        .provoke(scenario("tls-unknown-issuer").expect("a scenario of the lab"));
    print_pages(start, &mut webhook, "firing", &centres).await;

    print_step(
        start,
        "The uplink works again, and the agents send what they kept. The inspection ends.",
    );
    for (_, centre, agent) in lines.iter().filter(|(firm, ..)| *firm == "alpha") {
        agent.uplink.restore(centre);
    }
    beta.lab.heal();
    print_pages(start, &mut webhook, "resolved", &centres).await;
    drop(victoria);
}

/// Waits until results of both sites have arrived.
async fn wait_for_sites(centre: &Peer) {
    let both = "count(count by (firm) (ccass2fa_probe_success{role=\"login\"})) == 2";
    centre.wait_for(both).await;
}

/// Waits until the rules know both sites.
async fn wait_for_rules(centre: &Peer) {
    for recorded in [
        "target_site:ccass2fa_probe_success:max3m",
        "firm_site:ccass2fa_site_data:timestamp",
    ] {
        let both = format!("count(count by (firm) ({recorded})) == 2");
        centre.wait_for(&both).await;
    }
}

/// Prints notifications until each centre has sent the two expected pages with this status. Another page
/// ends the program.
async fn print_pages(
    start: Instant,
    webhook: &mut Webhook,
    status: &str,
    centres: &BTreeSet<&'static str>,
) {
    let mut missing: BTreeSet<[String; 3]> = centres
        .iter()
        .flat_map(|centre| {
            [
                ("Ccass2faSiteSilent", "alpha"),
                ("Ccass2faLoginUnreachable", "beta"),
            ]
            .map(|(alert, firm)| [*centre, alert, firm].map(str::to_owned))
        })
        .collect();
    while !missing.is_empty() {
        let awaited = format!("{status} {missing:?}");
        let notification = webhook.next(&awaited, TIMEOUT).await;
        for alert in notification["alerts"].as_array().into_iter().flatten() {
            let label = |name: &str| {
                alert["labels"][name]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            };
            let receiver = notification["receiver"].as_str().unwrap_or_default();
            let sent = alert["status"].as_str().unwrap_or_default();
            print_step(
                start,
                &format!(
                    "{receiver}: {} {sent}, firm {}, site {} (by {})",
                    label("alertname"),
                    label("firm"),
                    label("site"),
                    label("centre")
                ),
            );
            let text = &alert["annotations"]["description"];
            println!("         {}", text.as_str().unwrap_or_default());
            let key = ["centre", "alertname", "firm"].map(label);
            let expected = sent == status && missing.remove(&key);
            assert!(
                expected || receiver != "pager",
                "an unexpected page: {alert}"
            );
        }
    }
}

fn print_step(start: Instant, text: &str) {
    let seconds = start.elapsed().as_secs();
    println!("{:>2}:{:02}  {text}", seconds / 60, seconds % 60);
}
