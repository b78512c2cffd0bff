//! `Refresh: 0; url=/sso` and `<meta http-equiv="refresh">`: how pages lead on without a redirect.

use std::time::Duration;

/// A longer delay shows a page that is meant to be read.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// Where a page leads after a delay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::probe) struct Refresh {
    delay: Duration,
    /// Empty for the page itself.
    pub location: String,
}

impl Refresh {
    /// Whether a browser goes on before anybody has read the page.
    pub fn is_immediate(&self) -> bool {
        self.delay <= MAX_DELAY
    }
}

/// The steps of the HTML standard (4.2.5.3, "shared declarative refresh steps").
pub(in crate::probe) fn parse(text: &str) -> Option<Refresh> {
    let text = text.trim_ascii_start();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (seconds, rest) = text.split_at(digits);
    let seconds = match seconds {
        "" if rest.starts_with('.') => 0,
        "" => return None,
        digits => digits.parse().unwrap_or(u64::MAX),
    };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let delay = Duration::from_secs(seconds);
    if !rest.is_empty() && !rest.starts_with([';', ',']) && !starts_with_space(rest) {
        return None;
    }
    let rest = rest.trim_ascii_start();
    let rest = rest.strip_prefix([';', ',']).unwrap_or(rest);
    Some(Refresh {
        delay,
        location: location(rest.trim_ascii()).to_owned(),
    })
}

fn starts_with_space(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_whitespace())
}

/// `/sso` in `url = "/sso" and more`.
fn location(text: &str) -> &str {
    let named = text
        .get(..3)
        .filter(|name| name.eq_ignore_ascii_case("url"));
    let after_name = named.and_then(|_| text.get(3..)).map(str::trim_ascii_start);
    let value = after_name.and_then(|rest| rest.strip_prefix('='));
    let value = value.map_or(text, str::trim_ascii_start);
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let inner = value.get(1..).unwrap_or_default();
            inner.split(quote).next().unwrap_or_default()
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refreshes_are_read_as_browsers_read_them() {
        for (text, expected) in [
            ("0;url=/sso", Some((0, "/sso"))),
            ("0; URL='/sso'", Some((0, "/sso"))),
            ("3, url = \"/a b\" rest", Some((3, "/a b"))),
            ("5", Some((5, ""))),
            ("0.9;url=x", Some((0, "x"))),
            (".5;url=x", Some((0, "x"))),
            ("1 url=x", Some((1, "x"))),
            ("0;/sso", Some((0, "/sso"))),
            (" 2 ; url=x ", Some((2, "x"))),
            ("0;urls", Some((0, "urls"))),
            ("99999999999999999999;url=x", Some((u64::MAX, "x"))),
            ("", None),
            ("x", None),
            ("5x", None),
            ("-1;url=x", None),
        ] {
            let parsed = parse(text);
            let parsed = parsed.as_ref();
            let parsed = parsed.map(|one| (one.delay.as_secs(), one.location.as_str()));
            assert_eq!(parsed, expected, "{text}");
        }
    }
}
