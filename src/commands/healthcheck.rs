//! `healthcheck`: queries `/-/healthy` at the first listen address of this host.

use std::time::Duration;

use anyhow::Context;
use reqwest::{Error, Response, StatusCode};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{ExitStatus, route_prefix, usage_error};
use crate::cli::Flags;
use crate::config::{ClientCertificate, WebConfig};
use crate::redact::print_error;

const TIMEOUT: Duration = Duration::from_secs(5);

/// A response that asks for a password counts as healthy; where the listener requires client
/// certificates, an accepted TCP connection does.
///
/// # Errors
/// The flags or the web configuration are invalid.
pub async fn run(flags: &Flags) -> anyhow::Result<ExitStatus> {
    let prefix = route_prefix(flags)?;
    let web = WebConfig::load(flags.web_config_file.as_deref()).map_err(usage_error)?;
    let address = flags.web_listen_address.first().map_or("", String::as_str);
    let authority = match address.rsplit_once(':') {
        Some(("" | "0.0.0.0" | "[::]", port)) => format!("localhost:{port}"),
        Some(_) | None => address.to_owned(),
    };
    let absent = || {
        format!(
            "no exporter answers at {authority}; start it, or set --web.listen-address as it is set there"
        )
    };
    let result = match &web.tls {
        Some(tls) if tls.client_certificate == ClientCertificate::Required => {
            connect(&authority).await.with_context(absent)
        }
        tls => {
            let scheme = if tls.is_some() { "https" } else { "http" };
            let path = prefix.path("/-/healthy");
            let response = get(&format!("{scheme}://{authority}{path}")).await;
            response.with_context(absent).and_then(check)
        }
    };
    Ok(match result {
        Ok(()) => ExitStatus::Success,
        Err(error) => {
            print_error(format!("{error:#}"));
            ExitStatus::CheckFailed
        }
    })
}

async fn connect(authority: &str) -> anyhow::Result<()> {
    timeout(TIMEOUT, TcpStream::connect(authority)).await??;
    Ok(())
}

async fn get(url: &str) -> anyhow::Result<Response> {
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .no_proxy()
        // The certificate is for the external name, not for localhost, and nothing secret is sent.
        .tls_danger_accept_invalid_certs(true)
        .build()?;
    Ok(client.get(url).send().await.map_err(Error::without_url)?)
}

fn check(response: Response) -> anyhow::Result<()> {
    if response.status() != StatusCode::UNAUTHORIZED {
        response.error_for_status()?;
    }
    Ok(())
}
