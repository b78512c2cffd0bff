//! From the break to the pager and back: the built exporter, the lab, a real Prometheus with the
//! shipped rules, a real Alertmanager with the shipped configuration, and a webhook.
//!
//! Addresses are put into the shipped files and durations shortened, as `alerting` says. The
//! embedded timetable is long past, so that 2FA is the only way in and an outage pages.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use ccass_2fa_lab::{HOST, Lab, Leaf, scenario};
use harness::exporter::{ConfigFile, Exporter, command};
use harness::prometheus::{
    Alertmanager, IN_PROPORTION, Prometheus, QUICK, Shortened, alertmanager_yml, signal,
};
use harness::webhook::Webhook;

/// Longer than any alert needs with shortened durations.
const PATIENCE: Duration = Duration::from_secs(240);

const OUTAGE: &str = "ALERTS{alertname=\"Ccass2faLoginUnreachable\",alertstate=\"firing\"}";

fn second(at: SystemTime) -> jiff::Timestamp {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    jiff::Timestamp::from_second(i64::try_from(since.as_secs()).unwrap()).unwrap()
}

/// A site: its own lab, and an exporter that probes it.
struct Site {
    name: &'static str,
    lab: Lab,
    config: ConfigFile,
    exporter: Exporter,
}

impl Site {
    /// Probes the lab as `target`; `keys` stand at the top of the configuration.
    async fn start(name: &'static str, target: &str, keys: &str) -> Self {
        let lab = Lab::start().await.unwrap();
        let text = lab
            .config()
            .replace("{name: sso,", &format!("{{name: {target},"));
        let config = ConfigFile::new(&format!("{keys}{text}"));
        let exporter = Exporter::start(&[&config.argument()]).await;
        Self {
            name,
            lab,
            config,
            exporter,
        }
    }

    /// Starts the exporter anew on the address that it had.
    async fn revive(&mut self) {
        let address = format!("--web.listen-address={}", self.exporter.address);
        let mut child = command()
            .args([&self.config.argument(), &address])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::mem::swap(&mut self.exporter.child, &mut child);
    }
}

/// The way from the exporters to the webhook.
struct Way {
    prometheus: Prometheus,
    alertmanager: Alertmanager,
    webhook: Webhook,
}

impl Way {
    async fn from(sites: &[&Site], shortened: Shortened) -> Self {
        let webhook = Webhook::start().await;
        let alertmanager = Alertmanager::start(&alertmanager_yml(&webhook.url)).await;
        let prometheus = Prometheus::start(&[&alertmanager.peer.url], shortened).await;
        prometheus.scrape(&addresses(sites));
        let way = Self {
            prometheus,
            alertmanager,
            webhook,
        };
        let all = format!("sum(ccass2fa_probe_success) == {}", sites.len());
        way.prometheus.sees(&all).await;
        way
    }

    /// The next notification's one alert, which must be this one: its description.
    async fn rings(&mut self, status: &str, alert: &str, site: &str) -> String {
        let told = Told::of(&self.webhook.next_within(PATIENCE).await);
        assert_eq!(
            (
                told.status.as_str(),
                told.alert.as_str(),
                told.site.as_str()
            ),
            (status, alert, site),
            "{told:?}"
        );
        assert_eq!(told.receiver, "pager", "{told:?}");
        assert_eq!(told.severity, "critical", "{told:?}");
        told.description
    }

    /// Nothing has come that was not asked for, and nothing stands that would be sent.
    async fn is_quiet(&mut self) {
        let late = self.webhook.now();
        assert!(late.is_empty(), "{late:#?}");
        let active = self.alertmanager.active().await;
        assert!(active.is_empty(), "{active:?}");
    }
}

fn addresses<'a>(sites: &[&'a Site]) -> Vec<(&'a str, &'a str)> {
    sites
        .iter()
        .map(|site| (site.name, site.exporter.address.as_str()))
        .collect()
}

/// A notification of one alert.
#[derive(Debug)]
struct Told {
    receiver: String,
    status: String,
    alert: String,
    severity: String,
    site: String,
    description: String,
}

impl Told {
    fn of(notification: &serde_json::Value) -> Self {
        let alerts = notification["alerts"].as_array().unwrap();
        assert_eq!(alerts.len(), 1, "{notification:#}");
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let labels = &alerts[0]["labels"];
        Self {
            receiver: text(&notification["receiver"]),
            status: text(&notification["status"]),
            alert: text(&labels["alertname"]),
            severity: text(&labels["severity"]),
            site: text(&labels["site"]),
            description: text(&alerts[0]["annotations"]["description"]),
        }
    }
}

