//! Alerts from a failing probe to the notification and back: the built exporter, the lab, a real
//! Prometheus with the shipped rules, a real Alertmanager with the shipped configuration, and a
//! webhook.
//!
//! The embedded timetable is long past, so 2FA is the only way to log in and an outage pages.

mod cluster;
mod finding;
mod maintenance;
mod monitoring;
mod outage;
mod replicas;
mod timelines;

use ccass_2fa_lab::Lab;
use harness::exporter::{ConfigFile, Exporter, command};
use harness::prometheus::{
    Alertmanager, PROMETHEUS, Prometheus, Scraping, Shortening, TIMEOUT, alertmanager_yml, signal,
    wait_until,
};
use harness::webhook::Webhook;
use serde_json::Value;
use socket2::{Domain, Socket, Type};

const UNREACHABLE: &str = "Ccass2faLoginUnreachable";

/// The expression that selects an alert while it is firing.
fn firing(alert: &str) -> String {
    format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}")
}

/// A site: a lab of its own, and an exporter that probes it.
struct Site {
    name: &'static str,
    target: String,
    lab: Lab,
    config: ConfigFile,
    exporter: Exporter,
    /// Keeps the exporter's port while the exporter is not running.
    reserved: Option<Socket>,
}

impl Site {
    /// Starts the exporter with the lab's login server as the target `sso`.
    async fn start(name: &'static str) -> Self {
        Self::start_with(name, "sso", "").await
    }

    /// Starts the exporter with `keys` at the top of its configuration.
    async fn start_with(name: &'static str, target: &str, keys: &str) -> Self {
        let lab = Lab::start().await.unwrap();
        Self::start_in(lab, name, target, keys).await
    }

    /// Starts two sites whose exporters probe the same target at about the same times.
    async fn start_pair() -> (Self, Self) {
        let (office, centre) = tokio::join!(Lab::start(), Lab::start());
        tokio::join!(
            Box::pin(Self::start_in(office.unwrap(), "head-office", "sso", "")),
            Box::pin(Self::start_in(centre.unwrap(), "data-centre", "sso", "")),
        )
    }

    async fn start_in(lab: Lab, name: &'static str, target: &str, keys: &str) -> Self {
        let config = ConfigFile::new(&configuration(&lab, target, keys));
        let mut exporter = Exporter::start(&[&config.argument()]).await;
        exporter.first_probe().await;
        Self {
            name,
            target: target.to_owned(),
            lab,
            config,
            exporter,
            reserved: None,
        }
    }

    /// Replaces the keys at the top of the configuration and reloads it.
    async fn reload(&mut self, keys: &str) {
        let text = configuration(&self.lab, &self.target, keys);
        std::fs::write(self.config.path(), text).unwrap();
        self.signal("HUP");
        self.exporter.line_with("configuration reloaded").await;
    }

    /// Sends a signal to the exporter.
    fn signal(&self, name: &str) {
        signal(self.exporter.child.id().unwrap(), name);
    }

    /// Kills the exporter; no other process can take its port.
    async fn kill_exporter(&mut self) {
        self.exporter.child.kill().await.unwrap();
        let address: std::net::SocketAddr = self.exporter.address.parse().unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // Connections of the killed exporter may still occupy the port.
        socket.set_reuse_address(true).unwrap();
        socket.bind(&address.into()).unwrap();
        socket.set_reuse_address(false).unwrap();
        self.reserved = Some(socket);
    }

    /// Starts the killed exporter again on the same address.
    async fn restart_exporter(&mut self) {
        let reserved = self.reserved.take().unwrap();
        reserved.set_reuse_address(true).unwrap();
        let address = format!("--web.listen-address={}", self.exporter.address);
        self.exporter.child = command()
            .args([&self.config.argument(), &address])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let url = self.exporter.url("/-/healthy");
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        wait_until("the restarted exporter answers", async || {
            client.get(&url).send().await.ok()
        })
        .await;
    }
}

