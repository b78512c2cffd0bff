//! Measurements over several turns.

use serde::Serialize;

/// Median and range of the turns.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Samples {
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub turns: usize,
}

impl Samples {
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.len() {
            0 => f64::NAN,
            even if even % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
            _ => values[middle],
        };
        Self {
            median,
            min: values.first().copied().unwrap_or(f64::NAN),
            max: values.last().copied().unwrap_or(f64::NAN),
            turns: values.len(),
        }
    }

    pub fn one(value: f64) -> Self {
        Self::of(vec![value])
    }

    /// Ratio of each turn of `ours` to the same turn of `theirs`.
    pub fn ratio(ours: &[f64], theirs: &[f64]) -> Self {
        Self::of(ours.iter().zip(theirs).map(|(a, b)| a / b).collect())
    }
}
