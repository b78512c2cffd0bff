//! Findings while the login works.

use ccass_2fa_lab::{HOST, Leaf};
use harness::prometheus::{Shortening, wait_until};

use super::{Pipeline, Site, firing};

/// One site is behind an inspecting device whose root this host trusts: the login works, with
/// another certificate than at the other site.
#[tokio::test(flavor = "multi_thread")]
async fn interception_warns_without_paging_and_mutes_its_consequence() {
    let shortening = Shortening {
        windows: 10,
        waits: 120,
    };
    let (office, centre) = Site::start_pair().await;
    let mut pipeline = Pipeline::start(&[&office, &centre], shortening).await;
    let identity = office.lab.interceptor.issue(&Leaf::for_name(HOST));
    office.lab.login_server.set_identity(identity);
    let differs = "Ccass2faCertificateDiffersBetweenSites";
    pipeline.prometheus.wait_for(&firing(differs)).await;
    let alertmanager = &pipeline.alertmanager;
    let muted = [differs, "warning", ""].map(str::to_owned);
    wait_until(&format!("{differs} alone is muted"), async || {
        let inhibited = alertmanager.inhibited().await;
        (inhibited == std::slice::from_ref(&muted)).then_some(())
    })
    .await;
    let intercepted = ["Ccass2faTlsIntercepted", "warning", "head-office"].map(str::to_owned);
    assert_eq!(alertmanager.active().await, [intercepted]);
    // A ticket in Hong Kong's business hours, and never a page.
    for notification in pipeline.webhook.drain() {
        assert_eq!(notification["receiver"], "tickets", "{notification}");
    }
}
