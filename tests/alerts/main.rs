#![allow(
    clippy::disallowed_methods,
    reason = "tests run outside the exporter and read the system clock"
)]

mod drill;
mod fleet;
mod paging;
mod receivers;
mod rehearsal;
mod rules;
mod tutorial;
