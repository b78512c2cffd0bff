//! Writes to standard output and standard error: nothing else does (`clippy.toml`).
//!
//! Text may contain what somebody else wrote: a server, a file, a file name. On its way out every character
//! that moves the cursor, erases or hides text or changes its direction becomes an escape such as
//! `\u001b`, which is also valid in JSON. Line breaks and the colors of this program stay.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use terminal_size::{Height, Width, terminal_size_of};

/// Parameters of the escape sequences for colors that this program and its command-line parser use. The
/// one that hides text is not among them.
const STYLES: [&str; 9] = ["", "0", "1", "2", "4", "31", "32", "33", "36"];

/// Whether a terminal shows something other than this character for it.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text for one line: also without line breaks.
pub fn single_line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Text of several lines.
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |rest| {
        rest.starts_with(['\n', '\t']) || rest.starts_with("\r\n")
    })
}

/// Writes to standard output.
///
/// # Errors
/// It cannot be written.
#[expect(clippy::disallowed_methods, reason = "the module that writes")]
pub fn write_output(text: &str) -> io::Result<()> {
    anstream::stdout().write_all(lines(text).as_bytes())
}

/// Writes to standard error.
///
/// # Errors
/// It cannot be written.
#[expect(clippy::disallowed_methods, reason = "the module that writes")]
pub fn write_error(text: &str) -> io::Result<()> {
    let mut stderr = anstream::stderr();
    stderr.write_all(lines(text).as_bytes())?;
    stderr.flush()
}

/// Replaces the last `count` lines of the terminal that is standard error.
#[expect(clippy::disallowed_methods, reason = "the module that writes")]
pub fn replace_error_lines(count: usize, text: &str) {
    let erasure = match count {
        0 => String::new(),
        // Moves the cursor up and clears from there.
        count => format!("\x1b[{count}A\x1b[J"),
    };
    // The terminal is closed: there is nowhere to report that.
    let _ = io::stderr().write_all(format!("{erasure}{}", lines(text)).as_bytes());
}

/// The columns and rows of the terminal that is standard error.
#[expect(clippy::disallowed_methods, reason = "the module that writes")]
pub fn error_size() -> Option<(u16, u16)> {
    let size = terminal_size_of(io::stderr());
    size.map(|(Width(columns), Height(rows))| (columns, rows))
}

/// Whether the terminal calls itself one that cannot color text or move its cursor.
pub fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb") || !reads_escape_sequences()
}

/// The console of Windows reads them from Windows 10 on, once that is enabled.
#[cfg(windows)]
fn reads_escape_sequences() -> bool {
    // `None`: it is no console.
    anstyle_query::windows::enable_ansi_colors() != Some(false)
}

#[cfg(not(windows))]
fn reads_escape_sequences() -> bool {
    true
}

#[expect(clippy::disallowed_methods, reason = "the module that writes")]
pub fn is_error_terminal() -> bool {
    io::stderr().is_terminal()
}

/// The columns of the terminal that is standard output.
#[expect(clippy::disallowed_methods, reason = "the module that writes")]
pub fn output_columns() -> Option<u16> {
    terminal_size_of(io::stdout()).map(|(Width(columns), _)| columns)
}

/// Escapes every unsafe character that does not begin a color, or what `is_kept` accepts.
fn escape(text: &str, is_kept: impl Fn(&str) -> bool) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = style_length(rest).unwrap_or(c.len_utf8());
        let (piece, after) = rest.split_at(length);
        if !is_unsafe(c) || length > 1 && c == '\x1b' || is_kept(rest) {
            safe.push_str(piece);
        } else {
            // Writing to a string does not fail.
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        }
        rest = after;
    }
    Cow::Owned(safe)
}

/// The length of the color sequence at the beginning.
fn style_length(text: &str) -> Option<usize> {
    let (parameters, _) = text.strip_prefix("\x1b[")?.split_once('m')?;
    let is_style = parameters.split(';').all(|one| STYLES.contains(&one));
    is_style.then_some("\x1b[".len() + parameters.len() + "m".len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_erases_or_hides_is_escaped() {
        for (text, safe) in [
            ("a\x1b[2K\x1b[1Ab", "a\\u001b[2K\\u001b[1Ab"),
            ("a\r b", "a\\u000d b"),
            ("\x1b[8mhidden", "\\u001b[8mhidden"),
            ("\x1b]0;title\x07", "\\u001b]0;title\\u0007"),
            ("\u{9b}2J \u{202e}", "\\u009b2J \\u202e"),
            ("a\nb", "a\\u000ab"),
        ] {
            assert_eq!(single_line(text), safe);
        }
    }

    #[test]
    fn colors_line_breaks_and_all_scripts_stay() {
        for text in [
            "\x1b[1m\x1b[31mbad\x1b[0m\n\tnext\r\n",
            "中央結算系統 – ö",
            "{\"a\": 1}\n",
        ] {
            assert_eq!(lines(text), text);
        }
    }
}
