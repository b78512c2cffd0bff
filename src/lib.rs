//! Prometheus exporter for the CCASS 2FA login server.
//!
//! The layout, in the order in which data flows:
//!
//! * [`config`]: what was asked; files become types that cannot be wrong
//! * [`probe`]: what happened; one engine, which knows none of its doors
//! * [`report`]: what is known; the one value that everything renders
//! * [`render`]: how it is said; metrics, text, JSON
//! * [`serve`]: the scheduler, the board of latest reports, the listener
//! * [`evidence`]: what was verified, kept so that it can be shown years later
//! * [`memory`]: the file that keeps what is remembered of the targets
//! * [`doors`]: what each command does
//! * [`timetable`], [`calendar`]: the circular's dates and Hong Kong's business days; they know
//!   nothing of the probe
//! * [`readiness`]: how many accounts have their e-mail address registered; counts only
//! * [`service_hours`]: when an outage is a page and when it can wait
//! * [`drill`]: a rehearsal of the alarm, to Alertmanager and back
//! * [`cli`]: flags as they are typed
//! * [`bounded_cache`]: a map with a bound, for results that are expensive to compute again
//! * [`clock`]: the only place that asks for the time
//! * [`personal`]: e-mail addresses are not repeated in errors, logs and answers

// Nothing panics here; an exception is #[expect(.., reason = "..")] with its invariant.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::print_stderr,
        clippy::indexing_slicing
    )
)]

pub mod bounded_cache;
pub mod calendar;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod diagnostics;
pub mod drill;
pub mod evidence;
pub mod label;
pub mod probe;
pub mod readiness;
pub mod redact;
pub mod render;
pub mod report;
pub mod serve;
pub mod service_hours;
pub mod state_file;
pub mod timetable;
