//! Sends a test alert to Alertmanager end to end: fires it, waits until Alertmanager shows it,
//! resolves it, and waits until Alertmanager no longer lists it.
//!
//! Whether the notification arrives is for the operator to check; the printed steps say how.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;
use serde_json::json;

use crate::api_client::{self, TIMEOUT};
use crate::clock::{Clock, Stopwatch};
use crate::input_file::{self, InputFile};

/// The name of the test alert, on which routes and silences can match.
pub const ALERT_NAME: &str = "Ccass2faDrill";

/// Of a response; the query asks for one alert.
const MAX_BODY_BYTES: usize = 1 << 20;
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// When the alert ends by itself, in case it cannot be resolved.
const MAX_ALERT_DURATION: SignedDuration = SignedDuration::from_mins(15);

#[derive(Clone, Debug)]
pub struct DrillOptions {
    /// The URL of Alertmanager, including its path prefix.
    pub alertmanager: Url,
    pub severity: &'static str,
    pub site: Option<String>,
    /// How long the alert fires; it should be longer than the route's `group_wait`.
    pub hold: Duration,
    pub username: Option<String>,
    pub password_file: Option<PathBuf>,
    pub ca_file: Option<PathBuf>,
}

/// Runs the drill and passes each completed step to `print`.
///
/// # Errors
/// Alertmanager is unreachable, rejects the alert, or does not show the expected state within
/// [`TIMEOUT`]. An accepted alert is resolved in any case.
pub async fn run(options: &DrillOptions, clock: Clock, print: impl Fn(&str)) -> anyhow::Result<()> {
    let client = AlertmanagerClient::new(options)?;
    let started = clock.now();
    client.post(started, started + MAX_ALERT_DURATION).await?;
    print(&format!(
        "sent       {ALERT_NAME}, severity {}",
        options.severity
    ));
    let shown = client.wait_until(|alert| alert.is_some()).await;
    if let Ok(Some(alert)) = &shown {
        print(&alert.summary());
        print(&format!(
            "firing     for {:.0} s: check that a notification that begins with DRILL arrives",
            options.hold.as_secs_f64()
        ));
        tokio::time::sleep(options.hold).await;
    }
    client.post(started, clock.now()).await?;
    shown?;
    client
        .wait_until(|alert| alert.is_none())
        .await
        .context("Alertmanager still shows the alert; it ends by itself after 15 minutes")?;
    print("resolved   receivers with send_resolved send another notification");
    Ok(())
}

/// An alert as Alertmanager's API shows it.
#[derive(Debug, Deserialize)]
struct ShownAlert {
    #[serde(default)]
    receivers: Vec<Receiver>,
    status: AlertStatus,
}

#[derive(Debug, Deserialize)]
struct Receiver {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AlertStatus {
    state: String,
    #[serde(default)]
    silenced_by: Vec<String>,
    #[serde(default)]
    inhibited_by: Vec<String>,
}

impl ShownAlert {
    fn summary(&self) -> String {
        let receivers: Vec<&str> = self.receivers.iter().map(|r| r.name.as_str()).collect();
        let mut text = format!(
            "accepted   {}, routed to {}",
            self.status.state,
            receivers.join(", ")
        );
        if !self.status.silenced_by.is_empty() {
            text.push_str("; suppressed by a silence");
        }
        if !self.status.inhibited_by.is_empty() {
            text.push_str("; inhibited by another alert");
        }
        text
    }
}

struct AlertmanagerClient<'a> {
    options: &'a DrillOptions,
    http: reqwest::Client,
    password: Option<String>,
}

