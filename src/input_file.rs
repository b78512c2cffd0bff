//! Opens and reads every file that the exporter uses.
//!
//! Only regular files are opened, without blocking; at most the limit and one byte are read, whatever
//! the metadata says; and each operation has a deadline, after which its thread is abandoned: a call on
//! a dead network file system cannot be interrupted. `clippy.toml` bans the other ways to open a file.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, SystemTime};

use strum::IntoStaticStr;

use crate::lock::lock;

/// What a file is for: a label of the metric of failed reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum InputFile {
    Config,
    WebConfig,
    /// Certificate or key of the listener.
    TlsKey,
    Roots,
    Readiness,
    Timetable,
    Calendar,
    Credentials,
    State,
    Evidence,
}

impl InputFile {
    pub const ALL: [Self; 10] = [
        Self::Config,
        Self::WebConfig,
        Self::TlsKey,
        Self::Roots,
        Self::Readiness,
        Self::Timetable,
        Self::Calendar,
        Self::Credentials,
        Self::State,
        Self::Evidence,
    ];

    /// The maximum size of the file.
    pub const fn max_bytes(self) -> u64 {
        match self {
            Self::Credentials => 64 << 10,
            Self::WebConfig | Self::TlsKey | Self::Timetable | Self::Calendar => 1 << 20,
            Self::Config | Self::Roots => 16 << 20,
            Self::Readiness => 64 << 20,
            // Three months of each target's history; a year of records.
            Self::State | Self::Evidence => 1 << 30,
        }
    }

    /// The deadline of one operation.
    pub const fn timeout(self) -> Duration {
        match self {
            // A whole year, behind the lock of another writer.
            Self::Evidence => Duration::from_secs(30),
            Self::State => Duration::from_secs(10),
            _ => Duration::from_secs(5),
        }
    }

    /// Counts a failed read.
    pub fn count_failure(self) {
        if let Some(counter) = FAILURES.get(self as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The failed reads of this process.
    pub fn failures(self) -> u64 {
        let counter = FAILURES.get(self as usize);
        counter.map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}

/// Of the whole process, as the log is.
static FAILURES: [AtomicU64; InputFile::ALL.len()] =
    [const { AtomicU64::new(0) }; InputFile::ALL.len()];

/// Operations whose deadline passed before they ended, while they run.
static ABANDONED: Mutex<Vec<(PathBuf, Weak<()>)>> = Mutex::new(Vec::new());

/// A file as it was read.
pub struct Contents {
    pub bytes: Vec<u8>,
    pub modified: SystemTime,
}

/// Reads a file.
///
/// # Errors
/// The file is missing, is not a regular file, is too large, cannot be read, or does not answer within
/// the timeout.
pub fn read(file: InputFile, path: &Path) -> io::Result<Contents> {
    let target = path.to_owned();
    let result = with_deadline(file, path, move || {
        read_opened(open(&target, OpenOptions::new().read(true))?, file)
    });
    result.flatten().inspect_err(|error| {
        let is_first_start = matches!(file, InputFile::State | InputFile::Evidence);
        // `with_deadline` has counted a timeout.
        if error.kind() != ErrorKind::TimedOut
            && !(is_first_start && error.kind() == ErrorKind::NotFound)
        {
            file.count_failure();
        }
    })
}

/// Reads a file of text, as [`read`] does.
///
/// # Errors
/// Also if the file is not UTF-8.
pub fn read_to_string(file: InputFile, path: &Path) -> io::Result<String> {
    String::from_utf8(read(file, path)?.bytes)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "not UTF-8"))
}

/// The metadata of a file or directory.
///
/// # Errors
/// It is missing, or its file system does not answer within the timeout.
pub fn metadata(file: InputFile, path: &Path) -> io::Result<Metadata> {
    let target = path.to_owned();
    with_deadline(file, path, move || stat(&target)).flatten()
}

/// Whether there is such a directory.
pub fn is_directory(file: InputFile, path: &Path) -> bool {
    metadata(file, path).is_ok_and(|found| found.is_dir())
}

/// The metadata, without a deadline: for work that has one.
///
/// # Errors
/// There is no such file.
#[expect(clippy::disallowed_methods, reason = "the module that opens files")]
pub fn stat(path: &Path) -> io::Result<Metadata> {
    fs::metadata(path)
}

/// Opens a regular file without blocking. It has no deadline: for work that has one.
///
/// # Errors
/// It cannot be opened, or is not a regular file.
pub fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    open_with_flags(path, options, 0)
}

