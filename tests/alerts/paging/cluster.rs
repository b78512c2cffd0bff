//! A pair of Prometheus servers and a pair of Alertmanagers.

use ccass_2fa_lab::scenario;
use harness::prometheus::{Alertmanager, Prometheus, QUICK, TIMEOUT, alertmanager_yml, wait_until};
use harness::webhook::Webhook;

use super::{Notification, Site, UNREACHABLE, addresses, firing};

/// Starts two Alertmanagers that form a cluster.
async fn alertmanagers(config: &str) -> [Alertmanager; 2] {
    let listen = || "--cluster.listen-address=127.0.0.1:0".to_owned();
    // The second in order waits this long for the first to send and to report the notification.
    let wait = || "--cluster.peer-timeout=10s".to_owned();
    let debug = || "--log.level=debug".to_owned();
    let first = Alertmanager::start_with(config, &[listen(), wait(), debug()]).await;
    let status = first.peer.get("/api/v2/status").await;
    let address = status["cluster"]["peers"][0]["address"].as_str().unwrap();
    let join = format!("--cluster.peer={address}");
    let second = Alertmanager::start_with(config, &[listen(), wait(), debug(), join]).await;
    for one in [&first, &second] {
        wait_until("a cluster of two Alertmanagers", async || {
            let status = one.peer.get("/api/v2/status").await;
            let peers = status["cluster"]["peers"].as_array().map_or(0, Vec::len);
            (peers == 2 && status["cluster"]["status"] == "ready").then_some(())
        })
        .await;
    }
    [first, second]
}

/// Waits until one of the pair counts a notification, and returns that one first.
async fn sender_first(pair: [Alertmanager; 2]) -> [Alertmanager; 2] {
    let name = "alertmanager_notifications_total";
    let sent = wait_until("Alertmanager counts the notification", async || {
        let mut sent = [0.0; 2];
        for (count, one) in sent.iter_mut().zip(&pair) {
            *count = one.metric(name, "integration=\"webhook\"").await;
        }
        (sent != [0.0, 0.0]).then_some(sent)
    })
    .await;
    let [first, second] = pair;
    if sent == [1.0, 0.0] {
        [first, second]
    } else if sent == [0.0, 1.0] {
        [second, first]
    } else {
        panic!("the pair sent {sent:?} notifications instead of one")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_half_of_each_pair_in_an_outage_pages_once() {
    let site = Site::start("head-office").await;
    let mut webhook = Webhook::start().await;
    let pair = alertmanagers(&alertmanager_yml(&webhook.url)).await;
    let urls = [pair[0].peer.url.as_str(), pair[1].peer.url.as_str()];
    let exporters = addresses(&[&site]);
    let (mut killed, kept) = tokio::join!(
        Prometheus::start_scraping(&exporters, &urls, QUICK),
        Prometheus::start_scraping(&exporters, &urls, QUICK),
    );
    site.lab.provoke(scenario("tcp-refused").unwrap());
    let page = Notification::parse(&webhook.next("the outage", TIMEOUT).await);
    assert_eq!(
        [&page.status, &page.alert],
        ["firing", UNREACHABLE],
        "{page:?}"
    );
    kept.wait_for(&firing(UNREACHABLE)).await;
    let [mut sender, mut survivor] = sender_first(pair).await;
    wait_until("the survivor knows of the notification", async || {
        let name = "alertmanager_nflog_gossip_messages_propagated_total";
        (survivor.metric(name, "").await > 0.0).then_some(())
    })
    .await;
    wait_until("the survivor has the alert", async || {
        let active = survivor.active().await;
        (!active.is_empty()).then_some(())
    })
    .await;

    killed.peer.kill().await;
    sender.peer.kill().await;
    // The first of these flushes may have begun before the kill. The third begins after the second,
    // which began after the kill, has ended.
    survivor.peer.skip_log();
    for _ in 0..3 {
        survivor.peer.line_with("msg=flushing").await;
    }
    site.lab.heal();
    // The next notification: the survivor did not repeat the page.
    let page = Notification::parse(&webhook.next("the end of the outage", TIMEOUT).await);
    assert_eq!(
        [&page.status, &page.alert],
        ["resolved", UNREACHABLE],
        "{page:?}"
    );
}
