//! Prometheus exporter for the CCASS 2FA login server.
//!
//! The modules, in the order of the data flow:
//!
//! * [`cli`]: the command line as typed.
//! * [`commands`]: one module per command: parse, call, render, exit status.
//! * [`config`]: the configuration files, validated into types that cannot hold an invalid value.
//! * [`probe`]: the engine. Probes one target, layer by layer, and returns a [`report::Report`].
//! * [`report`]: the result of a probe, with its reasons, findings, advice and history.
//! * [`render`]: everything that is printed: metrics, status page, text, HTML, JSON.
//! * [`serve`]: the long-running service: scheduler, reload, latest reports, HTTP listener.
//! * [`state_file`]: each target's history, saved across restarts.
//! * [`evidence`]: the hash-chained ledger of what was verified.
//! * [`readiness`]: how many accounts have a registered e-mail address; counts only.
//! * [`timetable`], [`calendar`]: the circular's dates and Hong Kong's business days; independent of
//!   probing.
//! * [`service_hours`]: when an outage pages and when it waits for working hours.
//! * [`drill`]: the Alertmanager client of the `drill` command.
//! * [`browser`]: asks `ccass-2fa-browser` to open a target in a browser of this host.
//! * [`bounded_cache`]: a map with a maximum size, for results that are expensive to compute.
//! * [`clock`]: the only module that reads the time.
//! * [`data_directory`]: one `serve` uses a data directory at a time.
//! * [`diagnostics`]: errors of YAML files with line, column and key.
//! * [`hex`]: bytes and hashes as lower-case hexadecimal.
//! * [`input_file`]: opens and reads every file: regular files only, with a limit and a deadline.
//! * [`label`]: the character rules of names and labels.
//! * [`lock`]: mutex locking that ignores poisoning.
//! * [`ownership`]: whose a file is, for errors about denied access.
//! * [`replacement`]: replaces a file atomically.
//! * [`terminal`]: the only module that prints; makes text safe for a terminal.
//! * [`redact`]: removes e-mail addresses from errors, logs and responses.

// Nothing panics outside tests; an exception is #[expect(.., reason = "..")] with its invariant.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::print_stderr,
        clippy::print_stdout,
        clippy::indexing_slicing
    )
)]

pub mod api_client;
pub mod bounded_cache;
pub mod browser;
pub mod calendar;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod data_directory;
pub mod diagnostics;
pub mod drill;
pub mod evidence;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod hex;
pub mod input_file;
pub mod label;
pub mod lock;
pub mod ownership;
pub mod probe;
pub mod readiness;
pub mod redact;
pub mod render;
pub mod replacement;
pub mod report;
pub mod serve;
pub mod service_hours;
pub mod state_file;
pub mod terminal;
pub mod timetable;
