//! Timelines in which an outage was once missed, or ended falsely, with the installed Prometheus and with
//! the newest one that Debian has.

use ccass_2fa_lab::scenario;
use futures_util::future::join_all;
use harness::documents::{repository, updating};
use harness::prometheus::{PROMETHEUS, QUICK, Scraping, Shortening, newest, wait_until};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::maintenance::until_tomorrow;
use super::{Pipeline, Site, UNREACHABLE, addresses, firing, wait_between_probes};

/// Each timeline as two tests.
macro_rules! timelines {
    ($($timeline:ident)*) => {
        mod installed_prometheus {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $timeline() {
                    super::$timeline(super::PROMETHEUS).await;
                }
            )*
        }

        mod newest_prometheus {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $timeline() {
                    super::$timeline(&super::newest(super::PROMETHEUS)).await;
                }
            )*
        }
    };
}

timelines! {
    outage_pages_also_where_the_exporters_of_two_sites_have_one_instance_label
    replica_that_is_stuck_on_success_hides_no_outage
    outage_that_changes_its_layer_is_one_page_from_the_first_failure_to_the_last
    page_that_ends_as_maintenance_begins_says_that_the_login_still_fails
    three_of_four_sites_that_fail_for_one_reason_are_one_page
}

fn scraping<'a>(program: &'a str, exporters: &'a [(&'a str, &'a str)]) -> Scraping<'a> {
    Scraping {
        program,
        instance: None,
        exporters,
        alertmanagers: &[],
        shortening: QUICK,
    }
}

/// As where every site scrapes its own exporter as `localhost:10762`, below one ruler.
async fn outage_pages_also_where_the_exporters_of_two_sites_have_one_instance_label(program: &str) {
    let (office, centre) = Site::start_pair().await;
    let exporters = addresses(&[&office, &centre]);
    let scraping = Scraping {
        instance: Some("localhost:10762"),
        ..scraping(program, &exporters)
    };
    let mut pipeline = Pipeline::start_scraping(scraping, |config| config).await;
    centre.lab.provoke(scenario("tcp-refused").unwrap());
    let description = pipeline
        .expect_page("firing", UNREACHABLE, "data-centre")
        .await;
    assert!(
        description.contains("Site head-office reaches it."),
        "{description}"
    );
    // For the README: the pages of the newest Prometheus are not in Debian's package.
    if updating() && program == PROMETHEUS {
        let file = repository("docs/alert.png");
        let url = &pipeline.prometheus.peer.url;
        let input = json!({"url": url, "alert": UNREACHABLE, "file": file});
        let _: serde_json::Value = harness::node::run("photograph_alert.mjs", &input).await;
    }
    centre.lab.heal();
    pipeline
        .expect_page("resolved", UNREACHABLE, "data-centre")
        .await;
    pipeline.assert_quiet().await;
}

/// An exporter that shows its last results, with the present time: its probes have stopped.
struct StuckExporter {
    address: String,
    _task: AbortOnDropHandle<()>,
}

impl StuckExporter {
    async fn start(metrics: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let body = at_present(&metrics);
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close";
                let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self {
            address,
            _task: AbortOnDropHandle::new(task),
        }
    }
}

fn at_present(metrics: &str) -> String {
    let now = jiff::Timestamp::now().as_duration().as_secs_f64();
    let lines = metrics.lines().map(|line| {
        if line.starts_with("ccass2fa_exporter_time_seconds ") {
            format!("ccass2fa_exporter_time_seconds {now}\n")
        } else {
            format!("{line}\n")
        }
    });
    lines.collect()
}

async fn replica_that_is_stuck_on_success_hides_no_outage(program: &str) {
    let site = Site::start("head-office").await;
    let (_, metrics) = site.exporter.get("/metrics").await;
    let stuck = StuckExporter::start(metrics).await;
    let exporters = [addresses(&[&site])[0], (site.name, stuck.address.as_str())];
    let scraping = scraping(program, &exporters);
    let mut pipeline = Pipeline::start_scraping(scraping, |config| config).await;
    site.lab.provoke(scenario("tcp-refused").unwrap());
    // Whatever comes before is a ticket.
    let page = loop {
        let notification = pipeline.next("a page for the outage").await;
        if notification.receiver == "pager" {
            break notification;
        }
    };
    assert_eq!([&page.alert, &page.status], [UNREACHABLE, "firing"]);
}