/// Opens a file to write as [`open`] does, unless it is a symbolic link: root must not write
/// where the owner of the directory, another user, has pointed it.
///
/// # Errors
/// It cannot be opened, is not a regular file, or is a link.
pub fn open_to_write(path: &Path, options: &OpenOptions) -> io::Result<File> {
    open_with_flags(path, options, system::NO_LINK)
}

#[expect(clippy::disallowed_methods, reason = "the module that opens files")]
fn open_with_flags(path: &Path, options: &OpenOptions, flags: system::Flags) -> io::Result<File> {
    let mut options = options.clone();
    options.custom_flags(system::ALWAYS | flags);
    let file = options
        .open(path)
        .map_err(|error| system::open_error(path, error))?;
    let kind = file.metadata().map_err(system::kind_error)?.file_type();
    if kind.is_file() {
        Ok(file)
    } else if kind.is_dir() {
        Err(not_regular("a directory"))
    } else if kind.is_symlink() {
        Err(not_regular("a symbolic link"))
    } else {
        Err(not_regular(SPECIAL))
    }
}

#[cfg(unix)]
mod system {
    pub use std::os::unix::fs::OpenOptionsExt;

    use super::*;

    pub type Flags = i32;
    /// Opening a named pipe would wait for its other end.
    pub const ALWAYS: Flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    pub const NO_LINK: Flags = libc::O_NOFOLLOW;

    pub fn open_error(_path: &Path, error: io::Error) -> io::Error {
        match error.raw_os_error() {
            Some(libc::ELOOP) => not_regular("a symbolic link"),
            // A named pipe without a reader, and a socket.
            Some(libc::ENXIO) => not_regular(SPECIAL),
            _ => error,
        }
    }

    pub fn kind_error(error: io::Error) -> io::Error {
        error
    }
}

#[cfg(windows)]
mod system {
    pub use std::os::windows::fs::OpenOptionsExt;

    use super::*;

    pub type Flags = u32;
    pub const ALWAYS: Flags = 0;
    /// `FILE_FLAG_OPEN_REPARSE_POINT`: the link itself is opened, and then refused.
    pub const NO_LINK: Flags = 0x0020_0000;
    const ERROR_INVALID_FUNCTION: i32 = 1;
    const ERROR_INVALID_PARAMETER: i32 = 87;

    /// Windows denies the access to a directory.
    pub fn open_error(path: &Path, error: io::Error) -> io::Error {
        let is_denied = error.kind() == ErrorKind::PermissionDenied;
        if is_denied && stat(path).is_ok_and(|found| found.is_dir()) {
            not_regular("a directory")
        } else {
            error
        }
    }

    /// Pipes and devices such as `NUL` have no metadata.
    pub fn kind_error(error: io::Error) -> io::Error {
        match error.raw_os_error() {
            Some(ERROR_INVALID_FUNCTION | ERROR_INVALID_PARAMETER) => not_regular(SPECIAL),
            _ => error,
        }
    }
}

use system::OpenOptionsExt as _;

const SPECIAL: &str = "a named pipe, a socket or a device";

fn not_regular(found: &str) -> io::Error {
    io::Error::new(
        ErrorKind::InvalidInput,
        format!("it is {found}; use a regular file"),
    )
}

