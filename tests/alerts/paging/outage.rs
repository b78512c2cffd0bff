//! Outages of the login, at one site and at all sites.

use std::collections::BTreeMap;

use ccass_2fa_lab::scenario;
use futures_util::future::join_all;
use harness::prometheus::{QUICK, Shortening};

use super::{Pipeline, Site, UNREACHABLE, firing, wait_between_probes};

/// The outage of one site pages once and is resolved once, with the failing layer in its text.
///
/// Each layer has a site and a target of its own, so that all are broken at the same time.
async fn each_layer_pages_once(scenarios: [(&'static str, &str); 5]) {
    let sites = scenarios.map(|(layer, _)| async move {
        let site = Site::start_with(layer, &format!("sso-{layer}"), "").await;
        (layer, site)
    });
    let sites: BTreeMap<&str, Site> = join_all(sites).await.into_iter().collect();
    let all: Vec<&Site> = sites.values().collect();
    let mut pipeline = Pipeline::start(&all, QUICK).await;
    let provoked = scenarios.map(|(layer, name)| {
        let (site, scenario) = (&sites[layer], scenario(name).unwrap());
        async move {
            // A probe during the change could fail for another reason.
            wait_between_probes(&[site]).await;
            site.lab.provoke(scenario);
            (layer.to_owned(), scenario.reason)
        }
    });
    let reasons: BTreeMap<String, _> = join_all(provoked).await.into_iter().collect();
    for status in ["firing", "resolved"] {
        let mut missing = reasons.clone();
        while !missing.is_empty() {
            let awaited = format!("{status} for each of {:?}", missing.keys());
            let page = pipeline.next(&awaited).await;
            let alert = if page.site == "page" {
                "Ccass2faUnexpectedPage"
            } else {
                UNREACHABLE
            };
            assert_eq!([&page.alert, &page.status], [alert, status], "{page:?}");
            page.assert_critical();
            let Some(reason) = missing.remove(&page.site) else {
                panic!("a second notification: {page:?}");
            };
            let layer = &page.site;
            let parts = if status == "firing" {
                [
                    format!("Site {layer} has not reached"),
                    format!("First failing layer: {layer} ({reason})."),
                ]
            } else {
                [
                    format!("Site {layer} "),
                    "Look at a terminal once more".to_owned(),
                ]
            };
            for part in &parts {
                assert!(page.description.contains(part), "{page:?}");
            }
        }
        let healed = sites.values().map(async |site| {
            wait_between_probes(&[site]).await;
            site.lab.heal();
        });
        join_all(healed).await;
    }
    pipeline.assert_quiet().await;
    for site in sites.values() {
        assert_eq!(site.lab.violations(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failing_layer_pages_once_and_resolves_once() {
    each_layer_pages_once([
        ("dns", "dns-nxdomain"),
        ("tcp", "tcp-refused"),
        ("tls", "tls-unknown-issuer"),
        ("http", "http-403"),
        ("page", "page-mismatch"),
    ])
    .await;
}

/// The causes include an expired certificate and a web filter's block page.
#[tokio::test(flavor = "multi_thread")]
async fn each_failing_layer_pages_once_for_other_causes() {
    each_layer_pages_once([
        ("dns", "dns-servfail"),
        ("tcp", "tcp-refused"),
        ("tls", "tls-expired"),
        ("http", "http-redirect-loop"),
        ("page", "page-block"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_outage_after_the_first_pages_again() {
    // Refused connections leave no finding that a wait shorter than its window would report.
    let shortening = Shortening {
        windows: 12,
        waits: 60,
    };
    let site = Site::start("head-office").await;
    let mut pipeline = Pipeline::start(&[&site], shortening).await;
    for _ in 0..2 {
        site.lab.provoke(scenario("tcp-refused").unwrap());
        pipeline
            .expect_page("firing", UNREACHABLE, "head-office")
            .await;
        site.lab.heal();
        pipeline
            .expect_page("resolved", UNREACHABLE, "head-office")
            .await;
    }
    pipeline.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_site_down_pages_once_despite_prometheus_restart() {
    let (office, centre) = Site::start_pair().await;
    let mut pipeline = Pipeline::start(&[&office, &centre], QUICK).await;
    centre.lab.provoke(scenario("tcp-refused").unwrap());
    let description = pipeline
        .expect_page("firing", UNREACHABLE, "data-centre")
        .await;
    assert!(
        description.contains("Site head-office reaches it."),
        "{description}"
    );
    pipeline.prometheus.restart().await;
    let restarted = jiff::Timestamp::now().as_second();
    let firing_again = format!("timestamp({}) > {restarted}", firing(UNREACHABLE));
    pipeline.prometheus.wait_for(&firing_again).await;
    centre.lab.heal();
    // The next notification: the restart itself sent none.
    pipeline
        .expect_page("resolved", UNREACHABLE, "data-centre")
        .await;
    pipeline.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_sites_down_page_once_for_all_sites() {
    // In proportion to the probe interval: the alert for all sites fires 5 s before, and ends 10 s
    // after, the alerts of each site that it mutes. The sites are probed about the same time.
    let shortening = Shortening {
        windows: 12,
        waits: 12,
    };
    let all_sites = "Ccass2faLoginUnreachableAllSites";
    let (office, centre) = Site::start_pair().await;
    let mut pipeline = Pipeline::start_with(&[&office, &centre], shortening, |config| {
        config.replace("group_wait: 2s", "group_wait: 8s")
    })
    .await;
    wait_between_probes(&[&office, &centre]).await;
    office.lab.provoke(scenario("dns-nxdomain").unwrap());
    centre.lab.provoke(scenario("tcp-refused").unwrap());
    let description = pipeline.expect_page("firing", all_sites, "").await;
    for part in [
        "2 of 2 sites have not reached the login page (sso)",
        "Site data-centre: tcp (tcp_refused), ask your firewall team.",
        "Site head-office: dns (dns_nxdomain), ask your dns team.",
    ] {
        assert!(description.contains(part), "{part}: {description}");
    }
    // The alerts of both sites are firing and muted.
    let both = format!("count({}) == 2", firing(UNREACHABLE));
    pipeline.prometheus.wait_for(&both).await;
    wait_between_probes(&[&office, &centre]).await;
    office.lab.heal();
    centre.lab.heal();
    pipeline.expect_page("resolved", all_sites, "").await;
    pipeline
        .prometheus
        .wait_for("absent(ALERTS{severity!=\"info\",alertstate=\"firing\"})")
        .await;
    pipeline.assert_quiet().await;
}
