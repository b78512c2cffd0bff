//! Says whose a file or directory is and who must own it, where access to it is denied; and gives new
//! files the access rights of a directory that a group shares.

use std::io;
use std::path::Path;

use crate::input_file;

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
    let process = input_file::stat(Path::new("/proc/self")).ok()?;
    // What does not exist cannot be created in the directory above it.
    let existing = path
        .ancestors()
        .find(|path| input_file::stat(path).is_ok())?;
    let denied = input_file::stat(existing).ok()?;
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

/// In a directory with the setgid bit, which its group shares, gives a new file or directory the access
/// rights of that directory, whatever the umask: the service appends to what an operator began, and the
/// reverse. Where that fails, the other's append fails and says why.
#[cfg(unix)]
pub fn share_with_group(path: &Path) {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    const SETGID: u32 = 0o2000;
    let directory = input_file::stat(path.parent().unwrap_or(Path::new(".")));
    let mode = directory.map_or(0, |directory| directory.permissions().mode());
    if mode & SETGID != 0 {
        let rights = if input_file::stat(path).is_ok_and(|found| found.is_dir()) {
            0o7777
        } else {
            0o666
        };
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(mode & rights));
    }
}

#[cfg(not(unix))]
pub fn share_with_group(_path: &Path) {}
