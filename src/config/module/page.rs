//! The key `page` of a module: what the login page must contain.

use regex::bytes::Regex;

use crate::config::raw::RawPage;
use crate::config::section::Section;
use crate::config::value::pattern;

/// What the page must contain. Without any check, the page is not judged.
#[derive(Clone, Debug, Default)]
pub struct PageChecks {
    pub title: Option<String>,
    pub contains: Vec<String>,
    pub not_contains: Vec<String>,
    pub matches: Vec<Regex>,
    /// Compared with the visible text.
    pub text_contains: Vec<String>,
    pub text_matches: Vec<Regex>,
    pub form_fields: Vec<String>,
    pub block_markers: Vec<String>,
}

impl PageChecks {
    pub fn is_empty(&self) -> bool {
        self.title.is_none()
            && self.contains.is_empty()
            && self.not_contains.is_empty()
            && self.matches.is_empty()
            && self.text_contains.is_empty()
            && self.text_matches.is_empty()
            && self.form_fields.is_empty()
            && self.block_markers.is_empty()
    }

    pub(super) fn validate(raw: &RawPage, mut section: Section<'_>) -> Self {
        let text = |text: &str| match text {
            "" => Err("the text is empty: every page would contain it"),
            text => Ok(text.to_owned()),
        };
        Self {
            title: raw.title.clone(),
            contains: section.list("contains", &raw.contains, text),
            not_contains: section.list("not_contains", &raw.not_contains, text),
            matches: section.list("matches", &raw.matches, pattern),
            text_contains: section.list("text_contains", &raw.text_contains, text),
            text_matches: section.list("text_matches", &raw.text_matches, pattern),
            form_fields: section.list("form_fields", &raw.form_fields, text),
            block_markers: section.list("block_markers", &raw.block_markers, text),
        }
    }
}
