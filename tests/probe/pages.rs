//! How pages are read, and what is reported about it.

use ccass_2fa_lab::{Lab, scenario};
use harness::exporter::{ConfigFile, verify};
use serde_json::{Value, json};

async fn report(name: &str) -> (Value, Lab) {
    let lab = Lab::start().await.expect("the lab starts");
    let scenario = scenario(name).expect("a scenario");
    lab.provoke(scenario);
    let config = ConfigFile::new(&lab.config_for(scenario));
    (Box::pin(verify(&config)).await.1, lab)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_charset_of_a_page_is_a_fact() {
    for (name, charset) in [
        ("page-big5-by-header", "Big5"),
        ("page-gb18030-by-http-equiv", "gb18030"),
        ("page-utf-16-by-mark", "UTF-16LE"),
        ("page-gzip", "UTF-8"),
    ] {
        let (report, _) = report(name).await;
        assert_eq!(report["page"]["facts"]["charset"], charset, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_is_a_hop_of_its_own_kind() {
    for (name, kind) in [
        ("http-meta-refresh", "meta_refresh"),
        ("http-refresh-header", "refresh_header"),
        ("http-cookie-gate", "redirect"),
    ] {
        let (report, _) = report(name).await;
        assert_eq!(report["hops"][0]["kind"], Value::Null, "{name}");
        assert_eq!(report["hops"][1]["kind"], kind, "{name}");
    }
    let (report, _) = report("page-refreshes-itself").await;
    assert_eq!(report["hops"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_browser_ignores_in_a_body_is_a_fact() {
    let (report_of_coding, _) = report("page-unknown-coding").await;
    let facts = &report_of_coding["hops"][0]["http"]["facts"];
    assert_eq!(facts["content_encoding"], "utf-8");
    assert_eq!(facts["encoding_ignored"], true);
    let (report_of_rest, _) = report("page-gzip-trailing").await;
    let facts = &report_of_rest["hops"][0]["http"]["facts"];
    assert_eq!(facts["trailing_bytes"], json!("trailing".len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_not_processed_is_sent_once_more_and_never_a_third_time() {
    for (name, repeated, connections, version) in [
        ("http-goaway-once", json!("goaway"), 2, "2"),
        ("http-refused-stream-once", json!("refused_stream"), 2, "2"),
        ("http-1-required", json!("http_1_1_required"), 2, "1.1"),
        ("http-goaway", json!("goaway"), 2, ""),
        ("http-closed", Value::Null, 1, ""),
        ("http-reset", Value::Null, 1, ""),
    ] {
        let (report, lab) = report(name).await;
        let facts = &report["hops"][0]["http"]["facts"];
        assert_eq!(facts["repeated"], repeated, "{name}");
        assert_eq!(facts["version"].as_str().unwrap_or(""), version, "{name}");
        assert_eq!(lab.login_server.connections(), connections, "{name}");
        assert_eq!(lab.violations(), Vec::<String>::new(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_cut_by_an_alert_or_a_reset_keeps_its_facts() {
    for (name, failure, cause) in [
        ("http-alert-after-head", "http_truncated", "alert"),
        ("http-reset-after-head", "http_reset", "reset"),
    ] {
        let (report, _) = report(name).await;
        let http = &report["hops"][0]["http"];
        assert_eq!(http["failure"], failure, "{http}");
        assert_eq!(http["facts"]["status"], 200);
        let detail = http["facts"]["detail"].to_string();
        assert!(detail.contains(cause), "{http}");
        assert_eq!(report["hops"][0]["tls"]["failure"], Value::Null);
    }
}
