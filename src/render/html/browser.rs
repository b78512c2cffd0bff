//! The browser check next to the probe, with the picture.

use maud::{Markup, html};

use super::super::browser::{browser_result, capitalized, explanation, name, prevented, rows};
use super::super::page::instant;
use super::scrolling;
use crate::report::{BrowserCheck, Report};

/// Two columns, the differences, what the check prevented, and the picture.
pub(super) fn browser(report: &Report, check: &BrowserCheck) -> Markup {
    let prevented = prevented(check);
    html! {
        h3 { "In " (name(check)) }
        p {
            span.state.(if check.is_good() { "good" } else { "bad" }) { (browser_result(check)) }
            " " (instant(check.started))
        }
        (scrolling("Exporter and browser", html! {
            table {
                thead { tr {
                    th scope="col" { "Fact" } th scope="col" { "Exporter" } th scope="col" { "Browser" }
                } }
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
            img.screenshot alt={ "The page as " (name(check)) " shows it" }
                src={ "data:image/png;base64," (png) };
        }
    }
}
