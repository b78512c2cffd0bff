//! A page of text for a terminal of 100 columns, and the words that all such pages share.
//!
//! Colours are always written; the door strips them where nobody would see them. Every line that
//! says good or bad says it in words too.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;

use crate::calendar::HKT;

pub(super) const WIDTH: usize = 100;
/// Where the facts begin, right of a layer's name, state and time.
pub(super) const FACTS: usize = 24;

pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const WARN: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const FAINT: Style = Style::new().dimmed();
pub(super) const STRONG: Style = Style::new().bold();

#[derive(Default)]
pub(super) struct Page(pub String);

impl Page {
    pub fn line(&mut self, text: &str) {
        self.0.push_str(text.trim_end());
        self.0.push('\n');
    }

    /// Wrapped at the page's width, each line indented.
    pub fn paragraph(&mut self, indent: usize, text: &str) {
        let margin = " ".repeat(indent);
        let options = textwrap::Options::new(WIDTH)
            .initial_indent(&margin)
            .subsequent_indent(&margin);
        for line in textwrap::wrap(text, options) {
            self.line(&line);
        }
    }

    /// A word in the margin and a paragraph beside it.
    pub fn labelled(&mut self, word: &str, text: &str) {
        let margin = " ".repeat(12);
        let first = format!("  {word:<10}");
        let options = textwrap::Options::new(WIDTH)
            .initial_indent(&first)
            .subsequent_indent(&margin);
        for (index, line) in textwrap::wrap(text, options).iter().enumerate() {
            match (index, line.strip_prefix(&first)) {
                (0, Some(rest)) => self.line(&format!("{STRONG}{first}{STRONG:#}{rest}")),
                _ => self.line(line),
            }
        }
    }

    pub fn fact(&mut self, fact: &str) {
        self.columns_of_facts(&" ".repeat(FACTS), fact);
    }

    /// A fact to the right of `head`, wrapped in its column.
    pub fn columns_of_facts(&mut self, head: &str, fact: &str) {
        let own_indent = fact.len() - fact.trim_start().len();
        let hanging = " ".repeat(own_indent + 2);
        let options = textwrap::Options::new(WIDTH - FACTS).subsequent_indent(&hanging);
        let wrapped = textwrap::wrap(fact, options);
        let mut lines = wrapped.iter();
        let first = lines.next().map_or("", |line| line.as_ref());
        self.line(&format!("{head}{first}"));
        for line in lines {
            self.line(&format!("{:FACTS$}{line}", ""));
        }
    }
}

/// A span of time with the digits that matter.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds >= 10.0 {
        format!("{seconds:.0} s")
    } else if seconds >= 1.0 {
        format!("{seconds:.1} s")
    } else if seconds >= 0.01 {
        format!("{:.0} ms", seconds * 1e3)
    } else {
        format!("{:.1} ms", seconds * 1e3)
    }
}

pub(super) fn instant(at: Timestamp) -> String {
    let local = HKT.to_datetime(at);
    local.strftime("%Y-%m-%d %H:%M:%S HKT").to_string()
}

pub(super) fn date(at: Timestamp) -> String {
    let local = HKT.to_datetime(at);
    local.strftime("%Y-%m-%d").to_string()
}
