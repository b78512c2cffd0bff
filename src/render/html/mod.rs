//! Self-contained HTML pages without scripts or external assets, for screen, phone and paper.
//!
//! The templates escape text from servers and isolate its writing direction.

mod browser;
mod contact_links;
mod report;
mod verify;

use maud::{DOCTYPE, Markup, PreEscaped, html};

pub(super) use browser::{Picture, browser};
pub(super) use report::{body, cause, changes, state};
pub use verify::reports;

/// Light and dark, on a phone and on paper.
const STYLE: &str = include_str!("style.css");

/// The color and shape of the tab's icon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Icon {
    Good,
    Warn,
    Bad,
}

impl Icon {
    /// The icon that goes with a CSS class of a banner.
    pub fn of(class: &str) -> Self {
        match class {
            "good" => Self::Good,
            "bad" => Self::Bad,
            _ => Self::Warn,
        }
    }

    /// A check mark, an exclamation mark or a cross, as an SVG in a data URL.
    fn url(self) -> String {
        let (color, path) = match self {
            Self::Good => ("0b5d2a", "M4 9l3 3 5-8"),
            Self::Warn => ("8a5a00", "M8 3v6m0 2v2"),
            Self::Bad => ("9b1111", "M4 4l8 8m0-8l-8 8"),
        };
        format!(
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect \
             width='16' height='16' rx='3' fill='%23{color}'/%3E%3Cpath d='{path}' fill='none' \
             stroke='white' stroke-width='2'/%3E%3C/svg%3E"
        )
    }
}

/// A document with the given `body`.
pub(super) fn document(title: &str, icon: Icon, body: &Markup) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="icon" href=(icon.url());
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    markup.into_string()
}

/// The head of a table with these columns.
pub(super) fn thead(columns: &[&str]) -> Markup {
    html! {
        thead { tr { @for column in columns { th scope="col" { (column) } } } }
    }
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
