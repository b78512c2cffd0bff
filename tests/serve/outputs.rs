//! Everything that the exporter outputs and writes about one probe of the lab.

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
