//! How it is said: metrics, text, JSON, the status page. Nothing here measures or decides.

mod facts;
pub mod json;
pub mod metrics;
pub mod module;
mod overview;
mod page;
mod readiness;
pub mod status;
pub mod summary;
pub mod text;
pub mod timetable;
