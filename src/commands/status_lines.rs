//! Lines at the bottom of a terminal that are replaced while something is in progress, and removed
//! when it is done. They go to standard error, and nowhere if that is not a terminal.

use std::io::{self, IsTerminal, Write};

use terminal_size::{Height, Width};

/// The lines that are shown; dropping them removes them.
pub(super) struct StatusLines {
    shown: usize,
}

impl StatusLines {
    /// `None` if standard error is not a terminal that can move its cursor.
    pub fn on_terminal() -> Option<Self> {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        (io::stderr().is_terminal() && !is_dumb).then_some(Self { shown: 0 })
    }

    /// Replaces the lines. What does not fit on the terminal is cut off: a line that is broken, or
    /// scrolls away, could not be replaced.
    pub fn show(&mut self, lines: &[String]) {
        let size = terminal_size::terminal_size_of(io::stderr());
        let (Width(columns), Height(rows)) = size.unwrap_or((Width(80), Height(24)));
        let mut text = self.erasure();
        let rows = usize::from(rows.saturating_sub(1));
        for line in lines.iter().take(rows) {
            let line = line.chars().take(usize::from(columns.saturating_sub(1)));
            text.extend(line);
            text.push('\n');
        }
        self.shown = lines.len().min(rows);
        print(&text);
    }

    pub fn clear(&mut self) {
        print(&self.erasure());
        self.shown = 0;
    }

    /// Moves the cursor up to the first line and clears from there.
    fn erasure(&self) -> String {
        match self.shown {
            0 => String::new(),
            shown => format!("\x1b[{shown}A\x1b[J"),
        }
    }
}

impl Drop for StatusLines {
    fn drop(&mut self) {
        self.clear();
    }
}

fn print(text: &str) {
    // The terminal is closed: there is nowhere to report that.
    let _ = io::stderr().write_all(text.as_bytes());
}
