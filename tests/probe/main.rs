#![allow(
    clippy::disallowed_methods,
    reason = "tests run outside the exporter and read the system clock"
)]

mod certificates;
mod descriptor_limit;
mod groups_and_controls;
mod pages;
mod politeness;
mod reasons;
