//! `ccass-2fa-browser`: opens one page in a browser of this host and prints what it shows.
//!
//! Input: a [`Request`] as JSON in the first line of standard input, which stays open; if it ends, so
//! does the check. Output: an [`Answer`] as JSON. The exporter starts it for `verify --browser` and
//! `serve`; it keeps the exporter small, and everything it starts is gone when it exits.
//!
//! * `find`: which browser
//! * `process`: starts and ends it with all its children (`unix`, `windows`)
//! * `devtools`: messages of the DevTools protocol over a pipe
//! * `check`: one page, from the navigation to the screenshot; `rules`: what the page may request;
//!   `record`: what is kept of it
//! * `net_log`: which proxy the browser used; `net_errors`: the exporter's reasons for its errors

#![allow(
    clippy::disallowed_methods,
    reason = "clippy.toml is about the exporter's input_file and terminal; here every file is in /proc or \
              written by the check itself, with limits"
)]
// Nothing panics outside tests.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod check;
mod devtools;
mod find;
mod net_errors;
mod net_log;
mod process;
#[path = "../../src/report/browser/protocol.rs"]
#[allow(
    dead_code,
    reason = "some limits concern only the exporter, which compiles this file too"
)]
mod protocol;
mod record;
mod rules;
mod time;

use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::sync::mpsc::{SyncSender, sync_channel};

use devtools::Message;
use protocol::{Answer, MAX_REQUEST, NotRun, Request};

const ABOUT: &str = concat!(
    "ccass-2fa-browser ",
    env!("CARGO_PKG_VERSION"),
    "\n\nOpens one page in a browser of this host and prints what it shows. ccass-2fa-exporter starts \
     it:\n\n    ccass-2fa-exporter verify --browser\n"
);

/// Messages that wait to be read; a page decides how large they are.
const MAX_QUEUED: usize = 8;

fn main() -> ExitCode {
    #[cfg(unix)]
    if let Some(error) = process::launch(std::env::args_os().skip(1)) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let mut output = io::stdout();
    if std::env::args_os().count() > 1 || io::stdin().is_terminal() {
        return match output.write_all(ABOUT.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let answer = match read_request() {
        Ok((request, input)) => {
            let (sender, messages) = sync_channel(MAX_QUEUED);
            let parent = sender.clone();
            std::thread::spawn(move || watch(input, &parent));
            check::run(&request, sender, &messages)
        }
        Err(message) => Answer::NotRun(NotRun::CheckerFailed { message }),
    };
    let written = serde_json::to_vec(&answer)
        .map_err(io::Error::from)
        .and_then(|answer| output.write_all(&answer))
        .and_then(|()| output.flush());
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn read_request() -> Result<(Request, impl Read + Send + 'static), String> {
    let mut input = BufReader::new(io::stdin());
    let mut line = Vec::new();
    (&mut input)
        .take(MAX_REQUEST)
        .read_until(b'\n', &mut line)
        .map_err(|error| format!("cannot read the request: {error}"))?;
    let request = serde_json::from_slice(&line)
        .map_err(|error| format!("the request of the exporter is invalid: {error}"))?;
    Ok((request, input))
}

/// Waits for the end of standard input: the exporter has ended or wants no answer any more.
fn watch(mut input: impl Read, parent: &SyncSender<Message>) {
    let mut byte = [0];
    while matches!(input.read(&mut byte), Ok(1)) {}
    let _ = parent.send(Message::ParentGone);
}
