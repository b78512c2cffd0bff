//! Self-contained HTML pages without scripts or external assets, for screen, phone and paper.
//!
//! The templates escape text from servers and isolate its writing direction.

mod report;
mod verify;

use maud::{DOCTYPE, Markup, PreEscaped, html};

pub(super) use report::{body, cause, changes, state};
pub use verify::reports;

/// Light and dark, on a phone and on paper.
const STYLE: &str = include_str!("style.css");

/// A document with the given `body`.
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

/// A table in a region that scrolls, also by keyboard.
pub(super) fn scrolling(name: &str, table: Markup) -> Markup {
    html! { div.scroll role="group" aria-label=(name) tabindex="0" { (table) } }
}

/// The footer of a page that may be archived.
pub(super) fn generated_by(at: &str) -> Markup {
    html! {
        p { "Generated " (at) " by ccass-2fa-exporter " (env!("CARGO_PKG_VERSION")) "." }
        p { "Not affiliated with, endorsed by or known to HKEX or HKSCC." }
    }
}
