//! How it is said: metrics, text, JSON. Nothing here measures or decides.

pub mod json;
pub mod metrics;
pub mod text;
pub mod timetable;
