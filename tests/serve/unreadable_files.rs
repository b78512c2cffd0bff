//! Files without an end, and files that never answer: the part that needs one reports it, the rest goes on,
//! and the file that replaces it is read.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use harness::exporter::{ConfigFile, Exporter, command, output_of, run};

use crate::assertions::assert_contains;
use crate::waiting::wait_for_metric;

const ACCOUNTS: &str = "kind,email,count\nuser,confirmed,4\n";

/// A stop takes at most this long.
const STOP: Duration = Duration::from_secs(5);

fn replace_by_link_to_zeros(path: &Path) {
    let _ = std::fs::remove_file(path);
    std::os::unix::fs::symlink("/dev/zero", path).unwrap();
}

fn replace_by_named_pipe(path: &Path) {
    let _ = std::fs::remove_file(path);
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

fn replace_by_text(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

async fn stops(exporter: Exporter) {
    let started = Instant::now();
    assert_eq!(exporter.terminate().await, Some(0));
    let elapsed = started.elapsed();
    assert!(elapsed < STOP, "the stop took {elapsed:?}");
}

fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_file_without_an_end_is_reported_and_its_successor_is_read() {
    for replace in [replace_by_link_to_zeros, replace_by_named_pipe] {
        let config = ConfigFile::new("targets: []\nreadiness: {file: accounts.csv}\n");
        let path = config.directory().join("accounts.csv");
        replace_by_text(&path, ACCOUNTS);
        let mut exporter = Exporter::start(&[&config.argument()]).await;
        exporter.line_with("readiness file loaded").await;
        replace(&path);
        let line = exporter.line_with("cannot load the readiness file").await;
        assert_contains("the log", &line, "use a regular file");
        let metrics = wait_for_metric(&exporter, "readiness_readable", 0.0).await;
        assert!(metrics.value("file_read_failures_total{file=\"readiness\"}") >= Some(1.0));
        metrics.expect("accounts{email=\"confirmed\",kind=\"user\"}", 4.0);

        replace_by_text(&path, &ACCOUNTS.replace('4', "5"));
        exporter.line_with("readiness file loaded").await;
        let metrics = wait_for_metric(&exporter, "readiness_readable", 1.0).await;
        metrics.expect("accounts{email=\"confirmed\",kind=\"user\"}", 5.0);
        replace(&path);
        exporter.line_with("cannot load the readiness file").await;
        stops(exporter).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_of_roots_without_an_end_keeps_the_active_configuration() {
    let config = ConfigFile::new("targets: []\n");
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    for replace in [replace_by_link_to_zeros, replace_by_named_pipe] {
        replace(&config.directory().join("roots.pem"));
        replace_by_text(
            &config.path(),
            "targets: []\nmodules: {other: {tls: {ca_file: roots.pem}}}\n",
        );
        let id = exporter.child.id().unwrap().to_string();
        let hangup = std::process::Command::new("kill")
            .args(["-HUP", &id])
            .status();
        assert!(hangup.unwrap().success());
        let line = exporter.line_with("configuration reload failed").await;
        assert_contains("the log", &line, "use a regular file");
    }
    let metrics = wait_for_metric(&exporter, "config_last_reload_successful", 0.0).await;
    assert_eq!(
        metrics.value("file_read_failures_total{file=\"roots\"}"),
        Some(2.0)
    );
    stops(exporter).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn named_pipes_in_the_data_directory_stop_neither_the_start_nor_the_stop() {
    let config = ConfigFile::new(
        "data_directory: data\nprobe: {interval: 10s, timeout: 9s}\n\
         targets: [{name: sso, url: \"https://127.0.0.1:1/\"}]\n",
    );
    let data = config.directory().join("data");
    std::fs::create_dir_all(data.join("evidence")).unwrap();
    let files = ["state.json", "evidence/2026.jsonl", "evidence/lock"];
    for file in files {
        replace_by_named_pipe(&data.join(file));
    }
    let mut exporter = Exporter::start(&[&config.argument()]).await;
    exporter.line_with("cannot read the evidence").await;
    let series = "probe_success{role=\"login\",target=\"sso\"}";
    let metrics = wait_for_metric(&exporter, series, 0.0).await;
    for file in ["state", "evidence"] {
        let series = format!("file_read_failures_total{{file=\"{file}\"}}");
        assert!(metrics.value(&series) >= Some(1.0), "{}", metrics.text);
    }
    stops(exporter).await;

    for arguments in [
        ["verify", "--record", "sso"].as_slice(),
        ["evidence", "check"].as_slice(),
    ] {
        let output = run(&[&[config.argument().as_str()], arguments].concat()).await;
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {output:?}");
        assert_contains("the error", &error_of(&output), "use a regular file");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_refuse_configuration_files_without_an_end() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    replace_by_named_pipe(&pipe);
    for path in ["/dev/zero", pipe.to_str().unwrap()] {
        let config = format!("--config.file={path}");
        let web = format!("--web.config.file={path}");
        for arguments in [
            [config.as_str(), "check"].as_slice(),
            [web.as_str(), "check"].as_slice(),
            [config.as_str()].as_slice(),
            ["check", "--from-blackbox", path].as_slice(),
        ] {
            let output = run(arguments).await;
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
            let error = error_of(&output);
            assert_contains("the error", &error, path);
            assert_contains("the error", &error, "use a regular file");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn platform_roots_without_an_end_are_a_warning() {
    let config = ConfigFile::new("targets: []\n");
    let mut check = command();
    check.args([&config.argument(), "verify", "https://127.0.0.1:1/"]);
    let output = output_of(check.env("SSL_CERT_FILE", "/dev/zero")).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = error_of(&output);
    assert_contains("the log", &error, "root certificates cannot be read");
}
