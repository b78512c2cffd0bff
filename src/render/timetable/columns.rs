//! Plain text in a page of 100 columns: paragraphs, two columns, a rule.
//!
//! In: texts of any length. Out: lines of at most [`WIDTH`] characters without
//! trailing blanks, the same in a pipe and on a terminal.

pub(super) const WIDTH: usize = 100;
const LEFT: usize = 28;
const GAP: usize = 2;

/// Breaks a text at blanks; a word longer than a line is cut.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        for piece in letters.chunks(width) {
            if length > 0 && length + 1 + piece.len() > width {
                lines.push(std::mem::take(&mut line));
                length = 0;
            }
            if length > 0 {
                line.push(' ');
                length += 1;
            }
            line.extend(piece);
            length += piece.len();
        }
    }
    if length > 0 {
        lines.push(line);
    }
    lines
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