/// Waits until every site was probed less than 5 s ago: no probe is in progress, and the next ones are
/// due about the same time.
async fn wait_between_probes(sites: &[&Site]) {
    wait_until("all sites were probed less than 5 s ago", async || {
        for site in sites {
            let metrics = site.exporter.metrics().await;
            let (_, last_run) = metrics.family("probe_last_run_timestamp_seconds")[0];
            if jiff::Timestamp::now().as_duration().as_secs_f64() - last_run > 5.0 {
                return None;
            }
        }
        Some(())
    })
    .await;
}

fn configuration(lab: &Lab, target: &str, keys: &str) -> String {
    let text = lab
        .config()
        .replace("{name: sso,", &format!("{{name: {target},"));
    format!("{keys}{text}")
}

/// The name and the address of each site's exporter.
fn addresses<'a>(sites: &[&'a Site]) -> Vec<(&'a str, &'a str)> {
    sites
        .iter()
        .map(|site| (site.name, site.exporter.address.as_str()))
        .collect()
}

/// Prometheus, Alertmanager and the webhook behind the exporters.
struct Pipeline {
    prometheus: Prometheus,
    alertmanager: Alertmanager,
    webhook: Webhook,
}

impl Pipeline {
    /// Starts it, and waits until the exporters are scraped and the rules evaluated.
    async fn start(sites: &[&Site], shortening: Shortening) -> Self {
        Self::start_with(sites, shortening, |config| config).await
    }

    /// Starts it with a changed Alertmanager configuration.
    async fn start_with(
        sites: &[&Site],
        shortening: Shortening,
        change: impl FnOnce(String) -> String,
    ) -> Self {
        let scraping = Scraping {
            program: PROMETHEUS,
            instance: None,
            exporters: &addresses(sites),
            alertmanagers: &[],
            shortening,
        };
        Self::start_scraping(scraping, change).await
    }

    /// Starts it with this Prometheus, which sends to the pipeline's Alertmanager.
    async fn start_scraping(scraping: Scraping<'_>, change: impl FnOnce(String) -> String) -> Self {
        let webhook = Webhook::start().await;
        let alertmanager = Alertmanager::start(&change(alertmanager_yml(&webhook.url))).await;
        let scraping = Scraping {
            alertmanagers: &[&alertmanager.peer.url],
            ..scraping
        };
        let prometheus = scraping.start().await;
        Self {
            prometheus,
            alertmanager,
            webhook,
        }
    }

    /// Waits for the next notification, which must be this page. Returns its description.
    async fn expect_page(&mut self, status: &str, alert: &str, site: &str) -> String {
        let page = self.next(&format!("{status} {alert} {site}")).await;
        assert_eq!(
            [&page.status, &page.alert, &page.site],
            [status, alert, site],
            "{page:?}"
        );
        page.assert_critical();
        page.description
    }

    /// Waits for the next notification, whatever it is.
    async fn next(&mut self, awaited: &str) -> Notification {
        Notification::parse(&self.webhook.next(awaited, TIMEOUT).await)
    }

    /// Fails if there was an unexpected notification, or if an alert is active.
    async fn assert_quiet(&mut self) {
        let unexpected = self.webhook.drain();
        let unexpected: Vec<_> = unexpected.iter().map(Notification::parse).collect();
        assert!(unexpected.is_empty(), "{unexpected:?}");
        let active = self.alertmanager.active().await;
        assert!(active.is_empty(), "{active:?}");
    }
}

/// A notification that holds a single alert.
#[derive(Debug)]
struct Notification {
    receiver: String,
    status: String,
    alert: String,
    severity: String,
    site: String,
    description: String,
    starts_at: jiff::Timestamp,
}

impl Notification {
    fn parse(notification: &Value) -> Self {
        let alerts = notification["alerts"].as_array().unwrap();
        assert_eq!(alerts.len(), 1, "{}", notification["groupLabels"]);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let labels = &alerts[0]["labels"];
        Self {
            receiver: text(&notification["receiver"]),
            status: text(&notification["status"]),
            alert: text(&labels["alertname"]),
            severity: text(&labels["severity"]),
            site: text(&labels["site"]),
            description: text(&alerts[0]["annotations"]["description"]),
            starts_at: text(&alerts[0]["startsAt"]).parse().unwrap(),
        }
    }

    fn assert_critical(&self) {
        assert_eq!(
            [&self.receiver, &self.severity],
            ["pager", "critical"],
            "{self:?}"
        );
    }
}
