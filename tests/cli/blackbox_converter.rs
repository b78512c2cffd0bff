//! Converts configurations of blackbox_exporter, compares the output with files of this repository,
//! and loads it. `make documents` rewrites the files; review the difference.

use harness::documents::{repository, updating};
use std::fmt::Write as _;
use std::path::PathBuf;

use ccass_2fa_exporter::config::Config;
use ccass_2fa_exporter::config::blackbox::convert;
use ccass_2fa_lab::Authority;

fn inputs() -> Vec<PathBuf> {
    let directory = repository("tests/cli/blackbox_config");
    let entries = std::fs::read_dir(directory).expect("a directory");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.retain(|path| {
        !path.to_string_lossy().contains(".modules.")
            && path.extension().is_some_and(|extension| extension == "yml")
    });
    paths.sort();
    assert!(paths.len() >= 5);
    paths
}

#[track_caller]
fn assert_file(path: PathBuf, actual: &str) {
    if updating() {
        std::fs::write(&path, actual).expect("a file");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{}", path.display());
}

#[test]
fn files_convert_to_expected_modules_and_unsupported_settings() {
    for path in inputs() {
        let text = std::fs::read_to_string(&path).unwrap();
        let converted = convert(&text, &path).unwrap_or_else(|errors| panic!("{errors}"));
        let mut left = String::new();
        for setting in &converted.unsupported {
            writeln!(
                left,
                "{}: {}: {}",
                setting.module, setting.key, setting.message
            )
            .unwrap();
        }
        assert!(!left.contains("hunter2") && !converted.modules.contains("hunter2"));
        assert_file(path.with_extension("modules.yml"), &converted.modules);
        assert_file(path.with_extension("left.txt"), &left);
    }
}

#[test]
fn converted_modules_load_as_configuration() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("ca.pem"),
        Authority::new("Any").root_pem(),
    )
    .unwrap();
    for path in inputs() {
        let text = std::fs::read_to_string(&path).unwrap();
        let converted = convert(&text, &path).unwrap();
        let config = Config::parse(&converted.modules, &directory.path().join("ccass.yml"));
        let config = config.unwrap_or_else(|errors| panic!("{}: {errors}", path.display()));
        assert!(config.modules.len() > 1, "{}", path.display());
    }
}

#[tokio::test]
async fn check_prints_modules_to_stdout_and_unsupported_settings_to_stderr() {
    let path = inputs().remove(0);
    let output =
        harness::exporter::run(&["check", "--from-blackbox", &path.display().to_string()]).await;
    assert_eq!(output.status.code(), Some(0));
    let modules = std::fs::read_to_string(path.with_extension("modules.yml")).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), modules);
    let left = std::fs::read_to_string(path.with_extension("left.txt")).unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), left);
}

#[tokio::test]
async fn invalid_or_missing_file_is_reported() {
    let broken = harness::exporter::ConfigFile::new("modules: [\n");
    let other = harness::exporter::ConfigFile::new("site: central\n");
    for (path, message) in [
        (broken.path().display().to_string(), "ccass.yml:"),
        (
            other.path().display().to_string(),
            "ccass.yml:1:1: unknown key \"site\"; known keys: modules",
        ),
        (
            "/nowhere/blackbox.yml".to_owned(),
            "cannot read /nowhere/blackbox.yml",
        ),
    ] {
        let output = harness::exporter::run(&["check", "--from-blackbox", &path]).await;
        assert_eq!(output.status.code(), Some(2));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(message), "{stderr}");
    }
}
