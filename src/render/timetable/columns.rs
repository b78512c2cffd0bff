//! Plain text layout in 100 columns: paragraphs, two columns, a rule.

use std::borrow::Cow;

pub(super) use super::super::page::WIDTH;

const LEFT: usize = 28;
const GAP: usize = 2;

/// Wraps by display width.
fn wrap(text: &str, width: usize) -> Vec<Cow<'_, str>> {
    if text.is_empty() {
        return Vec::new();
    }
    textwrap::wrap(text, width)
}

pub(super) fn paragraph(page: &mut String, text: &str) {
    for line in wrap(text, WIDTH) {
        page.push_str(&line);
        page.push('\n');
    }
}

/// A left column for the date, a right one for paragraphs.
pub(super) fn entry(page: &mut String, left: &str, paragraphs: &[String]) {
    let mut left = wrap(left, LEFT).into_iter();
    let right = paragraphs
        .iter()
        .flat_map(|text| wrap(text, WIDTH - LEFT - GAP));
    let mut right = right.peekable();
    loop {
        let date = left.next();
        if date.is_none() && right.peek().is_none() {
            break;
        }
        let date = date.unwrap_or_default();
        let text = right.next().unwrap_or_default();
        let line = format!("{date:<column$}{text}", column = LEFT + GAP);
        page.push_str(line.trim_end());
        page.push('\n');
    }
}

/// A line across the page with a text in it.
pub(super) fn rule(page: &mut String, text: &str) {
    page.push_str(&format!("{:-<WIDTH$}\n", format!("--- {text} ")));
}
