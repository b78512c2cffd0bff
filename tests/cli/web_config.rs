//! The web configuration: valid files load, and each invalid one has its exact message (`make
//! documents` rewrites the messages; review the difference).

use harness::documents::{repository, updating};
use std::fs;
use std::path::PathBuf;

use ccass_2fa_exporter::config::WebConfig;
use ccass_2fa_lab::{Authority, Identity, Leaf};
use tempfile::TempDir;

/// Copies the files of `tests/cli/web_config_files/KIND` into a temporary directory, together with a
/// server certificate and its key, a CA, and the key of another certificate. A line `INLINE server.crt`
/// is replaced with the lines of that file, with the same indentation.
fn files(kind: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("Web");
    let pem = |identity: Identity| {
        let own = tempfile::tempdir().unwrap();
        let (chain, key) = identity.write_pem(own.path()).unwrap();
        (
            fs::read_to_string(chain).unwrap(),
            fs::read_to_string(key).unwrap(),
        )
    };
    let (certificate, key) = pem(authority.issue(&Leaf::for_name("localhost")));
    let (_, other) = pem(authority.issue(&Leaf::for_name("other.test")));
    let pem = [
        ("server.crt", certificate),
        ("server.key", key),
        ("ca.crt", authority.root_pem()),
        ("other.key", other),
    ];
    for (name, text) in &pem {
        fs::write(directory.path().join(name), text).unwrap();
    }
    for entry in fs::read_dir(source().join(kind)).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let text: String = text.lines().map(|line| inlined(line, &pem)).collect();
        fs::write(directory.path().join(path.file_name().unwrap()), text).unwrap();
    }
    directory
}

fn source() -> PathBuf {
    repository("tests/cli/web_config_files")
}

fn inlined(line: &str, pem: &[(&str, String)]) -> String {
    let Some((indent, name)) = line.split_once("INLINE ") else {
        return format!("{line}\n");
    };
    let (_, text) = pem.iter().find(|(known, _)| *known == name).unwrap();
    text.lines()
        .map(|line| format!("{indent}{line}\n"))
        .collect()
}

/// The configurations in a directory, sorted by name.
fn configurations(directory: &TempDir) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .collect();
    paths.sort();
    paths
}

#[test]
fn valid_files_load_and_invalid_files_have_exact_messages() {
    let mut differences = Vec::new();
    let good = files("good");
    let accepted = configurations(&good);
    for path in &accepted {
        if let Err(error) = WebConfig::load(Some(path)) {
            differences.push(error.to_string());
        }
    }
    let bad = files("bad");
    let rejected = configurations(&bad);
    for path in &rejected {
        let name = path.with_extension("txt");
        let name = source().join("bad").join(name.file_name().unwrap());
        let expected = fs::read_to_string(&name).unwrap();
        let message = match WebConfig::load(Some(path)) {
            Ok(config) => format!("{} is accepted: {config:?}\n", path.display()),
            Err(error) => format!("{error}\n"),
        };
        let message = message.replace(&format!("{}/", bad.path().display()), "");
        if updating() {
            fs::write(name, message).unwrap();
        } else if message != expected {
            differences.push(format!("got:\n{message}expected:\n{expected}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(accepted.len() > 20 && rejected.len() > 40);
}
