//! The results: figures with a bound, and the measurements behind them, as a table, as JSON and in the
//! document.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use crate::samples::Samples;

/// A figure with a bound: at most `pass`, better at most `aim`.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub what: String,
    pub unit: &'static str,
    #[serde(flatten)]
    pub samples: Samples,
    pub pass: f64,
    pub aim: f64,
}

/// A measurement without a bound.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    pub what: String,
    pub unit: &'static str,
    #[serde(flatten)]
    pub samples: Samples,
}

/// The results of a run.
#[derive(Debug, Default, Serialize)]
pub struct Figures {
    pub machine: Vec<(String, String)>,
    pub rows: Vec<Row>,
    pub measured: Vec<Measured>,
}

const BEGIN: &str = "<!-- figures -->\n";
const END: &str = "<!-- end of figures -->\n";

impl Row {
    fn verdict(&self) -> &'static str {
        match self.samples.median {
            good if good <= self.aim => "aim",
            good if good <= self.pass => "pass",
            _ => "**missed**",
        }
    }
}

impl Figures {
    pub fn row(&mut self, what: &str, unit: &'static str, samples: Samples, bounds: (f64, f64)) {
        let row = Row {
            what: what.to_owned(),
            unit,
            samples,
            pass: bounds.0,
            aim: bounds.1,
        };
        eprintln!("{}", line(&row));
        self.rows.push(row);
    }

    pub fn measured(&mut self, what: impl Into<String>, unit: &'static str, samples: Samples) {
        let measured = Measured {
            what: what.into(),
            unit,
            samples,
        };
        eprintln!(
            "    {}: {} {unit} ({} to {})",
            measured.what,
            format_value(samples.median),
            format_value(samples.min),
            format_value(samples.max)
        );
        self.measured.push(measured);
    }

    /// As Markdown.
    pub fn tables(&self) -> String {
        let mut out =
            "| | figure | min to max | pass | aim | |\n|---|---|---|---|---|---|\n".to_owned();
        for row in &self.rows {
            let _ = writeln!(out, "{}", line(row));
        }
        out.push_str(
            "\nUnderlying measurements:\n\n| | median | min to max | turns |\n|---|---|---|---|\n",
        );
        for one in &self.measured {
            let samples = &one.samples;
            let _ = writeln!(
                out,
                "| {} | {} {} | {} to {} | {} |",
                one.what,
                format_value(samples.median),
                one.unit,
                format_value(samples.min),
                format_value(samples.max),
                samples.turns
            );
        }
        out.push_str("\n| | |\n|---|---|\n");
        for (what, value) in &self.machine {
            let _ = writeln!(out, "| {what} | {value} |");
        }
        out
    }

    /// Replaces the tables between the marks of the document.
    pub fn write(&self, document: &Path) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(document)?;
        let (before, rest) = text.split_once(BEGIN).context("the first mark")?;
        let (_, after) = rest.split_once(END).context("the second mark")?;
        let text = format!("{before}{BEGIN}\n{}\n{END}{after}", self.tables());
        std::fs::write(document, text)?;
        Ok(())
    }
}

fn line(row: &Row) -> String {
    format!(
        "| {} | {} {} | {} to {} | {} | {} | {} |",
        row.what,
        format_value(row.samples.median),
        row.unit,
        format_value(row.samples.min),
        format_value(row.samples.max),
        row.pass,
        row.aim,
        row.verdict()
    )
}

/// Three significant digits.
fn format_value(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        middle if middle >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
