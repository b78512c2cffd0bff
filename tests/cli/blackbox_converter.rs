//! From a blackbox.yml to modules of ours: exactly this comes out, and it is read by our own reader.
//! `make documents` writes what comes out; read it.

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
            && path.extension().is_some_and(|it| it == "yml")
    });
    paths.sort();
    assert!(paths.len() >= 5);
    paths
}

#[track_caller]
fn assert_file(path: PathBuf, told: &str) {
    if updating() {
        std::fs::write(&path, told).expect("a file");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(told, expected, "{}", path.display());
}

#[test]
fn each_file_becomes_exactly_these_modules_and_says_what_it_leaves() {
    for path in inputs() {
        let text = std::fs::read_to_string(&path).unwrap();
        let converted = convert(&text, &path).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let mut left = String::new();
        for one in &converted.left {
            writeln!(left, "{}: {}: {}", one.module, one.key, one.message).unwrap();
        }
        assert!(!left.contains("hunter2") && !converted.modules.contains("hunter2"));
        assert_file(path.with_extension("modules.yml"), &converted.modules);
        assert_file(path.with_extension("left.txt"), &left);
    }
}

#[test]
fn what_comes_out_is_a_configuration_of_ours() {
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
        let config = config.unwrap_or_else(|mistakes| panic!("{}\n{mistakes}", converted.modules));
        assert!(config.modules.len() > 1, "{}", path.display());
    }
}

#[tokio::test]
async fn check_prints_the_modules_and_names_what_is_left_apart() {
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
async fn a_file_that_is_no_yaml_or_not_there_is_told() {
    let broken = harness::exporter::ConfigFile::new("modules: [\n");
    for (path, words) in [
        (broken.path().display().to_string(), "ccass.yml:"),
        (
            "/nowhere/blackbox.yml".to_owned(),
            "cannot read /nowhere/blackbox.yml",
        ),
    ] {
        let output = harness::exporter::run(&["check", "--from-blackbox", &path]).await;
        assert_eq!(output.status.code(), Some(2));
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(words), "{told}");
    }
}
