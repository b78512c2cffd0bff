//! Strips of states and lines of durations, as SVG. A state has a shape of its own beside its color: a
//! bar is good, an exclamation mark an outage, a dot a time without probes.

use maud::{Markup, html};

/// The state of one cell of a strip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Good,
    Failed,
    NotWatched,
}

/// One cell: its mark, and a text for a pointer.
pub(super) struct Cell {
    pub mark: Mark,
    pub text: String,
}

const WIDTH: usize = 10;
const HEIGHT: usize = 24;

impl Mark {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "mark good",
            Self::Failed => "mark bad",
            Self::NotWatched => "mark off",
        }
    }

    /// The shape of the cell at `index`.
    fn path(self, index: usize) -> String {
        let x = index * WIDTH;
        match self {
            Self::Good => format!("M{} 3h6v18h-6z", x + 2),
            Self::Failed => format!("M{} 0h8v16h-8zm0 19h8v5h-8z", x + 1),
            Self::NotWatched => format!("M{} 11h3v3h-3z", x + 3),
        }
    }
}

/// The cells in a row, described by `label`. Neighbors with the same mark and text are one shape.
pub(super) fn strip(label: &str, cells: &[Cell]) -> Markup {
    let mut runs: Vec<(Mark, &str, String)> = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        let path = cell.mark.path(index);
        match runs.last_mut() {
            Some((mark, text, shape)) if *mark == cell.mark && *text == cell.text => {
                shape.push_str(&path);
            }
            _ => runs.push((cell.mark, &cell.text, path)),
        }
    }
    html! {
        svg.strip role="img" aria-label=(label) viewBox={ "0 0 " (cells.len() * WIDTH) " " (HEIGHT) }
            preserveAspectRatio="none" {
            @for (mark, text, path) in &runs {
                path class=(mark.class()) d=(path) {
                    @if !text.is_empty() { title { (text) } }
                }
            }
        }
    }
}

/// A line through `values`, scaled to the largest; interrupted where there is none.
pub(super) fn line(label: &str, values: &[Option<u32>]) -> Markup {
    let max = values
        .iter()
        .flatten()
        .max()
        .copied()
        .unwrap_or_default()
        .max(1);
    let mut path = String::new();
    let mut is_open = false;
    for (index, value) in values.iter().enumerate() {
        let Some(value) = value else {
            is_open = false;
            continue;
        };
        let y = 22.0 - 20.0 * f64::from(*value) / f64::from(max);
        let x = index * WIDTH + WIDTH / 2;
        // A short stroke, so that a single value shows.
        path += &if is_open {
            format!("L{x} {y:.1}")
        } else {
            format!("M{x} {y:.1}h1")
        };
        is_open = true;
    }
    html! {
        svg.spark role="img" aria-label=(label) viewBox={ "0 0 " (values.len() * WIDTH) " " (HEIGHT) }
            preserveAspectRatio="none" {
            path d=(path) vector-effect="non-scaling-stroke" {}
        }
    }
}

/// A bar whose parts have these shares, in percent; what is left is empty. Each part has a class.
pub(super) fn bar(label: &str, parts: &[(&str, f64)]) -> Markup {
    let mut start = 0.0;
    let parts = parts.iter().map(|(class, share)| {
        let part = (*class, start, *share);
        start += share;
        part
    });
    html! {
        svg.bar role="img" aria-label=(label) viewBox="0 0 100 10" preserveAspectRatio="none" {
            rect.frame width="100" height="10" {}
            @for (class, start, share) in parts {
                rect class=(class) x=(format!("{start:.2}")) width=(format!("{share:.2}")) height="10" {}
            }
        }
    }
}
