//! The baseline: the minimal cost of a probe with the exporter's own libraries.
//!
//! Reads a line `COUNT FIRST CONCURRENCY` per turn from standard input and prints the number of successful
//! probes. A probe is a new connection, a full handshake with chain verification, and one GET. It
//! resolves no name, records nothing and renders nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Parser;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use rustls::CipherSuite::TLS13_AES_128_GCM_SHA256;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedCipherSuite};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

#[derive(Parser)]
struct Arguments {
    /// The trusted root
    #[arg(long)]
    ca_file: PathBuf,
    #[arg(long)]
    address: SocketAddr,
    /// The domain of the target names
    #[arg(long)]
    domain: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut roots = RootCertStore::empty();
    #[expect(clippy::disallowed_methods, reason = "the file is the benchmark's own")]
    for root in CertificateDer::pem_file_iter(&arguments.ca_file)? {
        roots.add(root?)?;
    }
    // The exporter's order, so that both negotiate the same suite.
    let mut provider = aws_lc_rs::default_provider();
    let is_other = |suite: &SupportedCipherSuite| suite.suite() != TLS13_AES_128_GCM_SHA256;
    provider.cipher_suites.sort_by_key(is_other);
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let mut turns = BufReader::new(stdin()).lines();
    while let Some(turn) = turns.next_line().await? {
        let numbers: Vec<usize> = turn
            .split(' ')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .context("three numbers")?;
        let [count, first, at_once] = numbers[..] else {
            anyhow::bail!("expected three numbers");
        };
        let good = stream::iter(first..first + count)
            .map(|number| probe(&connector, &arguments, number))
            .buffer_unordered(at_once)
            .filter(|outcome| std::future::ready(outcome.is_ok()))
            .count()
            .await;
        println!("{good}");
    }
    Ok(())
}

async fn probe(
    connector: &TlsConnector,
    arguments: &Arguments,
    number: usize,
) -> anyhow::Result<()> {
    let host = format!("t{number}.{}", arguments.domain);
    let stream = TcpStream::connect(arguments.address).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(host.clone())?;
    let session = connector.connect(name, stream).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(session)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::get("/sso")
        .header(HOST, host)
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    connection.abort();
    ensure!(status == 200 && !body.is_empty(), "{status}");
    Ok(())
}
