//! Whose files are, who may write them, and what to do where access is denied. New files get the owner or
//! the access rights of their directory, so that the service can append to what an operator began.

use std::io;
use std::path::{Path, PathBuf};

use crate::input_file;

/// The end of an error message; empty for errors other than denied access.
pub fn advice(path: &Path, error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return String::new();
    }
    describe(path).unwrap_or_default()
}

/// Who may write into a directory.
#[derive(Debug)]
pub enum Access {
    /// By owner, group and mode, as on Unix.
    Mode(Mode),
    /// By a list of users and groups, as on Windows.
    List,
}

#[derive(Debug)]
pub struct Mode {
    /// Name and number.
    pub owner: String,
    pub group: String,
    pub owner_may_write: bool,
    pub group_may_write: bool,
    pub everybody_may_write: bool,
    /// Files in it that its owner may not write.
    pub foreign: Vec<PathBuf>,
}

#[cfg(unix)]
mod unix {
    use std::fs::{self, Metadata, OpenOptions, Permissions};
    use std::io::Read;
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};

    use super::*;

    const SETGID: u32 = 0o2000;
    /// Of `/etc/passwd` and `/etc/group`.
    const MAX_BYTES: u64 = 1 << 20;

    pub fn describe(path: &Path) -> Option<String> {
        let process = process()?;
        let (existing, denied) = existing(path)?;
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

    /// The command line of this process, run by the owner of `path`.
    pub fn command_of_owner(path: &Path) -> Option<String> {
        let (_, found) = existing(path)?;
        let user =
            name("/etc/passwd", found.uid()).unwrap_or_else(|| format!("'#{}'", found.uid()));
        let arguments = std::env::args_os().map(|one| quoted(&one.to_string_lossy()));
        let command: Vec<String> = arguments.collect();
        Some(format!("sudo -u {user} {}", command.join(" ")))
    }

    fn quoted(argument: &str) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
        if !argument.is_empty() && argument.chars().all(is_plain) {
            argument.to_owned()
        } else {
            format!("'{}'", argument.replace('\'', "'\\''"))
        }
    }

    /// Gives what was just created the owner and access rights of its directory, if root created it or if
    /// the directory has the setgid bit, which its group shares. Where that fails, the other's append
    /// fails and says why.
    pub fn inherit_access(path: &Path) {
        let is_root = process().is_some_and(|process| process.uid() == 0);
        let Ok(directory) = input_file::stat(path.parent().unwrap_or(Path::new("."))) else {
            return;
        };
        let belongs_to_root = directory.uid() == 0 && directory.gid() == 0;
        if (is_root && !belongs_to_root) || directory.mode() & SETGID != 0 {
            let _ = copy_access(&directory, path, is_root);
        }
    }

    /// Changes what is opened, and only if it is not a link: the owner of the directory must not get root
    /// to give away another file.
    #[expect(
        clippy::disallowed_methods,
        reason = "it may be a directory, and nothing is read"
    )]
    fn copy_access(directory: &Metadata, path: &Path, is_root: bool) -> io::Result<()> {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path)?;
        let found = file.metadata()?;
        let rights = match (found.is_dir(), found.is_file() && found.nlink() == 1) {
            (true, _) => 0o7777,
            (false, true) => 0o666,
            (false, false) => return Ok(()),
        };
        if is_root {
            fchown(&file, Some(directory.uid()), Some(directory.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(directory.mode() & rights))
    }

    /// `None` if the directory does not exist.
    pub fn access(directory: &Path) -> Option<Access> {
        let found = input_file::stat(directory).ok()?;
        let evidence = directory.join("evidence");
        let mut inside = vec![directory.join("state.json"), directory.join("serve.lock")];
        inside.push(evidence.clone());
        if let Ok(entries) = fs::read_dir(&evidence) {
            inside.extend(entries.flatten().map(|entry| entry.path()));
        }
        let may_write = |file: &Metadata| {
            file.uid() == found.uid()
                || file.gid() == found.gid() && file.mode() & 0o020 != 0
                || file.mode() & 0o002 != 0
        };
        inside.retain(|path| input_file::stat(path).is_ok_and(|file| !may_write(&file)));
        inside.sort();
        let named = |file, id| match name(file, id) {
            Some(name) => format!("{name} ({id})"),
            None => id.to_string(),
        };
        Some(Access::Mode(Mode {
            owner: named("/etc/passwd", found.uid()),
            group: named("/etc/group", found.gid()),
            owner_may_write: found.mode() & 0o200 != 0,
            group_may_write: found.mode() & 0o020 != 0,
            everybody_may_write: found.mode() & 0o002 != 0,
            foreign: if found.uid() == 0 { Vec::new() } else { inside },
        }))
    }

    /// What does not exist cannot be created in the directory above it.
    fn existing(path: &Path) -> Option<(&Path, Metadata)> {
        let found = |path| Some((path, input_file::stat(path).ok()?));
        path.ancestors().find_map(found)
    }

    /// Its owner is the user of this process.
    fn process() -> Option<Metadata> {
        input_file::stat(Path::new("/proc/self")).ok()
    }

    /// The name with that number in a file like `/etc/passwd`.
    fn name(file: &str, id: u32) -> Option<String> {
        let file = input_file::open(Path::new(file), OpenOptions::new().read(true)).ok()?;
        let mut text = String::new();
        file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
        text.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
        })
    }
}

#[cfg(unix)]
use unix::describe;
#[cfg(unix)]
pub use unix::{access, command_of_owner, inherit_access};

#[cfg(windows)]
mod windows {
    use super::*;

    pub fn describe(path: &Path) -> Option<String> {
        let found = |path| Some((path, input_file::stat(path).ok()?));
        let (existing, denied) = path.ancestors().find_map(found)?;
        let existing = existing.display();
        if denied.is_file() && denied.permissions().readonly() {
            return Some(format!(
                "; it is marked as read-only. Remove the mark: attrib -R \"{existing}\""
            ));
        }
        let (user, inherited) = (user()?, if denied.is_dir() { "(OI)(CI)" } else { "" });
        Some(format!(
            "; this process is user {user}. Have an administrator allow that user to write: \
             icacls \"{existing}\" /grant \"{user}:{inherited}M\". If that user may, another program holds the \
             file: close it"
        ))
    }

    /// The user of this process, with its domain.
    fn user() -> Option<String> {
        let user = std::env::var("USERNAME").ok()?;
        Some(match std::env::var("USERDOMAIN") {
            Ok(domain) => format!("{domain}\\{user}"),
            Err(_) => user,
        })
    }

    /// Running a command as another user needs that user's password.
    pub fn command_of_owner(_path: &Path) -> Option<String> {
        None
    }

    /// Windows itself gives what is new the access rights of its directory.
    pub fn inherit_access(_path: &Path) {}

    /// `None` if the directory does not exist.
    pub fn access(directory: &Path) -> Option<Access> {
        input_file::stat(directory).ok().map(|_| Access::List)
    }
}

#[cfg(windows)]
use windows::describe;
#[cfg(windows)]
pub use windows::{access, command_of_owner, inherit_access};
