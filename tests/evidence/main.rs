#![allow(
    clippy::disallowed_methods,
    reason = "tests run outside the exporter and read the system clock"
)]

mod commands;
mod kill_while_appending;
mod ledger;
mod merge;
mod properties;
