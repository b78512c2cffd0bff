//! What the login server sees of us: one GET an interval, and nothing that it would mind.

use std::path::Path;
use std::time::{Duration, Instant};

use ccass_2fa_exporter::clock::Clock;
use ccass_2fa_exporter::config::Config;
use ccass_2fa_exporter::probe::{Engine, Roots};
use ccass_2fa_lab::{HttpFault, Lab};
use harness::exporter::{ConfigFile, Exporter, PATIENCE};

async fn lab_with_config() -> (Lab, ConfigFile) {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&lab.config());
    (lab, config)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_server_stays_content_for_a_hundred_probes() {
    let lab = Lab::start().await.unwrap();
    // A gate that sets a cookie: one kept from an earlier probe would be seen.
    lab.login_server.set_fault(HttpFault::CookieGate);
    let config = Config::parse(&lab.config(), Path::new("lab.yml")).unwrap();
    let engine = Engine::new(&config.modules, &Roots::load(), None, Clock::System);
    for _ in 0..100 {
        let report = engine.probe(&config.targets[0]).await;
        assert!(report.verdict.is_full_pass(), "{report:#?}");
    }
    assert_eq!(lab.violations(), Vec::<String>::new());
    let requests = lab.login_server.requests();
    assert_eq!(
        requests.len(),
        200,
        "each probe asks once and follows one redirect"
    );
    assert!(requests.iter().all(|seen| seen.method == "GET"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_scrapes_a_second_do_not_change_how_often_the_target_is_probed() {
    let (lab, config) = lab_with_config().await;
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let started = Instant::now();
    let mut scrapes = 0;
    while started.elapsed() < Duration::from_secs(3) {
        exporter.metrics().await;
        scrapes += 1;
    }
    assert!(scrapes >= 30, "only {scrapes} scrapes");
    // The interval of the lab's configuration is ten seconds.
    assert_eq!(lab.login_server.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_to_be_left_alone_is_left_alone_and_the_cycles_are_counted() {
    let (lab, config) = lab_with_config().await;
    // 503 with Retry-After: 120, at an interval of 10 s.
    lab.provoke(ccass_2fa_lab::scenario("http-503").unwrap());
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let series = "probe_missed_total{cause=\"backoff\",target=\"sso\"}";
    let started = Instant::now();
    let mut missed = 0.0;
    while missed == 0.0 && started.elapsed() < PATIENCE {
        missed = exporter.metrics().await.value(series).unwrap();
    }
    // Twelve cycles fall into two minutes, the first of which is the next in any case.
    assert!((11.0..=12.0).contains(&missed), "{missed}");
    // The next probe but for that would come in the eleventh second at the latest.
    assert_eq!(lab.login_server.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_with_zero_though_a_probe_is_under_way() {
    let (lab, config) = lab_with_config().await;
    lab.login_server.set_fault(HttpFault::SilentAfterRequest);
    let exporter = Exporter::start(&[&config.argument()]).await;
    let started = Instant::now();
    while lab.login_server.requests().is_empty() && started.elapsed() < PATIENCE {
        tokio::task::yield_now().await;
    }
    let stopped = Instant::now();
    assert_eq!(exporter.terminate().await, Some(0));
    assert!(
        stopped.elapsed() < Duration::from_millis(2500),
        "{:?}",
        stopped.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_target_has_its_own_first_second_within_the_interval() {
    let lab = Lab::start().await.unwrap();
    let mut text = lab.config();
    text.truncate(text.find("targets:").unwrap());
    text.push_str("targets:\n");
    for index in 0..10 {
        text.push_str(&format!(
            "  - {{name: t{index}, url: \"{}\", module: lab_page}}\n",
            lab.url()
        ));
    }
    let config = ConfigFile::new(&text);
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    for _ in 0..10 {
        exporter.first_probe().await;
    }
    let mut seconds: Vec<_> = lab
        .login_server
        .requests()
        .iter()
        .map(|seen| seen.at)
        .collect();
    seconds.sort();
    for pair in seconds.windows(2) {
        let apart = pair[1].duration_since(pair[0]).unwrap();
        assert!(apart > Duration::from_millis(500), "{apart:?}");
    }
}
