//! What the login server sees of the exporter: one GET per interval, and nothing that it would mind.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use ccass_2fa_exporter::clock::Clock;
use ccass_2fa_exporter::config::Config;
use ccass_2fa_exporter::probe::{Engine, Roots};
use ccass_2fa_lab::{HttpFault, Lab};
use harness::exporter::{ConfigFile, Exporter, TIMEOUT};
use tokio::time::{sleep, timeout};

/// The probe interval of the lab's configuration.
const INTERVAL: Duration = Duration::from_secs(10);
/// The pause between two looks at a state that a test waits for.
const POLL: Duration = Duration::from_millis(10);

async fn lab_with_config() -> (Lab, ConfigFile) {
    let lab = Lab::start().await.unwrap();
    let config = ConfigFile::new(&lab.config());
    (lab, config)
}

#[tokio::test(flavor = "multi_thread")]
async fn hundred_probes_send_nothing_but_plain_gets() {
    let lab = Lab::start().await.unwrap();
    // The page needs a cookie: one kept from an earlier probe would be a violation.
    lab.login_server.set_fault(HttpFault::CookieGate);
    let config = Config::parse(&lab.config(), Path::new("lab.yml")).unwrap();
    let engine = Engine::new(&config.modules, &Roots::load(), None, Clock::System);
    for number in 1..=100 {
        let report = engine.probe(&config.targets[0]).await;
        assert!(
            report.verdict.is_full_pass(),
            "probe {number}: {:?} after {:?} of {:?}",
            report.verdict,
            report.duration,
            report.timeout
        );
    }
    assert_eq!(lab.violations(), Vec::<String>::new());
    let requests = lab.login_server.requests();
    assert_eq!(
        requests.len(),
        200,
        "each probe sends one request and follows one redirect"
    );
    assert!(requests.iter().all(|seen| seen.method == "GET"));
}

#[tokio::test(flavor = "multi_thread")]
async fn scrapes_do_not_trigger_probes() {
    let (lab, config) = lab_with_config().await;
    let started = Instant::now();
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    for _ in 0..100 {
        exporter.metrics().await;
    }
    let probes = lab.login_server.requests().len() as u64;
    // A slow machine may take more than one interval for the scrapes.
    let due = 1 + started.elapsed().as_secs() / INTERVAL.as_secs();
    assert!(
        (1..=due).contains(&probes),
        "{probes} probes instead of at most {due} during 100 scrapes"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_pauses_probing_and_counts_missed_cycles() {
    let (lab, config) = lab_with_config().await;
    // 503 with Retry-After: 120.
    lab.provoke(ccass_2fa_lab::scenario("http-503").unwrap());
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let series = "probe_missed_total{cause=\"backoff\",target=\"sso\"}";
    let missed = async {
        loop {
            match exporter.metrics().await.value(series) {
                Some(missed) if missed > 0.0 => break missed,
                _ => sleep(POLL).await,
            }
        }
    };
    let missed = timeout(TIMEOUT, missed).await;
    let missed = missed.unwrap_or_else(|_| panic!("{series} is still 0 after {TIMEOUT:?}"));
    // Two minutes contain twelve cycles of 10 s; the last one may fall just behind their end.
    assert!((11.0..=12.0).contains(&missed), "{missed}");
    assert_eq!(lab.login_server.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_asks_for_an_hour_is_probed_again_after_ten_minutes() {
    let (lab, config) = lab_with_config().await;
    let headers = vec![("retry-after".to_owned(), "3600".to_owned())];
    lab.login_server
        .set_fault(HttpFault::StatusWith(503, headers));
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.first_probe().await;
    let missed_series = "probe_missed_total{cause=\"backoff\",target=\"sso\"}";
    let metrics = async {
        loop {
            let metrics = exporter.metrics().await;
            match metrics.value(missed_series) {
                Some(missed) if missed > 0.0 => break metrics,
                _ => sleep(POLL).await,
            }
        }
    };
    let metrics = timeout(TIMEOUT, metrics).await.expect("a pause");
    // Ten minutes contain sixty cycles of 10 s.
    let missed = metrics.value(missed_series).unwrap();
    assert!((59.0..=60.0).contains(&missed), "{missed}");
    let value = |name: &str| metrics.family(name)[0].1;
    let pause =
        value("probe_paused_until_timestamp_seconds") - value("probe_last_run_timestamp_seconds");
    assert!((600.0..610.0).contains(&pause), "{pause}");
    let (_, page) = exporter.get("/").await;
    assert!(
        page.contains("Paused for 10 min: the server asked to wait"),
        "{page}"
    );
    assert!(page.contains("Last probe"), "{page}");
    let output = harness::exporter::run(&[&config.argument(), "verify"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains("the server asked to wait; the service probes again after 600 s"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_does_not_wait_for_a_running_probe() {
    let lab = Lab::start().await.unwrap();
    let usual = "interval: 10s, timeout: 10s";
    assert!(lab.config().contains(usual));
    let config = ConfigFile::new(&lab.config().replace(usual, "interval: 1h, timeout: 1h"));
    lab.login_server.set_fault(HttpFault::SilentAfterRequest);
    let exporter = Exporter::start(&[&config.argument()]).await;
    let requested = async {
        while lab.login_server.requests().is_empty() {
            sleep(POLL).await;
        }
    };
    let requested = timeout(TIMEOUT, requested).await;
    requested.unwrap_or_else(|_| panic!("no request within {TIMEOUT:?}"));
    // Without the exporter's own limit this would wait for the probe, which takes an hour.
    assert_eq!(exporter.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn first_probes_are_spread_over_the_interval() {
    const TARGETS: u32 = 10;
    let lab = Lab::start().await.unwrap();
    let mut text = lab.config();
    text.truncate(text.find("targets:").unwrap());
    text.push_str("targets:\n");
    for index in 0..TARGETS {
        let url = format!("{}?target={index}", lab.url());
        text.push_str(&format!(
            "  - {{name: t{index}, url: \"{url}\", module: lab_page}}\n"
        ));
    }
    let config = ConfigFile::new(&text);
    let started = SystemTime::now();
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    for _ in 0..TARGETS {
        exporter.first_probe().await;
    }
    let requests = lab.login_server.requests();
    for index in 0..TARGETS {
        let path = format!("/sso?target={index}");
        let first = requests.iter().find(|seen| seen.path == path);
        let first = first.unwrap_or_else(|| panic!("target {index} was not probed"));
        // A slow machine makes a probe late, but never early.
        let due = INTERVAL * index / TARGETS;
        let after = first.at.duration_since(started).unwrap();
        assert!(
            after >= due,
            "target {index} was probed after {after:?}; it is due after {due:?}"
        );
    }
}
