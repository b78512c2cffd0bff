//! Sites whose agents send to a centre: what is said while a site is cut off, and what its backlog does.
//!
//! The windows are shortened, as in `paging`; alerts/tests/fleet.yml has the times.

use ccass_2fa_lab::scenario;
use harness::documents::{read, repository};
use harness::fleet::{Agent, Certificates, PrometheusCentre, Site, alertmanager_of_centres};
use harness::prometheus::{Alertmanager, TIMEOUT};
use harness::webhook::Webhook;

use super::rules::tool;

const SILENT: &str = "Ccass2faSiteSilent";

/// Waits until the centre has data of the site that are newer than now.
async fn wait_for_new_data(centre: &PrometheusCentre, site: &Site) {
    let now = jiff::Timestamp::now().as_second();
    let newer = format!("max(timestamp(up{{{}}})) > {now}", site.labels());
    centre.peer.wait_for(&newer).await;
}

/// Waits for the next page, which must be this one; returns its description.
async fn expect_page(webhook: &mut Webhook, status: &str, alert: &str) -> String {
    loop {
        let awaited = format!("{status} {alert}");
        let notification = webhook.next(&awaited, TIMEOUT).await;
        if notification["receiver"] != "pager" {
            continue;
        }
        assert_eq!(notification["status"], status, "{notification}");
        assert_eq!(
            notification["commonLabels"]["alertname"], alert,
            "{notification}"
        );
        let text = &notification["commonAnnotations"]["description"];
        return text.as_str().unwrap().to_owned();
    }
}

