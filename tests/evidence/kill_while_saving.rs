//! The state file, saved by a process that is killed again and again.
//!
//! The process is this test binary, started again with `SAVE_TO` set.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ccass_2fa_exporter::clock::Clock;
use ccass_2fa_exporter::report::history::{SavedState, TargetHistory};
use ccass_2fa_exporter::state_file::StateFile;
use serde_json::value::{RawValue, to_raw_value};

use crate::killed::{Killed, kills, time_limit};
use crate::ledger::temporary_directory;

/// A state is large enough for a kill to come while it is written.
const TARGETS: usize = 50;
const BYTES_OF_EACH: usize = 20_000;

/// The environment variable that names the directory, for the process that is killed.
const SAVE_TO: &str = "CCASS_2FA_TEST_SAVE_TO";

/// What the killed process runs; in the ordinary test run it does nothing.
#[test]
fn saves_until_killed() {
    if let Some(directory) = std::env::var_os(SAVE_TO) {
        save(Path::new(&directory));
    }
}

/// Saves one state after the other, and prints the number of each once it is saved.
fn save(directory: &Path) {
    let file = StateFile::in_directory(directory);
    let last = number(&file.load());
    let filling = filling();
    let mut out = std::io::stdout().lock();
    for number in last + 1.. {
        let state = state(number, &filling);
        file.save(&state).expect("the state is saved");
        // The parent closed the pipe, and is about to kill this process.
        if writeln!(out, "saved {number}").is_err() {
            return;
        }
    }
}

fn filling() -> Box<RawValue> {
    to_raw_value(&"x".repeat(BYTES_OF_EACH)).expect("JSON")
}

/// A state in which each target's history has this number.
fn state(number: u64, filling: &RawValue) -> SavedState {
    let target = |index| {
        let mut history = TargetHistory::of(&format!("https://{number}.lab.test/"));
        history.failures.push_back(filling.to_owned());
        (format!("target-{index}"), Arc::new(history))
    };
    SavedState {
        targets: (0..TARGETS).map(target).collect(),
    }
}

/// The number of a complete state; 0 for none.
fn number(state: &SavedState) -> u64 {
    let Some(first) = state.targets.values().next() else {
        return 0;
    };
    let mut histories = state.targets.values();
    assert!(
        state.targets.len() == TARGETS && histories.all(|one| one.url == first.url),
        "parts of several states: {:?}",
        state
            .targets
            .values()
            .map(|one| &one.url)
            .collect::<Vec<_>>()
    );
    let (_, rest) = first.url.split_once("//").expect("a URL");
    let number = rest.split('.').next().expect("a number");
    number.parse().expect("a number")
}

#[test]
fn the_state_file_is_a_complete_state_after_a_kill_at_any_moment() {
    let directory = temporary_directory();
    let file = StateFile::in_directory(directory.path());
    let process = Killed {
        test: "kill_while_saving::saves_until_killed",
        directory: SAVE_TO,
        longest: Duration::from_millis(10),
    };
    let wanted = kills(60);
    let (started, limit) = (Instant::now(), time_limit(wanted));
    let (mut saved, mut unfinished) = (0, 0);
    for kill in 0..wanted {
        assert!(started.elapsed() < limit, "{kill} kills after {limit:?}");
        let lines = process.lines(directory.path(), kill, 5);
        let numbers = lines.iter().filter_map(|line| line.strip_prefix("saved "));
        let numbers = numbers.filter_map(|number| number.parse().ok());
        saved = numbers.max().unwrap_or(saved);
        // As the service reads it at its start.
        let state = file.load_or_quarantine(Clock::System.now());
        let found = number(&state.expect("a readable file"));
        assert!(
            found == saved || found == saved + 1,
            "state {found} is in the file, {saved} was saved last"
        );
        saved = found;
        let files = std::fs::read_dir(directory.path()).expect("a directory");
        unfinished += u32::from(files.count() > 1);
        file.remove_temporaries().expect("a writable directory");
        let files = std::fs::read_dir(directory.path()).expect("a directory");
        let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        let expected: &[&str] = if found == 0 { &[] } else { &["state.json"] };
        assert_eq!(names, expected);
    }
    assert!(unfinished > 0, "no kill came while a file was written");
    eprintln!("{wanted} kills, {unfinished} of them while a file was written, {saved} states");
}
