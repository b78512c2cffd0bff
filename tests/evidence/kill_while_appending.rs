//! Ten thousand records or more, appended by a process that is killed again and again.
//!
//! The process is this test binary, started again with `APPEND_TO` set.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use ccass_2fa_exporter::clock::Clock;
use ccass_2fa_exporter::evidence::{
    Audit, Content, Fault, KnownHashes, Ledger, TerminalCheck, TerminalOutcome,
};

use crate::killed::{Killed, kills, time_limit};
use crate::ledger::temporary_directory;

const RECORDS: usize = 10_000;

/// The environment variable that names the directory, for the process that is killed.
const APPEND_TO: &str = "CCASS_2FA_TEST_APPEND_TO";

/// What the killed process runs; in the ordinary test run it does nothing.
#[test]
fn appends_until_killed() {
    if let Some(directory) = std::env::var_os(APPEND_TO) {
        append(Path::new(&directory));
    }
}

fn ledger(directory: &Path) -> Ledger {
    Ledger::in_directory(directory, Some("killed"), Clock::System)
}

/// Appends without end, and prints each record once it is acknowledged.
fn append(directory: &Path) {
    let ledger = ledger(directory);
    let mut out = std::io::stdout().lock();
    loop {
        let content = Content::Terminal(TerminalCheck {
            terminal: "terminal-1".to_owned(),
            outcome: TerminalOutcome::Seen,
            reference: None,
        });
        let receipts = ledger.append(&[content]).expect("the record is appended");
        for receipt in receipts {
            let head = receipt.head;
            // The parent closed the pipe, and is about to kill this process.
            if writeln!(out, "{} {}", head.number, head.hash).is_err() {
                return;
            }
        }
    }
}

#[test]
fn acknowledged_records_survive_kills_at_any_moment() {
    // A kill does not lose what the kernel has accepted, so that no disk is needed.
    let directory = temporary_directory();
    let process = Killed {
        test: "kill_while_appending::appends_until_killed",
        directory: APPEND_TO,
        longest: Duration::from_millis(2),
    };
    let wanted = kills(0);
    let (started, limit) = (Instant::now(), time_limit(wanted));
    let mut acknowledged: BTreeMap<u64, String> = BTreeMap::new();
    let (mut kills, mut torn) = (0_u32, 0_u32);
    while acknowledged.len() < RECORDS || kills < wanted {
        assert!(
            started.elapsed() < limit,
            "{} records and {kills} kills after {limit:?}",
            acknowledged.len()
        );
        for line in process.lines(directory.path(), kills, 120) {
            let Some((number, hash)) = line.split_once(' ').filter(|(_, hash)| hash.len() == 64)
            else {
                continue;
            };
            acknowledged.insert(number.parse().expect("a number"), hash.to_owned());
        }
        kills += 1;
        // A line is written by one system call, so that a kill hardly ever tears it. A loss of power
        // does, and is simulated.
        if kills % 5 == 0 {
            tear(directory.path());
            torn += 1;
        }
    }
    // The next append repairs what the last kill left.
    let last = Content::Terminal(TerminalCheck {
        terminal: "terminal-1".to_owned(),
        outcome: TerminalOutcome::NotSeen,
        reference: None,
    });
    ledger(directory.path())
        .append(&[last])
        .expect("the record is appended");
    let audit = Audit::of(&ledger(directory.path()), KnownHashes::default(), |_| {})
        .expect("a readable file");
    assert_eq!(audit.faults, Vec::<Fault>::new());
    let records: BTreeMap<u64, &str> = audit
        .records
        .iter()
        .map(|record| (record.number, record.hash.as_str()))
        .collect();
    for (number, hash) in &acknowledged {
        assert_eq!(records.get(number), Some(&hash.as_str()), "record {number}");
    }
    let repairs = audit.records.iter();
    let repairs = repairs.filter(|record| matches!(record.content, Content::Repair(_)));
    let repairs = repairs.count();
    assert!(
        repairs >= torn as usize,
        "{repairs} repairs of {torn} torn lines"
    );
}

/// Leaves half of a line at the end, as a loss of power may.
fn tear(directory: &Path) {
    let files = ledger(directory).files().expect("a readable file");
    let newest = files.last().expect("a file");
    let text = std::fs::read(newest).expect("a readable file");
    let line = text.split(|byte| *byte == b'\n').next().expect("a line");
    let half = line.split_at(line.len() / 2).0;
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(newest)
        .expect("a writable file");
    file.write_all(half).expect("a writable file");
}
