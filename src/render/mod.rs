//! How it is said: metrics, text, JSON, HTML. Nothing here measures or decides.

pub mod evidence;
mod facts;
pub mod html;
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
