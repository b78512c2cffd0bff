//! A real node_exporter with its textfile collector.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::exporter::{Metrics, TIMEOUT};

/// A node_exporter that collects the files of one directory and nothing else.
pub struct NodeExporter {
    /// Host and port.
    pub address: String,
    _process: Child,
}

impl NodeExporter {
    pub async fn start(directory: &Path) -> Self {
        let mut process = Command::new("prometheus-node-exporter")
            .args(["--collector.disable-defaults", "--collector.textfile"])
            .arg(format!(
                "--collector.textfile.directory={}",
                directory.display()
            ))
            .arg("--web.listen-address=127.0.0.1:0")
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("prometheus-node-exporter, of the package of that name");
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let listening = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, address)) = line.split_once("address=127.0.0.1:") {
                    return address.split(' ').next().unwrap().to_owned();
                }
            }
            panic!("node_exporter ended");
        };
        let port = timeout(TIMEOUT, listening).await.expect("it listens");
        // Always read to the end: a full pipe would block it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self {
            address: format!("127.0.0.1:{port}"),
            _process: process,
        }
    }

    pub async fn scrape(&self) -> Metrics {
        let url = format!("http://{}/metrics", self.address);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let response = client.get(url).send().await.unwrap();
        Metrics::parse(&response.text().await.unwrap())
    }
}
