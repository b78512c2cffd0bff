//! Outages during announced maintenance.

use ccass_2fa_lab::scenario;
use harness::prometheus::{QUICK, wait_until};
use jiff::{Timestamp, ToSpan};

use super::{Pipeline, Site, UNREACHABLE};

fn maintenance(to: Timestamp) -> String {
    let from = Timestamp::now() - 24.hours();
    format!("maintenance: [{{from: {from:.0}, to: {to:.0}, reference: \"work\"}}]\n")
}

/// Maintenance that has begun and ends tomorrow.
pub fn until_tomorrow() -> String {
    maintenance(Timestamp::now() + 24.hours())
}

/// A reload ends the maintenance, so that no part of the test has to be faster than a clock.
#[tokio::test(flavor = "multi_thread")]
async fn outage_in_maintenance_is_a_ticket_until_the_maintenance_ends() {
    let mut site = Site::start_with("head-office", "sso", &until_tomorrow()).await;
    let mut pipeline = Pipeline::start(&[&site], QUICK).await;
    site.lab.provoke(scenario("tcp-refused").unwrap());
    let alertmanager = &pipeline.alertmanager;
    let receivers = wait_until("Alertmanager has the warning", async || {
        let receivers = alertmanager.receivers(UNREACHABLE, "warning").await;
        (!receivers.is_empty()).then_some(receivers)
    })
    .await;
    assert_eq!(receivers, ["tickets"]);

    let end = Timestamp::now();
    site.reload(&maintenance(end)).await;
    // Tickets are sent in business hours only.
    let page = loop {
        let notification = pipeline.next("a page after the maintenance").await;
        if notification.receiver != "tickets" {
            break notification;
        }
    };
    assert_eq!([&page.alert, &page.status], [UNREACHABLE, "firing"]);
    page.assert_critical();
    assert!(page.starts_at >= end, "before {end}: {page:?}");
}
