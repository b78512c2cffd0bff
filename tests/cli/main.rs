#![allow(
    clippy::disallowed_methods,
    reason = "tests run outside the exporter and read the system clock"
)]

mod blackbox_converter;
mod calendar;
mod commands;
mod configuration;
mod documents;
mod init;
mod timetable;
mod verify_terminal;
mod web_config;
