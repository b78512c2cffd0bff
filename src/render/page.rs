//! Text output in the width of the terminal.
//!
//! Colors are always written; `commands` strips them where the output is not a terminal. No state is
//! shown by color alone.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;

use crate::calendar::HKT;
use crate::terminal::single_line;

/// Without a terminal.
pub(super) const WIDTH: usize = 100;

/// The width of lines, in columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Width(usize);

impl Width {
    /// That of a terminal, within the limits in which the columns can be read.
    pub fn of_terminal(columns: u16) -> Self {
        Self(usize::from(columns).clamp(60, 120))
    }
}

impl Default for Width {
    fn default() -> Self {
        Self(WIDTH)
    }
}

/// The column in which facts begin, after a layer's name, state and duration.
pub(super) const FACTS: usize = 24;

pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const WARN: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const FAINT: Style = Style::new().dimmed();
pub(super) const STRONG: Style = Style::new().bold();

#[derive(Default)]
pub(super) struct Page {
    pub text: String,
    width: Width,
}

impl Page {
    pub fn new(width: Width) -> Self {
        Self {
            text: String::new(),
            width,
        }
    }

    pub fn line(&mut self, text: &str) {
        self.text.push_str(&single_line(text.trim_end()));
        self.text.push('\n');
    }

    /// A line that continues, if it is too long, with an indent.
    pub fn hanging(&mut self, text: &str) {
        let options = self.wrap().subsequent_indent("  ");
        for line in textwrap::wrap(text, options) {
            self.line(&line);
        }
    }

    /// A wrapped paragraph, each line indented.
    pub fn paragraph(&mut self, indent: usize, text: &str) {
        let margin = " ".repeat(indent);
        let options = self
            .wrap()
            .initial_indent(&margin)
            .subsequent_indent(&margin);
        for line in textwrap::wrap(text, options) {
            self.line(&line);
        }
    }

    /// A label in the margin, followed by a wrapped paragraph.
    pub fn labelled(&mut self, label: &str, text: &str) {
        let margin = " ".repeat(12);
        let first = format!("  {label:<10}");
        let options = self
            .wrap()
            .initial_indent(&first)
            .subsequent_indent(&margin);
        for (index, line) in textwrap::wrap(text, options).iter().enumerate() {
            match (index, line.strip_prefix(&first)) {
                (0, Some(rest)) => self.line(&format!("{STRONG}{first}{STRONG:#}{rest}")),
                _ => self.line(line),
            }
        }
    }

    /// A label and two columns, each wrapped.
    pub fn columns(&mut self, label: &str, left: &str, right: &str) {
        const LABEL: usize = 16;
        let width = self.width.0.saturating_sub(LABEL + 2) / 2;
        let left = textwrap::wrap(left, wrap(width));
        let right = textwrap::wrap(right, wrap(width));
        for index in 0..left.len().max(right.len()) {
            let cell = |lines: &[std::borrow::Cow<'_, str>]| {
                lines
                    .get(index)
                    .map_or_else(String::new, ToString::to_string)
            };
            let label = if index == 0 { label } else { "" };
            let (left, right) = (cell(&left), cell(&right));
            self.line(&format!("  {label:<14}{left:<width$}  {right}"));
        }
    }

    pub fn fact(&mut self, fact: &str) {
        self.fact_after(&" ".repeat(FACTS), fact);
    }

    fn wrap(&self) -> textwrap::Options<'static> {
        wrap(self.width.0)
    }

    /// A fact after `head`, wrapped in its column.
    pub fn fact_after(&mut self, head: &str, fact: &str) {
        let own_indent = fact.len() - fact.trim_start().len();
        let hanging = " ".repeat(own_indent + 2);
        let options = wrap(self.width.0.saturating_sub(FACTS)).subsequent_indent(&hanging);
        let wrapped = textwrap::wrap(fact, options);
        let mut lines = wrapped.iter();
        let first = lines.next().map_or("", |line| line.as_ref());
        self.line(&format!("{head}{first}"));
        for line in lines {
            self.line(&format!("{:FACTS$}{line}", ""));
        }
    }
}

/// A duration with the significant digits: `12 s`, `1.5 s`, `35 ms`, `0.9 ms`.
pub(super) fn format_duration(duration: Duration) -> String {
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

pub(super) fn clock(at: Timestamp) -> String {
    HKT.to_datetime(at).strftime("%H:%M:%S").to_string()
}

pub(super) fn date(at: Timestamp) -> String {
    let local = HKT.to_datetime(at);
    local.strftime("%Y-%m-%d").to_string()
}

/// Names with hyphens stay whole.
fn wrap<'a>(width: usize) -> textwrap::Options<'a> {
    textwrap::Options::new(width).word_splitter(textwrap::WordSplitter::NoHyphenation)
}
