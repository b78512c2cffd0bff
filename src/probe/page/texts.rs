//! Texts of a page that seldom change: headings, labels and buttons without digits. `init` suggests
//! them as page checks.

use html5gum::{DefaultEmitter, Token, Tokenizer};

use crate::redact::contains_email;

const ELEMENTS: [&[u8]; 6] = [b"h1", b"h2", b"h3", b"legend", b"label", b"button"];
const MAX_TEXTS: usize = 8;
const LENGTHS: std::ops::RangeInclusive<usize> = 4..=60;

/// The texts, as they are in `html` literally.
pub(super) fn stable_texts(html: &str) -> Vec<String> {
    let mut emitter = DefaultEmitter::default();
    // The content of scripts and styles is not markup.
    emitter.naively_switch_states(true);
    let mut texts: Vec<String> = Vec::new();
    let mut current: Option<String> = None;
    for token in Tokenizer::new_with_emitter(html, emitter) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => {
                let is_listed = ELEMENTS.iter().any(|one| **tag.name == **one);
                current = is_listed.then(String::new);
            }
            Token::String(text) => {
                if let Some(current) = &mut current {
                    current.push_str(&String::from_utf8_lossy(&text));
                }
            }
            Token::EndTag(_) => {
                let text = current.take().unwrap_or_default();
                let text = text.trim();
                let is_new = texts.iter().all(|one| one != text);
                if is_stable(text) && is_new && html.contains(text) && texts.len() < MAX_TEXTS {
                    texts.push(text.to_owned());
                }
            }
            _ => {}
        }
    }
    texts
}

fn is_stable(text: &str) -> bool {
    LENGTHS.contains(&text.chars().count())
        && !text.chars().any(|c| c.is_ascii_digit() || c.is_control())
        && !contains_email(text)
}

#[cfg(test)]
mod tests {
    use super::stable_texts;

    #[test]
    fn labels_and_headings_are_stable_but_not_those_with_digits() {
        let html = "<script>var h1 = '<h1>No</h1>';</script><h1> CCASS Login </h1>\
                    <h2>Notice of 2026</h2><label for=u>User ID</label><label>User ID</label>\
                    <p>Welcome back</p><button>Log on</button><label>A &amp; B</label>\
                    <label>ask chan@broker.example</label>";
        assert_eq!(stable_texts(html), ["CCASS Login", "User ID", "Log on"]);
    }
}
