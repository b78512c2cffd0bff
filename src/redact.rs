//! Removes e-mail addresses from errors, logs and responses, which may quote what somebody typed or
//! put into a file by mistake, and from the facts of a probe, which quote what a server sent.
//!
//! Texts that contain an address on purpose (contacts, the circular's enquiry line) do not pass
//! through this module.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::LazyLock;

use regex::Regex;

use crate::terminal;

/// A local part, `@` or its URL encoding, and a host name that ends in letters. A resolver such as
/// `tls://name@10.1.2.3` does not match. A backslash escapes a dot in a domain name.
#[expect(
    clippy::expect_used,
    reason = "the pattern is a constant that a test compiles"
)]
static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)(?:[^\s"'`<>(){}\[\],:;@/\\=&?#]|\\.)+(?:@|%40)(?:[\p{L}\p{N}-]+\.)+\p{L}{2,}"#,
    )
    .expect("a pattern")
});

const PLACEHOLDER: &str = "(e-mail address withheld)";

pub fn redact_emails(text: &str) -> Cow<'_, str> {
    if text.contains('@') || text.contains("%40") {
        EMAIL.replace_all(text, PLACEHOLDER)
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether an address was removed from `text`.
pub fn is_redacted(text: &str) -> bool {
    text.contains(PLACEHOLDER)
}

pub fn contains_email(text: &str) -> bool {
    EMAIL.is_match(text)
}

/// Prints a message and a newline to standard error.
pub fn print_error(message: impl std::fmt::Display) {
    let text = format!("{message}\n");
    // Standard error is closed: there is nowhere to report that.
    let _ = terminal::write_error(&redact_emails(&text));
}

/// Standard error for the log. Each `write` must be a whole log line, or an address could span two.
#[derive(Clone, Copy, Debug)]
pub struct RedactingStderr;

impl Write for RedactingStderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        terminal::write_error(&redact_emails(&text))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::redact_emails;

    #[test]
    fn email_addresses_are_redacted_in_any_context() {
        for (text, expected) in [
            (
                "site: chan@broker.example",
                "site: (e-mail address withheld)",
            ),
            (
                // A domain name with escaped dots in its first label.
                "cname chan\\.tai\\.man@broker.com.hk.",
                "cname (e-mail address withheld).",
            ),
            (
                "\"chan.tai-man+2fa@mail.broker.com.hk\" is not a name",
                "\"(e-mail address withheld)\" is not a name",
            ),
            (
                "https://sso.test/?user=chan%40broker.hk&x=1",
                "https://sso.test/?user=(e-mail address withheld)&x=1",
            ),
            ("陳@例子.公司", "(e-mail address withheld)"),
        ] {
            assert_eq!(redact_emails(text), expected);
        }
    }

    #[test]
    fn other_text_is_unchanged() {
        for text in [
            "tls://dns.example@10.1.2.3",
            "tls://dns.example@[2001:db8::1]:853",
            "at 08:05 @ the desk",
            "100 %40 b",
        ] {
            assert_eq!(redact_emails(text), text);
        }
    }
}
