//! A service whose process may open no more files: the host's shortage is not blamed on a resolver or a
//! firewall, and ends with its cause.

use std::process::Command;

use ccass_2fa_lab::Lab;
use harness::exporter::{ConfigFile, Exporter, TIMEOUT};

/// Sets the soft limit of open files.
fn limit(exporter: &Exporter, files: &str) {
    let id = exporter.child.id().expect("it is running").to_string();
    let limited = Command::new("prlimit")
        .args(["--pid", &id, &format!("--nofile={files}:")])
        .status();
    let limited = limited.expect("prlimit, of util-linux, starts");
    assert!(limited.success(), "prlimit: {limited}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_free_descriptor_the_reason_is_this_host_and_so_is_the_contact() {
    let lab = Lab::start().await.unwrap();
    let lab_config = lab.config().replace("interval: 10s", "interval: 1h");
    let config = ConfigFile::new(&format!(
        "{lab_config}\
         \x20 - {{name: by-system, url: \"https://localhost:9/\"}}\n\
         \x20 - {{name: by-address, url: \"https://127.0.0.1:9/\"}}\n"
    ));
    let exporter = Exporter::start(&[&config.argument()]).await;
    // One connection for all requests: the service cannot accept another.
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(TIMEOUT)
        .pool_idle_timeout(None)
        .build()
        .unwrap();
    let probe = async |target: &str| {
        let url = exporter.url(&format!("/probe?debug=true&target={target}"));
        let response = client.get(url).send().await.unwrap();
        response.text().await.unwrap()
    };
    let text = probe("sso").await;
    assert!(text.contains("\nprobe_success 1\n"), "{text}");
    for target in ["by-system", "by-address"] {
        let text = probe(target).await;
        assert!(text.contains("reason=\"tcp_refused\""), "{text}");
    }
    limit(&exporter, "0");
    for (target, reason) in [
        ("sso", "dns_local"),
        ("by-system", "dns_local"),
        ("by-address", "tcp_local"),
    ] {
        let text = probe(target).await;
        assert!(text.contains(&format!("reason=\"{reason}\"")), "{text}");
        let contact = "the administrator of this host";
        assert!(text.contains(contact), "{target}: {text}");
        if reason == "dns_local" {
            assert!(text.contains("Too many open files"), "{target}: {text}");
        }
    }
    limit(&exporter, "1024");
    let text = probe("sso").await;
    assert!(text.contains("\nprobe_success 1\n"), "{text}");
}