async fn outage_that_changes_its_layer_is_one_page_from_the_first_failure_to_the_last(
    program: &str,
) {
    let site = Site::start("head-office").await;
    let exporters = addresses(&[&site]);
    let scraping = scraping(program, &exporters);
    let mut pipeline = Pipeline::start_scraping(scraping, |config| config).await;
    for (index, name) in [
        "tcp-refused",
        "tls-unknown-issuer",
        "page-mismatch",
        "dns-nxdomain",
    ]
    .into_iter()
    .enumerate()
    {
        // A probe during the change could succeed.
        wait_between_probes(&[&site]).await;
        let scenario = scenario(name).unwrap();
        site.lab.provoke(scenario);
        if index == 0 {
            pipeline
                .expect_page("firing", UNREACHABLE, "head-office")
                .await;
        }
        // The page's for longer than what is remembered of the layer before.
        let seconds = if name == "page-mismatch" { 20 } else { 6 };
        let shown = format!(
            "count_over_time(ccass2fa_probe_failure_info{{reason=\"{}\"}}[{seconds}s]) >= {} and on () {}",
            scenario.reason,
            seconds / 2 - 1,
            firing(UNREACHABLE)
        );
        pipeline.prometheus.wait_for(&shown).await;
    }
    wait_between_probes(&[&site]).await;
    site.lab.heal();
    // The next notification: the changes sent none.
    pipeline
        .expect_page("resolved", UNREACHABLE, "head-office")
        .await;
    pipeline.assert_quiet().await;
}

async fn page_that_ends_as_maintenance_begins_says_that_the_login_still_fails(program: &str) {
    let mut site = Site::start("head-office").await;
    let exporters = addresses(&[&site]);
    let scraping = scraping(program, &exporters);
    let mut pipeline = Pipeline::start_scraping(scraping, |config| config).await;
    site.lab.provoke(scenario("tcp-refused").unwrap());
    pipeline
        .expect_page("firing", UNREACHABLE, "head-office")
        .await;
    site.reload(&until_tomorrow()).await;
    let end = loop {
        let notification = pipeline.next("the end of the page").await;
        if notification.receiver == "pager" {
            break notification;
        }
    };
    assert_eq!([&end.alert, &end.status], [UNREACHABLE, "resolved"]);
    let text = "the login still fails, and goes on as a ticket";
    assert!(end.description.contains(text), "{end:?}");
    let alertmanager = &pipeline.alertmanager;
    let receivers = wait_until("Alertmanager has the warning", async || {
        let receivers = alertmanager.receivers(UNREACHABLE, "warning").await;
        (!receivers.is_empty()).then_some(receivers)
    })
    .await;
    assert_eq!(receivers, ["tickets"]);
}

async fn three_of_four_sites_that_fail_for_one_reason_are_one_page(program: &str) {
    // As for all sites: the alert for many sites fires before, and ends after, those that it mutes.
    let shortening = Shortening {
        windows: 12,
        waits: 12,
    };
    let many_sites = "Ccass2faLoginUnreachableManySites";
    let names = ["central", "kowloon", "kwun-tong", "sha-tin"];
    let sites: Vec<Site> = join_all(names.map(Site::start)).await;
    let all: Vec<&Site> = sites.iter().collect();
    let exporters = addresses(&all);
    let scraping = Scraping {
        shortening,
        ..scraping(program, &exporters)
    };
    let mut pipeline = Pipeline::start_scraping(scraping, |config| {
        config.replace("group_wait: 2s", "group_wait: 8s")
    })
    .await;
    wait_between_probes(&all).await;
    for site in &sites[1..] {
        site.lab.provoke(scenario("tcp-refused").unwrap());
    }
    let description = pipeline.expect_page("firing", many_sites, "").await;
    let expected = "3 of 4 sites have not reached the login page (sso)";
    assert!(description.contains(expected), "{description}");
    let each = format!("count({}) == 3", firing(UNREACHABLE));
    pipeline.prometheus.wait_for(&each).await;
    wait_between_probes(&all).await;
    for site in &sites {
        site.lab.heal();
    }
    pipeline.expect_page("resolved", many_sites, "").await;
    pipeline
        .prometheus
        .wait_for("absent(ALERTS{severity!=\"info\",alertstate=\"firing\"})")
        .await;
    pipeline.assert_quiet().await;
}
