//! Files of this repository that tests compare with the code and `make documents` rewrites.

use std::path::{Path, PathBuf};

/// A path inside the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the harness is in tests/harness")
        .join(path)
}

/// The text of a file of the repository, by its path inside it.
pub fn read(path: &str) -> String {
    let path = repository(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether this run rewrites the documents instead of comparing them.
pub fn updating() -> bool {
    std::env::var_os("UPDATE_DOCUMENTS").is_some()
}

/// Fails unless the file contains exactly `expected`; `make documents` writes it first.
#[track_caller]
pub fn assert_document(path: &str, expected: &str) {
    if updating() {
        std::fs::write(repository(path), expected).expect("the repository is writable");
    }
    let actual = read(path);
    if actual == expected {
        return;
    }
    let line = actual
        .lines()
        .zip(expected.lines())
        .position(|(old, new)| old != new)
        .unwrap_or_else(|| actual.lines().count().min(expected.lines().count()));
    panic!(
        "{path} differs from the code at line {}; run make documents and review the change.\n\
         file: {:?}\ncode: {:?}",
        line + 1,
        actual.lines().nth(line).unwrap_or_default(),
        expected.lines().nth(line).unwrap_or_default()
    );
}
