//! The page layer: pure. What the page is, and whether it passes the configured checks.

use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};
use sha2::{Digest, Sha256};

use super::bounded;
use super::certificate::hex;
use crate::clock::Stopwatch;
use crate::config::PageChecks;
use crate::report::{LayerResult, PageCheck, PageFacts, Reason};

const MAX_FIELDS: usize = 64;

/// Judges a decoded body.
pub fn judge(body: &[u8], checks: &PageChecks) -> LayerResult<PageFacts> {
    let watch = Stopwatch::start();
    let text = String::from_utf8_lossy(body);
    let (title, form_fields) = title_and_fields(&text);
    let mut facts = PageFacts {
        title,
        form_fields,
        bytes: body.len(),
        sha256: hex(&Sha256::digest(body)),
        checks: Vec::new(),
    };
    let blocked = mark(
        &mut facts.checks,
        "block_marker",
        &checks.block_markers,
        |marker| !text.contains(marker.as_str()),
    );
    let failure = if checks.is_empty() {
        None
    } else {
        let fits = expected(&mut facts, &text, body, checks);
        match (blocked, text.trim().is_empty(), fits) {
            (false, _, _) => Some(Reason::PageBlockPage),
            (true, true, _) => Some(Reason::PageEmpty),
            (true, false, false) if is_known_block_page(&text) => Some(Reason::PageBlockPage),
            (true, false, false) => Some(Reason::PageMismatch),
            (true, false, true) => None,
        }
    };
    LayerResult {
        duration: watch.elapsed(),
        failure,
        facts,
    }
}

/// Words by which the block pages of common web filters can be told. They only sharpen what to say
/// of a page that is not the expected one; they never fail a page by themselves.
const BLOCK_PAGE_WORDS: [&str; 9] = [
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

fn is_known_block_page(text: &str) -> bool {
    let text = text.to_lowercase();
    BLOCK_PAGE_WORDS.iter().any(|words| text.contains(words))
}

fn expected(facts: &mut PageFacts, text: &str, body: &[u8], checks: &PageChecks) -> bool {
    let mut list = Vec::new();
    if let Some(title) = &checks.title {
        list.push(PageCheck {
            check: "title".to_owned(),
            passed: facts.title.as_deref() == Some(folded(title).as_str()),
        });
    }
    mark(&mut list, "contains", &checks.contains, |part| {
        text.contains(part.as_str())
    });
    mark(&mut list, "not_contains", &checks.not_contains, |part| {
        !text.contains(part.as_str())
    });
    mark(&mut list, "matches", &checks.matches, |pattern| {
        pattern.is_match(body)
    });
    mark(&mut list, "form_field", &checks.form_fields, |field| {
        facts.form_fields.contains(field)
    });
    let fits = list.iter().all(|check| check.passed);
    facts.checks.extend(list);
    fits
}

/// Adds a check for each of `wanted`; true if all pass.
fn mark<T>(
    list: &mut Vec<PageCheck>,
    name: &str,
    wanted: &[T],
    passes: impl Fn(&T) -> bool,
) -> bool {
    let mut all = true;
    for (index, one) in wanted.iter().enumerate() {
        let passed = passes(one);
        all &= passed;
        list.push(PageCheck {
            check: format!("{name}_{}", index + 1),
            passed,
        });
    }
    all
}

/// The title of a page that is not judged.
pub(super) fn title(body: &[u8]) -> Option<String> {
    title_and_fields(&String::from_utf8_lossy(body)).0
}

/// The title, white space folded, and the names of the form fields in their order.
fn title_and_fields(html: &str) -> (Option<String>, Vec<String>) {
    let mut emitter = DefaultEmitter::default();
    // The content of scripts and styles is no markup.
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
    (title.map(|title| bounded(&folded(&title))), fields)
}

fn field_name<S: html5gum::SpanBound>(tag: &StartTag<S>) -> Option<String> {
    if !matches!(&**tag.name, b"input" | b"select" | b"textarea" | b"button") {
        return None;
    }
    let name = tag.attributes.get(&b"name"[..])?;
    let name = String::from_utf8_lossy(name).into_owned();
    (!name.is_empty()).then(|| bounded(&name))
}

fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