/// An expired certificate, a filter's block page and a device that inspects and so breaks the login
/// are among them: each is one fault, and rings once.
#[tokio::test(flavor = "multi_thread")]
async fn each_layer_that_breaks_rings_once_with_its_reason_and_is_resolved_once_and_so_again() {
    const LAYERS: [(&str, [&str; 2]); 5] = [
        ("dns", ["dns-nxdomain", "dns-servfail"]),
        ("tcp", ["tcp-refused", "tcp-refused"]),
        ("tls", ["tls-unknown-issuer", "tls-expired"]),
        ("http", ["http-403", "http-redirect-loop"]),
        ("page", ["page-mismatch", "page-block"]),
    ];
    let mut sites = BTreeMap::new();
    for (layer, _) in LAYERS {
        sites.insert(layer, Site::start(layer, &format!("sso-{layer}"), "").await);
    }
    let all: Vec<&Site> = sites.values().collect();
    let mut way = Way::from(&all, QUICK).await;
    for round in 0..2 {
        let mut broken = BTreeMap::new();
        for (layer, names) in LAYERS {
            let scenario = scenario(names[round]).unwrap();
            sites[layer].lab.provoke(scenario);
            broken.insert(layer.to_owned(), scenario.reason);
        }
        for (status, mut awaited) in [("firing", broken.clone()), ("resolved", broken)] {
            while !awaited.is_empty() {
                let told = Told::of(&way.webhook.next_within(PATIENCE).await);
                let expected = match told.site.as_str() {
                    "page" => "Ccass2faUnexpectedPage",
                    _ => "Ccass2faLoginUnreachable",
                };
                assert_eq!(told.alert, expected, "{told:?}");
                assert_eq!(told.status, status, "{told:?}");
                assert_eq!(told.receiver, "pager", "{told:?}");
                let Some(reason) = awaited.remove(&told.site) else {
                    panic!("told twice: {told:?}");
                };
                let layer = &told.site;
                let part = format!("First failing layer: {layer} ({reason}).");
                assert!(told.description.contains(&part), "{told:?}");
                let place = format!("Site {layer} has not reached");
                assert!(told.description.starts_with(&place), "{told:?}");
            }
            for site in sites.values() {
                site.lab.heal();
            }
        }
    }
    way.is_quiet().await;
    for site in sites.values() {
        assert_eq!(site.lab.violations(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_site_down_is_its_own_alert_and_both_are_the_alert_of_all_sites_alone() {
    let office = Site::start("head-office", "sso", "").await;
    let centre = Site::start("data-centre", "sso", "").await;
    let mut way = Way::from(&[&office, &centre], IN_PROPORTION).await;
    let refused = scenario("tcp-refused").unwrap();

    centre.lab.provoke(refused);
    let told = way
        .rings("firing", "Ccass2faLoginUnreachable", "data-centre")
        .await;
    assert!(told.contains("Site head-office reaches it."), "{told}");
    // Prometheus restarts in the middle of it: nothing rings for that, and the alert goes on.
    way.prometheus.restart().await;
    let restarted = second(SystemTime::now()).as_second();
    way.prometheus
        .sees(&format!("timestamp({OUTAGE}) > {restarted}"))
        .await;
    centre.lab.heal();
    way.rings("resolved", "Ccass2faLoginUnreachable", "data-centre")
        .await;

    office.lab.provoke(scenario("dns-nxdomain").unwrap());
    centre.lab.provoke(refused);
    let told = way
        .rings("firing", "Ccass2faLoginUnreachableAllSites", "")
        .await;
    for part in [
        "None of 2 sites",
        "Site data-centre: tcp (tcp_refused), ask your firewall team.",
        "Site head-office: dns (dns_nxdomain), ask your dns team.",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // Each site's alert stands and is muted.
    way.prometheus
        .sees("count(ALERTS{alertname=\"Ccass2faLoginUnreachable\",alertstate=\"firing\"}) == 2")
        .await;
    office.lab.heal();
    centre.lab.heal();
    way.rings("resolved", "Ccass2faLoginUnreachableAllSites", "")
        .await;
    way.prometheus
        .sees("absent(ALERTS{severity!=\"info\",alertstate=\"firing\"})")
        .await;
    way.is_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_is_killed_frozen_or_no_longer_scraped_rings_as_just_that() {
    let mut site = Site::start("head-office", "sso", "").await;
    let mut way = Way::from(&[&site], QUICK).await;
    let down = "Ccass2faExporterDown";

    site.exporter.child.kill().await.unwrap();
    let told = way.rings("firing", down, "head-office").await;
    assert!(told.contains("No exporter answers"), "{told}");
    site.revive().await;
    way.rings("resolved", down, "head-office").await;

    let id = site.exporter.child.id().unwrap();
    signal(id, "STOP");
    way.rings("firing", down, "head-office").await;
    signal(id, "CONT");
    way.rings("resolved", down, "head-office").await;

    way.prometheus.scrape(&[]);
    way.rings("firing", "Ccass2faExporterAbsent", "").await;
    way.prometheus.scrape(&addresses(&[&site]));
    way.rings("resolved", "Ccass2faExporterAbsent", "").await;
    way.is_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_while_the_login_works_gives_its_warning_alone() {
    let office = Site::start("head-office", "sso", "").await;
    let centre = Site::start("data-centre", "sso", "").await;
    let shortened = Shortened {
        windows: 10,
        waits: 60,
    };
    let mut way = Way::from(&[&office, &centre], shortened).await;
    // An inspecting device whose root this host trusts: the login works, its key is another one.
    let identity = office.lab.interceptor.issue(&Leaf::for_name(HOST));
    office.lab.login_server.set_identity(identity);
    let differs = "Ccass2faCertificateDiffersBetweenSites";
    way.prometheus
        .sees(&format!(
            "ALERTS{{alertname=\"{differs}\",alertstate=\"firing\"}}"
        ))
        .await;
    let intercepted = ["Ccass2faTlsIntercepted", "warning", "head-office"].map(str::to_owned);
    let muted = [differs, "warning", ""].map(str::to_owned);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while way.alertmanager.inhibited().await != std::slice::from_ref(&muted) {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{differs} is not muted"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(way.alertmanager.active().await, [intercepted]);
    // A ticket, if this is Hong Kong's business day, and never a page.
    for notification in way.webhook.now() {
        assert_eq!(notification["receiver"], "tickets", "{notification:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_in_announced_maintenance_is_a_ticket_and_pages_at_its_end_if_it_still_stands() {
    let now = SystemTime::now();
    let end = second(now + Duration::from_secs(100));
    let from = second(now - Duration::from_secs(3600));
    let keys = format!("maintenance: [{{from: {from}, to: {end}, reference: \"work\"}}]\n");
    let site = Site::start("head-office", "sso", &keys).await;
    let mut way = Way::from(&[&site], QUICK).await;
    site.lab.provoke(scenario("tcp-refused").unwrap());
    way.prometheus
        .sees("ALERTS{alertname=\"Ccass2faLoginUnreachable\",alertstate=\"firing\",severity=\"warning\"}")
        .await;
    assert!(second(SystemTime::now()) < end, "the ticket came too late");
    let rung = loop {
        let notification = way.webhook.next_within(PATIENCE).await;
        if notification["receiver"] != "tickets" {
            break Told::of(&notification);
        }
    };
    assert!(second(SystemTime::now()) >= end, "{rung:?}");
    assert_eq!(rung.alert, "Ccass2faLoginUnreachable");
    assert_eq!(
        (rung.severity.as_str(), rung.status.as_str()),
        ("critical", "firing")
    );
}

/// What each of a cluster's Alertmanagers listens on for the other.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_of_each_of_which_one_is_killed_in_an_outage_has_rung_once() {
    let site = Site::start("head-office", "sso", "").await;
    let mut webhook = Webhook::start().await;
    let config = alertmanager_yml(&webhook.url);
    let [one, two] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let arguments = |own: &str, other: &str| {
        vec![
            format!("--cluster.listen-address={own}"),
            format!("--cluster.peer={other}"),
            "--cluster.peer-timeout=2s".to_owned(),
        ]
    };
    let mut first = Alertmanager::with(&config, &arguments(&one, &two)).await;
    let second = Alertmanager::with(&config, &arguments(&two, &one)).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    for one in [&first, &second] {
        loop {
            let status = one.peer.get("/api/v2/status").await;
            let peers = status["cluster"]["peers"].as_array().map_or(0, Vec::len);
            if peers == 2 && status["cluster"]["status"] == "ready" {
                break;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "no cluster: {status:#}"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    let urls = [first.peer.url.as_str(), second.peer.url.as_str()];
    let mut killed = Prometheus::start(&urls, QUICK).await;
    let kept = Prometheus::start(&urls, QUICK).await;
    for prometheus in [&killed, &kept] {
        prometheus.scrape(&addresses(&[&site]));
        prometheus.sees("ccass2fa_probe_success").await;
    }
    site.lab.provoke(scenario("tcp-refused").unwrap());
    let told = Told::of(&webhook.next_within(PATIENCE).await);
    assert_eq!(
        (told.status.as_str(), told.alert.as_str()),
        ("firing", "Ccass2faLoginUnreachable")
    );
    // The other one knows of it by now: it waits for 2 s longer than the first, and then tells
    // nothing that is told.
    kept.sees(OUTAGE).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    killed.peer.kill().await;
    first.peer.kill().await;
    // Longer than the group's interval and the peer's time-out together.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let again = webhook.now();
    assert!(again.is_empty(), "{again:#?}");
    site.lab.heal();
    let told = Told::of(&webhook.next_within(PATIENCE).await);
    assert_eq!(told.status, "resolved", "{told:?}");
}
