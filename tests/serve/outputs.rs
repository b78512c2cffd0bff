//! Everything that the exporter outputs and writes about one probe of the lab.

use std::io::Read as _;

use ccass_2fa_lab::Lab;
use harness::exporter::{ConfigFile, Exporter, run};

use crate::lab_config::probed_once;

/// Name and text of the log line, of each page (by its path), of `verify` in each format, and of each
/// file in the data directory.
pub async fn outputs(lab: &Lab) -> Vec<(String, String)> {
    let config = ConfigFile::new(&format!("data_directory: kept\n{}", probed_once(lab)));
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    let log = exporter.line_with("target_name=sso").await;
    let mut outputs = vec![("the log".to_owned(), log)];
    for path in [
        "/metrics",
        "/",
        "/report?target=sso",
        "/api/v1/reports",
        "/api/v1/history",
        "/probe?target=sso&debug=true",
    ] {
        let (status, text) = exporter.get(path).await;
        assert_eq!(status, 200, "{path}");
        outputs.push((path.to_owned(), text));
    }
    // It is parsed.
    exporter.metrics().await;
    for format in ["--format=text", "--format=json", "--format=html"] {
        let verified = run(&[&config.argument(), "verify", "--record", format]).await;
        for text in [verified.stdout, verified.stderr] {
            let text = String::from_utf8(text).expect("UTF-8");
            outputs.push((format!("verify {format}"), text));
        }
    }
    assert_eq!(exporter.terminate().await, Some(0));
    let mut directories = vec![config.directory().join("kept")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let text = std::fs::read_to_string(&path).expect("UTF-8");
                outputs.push((format!("file {}", path.display()), text));
            }
        }
    }
    let has_file = |end: &str| outputs.iter().any(|(name, _)| name.ends_with(end));
    assert!(has_file("state.json") && has_file(".jsonl"));
    outputs
}

/// It is sent in parts. Each exporter has the same families.
#[tokio::test]
async fn scrape_of_many_targets_is_whole_also_gzipped() {
    let families = async |targets: usize, encoding: &str| {
        let mut config = String::from("probe: {interval: 1h}\ntargets:\n");
        for index in 0..targets {
            config += &format!("  - {{name: t{index}, url: \"https://127.0.0.1:1/\"}}\n");
        }
        let config = ConfigFile::new(&config);
        let exporter = Exporter::start(&[&config.argument()]).await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.get(exporter.url("/metrics"));
        let request = request.header("accept-encoding", encoding);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let length = response.headers()["content-length"].to_str().unwrap();
        let length: usize = length.parse().unwrap();
        let body = response.bytes().await.unwrap();
        assert_eq!(body.len(), length);
        let mut text = String::new();
        match encoding {
            "gzip" => flate2::read::GzDecoder::new(&*body).read_to_string(&mut text),
            _ => (&*body).read_to_string(&mut text),
        }
        .unwrap();
        let lines = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
        assert_eq!(lines("ccass2fa_target_info{"), targets);
        assert_eq!(text.len() > 128 * 1024, targets > 1, "{}", text.len());
        (lines("# TYPE ccass2fa_"), lines("# TYPE process_"))
    };
    let of_one = families(1, "identity").await;
    assert!(of_one.0 > 10 && of_one.1 > 3, "{of_one:?}");
    assert_eq!(families(400, "identity").await, of_one);
    assert_eq!(families(400, "gzip").await, of_one);
}
