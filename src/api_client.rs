//! Requests to the HTTP APIs of Alertmanager and Prometheus: every answer has a time limit and a size limit.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Certificate, Client, Response, Url};

/// For one answer.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// A client for the server at `url`, which is trusted by `ca`, in PEM, in addition to the system's roots.
///
/// # Errors
/// `ca` contains no certificate, or this host has no root certificates.
pub fn client(url: &Url, ca: Option<&[u8]>) -> anyhow::Result<Client> {
    let mut builder = Client::builder().timeout(TIMEOUT);
    if url.scheme() == "http" {
        // Else the client would refuse to start on a host without root certificates.
        builder = builder.tls_certs_only([]);
    }
    if let Some(ca) = ca {
        let certificates = Certificate::from_pem_bundle(ca)
            .ok()
            .filter(|certificates| !certificates.is_empty())
            .context("--ca-file contains no certificate in PEM; name the file of the CA that issued the server's")?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().with_context(|| {
        format!(
            "cannot verify the certificate of {}: install the system's CA bundle (on Debian the \
             package ca-certificates), or name its CA with --ca-file",
            url.host_str().unwrap_or_default()
        )
    })
}

/// The body of an answer of `server`, up to `limit` bytes.
///
/// # Errors
/// The body cannot be read, or is larger.
pub async fn body(mut response: Response, server: &str, limit: usize) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .with_context(|| format!("cannot read the response of {server}"))?
    {
        if body.len() + chunk.len() > limit {
            bail!(
                "the response of {server} is larger than {} KiB; check that the URL is {server}'s",
                limit >> 10
            );
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
