//! The system's hosts file.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::path::PathBuf;

use hickory_resolver::Hosts;

use crate::input_file;

/// Larger than the lists of blocked names that some hosts have there.
const MAX_BYTES: u64 = 16 << 20;

/// Reads the file as it is now. It need not be UTF-8: what is not, such as a comment in Latin-1, hides no other
/// line, as with the C library.
///
/// # Errors
/// The file is missing or cannot be read.
pub(super) fn read() -> io::Result<Hosts> {
    let file = input_file::open(&path(), OpenOptions::new().read(true))?;
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text)?;
    let mut hosts = Hosts::default();
    hosts.read_hosts_conf(String::from_utf8_lossy(&text).as_bytes())?;
    Ok(hosts)
}

#[cfg(not(windows))]
fn path() -> PathBuf {
    PathBuf::from("/etc/hosts")
}

#[cfg(windows)]
fn path() -> PathBuf {
    let root = std::env::var_os("SystemRoot").unwrap_or_else(|| r"C:\Windows".into());
    PathBuf::from(root).join(r"System32\drivers\etc\hosts")
}
