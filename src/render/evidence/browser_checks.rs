//! Automatic checks in a browser, apart from what a person saw, with the newest picture of each terminal.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::super::html::{scrolling, thead};
use super::super::page::instant;
use super::{Selected, altered, reference, terminal_outcome};
use crate::evidence::{BrowserRecord, ChainedRecord, Content, TerminalOutcome};

type Check<'a> = (&'a ChainedRecord, &'a BrowserRecord);

/// Nothing if there was no automatic check.
pub(super) fn section(selected: &Selected<'_>) -> Markup {
    let checks: Vec<Check<'_>> = selected.records.iter().rev().filter_map(check).collect();
    let mut newest = BTreeMap::new();
    for (record, it) in checks
        .iter()
        .filter(|(record, _)| !selected.audit.is_altered(record))
    {
        newest.entry(&it.terminal).or_insert((record, it));
    }
    html! {
        @if !checks.is_empty() {
            section.card {
                h2 { "Automatic checks in a browser" }
                p {
                    "A program opened the page in a browser of the terminal and applied the page checks. It \
                     does not replace the look of a person in MS Edge that the circular asks for."
                }
                (scrolling("Automatic checks", html! {
                    table {
                        (thead(&[
                            "Terminal", "Target", "Login page", "Browser", "Recorded", "Number",
                            "Reference"
                        ]))
                        tbody {
                            @for (record, it) in &checks {
                                tr {
                                    th scope="row" { (it.terminal) }
                                    td { (it.target) }
                                    td {
                                        @if selected.audit.is_altered(record) { (altered()) }
                                        @else { (outcome(it)) }
                                    }
                                    td { (it.browser) " " (it.browser_version) }
                                    td { (instant(record.recorded)) }
                                    td { (record.number) }
                                    td { (reference(&record.content).unwrap_or_default()) }
                                }
                            }
                        }
                    }
                }))
                @for (terminal, (record, it)) in newest {
                    @if let Some(picture) = &it.screenshot {
                        h3 { (terminal) ", record " (record.number) }
                        @match selected.pictures.get(&picture.sha256) {
                            Some(png) => img.screenshot
                                alt={ "What the browser showed at " (terminal) ", " (instant(it.started)) }
                                src={ "data:image/png;base64," (png) };,
                            None => p { "The picture " code { (picture.file) } " is missing or was altered." },
                        }
                        p { "SHA-256 " code { (picture.sha256) } "." }
                    }
                }
            }
        }
    }
}

fn check<'a>(record: &&'a ChainedRecord) -> Option<Check<'a>> {
    match &record.content {
        Content::TerminalBrowser(it) => Some((record, it)),
        _ => None,
    }
}

fn outcome(it: &BrowserRecord) -> Markup {
    html! {
        span.state.(if it.outcome == TerminalOutcome::Seen { "good" } else { "bad" }) {
            (terminal_outcome(it.outcome))
            @if let Some(code) = &it.failure { ": " (code) }
        }
    }
}
