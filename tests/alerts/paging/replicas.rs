//! Two exporters of one site, as deploy/kubernetes runs them.

use ccass_2fa_lab::scenario;
use harness::prometheus::QUICK;

use super::{Pipeline, Site, UNREACHABLE, firing};

#[tokio::test(flavor = "multi_thread")]
async fn one_dead_replica_neither_pages_nor_hides_an_outage() {
    let mut dead = Site::start("kubernetes").await;
    let alive = Site::start("kubernetes").await;
    let mut pipeline = Pipeline::start(&[&dead, &alive], QUICK).await;
    dead.kill_exporter().await;
    pipeline
        .prometheus
        .wait_for(&firing("Ccass2faExporterDown"))
        .await;
    alive.lab.provoke(scenario("tcp-refused").unwrap());
    // The first page is the outage's, and whatever came before is a ticket.
    loop {
        let notification = pipeline.next("a page for the outage").await;
        if notification.severity == "critical" {
            assert_eq!(notification.alert, UNREACHABLE, "{notification:?}");
            assert_eq!(notification.site, "kubernetes");
            break;
        }
    }
}