fn read_opened(opened: File, file: InputFile) -> io::Result<Contents> {
    let modified = opened.metadata()?.modified()?;
    let mut bytes = Vec::new();
    opened.take(file.max_bytes() + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > file.max_bytes() {
        return Err(too_large(file));
    }
    Ok(Contents { bytes, modified })
}

/// The error of a file that is larger than its limit.
pub fn too_large(file: InputFile) -> io::Error {
    let message = format!("it is larger than {} KiB", file.max_bytes() >> 10);
    io::Error::new(ErrorKind::FileTooLarge, message)
}

/// Runs `work`, which uses `path`, on a thread of its own until the deadline. While an abandoned
/// operation on a path runs, no other one is started, so that threads do not accumulate.
///
/// # Errors
/// The deadline passed; the work may still end later.
pub fn with_deadline<T: Send + 'static>(
    file: InputFile,
    path: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let result = run_until(file.timeout(), path, work);
    if result.is_err() {
        file.count_failure();
    }
    result
}

fn run_until<T: Send + 'static>(
    limit: Duration,
    path: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let mut abandoned = lock(&ABANDONED);
    abandoned.retain(|(_, running)| running.strong_count() > 0);
    if abandoned.iter().any(|(busy, _)| busy == path) {
        return Err(no_answer("an earlier operation on it has not ended"));
    }
    drop(abandoned);
    let running = Arc::new(());
    let watched = Arc::downgrade(&running);
    let (sender, receiver) = sync_channel(1);
    thread::Builder::new()
        .name("file".to_owned())
        .spawn(move || {
            let result = work();
            drop(running);
            // Nobody receives it after the deadline.
            let _ = sender.send(result);
        })
        .map_err(|error| {
            let text =
                format!("no thread for it ({error}); raise the limit of threads or of memory");
            io::Error::new(error.kind(), text)
        })?;
    match receiver.recv_timeout(limit) {
        Ok(result) => Ok(result),
        Err(RecvTimeoutError::Timeout) => {
            lock(&ABANDONED).push((path.to_owned(), watched));
            Err(no_answer(&format!("not within {} s", limit.as_secs_f32())))
        }
        Err(RecvTimeoutError::Disconnected) => {
            Err(io::Error::other("internal error (bug), please report it"))
        }
    }
}

fn no_answer(detail: &str) -> io::Error {
    io::Error::new(
        ErrorKind::TimedOut,
        format!("its file system does not answer ({detail}); check the disk or the network mount"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(file: InputFile, path: &str) -> String {
        match read(file, Path::new(path)) {
            Ok(_) => panic!("{path} was read"),
            Err(error) => error.to_string(),
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_regular_files_are_opened() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for path in ["/dev/zero", "/", socket.to_str().unwrap()] {
            let error = error(InputFile::Config, path);
            assert!(error.ends_with("use a regular file"), "{path}: {error}");
        }
    }

    #[test]
    fn file_that_is_longer_than_its_limit_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        let limit = InputFile::Credentials.max_bytes() as usize;
        fs::write(&path, vec![b'a'; limit]).unwrap();
        assert_eq!(
            read(InputFile::Credentials, &path).unwrap().bytes.len(),
            limit
        );
        fs::write(&path, vec![b'a'; limit + 1]).unwrap();
        let error = error(InputFile::Credentials, path.to_str().unwrap());
        assert_eq!(error, "it is larger than 64 KiB");
    }

    /// Its metadata says 0 bytes.
    #[cfg(target_os = "linux")]
    #[test]
    fn limit_counts_what_is_read_and_not_what_the_metadata_says() {
        let path = Path::new("/proc/kallsyms");
        assert_eq!(stat(path).unwrap().len(), 0);
        let error = error(InputFile::TlsKey, path.to_str().unwrap());
        assert_eq!(error, "it is larger than 1024 KiB");
    }

    #[test]
    fn operation_that_never_ends_is_abandoned_and_not_repeated() {
        let path = Path::new("/nowhere/on-a-dead-mount");
        let (answer, question) = sync_channel::<()>(0);
        let short = Duration::from_millis(10);
        let first = run_until(short, path, move || question.recv().is_ok());
        assert_eq!(first.unwrap_err().kind(), ErrorKind::TimedOut);
        let second = run_until(short, path, || panic!("it must not be started"));
        assert!(second.unwrap_err().to_string().contains("has not ended"));
        drop(answer);
        // The abandoned thread ends by itself; then the path is free.
        while run_until(InputFile::Config.timeout(), path, || ()).is_err() {
            thread::yield_now();
        }
    }
}
