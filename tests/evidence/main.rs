#![allow(
    clippy::disallowed_methods,
    reason = "tests run outside the exporter and read the system clock"
)]

mod commands;
mod kill_while_appending;
mod kill_while_saving;
mod killed;
mod ledger;
mod merge;
mod properties;
