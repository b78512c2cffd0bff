//! Reloads for the tests of any module.

use harness::exporter::{ConfigFile, Exporter};

pub async fn post(exporter: &Exporter, path: &str) -> (u16, String) {
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let response = client.post(exporter.url(path)).send().await;
    let response = response.expect("a response");
    (
        response.status().as_u16(),
        response.text().await.expect("a body"),
    )
}

/// Removes the targets and adds them again: the scheduler probes new targets at once. What `/metrics`
/// counts begins again; evidence does not.
pub async fn probe_again(exporter: &Exporter, config: &ConfigFile) {
    let text = std::fs::read_to_string(config.path()).unwrap();
    let (before, _) = text.split_once("targets:\n").expect("targets, at the end");
    for text in [&format!("{before}targets: []\n"), &text] {
        std::fs::write(config.path(), text).unwrap();
        let (status, message) = post(exporter, "/-/reload").await;
        assert_eq!(status, 200, "{message}");
    }
}
