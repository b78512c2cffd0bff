//! Costs of single parts, so that a regression can be located. The report comes from a real probe of the
//! lab.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ccass_2fa_exporter::calendar::Calendar;
use ccass_2fa_exporter::clock::Clock;
use ccass_2fa_exporter::config::{Config, PageChecks, Target};
use ccass_2fa_exporter::evidence::LedgerStatus;
use ccass_2fa_exporter::probe::{Engine, Roots, TrustAnchors, page};
use ccass_2fa_exporter::readiness::ReadinessState;
use ccass_2fa_exporter::render::metrics::{self, Format, Outcome, Probed, Snapshot};
use ccass_2fa_exporter::report::history::{TargetHistory, TargetState, Watch};
use ccass_2fa_exporter::report::{Report, TargetStats};
use ccass_2fa_lab::{HOST, Lab, Leaf};
use divan::Bencher;
use divan::counter::ItemsCount;
use jiff::civil::date;
use rustls::pki_types::{CertificateDer, ServerName};

fn main() {
    divan::main();
}

/// A successful probe of the lab.
struct Seen {
    config: Config,
    /// The presented chain, which the configured roots trust.
    chain: Vec<CertificateDer<'static>>,
    report: Arc<Report>,
}

static SEEN: LazyLock<Seen> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let lab = Lab::start().await.expect("a lab on loopback");
        let path = lab.directory().join("ccass.yml");
        let config = Config::parse(&lab.config(), &path).expect("a configuration");
        let engine = Engine::new(&config.modules, &Roots::load(), None, Clock::System);
        let report = engine.probe(&config.targets[0]).await;
        assert!(report.verdict.is_good(), "{report:?}");
        Seen {
            chain: lab.authority.issue(&Leaf::for_name(HOST)).chain,
            report: Arc::new(report),
            config,
        }
    })
});

fn watch() -> Watch {
    Watch {
        max_gap: Duration::from_secs(130),
        in_service_hours: true,
    }
}

/// Several targets with that report.
fn known(count: usize) -> Vec<(Arc<Target>, TargetState)> {
    let target = &SEEN.config.targets[0];
    let of = |number| {
        let name = format!("t{number}");
        let report = Report {
            target: name.clone(),
            ..Report::clone(&SEEN.report)
        };
        let mut stats = TargetStats::default();
        let mut history = TargetHistory::of(&report.url);
        history.observe(&report, watch());
        stats.observe(Arc::new(report));
        let target = Target {
            name,
            ..Target::clone(target)
        };
        let history = Arc::new(history);
        (Arc::new(target), TargetState { stats, history })
    };
    (0..count).map(of).collect()
}

fn scrape(bencher: Bencher<'_, '_>, count: usize, format: Format) {
    let known = known(count);
    let (counted, evidence, rejections) = (
        ReadinessState::default(),
        LedgerStatus::default(),
        BTreeMap::new(),
    );
    let exposition = Snapshot {
        config: &SEEN.config,
        loaded_at: SEEN.report.started,
        known: &known,
        now: SEEN.report.started,
        is_reload_successful: true,
        readiness_state: &counted,
        evidence: &evidence,
        recording: None,
        clock_steps: 0,
        rejections: &rejections,
    };
    bencher
        .counter(ItemsCount::new(count))
        .bench(|| metrics::render(&exposition, format).expect("a text"));
}

#[divan::bench(args = [1, 100, 1_000])]
fn metrics_as_text(bencher: Bencher<'_, '_>, targets: usize) {
    scrape(bencher, targets, Format::Text);
}

#[divan::bench(args = [1, 100, 1_000])]
fn metrics_as_openmetrics(bencher: Bencher<'_, '_>, targets: usize) {
    scrape(bencher, targets, Format::OpenMetrics);
}

#[divan::bench]
fn metrics_of_a_probe() -> Vec<u8> {
    let probed = Probed {
        outcome: Outcome::Report(&SEEN.report),
        limit: Duration::from_secs(10),
    };
    metrics::probe(&probed, Format::Text)
}

#[divan::bench]
fn report_as_json() -> String {
    serde_json::to_string(&*SEEN.report).expect("JSON")
}

#[divan::bench]
fn report_taken_in(bencher: Bencher<'_, '_>) {
    let mut stats = TargetStats::default();
    let mut history = TargetHistory::of(&SEEN.report.url);
    bencher.bench_local(|| {
        stats.observe(Arc::clone(&SEEN.report));
        history.observe(&SEEN.report, watch())
    });
}

/// Verifies a chain against this host's roots, the public roots and the CA file: for the first time (`new`)
/// and with cached signatures (`known`).
#[divan::bench(args = ["new", "known"])]
fn report_of_a_chain(bencher: Bencher<'_, '_>, chain: &str) {
    let module = &SEEN.config.targets[0].module;
    let roots = Roots::load();
    let host = ServerName::try_from(HOST).expect("a name");
    let now = Clock::System.now();
    let known = TrustAnchors::of(module, &roots);
    let judged =
        |anchors: &TrustAnchors| anchors.evaluate(&SEEN.chain, &[], &host, &module.tls, now);
    assert!(judged(&known).trust.iter().any(|one| one.trusted));
    let anchors = || match chain {
        "new" => TrustAnchors::of(module, &roots),
        _ => known.clone(),
    };
    bencher
        .with_inputs(anchors)
        .bench_refs(|anchors| judged(anchors));
}

const BODY: &str = r#"<!DOCTYPE html><html><head><title>Sign in</title></head><body>
<form method="post"><input name="username"><input name="password" type="password"></form>"#;

#[divan::bench(args = [1, 64, 1_024])]
fn page_of_kilobytes(bencher: Bencher<'_, '_>, kilobytes: usize) {
    let mut body = BODY.to_owned();
    while body.len() < kilobytes * 1024 {
        body.push_str("<p class=\"line\">A one-time code will be sent to you.</p>\n");
    }
    let checks = PageChecks {
        title: Some("Sign in".to_owned()),
        contains: vec!["username".to_owned()],
        form_fields: vec!["password".to_owned()],
        ..PageChecks::default()
    };
    bencher.bench(|| page::Page::parse(body.clone().into_bytes(), None).evaluate(&checks));
}

#[divan::bench]
fn calendar_read() -> Calendar {
    Calendar::embedded()
}

#[divan::bench]
fn calendar_business_days(bencher: Bencher<'_, '_>) {
    let calendar = Calendar::embedded();
    let (from, to) = (date(2023, 4, 11), date(2023, 12, 31));
    bencher.bench(|| calendar.business_days(from, to));
}

#[divan::bench]
fn configuration_read() -> Config {
    Config::parse("", Path::new("built-in")).expect("a configuration")
}
