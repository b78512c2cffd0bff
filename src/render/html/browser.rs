//! The browser check next to the probe, with the picture.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use maud::{Markup, html};

use super::super::browser::{browser_result, capitalized, explanation, name, prevented, rows};
use super::super::page::instant;
use super::{scrolling, thead};
use crate::report::{BrowserCheck, Report};

/// Where a page has the picture from.
pub enum Picture<'a> {
    /// Inside the page, which may be archived.
    Inline,
    /// From this URL, in small.
    At(&'a str),
}

/// Two columns, the differences, what the check prevented, and the picture.
pub fn browser(report: &Report, check: &BrowserCheck, picture: &Picture<'_>) -> Markup {
    let prevented = prevented(check);
    html! {
        h3 { "In " (name(check)) }
        p {
            span.state.(if check.is_good() { "good" } else { "bad" }) { (browser_result(check)) }
            " " (instant(check.started))
        }
        (scrolling("Exporter and browser", html! {
            table {
                (thead(&["Fact", "Exporter", "Browser"]))
                tbody {
                    @for row in rows(report, check) {
                        tr {
                            th scope="row" { (row.label) }
                            td { bdi { (row.probe) } }
                            td { bdi { (row.browser) } }
                        }
                    }
                }
            }
        }))
        @if !check.differences.is_empty() {
            h4 { "Differences" }
            ul { @for one in &check.differences { li { bdi { (capitalized(one)) } } } }
        }
        dl {
            @for (label, text) in explanation(report, check) {
                dt { (label) }
                dd { bdi { (text) } }
            }
        }
        @if !prevented.is_empty() {
            h4 { "Prevented" }
            ul { @for one in prevented { li { bdi { (one) } } } }
        }
        @if let Some(png) = &check.screenshot {
            @let alt = format!("The page as {} shows it", name(check));
            @match picture {
                Picture::Inline => img.screenshot alt=(alt) src={ "data:image/png;base64," (BASE64.encode(png)) };,
                Picture::At(url) => a href=(url) { img.screenshot.small loading="lazy" alt=(alt) src=(url); },
            }
        }
    }
}
