//! Single values as they are written: durations, sizes, patterns, names.

use std::time::Duration;

use jiff::SignedDuration;
use regex::bytes::Regex;

/// A span of time such as `60s`, `1m 30s` or `500ms`.
///
/// # Errors
/// What would be right.
pub fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|span| Duration::try_from(span).ok())
        .ok_or_else(|| {
            format!("{text:?} is not a duration; write it with its unit, for example 60s or 5m")
        })
}

/// A span of time that may be days, such as `5d` or `36h`.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    let days = text
        .strip_suffix('d')
        .and_then(|days| days.trim().parse::<u32>().ok());
    match days {
        Some(days) => Ok(Duration::from_secs(u64::from(days) * 24 * 3600)),
        None => duration(text).map_err(|_| {
            format!("{text:?} is no span of time; write it with its unit, for example 5d or 36h")
        }),
    }
}

/// A number of bytes such as `1MiB`, `512KiB` or `100B`.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let wrong = || format!("{text:?} is not a size; write it with its unit: B, KiB or MiB");
    let (number, factor) = [("MiB", 1024 * 1024), ("KiB", 1024), ("B", 1)]
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))
        .ok_or_else(wrong)?;
    number
        .trim()
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(wrong)
}

/// A name that may become a metric label: short, and free of anything that could be personal data.
///
/// # Errors
/// What would be right.
pub fn label(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if text.is_empty() || text.len() > 64 || !text.chars().all(allowed) {
        return Err("a name has 1 to 64 letters, digits, dots, dashes and underscores".to_owned());
    }
    Ok(())
}

/// A pattern over the page. People write them as Go's `regexp` takes them, where a brace that
/// begins no repetition stands for itself; it does here too.
pub(super) fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(&with_literal_braces(text)).map_err(|error| {
        let reason = error.to_string();
        let last = reason.lines().last().unwrap_or_default();
        format!(
            "the pattern does not compile: {}",
            last.trim_start_matches("error: ")
        )
    })
}

/// Escapes each `{` that begins neither a repetition (`{2}`, `{2,}`, `{2,5}`) nor a class or code
/// (`\p{..}`, `\x{..}`).
fn with_literal_braces(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '\\' => {
                let escaped = rest.chars().nth(1);
                taken += escaped.map_or(0, char::len_utf8);
                let braced = matches!(escaped, Some('p' | 'P' | 'x' | 'u' | 'U'))
                    && rest.get(taken..).is_some_and(|tail| tail.starts_with('{'));
                if braced {
                    taken = rest.find('}').map_or(rest.len(), |end| end + 1);
                }
            }
            '[' => in_class = true,
            ']' => in_class = false,
            '{' if !in_class && !begins_repetition(rest) => out.push('\\'),
            _ => {}
        }
        let (piece, tail) = rest.split_at(taken);
        out.push_str(piece);
        rest = tail;
    }
    out
}

fn begins_repetition(rest: &str) -> bool {
    let Some((inside, _)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
        return false;
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match inside.split_once(',') {
        None => !inside.is_empty() && digits(inside),
        Some((least, most)) => !least.is_empty() && digits(least) && digits(most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brace_that_begins_no_repetition_stands_for_itself_as_in_go() {
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
    fn sizes_and_durations_want_their_unit() {
        assert_eq!(size("1MiB"), Ok(1024 * 1024));
        assert!(size("1024").is_err());
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(duration("60").is_err());
        assert!(duration("-5s").is_err());
    }
}
