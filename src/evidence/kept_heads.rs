//! The hashes of newest records that Prometheus stored: outside the site's host, they prove that no record
//! was removed.

use anyhow::{Context, ensure};
use reqwest::Url;
use serde::Deserialize;

use super::audit::Audit;
use super::chain::ChainedRecord;
use crate::api_client;

/// How far Prometheus is asked to look back.
const RANGE: &str = "90d";
const MAX_BODY_BYTES: usize = 32 << 20;

/// A record that was a site's newest one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptHead {
    pub firm: Option<String>,
    pub site: Option<String>,
    /// The exporter: a site may have several, each with evidence of its own.
    pub instance: String,
    pub number: u64,
    pub hash: String,
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: Labels,
}

#[derive(Deserialize)]
struct Labels {
    firm: Option<String>,
    site: Option<String>,
    #[serde(default)]
    instance: String,
    number: String,
    hash: String,
}

impl KeptHead {
    /// Those of the last 90 days in the Prometheus at `url`.
    ///
    /// # Errors
    /// Prometheus cannot be reached, or does not answer as its API does.
    pub async fn in_prometheus(url: &Url) -> anyhow::Result<Vec<Self>> {
        let query = format!(
            "group by (firm, site, instance, number, hash) \
             (last_over_time(ccass2fa_evidence_head_info{{number=~\"[1-9].*\"}}[{RANGE}]))"
        );
        let mut endpoint = Url::parse(&format!(
            "{}/api/v1/query",
            url.as_str().trim_end_matches('/')
        ))?;
        endpoint.query_pairs_mut().append_pair("query", &query);
        let client = api_client::client(url, None)?;
        let response = client.get(endpoint).send().await;
        let response =
            response.context("cannot reach Prometheus, check --prometheus and the firewall")?;
        let status = response.status();
        let body = api_client::body(response, "Prometheus", MAX_BODY_BYTES).await?;
        ensure!(
            status.is_success(),
            "Prometheus rejected the query with {status}; check that --prometheus is the URL of its API"
        );
        let answer: Answer = serde_json::from_slice(&body).context(
            "cannot decode the response of Prometheus, check that --prometheus is its URL",
        )?;
        let heads = answer.data.result.into_iter().map(|series| {
            let number = series.metric.number.parse();
            Ok(Self {
                firm: series.metric.firm,
                site: series.metric.site,
                instance: series.metric.instance,
                number: number.context("a number in Prometheus is none")?,
                hash: series.metric.hash,
            })
        });
        heads.collect()
    }

    /// Whether `audit` contains the record.
    pub fn is_in(&self, audit: &Audit) -> bool {
        let is_it =
            |record: &ChainedRecord| record.number == self.number && record.hash == self.hash;
        audit.records.iter().any(is_it)
    }
}
