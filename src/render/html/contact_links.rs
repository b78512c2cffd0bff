//! Telephone numbers and e-mail addresses of contacts as links, for a phone.

use maud::{Markup, html};

/// A shorter number is an extension or a room.
const MIN_DIGITS: usize = 7;

/// `text` with links to the numbers and addresses in it.
pub(super) fn linked(text: &str) -> Markup {
    let mut parts: Vec<(String, &str)> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (part, after) = match number(rest) {
            Some(end) => rest.split_at(end),
            None => {
                let end = rest.find(|c: char| c.is_whitespace() || c == ',');
                let end = end.unwrap_or(rest.len());
                let separators = rest.get(end..).unwrap_or_default();
                let next = separators.find(|c: char| !c.is_whitespace() && c != ',');
                match end {
                    0 => rest.split_at(next.unwrap_or(rest.len())),
                    _ => rest.split_at(end),
                }
            }
        };
        parts.push((link(part), part));
        rest = after;
    }
    html! {
        @for (link, part) in &parts {
            @if link.is_empty() { (part) } @else { a href=(link) { (part) } }
        }
    }
}

/// The end of the telephone number that `text` begins with.
fn number(text: &str) -> Option<usize> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '+' | ' ' | '-'));
    let candidate = text
        .get(..end.unwrap_or(text.len()))?
        .trim_end_matches([' ', '-']);
    let digits = candidate.chars().filter(char::is_ascii_digit).count();
    (digits >= MIN_DIGITS && !candidate.starts_with([' ', '-'])).then_some(candidate.len())
}

/// The address of the link; empty for other text.
fn link(part: &str) -> String {
    if number(part) == Some(part.len()) {
        let digits = part.chars().filter(|c| c.is_ascii_digit() || *c == '+');
        return format!("tel:{}", digits.collect::<String>());
    }
    let address = part.trim_matches(['(', ')', '<', '>', ';']);
    match address.split_once('@') {
        Some((name, host)) if !name.is_empty() && host.contains('.') => format!("mailto:{address}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::linked;

    #[test]
    fn numbers_and_addresses_of_contacts_are_links() {
        assert_eq!(
            linked("CCASS Hotline 2979 7111, clearingps@hkex.com.hk").into_string(),
            "CCASS Hotline <a href=\"tel:29797111\">2979 7111</a>, \
             <a href=\"mailto:clearingps@hkex.com.hk\">clearingps@hkex.com.hk</a>"
        );
        assert_eq!(
            linked("network <ext. 4410>").into_string(),
            "network &lt;ext. 4410&gt;"
        );
        assert_eq!(linked("").into_string(), "");
    }
}
