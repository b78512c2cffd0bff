#![allow(
    clippy::disallowed_methods,
    reason = "tests run outside the exporter and read the system clock"
)]

mod addresses;
mod assertions;
mod data_directory;
mod evidence_recording;
mod hostile_clients;
mod hostile_http2;
mod hostile_servers;
mod lab_config;
mod listener;
mod metrics;
mod outputs;
mod probe_endpoint;
mod readiness_file;
mod redaction;
mod reload;
mod reloading;
mod saved_state;
mod silent_server;
mod unreadable_files;
mod waiting;
