//! Lines at the bottom of a terminal that are replaced while something is in progress, and removed
//! when it is done. They go to standard error, and nowhere if that is not a terminal.

use crate::terminal;

/// The lines that are shown; dropping them removes them.
pub(super) struct StatusLines {
    shown: usize,
}

impl StatusLines {
    /// `None` if standard error is not a terminal that can move its cursor.
    pub fn on_terminal() -> Option<Self> {
        (terminal::is_error_terminal() && !terminal::is_dumb()).then_some(Self { shown: 0 })
    }

    /// Replaces the lines. What does not fit on the terminal is cut off: a line that is broken, or
    /// scrolls away, could not be replaced.
    pub fn show(&mut self, lines: &[String]) {
        let (columns, rows) = terminal::error_size().unwrap_or((80, 24));
        let mut text = String::new();
        let rows = usize::from(rows.saturating_sub(1));
        for line in lines.iter().take(rows) {
            let line = line.chars().take(usize::from(columns.saturating_sub(1)));
            text.extend(line);
            text.push('\n');
        }
        terminal::replace_error_lines(self.shown, &text);
        self.shown = lines.len().min(rows);
    }

    pub fn clear(&mut self) {
        terminal::replace_error_lines(self.shown, "");
        self.shown = 0;
    }
}

impl Drop for StatusLines {
    fn drop(&mut self) {
        self.clear();
    }
}
