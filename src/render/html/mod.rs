//! Pages for people in HTML: one document each, without scripts or outside assets, readable on a phone
//! and on paper. Whatever came from a server is escaped by the templates, and isolated where its
//! direction of writing could disturb.

mod report;
mod verify;

use maud::{DOCTYPE, Markup, PreEscaped, html};

pub(super) use report::{body, cause, changes, state};
pub use verify::reports;

/// Light and dark, on a phone and on paper.
const STYLE: &str = include_str!("style.css");

/// A document whose `body` holds a main part and perhaps a footer.
pub(super) fn document(title: &str, body: &Markup) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    markup.into_string()
}

/// A table that may be wider than the screen: it scrolls by itself, also by keyboard.
pub(super) fn scrolling(name: &str, table: Markup) -> Markup {
    html! { div.scroll role="group" aria-label=(name) tabindex="0" { (table) } }
}

/// Who made a page that may be filed.
pub(super) fn made(at: &str) -> Markup {
    html! {
        p { "Made " (at) " by ccass-2fa-exporter " (env!("CARGO_PKG_VERSION")) "." }
        p { "Not affiliated with, endorsed by or known to HKEX or HKSCC." }
    }
}
