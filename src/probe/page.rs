//! The page layer: what the page is, and whether it passes the configured checks. No I/O.

use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};
use sha2::{Digest, Sha256};

use super::bounded;
use super::certificate::hex;
use super::page_texts::stable_texts;
use crate::clock::Stopwatch;
use crate::config::PageChecks;
use crate::report::{LayerResult, PageCheck, PageFacts, Reason};

const MAX_FIELDS: usize = 64;

/// Texts of the block pages of common web filters. They only make the reason of an unexpected page
/// more precise; they never fail a page by themselves.
const BLOCK_PAGE_TEXTS: [&str; 9] = [
    "web page blocked",
    "web filter violation",
    "fortiguard",
    "zscaler",
    "policy_denied",
    "forcepoint",
    "cisco umbrella",
    "mcafee web gateway",
    "this site is blocked",
];

/// Evaluates a decoded body.
pub fn evaluate(body: &[u8], checks: &PageChecks) -> LayerResult<PageFacts> {
    let watch = Stopwatch::start();
    let text = String::from_utf8_lossy(body);
    let (title, form_fields) = title_and_fields(&text);
    let mut facts = PageFacts {
        title,
        form_fields,
        bytes: body.len(),
        sha256: hex(&Sha256::digest(body)),
        checks: Vec::new(),
        texts: Vec::new(),
    };
    if checks.is_empty() {
        facts.texts = stable_texts(&text);
    }
    let has_block_marker = !check(
        &mut facts.checks,
        "block_marker",
        &checks.block_markers,
        |marker| !text.contains(marker.as_str()),
    );
    let failure = if checks.is_empty() {
        None
    } else {
        let is_expected = is_expected(&mut facts, &text, body, checks);
        if has_block_marker {
            Some(Reason::PageBlockPage)
        } else if text.trim().is_empty() {
            Some(Reason::PageEmpty)
        } else if is_expected {
            None
        } else if is_known_block_page(&text) {
            Some(Reason::PageBlockPage)
        } else {
            Some(Reason::PageMismatch)
        }
    };
    LayerResult {
        duration: watch.elapsed(),
        failure,
        facts,
    }
}

fn is_known_block_page(text: &str) -> bool {
    let text = text.to_lowercase();
    BLOCK_PAGE_TEXTS.iter().any(|known| text.contains(known))
}

fn is_expected(facts: &mut PageFacts, text: &str, body: &[u8], checks: &PageChecks) -> bool {
    let mut list = Vec::new();
    if let Some(title) = &checks.title {
        list.push(PageCheck {
            check: "title".to_owned(),
            passed: facts.title.as_deref() == Some(collapsed(title).as_str()),
        });
    }
    check(&mut list, "contains", &checks.contains, |part| {
        text.contains(part.as_str())
    });
    check(&mut list, "not_contains", &checks.not_contains, |part| {
        !text.contains(part.as_str())
    });
    check(&mut list, "matches", &checks.matches, |pattern| {
        pattern.is_match(body)
    });
    check(&mut list, "form_field", &checks.form_fields, |field| {
        facts.form_fields.contains(field)
    });
    let is_expected = list.iter().all(|check| check.passed);
    facts.checks.extend(list);
    is_expected
}

/// Adds a check for each of `expected`; true if all pass.
fn check<T>(
    list: &mut Vec<PageCheck>,
    name: &str,
    expected: &[T],
    passes: impl Fn(&T) -> bool,
) -> bool {
    let first = list.len();
    list.extend(expected.iter().zip(1..).map(|(one, number)| PageCheck {
        check: format!("{name}_{number}"),
        passed: passes(one),
    }));
    list.iter().skip(first).all(|check| check.passed)
}

/// The title of a page that is not evaluated.
pub(super) fn title(body: &[u8]) -> Option<String> {
    title_and_fields(&String::from_utf8_lossy(body)).0
}

/// The title, white space collapsed, and the names of the form fields in their order.
fn title_and_fields(html: &str) -> (Option<String>, Vec<String>) {
    let mut emitter = DefaultEmitter::default();
    // The content of scripts and styles is not markup.
    emitter.naively_switch_states(true);
    let mut title: Option<String> = None;
    let mut in_title = false;
    let mut fields = Vec::new();
    for token in Tokenizer::new_with_emitter(html, emitter) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => {
                in_title = title.is_none() && *tag.name == b"title";
                if in_title {
                    title = Some(String::new());
                }
                if let Some(name) = field_name(&tag)
                    && fields.len() < MAX_FIELDS
                    && !fields.contains(&name)
                {
                    fields.push(name);
                }
            }
            Token::String(text) if in_title => {
                if let Some(title) = &mut title {
                    title.push_str(&String::from_utf8_lossy(&text));
                }
            }
            Token::EndTag(_) => in_title = false,
            _ => {}
        }
    }
    (title.map(|title| bounded(&collapsed(&title))), fields)
}

fn field_name<S: html5gum::SpanBound>(tag: &StartTag<S>) -> Option<String> {
    if !matches!(&**tag.name, b"input" | b"select" | b"textarea" | b"button") {
        return None;
    }
    let name = String::from_utf8_lossy(tag.attributes.get(&b"name"[..])?);
    (!name.is_empty()).then(|| bounded(&name))
}

fn collapsed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