impl<'a> AlertmanagerClient<'a> {
    fn new(options: &'a DrillOptions) -> anyhow::Result<Self> {
        let ca = options.ca_file.as_deref();
        let ca = ca.map(|path| read(InputFile::Roots, path)).transpose()?;
        let password = match &options.password_file {
            Some(path) => {
                let text = String::from_utf8(read(InputFile::Credentials, path)?)
                    .with_context(|| format!("{} is not UTF-8", path.display()))?;
                Some(text.trim_end_matches(['\r', '\n']).to_owned())
            }
            None => None,
        };
        Ok(Self {
            options,
            http: api_client::client(&options.alertmanager, ca.as_deref())?,
            password,
        })
    }

    async fn post(&self, starts_at: Timestamp, ends_at: Timestamp) -> anyhow::Result<()> {
        let mut labels = BTreeMap::from([
            ("alertname", ALERT_NAME),
            ("severity", self.options.severity),
            ("service", "ccass2fa"),
            ("category", "reachability"),
            ("target", "drill"),
            ("drill", "true"),
        ]);
        labels.extend(self.options.site.as_deref().map(|site| ("site", site)));
        let alerts = json!([{
            "labels": labels,
            "annotations": {
                "summary": "DRILL: this is a test of the CCASS 2FA alerts. Nothing is wrong.",
                "description": "DRILL. Someone is testing whether this alert arrives. Acknowledge it as \
                                you would a real one; no other action is needed.",
            },
            "startsAt": starts_at,
            "endsAt": ends_at,
        }]);
        let request = self.http.post(self.alerts_url()?).json(&alerts);
        let response = self.send(request).await?;
        let status = response.status();
        if !status.is_success() {
            let body = api_client::body(response, "Alertmanager", MAX_BODY_BYTES)
                .await
                .unwrap_or_default();
            let body = String::from_utf8_lossy(&body);
            let excerpt: String = body.chars().take(200).collect();
            bail!(
                "Alertmanager rejected the alert with {status}, check --alertmanager and a proxy in front: {}",
                excerpt.trim()
            );
        }
        Ok(())
    }

    /// Polls the alert until `condition` holds, for at most [`TIMEOUT`].
    async fn wait_until(
        &self,
        condition: impl Fn(Option<&ShownAlert>) -> bool,
    ) -> anyhow::Result<Option<ShownAlert>> {
        let stopwatch = Stopwatch::start();
        loop {
            let alert = self.get().await?;
            if condition(alert.as_ref()) {
                return Ok(alert);
            }
            if stopwatch.elapsed() > TIMEOUT {
                bail!(
                    "Alertmanager accepted the alert, but shows no change after {} s; look at its log, and \
                     at its page Alerts whether the alert is silenced or inhibited",
                    TIMEOUT.as_secs()
                );
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    async fn get(&self) -> anyhow::Result<Option<ShownAlert>> {
        let mut url = self.alerts_url()?;
        url.query_pairs_mut()
            .append_pair("filter", &format!("alertname=\"{ALERT_NAME}\""));
        let response = self.send(self.http.get(url)).await?;
        let response = response.error_for_status().context(
            "Alertmanager rejected the query, check --alertmanager and a proxy in front",
        )?;
        let alerts: Vec<ShownAlert> = serde_json::from_slice(
            &api_client::body(response, "Alertmanager", MAX_BODY_BYTES).await?,
        )
        .context(
            "cannot decode the response of Alertmanager, check that --alertmanager is its URL",
        )?;
        Ok(alerts.into_iter().next())
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<reqwest::Response> {
        let request = match &self.options.username {
            Some(username) => request.basic_auth(username, self.password.as_deref()),
            None => request,
        };
        request
            .send()
            .await
            .context("cannot reach Alertmanager, check --alertmanager and the firewall")
    }

    fn alerts_url(&self) -> anyhow::Result<Url> {
        let base = self.options.alertmanager.as_str().trim_end_matches('/');
        Ok(Url::parse(&format!("{base}/api/v2/alerts"))?)
    }
}

fn read(file: InputFile, path: &Path) -> anyhow::Result<Vec<u8>> {
    let contents = input_file::read(file, path);
    let contents = contents.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(contents.bytes)
}
