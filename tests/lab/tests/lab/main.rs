#![allow(
    clippy::disallowed_methods,
    reason = "tests read their own files and the system clock"
)]

mod client;
mod handshake;
mod name_server;
mod pages;
mod politeness;
mod world;
