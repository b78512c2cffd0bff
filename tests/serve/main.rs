#![allow(
    clippy::disallowed_methods,
    reason = "tests run outside the exporter and read the system clock"
)]

mod hostile_clients;
mod listener;
mod metrics;
mod probe_endpoint;
mod readiness_file;
mod redaction;
mod reload;
mod saved_state;