fn assert_no_page(webhook: &mut Webhook) {
    for notification in webhook.drain() {
        assert_ne!(notification["receiver"], "pager", "{notification}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn site_without_uplink_is_silent_not_down_and_its_backlog_raises_no_page() {
    let certificates = Certificates::issue();
    let (mut alpha, beta) = tokio::join!(
        Site::start("alpha", "central"),
        Site::start("beta", "central")
    );
    let mut webhook = Webhook::start().await;
    let alertmanager = Alertmanager::start(&alertmanager_of_centres(&webhook.url)).await;
    let mut centre = PrometheusCentre::start(&alertmanager.peer.url, &certificates).await;
    let address = centre.peer.address().to_owned();
    let agents = [
        Agent::prometheus(&alpha, &address, &certificates).await,
        Agent::prometheus(&beta, &address, &certificates).await,
    ];
    for site in [&alpha, &beta] {
        wait_for_new_data(&centre, site).await;
    }
    centre.load_rules();
    let known = "count(firm_site:ccass2fa_site_data:timestamp) == 2";
    centre.peer.wait_for(known).await;

    // Its login fails, and works again, while nobody sees it.
    agents[0].uplink.cut();
    let text = expect_page(&mut webhook, "firing", SILENT).await;
    assert!(
        text.starts_with("Firm alpha: Site central sends no data for ")
            && text.contains("The last result was a success."),
        "{text}"
    );
    alpha.lab.provoke(scenario("tcp-refused").unwrap());
    alpha.exporter.line_with("message=\"probe failed\"").await;
    // The next one fails, too.
    alpha.exporter.line_with("verdict unchanged").await;
    alpha.lab.heal();
    alpha
        .exporter
        .line_with("message=\"probe succeeded\"")
        .await;
    assert_no_page(&mut webhook);

    agents[0].uplink.restore(&address);
    expect_page(&mut webhook, "resolved", SILENT).await;
    let backlog = format!(
        "min(min_over_time(ccass2fa_probe_success{{role=\"login\",{}}}[10m])) == bool 0",
        alpha.labels()
    );
    centre.peer.wait_for(&backlog).await;
    wait_for_new_data(&centre, &alpha).await;

    // The centre is gone for a while, too: what was sent meanwhile is kept at the sites.
    centre.restart().await;
    for (agent, site) in agents.iter().zip([&alpha, &beta]) {
        agent.uplink.restore(centre.peer.address());
        wait_for_new_data(&centre, site).await;
    }
    centre
        .peer
        .wait_for("absent(ALERTS{alertstate=\"firing\",severity=\"critical\"})")
        .await;
    assert_no_page(&mut webhook);
}

/// 90 s, shortened like the windows.
const WRONG: i64 = 90 / 12;

#[tokio::test(flavor = "multi_thread")]
async fn neither_two_agents_of_one_exporter_nor_a_clock_that_is_wrong_change_what_is_paged() {
    let certificates = Certificates::issue();
    let (mut alpha, beta, gamma) = tokio::join!(
        Site::start("alpha", "central"),
        Site::start_with_clock("beta", -WRONG),
        Site::start_with_clock("gamma", WRONG)
    );
    let mut webhook = Webhook::start().await;
    let alertmanager = Alertmanager::start(&alertmanager_of_centres(&webhook.url)).await;
    let centre = PrometheusCentre::start(&alertmanager.peer.url, &certificates).await;
    let address = centre.peer.address();
    alpha.replica = Some("a");
    let first = Agent::prometheus(&alpha, address, &certificates).await;
    alpha.replica = Some("b");
    let _second = Agent::vmagent(&alpha, address, &certificates).await;
    let late = Agent::with_clock_of(&beta, address, &certificates).await;
    let _early = Agent::with_clock_of(&gamma, address, &certificates).await;
    for known in [
        "count(up{job=\"ccass2fa\",firm=\"alpha\"} == 1) == 2",
        "count(up{job=\"ccass2fa\",firm=\"beta\"} == 1) == 1",
        "count(up{job=\"ccass2fa\",firm=\"gamma\"} == 1) == 1",
    ] {
        centre.peer.wait_for(known).await;
    }
    let behind = "time() - ccass2fa_exporter_time_seconds{firm=\"beta\"} >= 7";
    centre.peer.wait_for(behind).await;
    let ahead = "ccass2fa_exporter_time_seconds{firm=\"gamma\"} offset -7s - time() >= 3";
    centre.peer.wait_for(ahead).await;
    centre.load_rules();
    let known = "count(firm_site:ccass2fa_site_data:timestamp) == 3";
    centre.peer.wait_for(known).await;

    for site in [&alpha, &beta, &gamma] {
        site.lab.provoke(scenario("tcp-refused").unwrap());
    }
    let mut pages = Vec::new();
    for _ in 0..3 {
        pages.push(expect_page(&mut webhook, "firing", "Ccass2faLoginUnreachable").await);
    }
    pages.sort();
    for (page, firm) in pages.iter().zip(["alpha", "beta", "gamma"]) {
        let start = format!("Firm {firm}: Site central has not reached the login page (sso)");
        assert!(page.starts_with(&start), "{page}");
    }

    // What one of the two agents saw is no longer known, and the other one is enough.
    first.uplink.cut();
    centre.peer.wait_for("absent(up{replica=\"a\"})").await;
    assert_no_page(&mut webhook);
    for site in [&alpha, &beta, &gamma] {
        site.lab.heal();
    }
    for _ in 0..3 {
        expect_page(&mut webhook, "resolved", "Ccass2faLoginUnreachable").await;
    }
    assert_no_page(&mut webhook);
    let others = "ALERTS{alertname!=\"Ccass2faLoginUnreachable\",severity!=\"info\"}";
    let others = format!("count by (alertname, firm) (count_over_time({others}[10m]))");
    let others = centre.peer.query(&others).await;
    assert!(others.is_empty(), "{others:?}");

    // As from several queues of an agent.
    let mut stored = 0;
    for age in [1, 40, 20] {
        late.send(&format!("of_a_queue {age}"), age).await;
        stored += 1;
        let all = format!("count_over_time(of_a_queue[2m]) == {stored}");
        centre.peer.wait_for(&all).await;
    }
}

/// The samples of a site's scrapes in the time between two instants.
async fn scrapes(centre: &PrometheusCentre, site: &Site, from: i64, to: i64) -> f64 {
    let count = format!(
        "sum(count_over_time(up{{job=\"ccass2fa\",{}}}[{}s] @ {to})) or vector(0)",
        site.labels(),
        to - from
    );
    centre.peer.query(&count).await[0].1
}

/// vmagent sends after a restart what it kept before. Prometheus in agent mode keeps it through an outage
/// of the uplink, and does not send after a restart what it kept before.
#[tokio::test(flavor = "multi_thread")]
async fn vmagent_keeps_its_backlog_through_a_restart_and_prometheus_does_not() {
    let certificates = Certificates::issue();
    let (alpha, beta) = tokio::join!(
        Site::start("alpha", "central"),
        Site::start("beta", "central")
    );
    // Nothing listens there: this is about data, not about alerts.
    let centre = PrometheusCentre::start("127.0.0.1:9", &certificates).await;
    let address = centre.peer.address().to_owned();
    let mut vmagent = Agent::vmagent(&alpha, &address, &certificates).await;
    let mut prometheus = Agent::prometheus(&beta, &address, &certificates).await;
    for site in [&alpha, &beta] {
        wait_for_new_data(&centre, site).await;
    }
    let now = || jiff::Timestamp::now().as_second();
    for agent in [&vmagent, &prometheus] {
        agent.uplink.cut();
    }
    let cut = now() + 2;
    let attempts = probes_of(&alpha).await;
    harness::prometheus::wait_until("the site is probed twice more", async || {
        (probes_of(&alpha).await >= attempts + 2.0).then_some(())
    })
    .await;
    // What deploy/fleet/site/uplink.yml looks at.
    for (agent, counter) in [
        (&vmagent, "vmagent_remotewrite_retries_count_total{"),
        (
            &prometheus,
            "prometheus_remote_storage_samples_retried_total{",
        ),
    ] {
        harness::prometheus::wait_until(counter, async || {
            let metrics = agent.peer.get_text("/metrics").await;
            let line = metrics.lines().find(|line| line.starts_with(counter))?;
            (!line.ends_with(" 0")).then_some(())
        })
        .await;
    }
    let restart = now() - 2;
    vmagent.restart().await;
    prometheus.restart().await;
    for agent in [&vmagent, &prometheus] {
        agent.uplink.restore(&address);
    }
    for site in [&alpha, &beta] {
        wait_for_new_data(&centre, site).await;
    }
    let kept = scrapes(&centre, &alpha, cut, restart).await;
    // One in 2 s; a busy machine may miss some.
    #[allow(clippy::cast_precision_loss, reason = "some seconds")]
    let seconds = (restart - cut) as f64;
    assert!(kept > seconds / 4.0, "{kept} scrapes of {seconds} s");
    let lost = scrapes(&centre, &beta, cut, restart).await;
    assert_eq!(lost, 0.0, "Prometheus has learned it: update docs/fleet.md");
}

async fn probes_of(site: &Site) -> f64 {
    let metrics = site.exporter.metrics().await;
    metrics.family("probe_attempts_total")[0].1
}

#[test]
fn configurations_of_agents_and_centres_are_valid() {
    let newest = harness::prometheus::newest;
    let agent = "deploy/fleet/site/agent.yml";
    tool("promtool", &["check", "config", "--agent", agent]);
    let uplink = "deploy/fleet/site/uplink.yml";
    let lints = ["--lint=all", "--lint-fatal"];
    tool("promtool", &["check", "rules", lints[0], lints[1], uplink]);
    tool("promtool", &["test", "rules", "tests/alerts/uplink.yml"]);
    let scrapes = "-promscrape.config=deploy/fleet/site/vmagent.yml";
    let strict = [
        "-promscrape.config.dryRun",
        "-promscrape.config.strictParse",
        scrapes,
    ];
    tool(&newest("vmagent"), &strict);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let bases = ["https://docs.example.com/", "https://grafana.example.com/d"];
    tool("deploy/fleet/centre/rules.sh", &[path, bases[0], bases[1]]);
    let rules = format!("-rule={path}/*.yml");
    tool(
        &newest("vmalert"),
        &["-dryRun", "-rule.validateTemplates", &rules],
    );
    for file in super::rules::rule_files() {
        let copy = directory.path().join(file.trim_start_matches("alerts/"));
        let text = std::fs::read_to_string(copy).unwrap();
        assert!(!text.contains("$externalLabels"), "{file}");
    }
}

#[test]
fn agents_send_every_metric_that_a_rule_or_a_dashboard_reads() {
    let mut readers = super::rules::rule_files();
    for entry in std::fs::read_dir(repository("grafana")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".json") {
            readers.push(format!("grafana/{name}"));
        }
    }
    let scrape_jobs = [
        "deploy/fleet/site/agent.yml",
        "deploy/fleet/site/vmagent.yml",
    ]
    .map(|path| super::rules::yaml(path)["scrape_configs"][0]["metric_relabel_configs"].clone());
    assert_eq!(scrape_jobs[0], scrape_jobs[1], "the agents differ");
    let alloy = read("deploy/fleet/site/config.alloy").replace(r"\\", r"\");
    for rule in scrape_jobs[0].as_array().unwrap() {
        let dropped = rule["regex"].as_str().unwrap();
        assert!(
            alloy.contains(&format!("\"{dropped}\"")),
            "{dropped} in Alloy"
        );
        // What is dropped by more than its name is a bucket of a histogram of which the others remain.
        if rule["source_labels"].as_array().unwrap().len() > 1 {
            continue;
        }
        let pattern = regex::Regex::new(&format!(r"\b({dropped})\b")).unwrap();
        for path in &readers {
            let text = read(path);
            let used = pattern.find(&text).map(|found| found.as_str());
            assert_eq!(used, None, "{path} reads what no agent sends");
        }
    }
}
