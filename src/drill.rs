//! A rehearsal of the alarm: a labelled test alert goes the real way to Alertmanager, is seen there,
//! and is resolved.
//!
//! In: where Alertmanager is and how grave the drill is to be. Out: what it said, step by step. It
//! knows nothing of probes. What rings is for a person to see: the steps say what to look for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};
use reqwest::{Certificate, Client, RequestBuilder, Url};
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, Stopwatch};

/// The drill's alert, which routes and silences can tell from a real one.
pub const ALERT_NAME: &str = "Ccass2faDrill";

/// How long Alertmanager may take to answer, and to show what it took.
const PATIENCE: Duration = Duration::from_secs(10);
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// An alert that this program could not resolve ends by itself after this.
const AT_MOST: SignedDuration = SignedDuration::from_mins(15);

/// What to rehearse, and with whom.
#[derive(Clone, Debug)]
pub struct Drill {
    /// Alertmanager's address, with its path prefix if it has one.
    pub alertmanager: Url,
    pub severity: String,
    pub site: Option<String>,
    /// How long the alert stands before it is resolved: longer than the route's `group_wait`.
    pub hold: Duration,
    pub access: Access,
}

/// How to get at an Alertmanager that wants more than an address.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub username: Option<String>,
    pub password_file: Option<PathBuf>,
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    labels: Labels<'a>,
    annotations: Annotations,
    starts_at: Timestamp,
    ends_at: Timestamp,
}

#[derive(Debug, Serialize)]
struct Labels<'a> {
    alertname: &'static str,
    severity: &'a str,
    service: &'static str,
    category: &'static str,
    target: &'static str,
    drill: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Annotations {
    summary: &'static str,
    description: &'static str,
}

#[derive(Debug, Deserialize)]
struct Shown {
    #[serde(default)]
    receivers: Vec<Receiver>,
    status: Status,
}

#[derive(Debug, Deserialize)]
struct Receiver {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    state: String,
    #[serde(default)]
    silenced_by: Vec<String>,
    #[serde(default)]
    inhibited_by: Vec<String>,
}

/// Runs the drill; `tell` gets each step as it is done.
///
/// # Errors
/// Alertmanager cannot be reached, does not take the alert or does not show it in time. The alert is
/// resolved in any case where it was taken.
pub async fn run(drill: &Drill, clock: Clock, tell: impl Fn(&str)) -> anyhow::Result<()> {
    let client = client(drill.access.ca_file.as_deref())?;
    let password = match &drill.access.password_file {
        Some(path) => Some(secret(path)?),
        None => None,
    };
    let line = Line {
        drill,
        client,
        password,
    };
    let started = clock.now();
    line.post(started, started + AT_MOST).await?;
    tell(&format!(
        "sent       {ALERT_NAME}, severity {}",
        drill.severity
    ));
    let seen = line.wait_until(|shown| shown.is_some()).await;
    if let Ok(Some(shown)) = &seen {
        tell(&told(shown));
        tell(&format!(
            "look       the notification begins with DRILL; it stands for {:.0} s",
            drill.hold.as_secs_f64()
        ));
        tokio::time::sleep(drill.hold).await;
    }
    line.post(started, clock.now()).await?;
    seen?;
    line.wait_until(|shown| shown.is_none())
        .await
        .context("Alertmanager still shows the drill; it ends by itself in 15 minutes")?;
    tell("resolved   a notification of that follows where the receiver sends them");
    Ok(())
}

fn told(shown: &Shown) -> String {
    let receivers: Vec<_> = shown
        .receivers
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    let mut text = format!(
        "accepted   {}, routed to {}",
        shown.status.state,
        receivers.join(", ")
    );
    if !shown.status.silenced_by.is_empty() {
        text.push_str("; a silence keeps it from being sent");
    }
    if !shown.status.inhibited_by.is_empty() {
        text.push_str("; another alert inhibits it");
    }
    text
}

/// The line to one Alertmanager.
struct Line<'a> {
    drill: &'a Drill,
    client: Client,
    password: Option<String>,
}

impl Line<'_> {
    async fn post(&self, starts_at: Timestamp, ends_at: Timestamp) -> anyhow::Result<()> {
        let alert = Alert {
            labels: Labels {
                alertname: ALERT_NAME,
                severity: &self.drill.severity,
                service: "ccass2fa",
                category: "reachability",
                target: "drill",
                drill: "true",
                site: self.drill.site.as_deref(),
            },
            annotations: Annotations {
                summary: "DRILL: this is a rehearsal of the CCASS 2FA alarm. Nothing is wrong.",
                description: "DRILL. Somebody is trying out whether this page arrives. Acknowledge \
                              it as you would a real one; there is nothing else to do.",
            },
            starts_at,
            ends_at,
        };
        let url = self.url("api/v2/alerts")?;
        let answer = self
            .with_access(self.client.post(url))
            .json(&[alert])
            .send()
            .await;
        let answer = answer.context("cannot reach Alertmanager")?;
        let status = answer.status();
        if !status.is_success() {
            let text: String = answer
                .text()
                .await
                .unwrap_or_default()
                .chars()
                .take(200)
                .collect();
            bail!(
                "Alertmanager refuses the alert with {status}: {}",
                text.trim()
            );
        }
        Ok(())
    }

    /// Looks until `enough`, but not for long.
    async fn wait_until(
        &self,
        enough: impl Fn(Option<&Shown>) -> bool,
    ) -> anyhow::Result<Option<Shown>> {
        let watch = Stopwatch::start();
        loop {
            let shown = self.look().await?;
            if enough(shown.as_ref()) {
                return Ok(shown);
            }
            if watch.elapsed() > PATIENCE {
                bail!("Alertmanager took the alert but does not show it as expected");
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    async fn look(&self) -> anyhow::Result<Option<Shown>> {
        let mut url = self.url("api/v2/alerts")?;
        url.query_pairs_mut()
            .append_pair("filter", &format!("alertname=\"{ALERT_NAME}\""));
        let answer = self.with_access(self.client.get(url)).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        let shown: Vec<Shown> = answer
            .context("cannot ask Alertmanager")?
            .json()
            .await
            .context("Alertmanager's answer cannot be read")?;
        Ok(shown.into_iter().next())
    }

    fn with_access(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.drill.access.username {
            Some(username) => request.basic_auth(username, self.password.as_deref()),
            None => request,
        }
    }

    fn url(&self, path: &str) -> anyhow::Result<Url> {
        let base = self.drill.alertmanager.as_str().trim_end_matches('/');
        Ok(Url::parse(&format!("{base}/{path}"))?)
    }
}

fn secret(path: &Path) -> anyhow::Result<String> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// A client that trusts this host's roots, and the CA file's where one is named.
fn client(ca_file: Option<&Path>) -> anyhow::Result<Client> {
    let mut builder = Client::builder().timeout(PATIENCE);
    if let Some(path) = ca_file {
        let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let certificates = Certificate::from_pem_bundle(&pem)
            .with_context(|| format!("{} holds no certificate", path.display()))?;
        builder = builder.tls_certs_merge(certificates);
    }
    Ok(builder.build()?)
}
