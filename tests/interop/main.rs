#![allow(
    clippy::disallowed_methods,
    reason = "tests run outside the exporter and read the system clock"
)]

mod calendar_programs;
mod dashboards;
mod listener_security;
mod performance;
mod scrapers_and_schemas;
mod status_page;
