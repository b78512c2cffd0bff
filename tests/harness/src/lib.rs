//! What the test suites share: the built exporter as a process, real peers around it, and the
//! documents that tests keep up to date.
//!
//! - `exporter`: the built binary, its log, its metrics
//! - `documents`: files of this repository that must match the code
//! - `namespace`: a network, mount and process namespace; `firewall_network`: a firm's network made of
//!   several of them
//! - `fleet`: sites with agents, and the centres that they send to
//! - `prometheus`: Prometheus and Alertmanager with the shipped files; `webhook`: their receiver
//! - `node_exporter`: node_exporter with its textfile collector
//! - `scenarios`: the lab's scenarios, a few at a time
//! - `scripted_server`: a web server that answers byte for byte
//! - `terminal`: the exporter in a pseudo-terminal
//! - `node`: scripts that run in Node.js, most of them driving Chromium

#![allow(
    clippy::disallowed_methods,
    reason = "tests run outside the exporter and read the system clock"
)]

pub mod documents;
pub mod exporter;
pub mod firewall_network;
pub mod fleet;
pub mod namespace;
pub mod node;
pub mod node_exporter;
pub mod prometheus;
pub mod scenarios;
pub mod scripted_server;
#[cfg(unix)]
pub mod terminal;
pub mod webhook;
