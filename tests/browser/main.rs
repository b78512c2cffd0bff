//! `verify --browser` and `serve` with Debian's Chromium, whose sandbox is on: as root, the exporter and the browser run
//! as `nobody`.

#![allow(
    clippy::disallowed_methods,
    reason = "tests run outside the exporter and read the system clock"
)]

mod desk;
mod hostile;
mod hostile_server;
mod lab_pages;
mod net_errors;
mod node_exporter;
mod serve;
