//! How it is said: metrics, text, JSON. Nothing here measures or decides.

mod facts;
pub mod json;
pub mod metrics;
mod overview;
mod page;
pub mod summary;
pub mod text;
pub mod timetable;
