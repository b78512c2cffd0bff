//! Replaces a file atomically by a new one in the same directory: a reader sees the old or the new contents. Syncs
//! the names of a directory.

use std::fs;
use std::io;
use std::path::Path;

/// Renames `new` to `path`.
///
/// # Errors
/// `path` is unchanged, and `new` is still there.
#[cfg(unix)]
pub fn replace(new: &Path, path: &Path) -> io::Result<()> {
    fs::rename(new, path)
}

/// Renames `new` to `path`. While another program reads `path` and does not allow its removal, as a collector
/// or a virus scanner does, it tries again.
///
/// # Errors
/// `path` is unchanged, and `new` is still there.
#[cfg(windows)]
pub fn replace(new: &Path, path: &Path) -> io::Result<()> {
    use std::time::Duration;

    use crate::clock::Stopwatch;

    /// Shorter than the deadline of any operation on a file.
    const LIMIT: Duration = Duration::from_secs(3);
    const ERROR_SHARING_VIOLATION: i32 = 32;

    let watch = Stopwatch::start();
    loop {
        match fs::rename(new, path) {
            Err(error)
                if watch.elapsed() < LIMIT
                    && (error.kind() == io::ErrorKind::PermissionDenied
                        || error.raw_os_error() == Some(ERROR_SHARING_VIOLATION)) =>
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            other => return other,
        }
    }
}

/// Syncs the directory, without which a new file's name is not on disk.
#[cfg(unix)]
#[expect(
    clippy::disallowed_methods,
    reason = "a directory is not an input file"
)]
pub fn sync_parent(path: &Path) -> io::Result<()> {
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// On Windows, syncing the file has synced its name, too: NTFS writes both to its log, in this order.
#[cfg(windows)]
pub fn sync_parent(_path: &Path) -> io::Result<()> {
    Ok(())
}
