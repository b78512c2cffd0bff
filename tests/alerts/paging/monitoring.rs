//! Failures of the monitoring itself, which page as such and not as an outage of the login.

use harness::prometheus::{QUICK, Shortening};

use super::{Pipeline, Site, addresses, wait_between_probes};

const DOWN: &str = "Ccass2faExporterDown";
const ABSENT: &str = "Ccass2faExporterAbsent";

#[tokio::test(flavor = "multi_thread")]
async fn killed_exporter_pages_as_down_until_it_restarts() {
    let mut site = Site::start("head-office").await;
    let mut pipeline = Pipeline::start(&[&site], QUICK).await;
    site.kill_exporter().await;
    let description = pipeline.expect_page("firing", DOWN, "head-office").await;
    assert!(description.contains("No exporter answers"), "{description}");
    site.restart_exporter().await;
    pipeline.expect_page("resolved", DOWN, "head-office").await;
    pipeline.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_exporter_pages_as_down_until_it_continues() {
    let site = Site::start("head-office").await;
    let mut pipeline = Pipeline::start(&[&site], QUICK).await;
    // An interrupted probe fails, and its result is shown for 10 s, longer than the shortened wait of
    // an outage.
    wait_between_probes(&[&site]).await;
    site.signal("STOP");
    pipeline.expect_page("firing", DOWN, "head-office").await;
    site.signal("CONT");
    pipeline.expect_page("resolved", DOWN, "head-office").await;
    pipeline.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_scraped_exporter_pages_as_absent_until_scraped_again() {
    let shortening = Shortening {
        windows: 12,
        waits: 60,
    };
    let site = Site::start("head-office").await;
    let mut pipeline = Pipeline::start(&[&site], shortening).await;
    pipeline.prometheus.scrape(&[]);
    pipeline.expect_page("firing", ABSENT, "").await;
    pipeline.prometheus.scrape(&addresses(&[&site]));
    pipeline.expect_page("resolved", ABSENT, "").await;
    pipeline.assert_quiet().await;
}
