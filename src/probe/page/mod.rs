//! The page layer: what the page is, and whether it passes the configured checks. No I/O.

mod charset;
mod document;
pub(super) mod refresh;
mod texts;

use encoding_rs::{Encoding, UTF_8};

use super::bounded;
use crate::clock::Stopwatch;
use crate::config::PageChecks;
use crate::hex::sha256;
use crate::report::{LayerResult, PageCheck, PageFacts, Reason};
use document::{Document, collapsed, visible_text};
use refresh::Refresh;
use texts::stable_texts;

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

/// A page as it was received, read but not judged.
pub struct Page {
    body: Vec<u8>,
    text: String,
    encoding: &'static Encoding,
    document: Document,
}

impl Page {
    /// Reads a body without content coding; `content_type` is the header.
    pub fn parse(body: Vec<u8>, content_type: Option<&str>) -> Self {
        let (text, encoding) = charset::decode(&body, content_type);
        let text = text.into_owned();
        Self {
            document: Document::parse(&text),
            body,
            text,
            encoding,
        }
    }

    /// Bytes of the body.
    pub fn size(&self) -> usize {
        self.body.len()
    }

    /// The title, white space collapsed.
    pub fn title(&self) -> Option<&str> {
        self.document.title.as_deref()
    }

    /// Where the page leads by itself.
    pub(super) fn refresh(&self) -> Option<&Refresh> {
        self.document.refresh.as_ref()
    }

    /// Judges the page by `checks`.
    pub fn evaluate(&self, checks: &PageChecks) -> LayerResult<PageFacts> {
        let watch = Stopwatch::start();
        let mut facts = PageFacts {
            title: self.document.title.clone(),
            form_fields: self.document.form_fields.clone(),
            charset: self.encoding.name().to_owned(),
            bytes: self.body.len(),
            sha256: sha256(&self.body),
            checks: Vec::new(),
            texts: Vec::new(),
        };
        if checks.is_empty() {
            facts.texts = stable_texts(&self.text);
        }
        let has_block_marker = !check(
            &mut facts.checks,
            "block_marker",
            &checks.block_markers,
            |marker| !self.text.contains(marker.as_str()),
        );
        let failure = if checks.is_empty() {
            None
        } else {
            let is_expected = self.is_expected(&mut facts, checks);
            if has_block_marker {
                Some(Reason::PageBlockPage)
            } else if self.text.trim().is_empty() {
                Some(Reason::PageEmpty)
            } else if is_expected {
                None
            } else if is_known_block_page(&self.text) {
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

    fn is_expected(&self, facts: &mut PageFacts, checks: &PageChecks) -> bool {
        let mut list = Vec::new();
        if let Some(title) = &checks.title {
            list.push(PageCheck {
                check: "title".to_owned(),
                passed: facts.title.as_deref() == Some(bounded(&collapsed(title)).as_str()),
            });
        }
        check(&mut list, "contains", &checks.contains, |part| {
            self.text.contains(part.as_str())
        });
        check(&mut list, "not_contains", &checks.not_contains, |part| {
            !self.text.contains(part.as_str())
        });
        check(&mut list, "matches", &checks.matches, |pattern| {
            pattern.is_match(self.markup())
        });
        if !checks.text_contains.is_empty() || !checks.text_matches.is_empty() {
            let visible = visible_text(&self.text);
            check(&mut list, "text_contains", &checks.text_contains, |part| {
                visible.contains(&collapsed(part))
            });
            check(&mut list, "text_matches", &checks.text_matches, |pattern| {
                pattern.is_match(visible.as_bytes())
            });
        }
        check(&mut list, "form_field", &checks.form_fields, |field| {
            facts.form_fields.contains(field)
        });
        let is_expected = list.iter().all(|check| check.passed);
        facts.checks.extend(list);
        is_expected
    }

    /// What patterns are compared with: the bytes as received if they are UTF-8 or should be.
    fn markup(&self) -> &[u8] {
        if self.encoding == UTF_8 {
            &self.body
        } else {
            self.text.as_bytes()
        }
    }
}

fn is_known_block_page(text: &str) -> bool {
    let text = text.to_lowercase();
    BLOCK_PAGE_TEXTS.iter().any(|known| text.contains(known))
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
