//! Assertions on long texts whose failure messages stay short.

use std::fmt::Display;

const MAX_LINES: usize = 4;
const MAX_COLUMNS: usize = 160;

#[track_caller]
pub fn assert_contains(context: impl Display, text: &str, part: &str) {
    assert!(
        text.contains(part),
        "{context}: {part:?} is missing; the nearest lines are\n{}",
        excerpt(text, part)
    );
}

#[track_caller]
pub fn assert_lacks(context: impl Display, text: &str, part: &str) {
    assert!(
        !text.contains(part),
        "{context}: {part:?} must not occur, but does in\n{}",
        excerpt(text, part)
    );
}

/// A few lines of `text`: those with the longest word of `part`, or else the first ones.
pub fn excerpt(text: &str, part: &str) -> String {
    let words = part.split(|c: char| !c.is_alphanumeric() && c != '_');
    let word = words.max_by_key(|word| word.len()).unwrap_or_default();
    let mut lines: Vec<&str> = text.lines().filter(|line| line.contains(word)).collect();
    if word.is_empty() || lines.is_empty() {
        lines = text.lines().collect();
    }
    let shortened = lines.iter().take(MAX_LINES).map(|line| {
        let line: String = line.chars().take(MAX_COLUMNS).collect();
        format!("  {line}\n")
    });
    shortened.collect()
}
