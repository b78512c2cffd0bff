//! The web configuration: files that are right, and each mistake with exactly what is said of it
//! (`make documents` writes that; read it).

use harness::documents::{repository, updating};
use std::fs;
use std::path::PathBuf;

use ccass_2fa_exporter::config::WebConfig;
use ccass_2fa_lab::{Authority, Identity, Leaf};
use tempfile::TempDir;

/// The files of `tests/cli/web_config_files/KIND` in a directory of their own, beside a server's certificate
/// with its key, a CA, and a key that belongs to nothing. A line `INLINE server.crt` becomes the
/// lines of that file, as deep as it stands.
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

/// The configurations in a directory, by name.
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
fn every_good_file_is_accepted_and_every_bad_one_is_told_exactly_what_is_wrong() {
    let mut differences = Vec::new();
    let good = files("good");
    let accepted = configurations(&good);
    for path in &accepted {
        if let Err(error) = WebConfig::load(Some(path)) {
            differences.push(error.to_string());
        }
    }
    let bad = files("bad");
    let refused = configurations(&bad);
    for path in &refused {
        let name = path.with_extension("txt");
        let name = source().join("bad").join(name.file_name().unwrap());
        let expected = fs::read_to_string(&name).unwrap();
        let told = match WebConfig::load(Some(path)) {
            Ok(config) => format!("{} is accepted: {config:?}\n", path.display()),
            Err(error) => format!("{error}\n"),
        };
        let told = told.replace(&format!("{}/", bad.path().display()), "");
        if updating() {
            fs::write(name, told).unwrap();
        } else if told != expected {
            differences.push(format!("{told}is not\n{expected}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(accepted.len() > 20 && refused.len() > 40);
}
