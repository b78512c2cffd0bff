//! What may be personal is not repeated: an e-mail address that somebody put where none belongs is
//! withheld from every error, log line and answer.
//!
//! In: a text that may quote what was typed or read. Out: the same without addresses. Texts that are
//! meant to hold one (the configuration's contacts, a circular's enquiry line) do not come through here.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::LazyLock;

use regex::Regex;

/// Something, an at sign or its form in an address bar, and a host name that ends in letters. A
/// resolver written as `tls://name@10.1.2.3` is none.
#[expect(
    clippy::expect_used,
    reason = "the pattern is a constant that a test compiles"
)]
static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?i)[^\s"'`<>(){}\[\],:;@/\\=&?#]+(?:@|%40)(?:[\p{L}\p{N}-]+\.)+\p{L}{2,}"#)
        .expect("a pattern")
});

/// Stands where an address stood.
const PLACEHOLDER: &str = "(e-mail address withheld)";

/// The text without e-mail addresses.
pub fn redact_emails(text: &str) -> Cow<'_, str> {
    if text.contains('@') || text.contains("%40") {
        EMAIL.replace_all(text, PLACEHOLDER)
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether an e-mail address stands in it.
pub fn contains_email(text: &str) -> bool {
    EMAIL.is_match(text)
}

/// Says an error to whoever runs a command.
pub fn print_error(text: impl std::fmt::Display) {
    let text = format!("{text}\n");
    // There is nobody left to tell.
    let _ = anstream::stderr().write_all(redact_emails(&text).as_bytes());
}

/// Standard error, for the log: what is written in one piece is looked at in one piece.
#[derive(Clone, Copy, Debug)]
pub struct RedactingStderr;

impl Write for RedactingStderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        io::stderr().write_all(redact_emails(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::redact_emails;

    #[test]
    fn an_address_is_withheld_in_whatever_it_stands_in() {
        for (text, told) in [
            (
                "site: chan@broker.example",
                "site: (e-mail address withheld)",
            ),
            (
                "\"chan.tai-man+2fa@mail.broker.com.hk\" is no name",
                "\"(e-mail address withheld)\" is no name",
            ),
            (
                "https://sso.test/?user=chan%40broker.hk&x=1",
                "https://sso.test/?user=(e-mail address withheld)&x=1",
            ),
            ("陳@例子.公司", "(e-mail address withheld)"),
        ] {
            assert_eq!(redact_emails(text), told);
        }
    }

    #[test]
    fn what_is_no_address_stays_as_it_is() {
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
