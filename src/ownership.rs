//! Says whose a file or directory is and who must own it, where access to it is denied.

use std::io;
use std::path::Path;

/// The end of an error message; empty for errors other than denied access.
pub fn advice(path: &Path, error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return String::new();
    }
    describe(path).unwrap_or_default()
}

#[cfg(unix)]
fn describe(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    // Its owner is the user of this process.
    let process = std::fs::metadata("/proc/self").ok()?;
    // What does not exist cannot be created in the directory above it.
    let existing = path.ancestors().find(|path| path.exists())?;
    let denied = std::fs::metadata(existing).ok()?;
    let path = existing.display();
    Some(format!(
        "; {path} belongs to user {}, group {}, mode {:o}, and this process is user {user}, group {}. \
         Change the owner (chown {user} {path}), or add the user to a group that may write there",
        denied.uid(),
        denied.gid(),
        denied.mode() & 0o7777,
        process.gid(),
        user = process.uid(),
    ))
}

#[cfg(not(unix))]
fn describe(_path: &Path) -> Option<String> {
    None
}
