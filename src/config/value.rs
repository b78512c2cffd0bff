//! Single values of the configuration: durations, sizes, networks, header values and patterns.

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use hyper::header::HeaderValue;
use ipnet::IpNet;
use jiff::SignedDuration;
use regex::Captures;
use regex::bytes::Regex;
use url::Host;

/// Shorter timeouts could not measure anything.
pub(super) const MIN_TIMEOUT: Duration = Duration::from_millis(100);

/// A duration such as `60s`, `1m 30s` or `500ms`.
///
/// # Errors
/// The text is not a duration, has no unit, or is negative.
pub fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| format!("invalid duration {text:?}; add a unit, for example 60s or 5m"))
}

/// The timeout of a probe.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        timeout if timeout < MIN_TIMEOUT => Err(format!(
            "{text} is too short; the minimum is {MIN_TIMEOUT:?}"
        )),
        timeout => Ok(timeout),
    }
}

/// A duration that may be in days, such as `5d` or `36h`.
///
/// # Errors
/// The text is not a duration, has no unit, or is negative.
pub fn age(text: &str) -> Result<Duration, String> {
    let days = text
        .strip_suffix('d')
        .and_then(|days| days.parse::<u32>().ok());
    match days {
        Some(days) => Ok(Duration::from_secs(u64::from(days) * 24 * 3600)),
        None => duration(text)
            .map_err(|_| format!("invalid duration {text:?}; add a unit, for example 5d or 36h")),
    }
}

/// A number of bytes such as `1MiB`, `512KiB` or `100B`.
pub(super) fn size(text: &str) -> Result<usize, String> {
    [("MiB", 1024 * 1024), ("KiB", 1024), ("B", 1)]
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))
        .and_then(|(number, factor)| number.trim().parse::<usize>().ok()?.checked_mul(factor))
        .ok_or_else(|| format!("invalid size {text:?}; add a unit: B, KiB or MiB"))
}

/// A network such as `10.1.0.0/16`, or a single address.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map(|network| network.trunc())
        .map_err(|_| format!("invalid network {text:?}; use for example 10.1.0.0/16"))
}

/// A host name or address that needs no repair: no empty label, no percent-encoding, no wildcard.
pub(super) fn host(text: &str) -> Option<Host> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_label = |label: &str| !label.is_empty() && label.chars().all(is_part);
    Host::parse(text).ok().filter(|host| match host {
        Host::Domain(name) => !text.contains('%') && name.split('.').all(is_label),
        Host::Ipv4(_) | Host::Ipv6(_) => true,
    })
}

/// The value of an HTTP header.
pub(super) fn header_value(text: &str) -> Result<HeaderValue, &'static str> {
    HeaderValue::from_str(text).map_err(|_| "invalid header value; use one line of visible text")
}

/// A regular expression for the page. As in Go's `regexp`, a brace that does not begin a repetition
/// is a literal brace.
pub(super) fn pattern(text: &str) -> Result<Regex, String> {
    let text = GO_SYNTAX.replace_all(text, |part: &Captures<'_>| {
        let part = part.get_match().as_str();
        if part == "{" { r"\{" } else { part }.to_owned()
    });
    Regex::new(&text).map_err(|error| {
        let reason = error.to_string();
        let last = reason.lines().last().unwrap_or_default();
        format!(
            "invalid regular expression: {}",
            last.trim_start_matches("error: ")
        )
    })
}

/// The parts of a pattern in which a brace has a meaning (`\p{Lu}`, an escape, a class, `{2,5}`), or a
/// brace without one.
#[expect(
    clippy::expect_used,
    reason = "the pattern is a constant that a test compiles"
)]
static GO_SYNTAX: LazyLock<regex::Regex> = LazyLock::new(|| {
    regex::Regex::new(r"(?s)\\[pPxuU]\{[^}]*\}|\\.|\[(?:\\.|[^\]\\])*|\{\d+(?:,\d*)?\}|\{")
        .expect("a valid pattern")
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_outside_repetitions_are_literal_as_in_go() {
        for (pattern, text) in [
            (r#"{"status":"ok"}"#, r#"{"status":"ok"}"#),
            (r"a{2}", "aa"),
            (r"a{2,}b", "aaab"),
            (r"\p{Lu}{", "Ä{"),
            (r"\{x", "{x"),
            (r"[{]", "{"),
            (r"x{,3}", "x{,3}"),
        ] {
            let regex = super::pattern(pattern).unwrap();
            assert!(regex.is_match(text.as_bytes()), "{pattern} on {text}");
        }
    }

    #[test]
    fn sizes_and_durations_need_a_unit() {
        assert_eq!(size("1MiB"), Ok(1024 * 1024));
        assert!(size("1024").is_err());
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(duration("60").is_err());
        assert!(duration("-5s").is_err());
    }
}
