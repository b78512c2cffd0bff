//! The hosts file: the addresses that it has for a name, as the C library finds them.
//!
//! The file need not be UTF-8: only the lines that name the host count. A line is an address and its
//! names; what follows a `#` is a comment.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::PathBuf;

use hickory_proto::rr::Name;

use crate::input_file;

/// Larger than the lists of blocked names that some hosts have there.
const MAX_BYTES: u64 = 16 << 20;

/// The addresses of the first of `names` that the file has, as the file is now; empty if it has none.
///
/// # Errors
/// The file is missing or cannot be read.
pub(super) fn addresses(names: &[Name]) -> io::Result<Vec<IpAddr>> {
    let file = input_file::open(&path(), OpenOptions::new().read(true))?;
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text)?;
    let mut found = names.iter().map(|name| addresses_in(&text, name));
    let first = found.find(|addresses| !addresses.is_empty());
    Ok(first.unwrap_or_default())
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

fn addresses_in(text: &[u8], name: &Name) -> Vec<IpAddr> {
    let name = name.to_ascii();
    let name = without_dot(name.as_bytes());
    // Editors of Windows put a byte order mark first.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let lines = text.split(|byte| *byte == b'\n');
    lines.filter_map(|line| address(line, name)).collect()
}

/// The address of a line that has this name.
fn address(line: &[u8], name: &[u8]) -> Option<IpAddr> {
    let line = line.split(|byte| *byte == b'#').next()?;
    let words = line.split(u8::is_ascii_whitespace);
    let mut words = words.filter(|word| !word.is_empty());
    let address = words.next()?;
    if !words.any(|word| without_dot(word).eq_ignore_ascii_case(name)) {
        return None;
    }
    str::from_utf8(address).ok()?.parse().ok()
}

fn without_dot(name: &[u8]) -> &[u8] {
    name.strip_suffix(b".").unwrap_or(name)
}
