//! Ten thousand records are appended by a process that is killed again and again.
//!
//! The process is this test binary, started anew with `APPEND_TO` set.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ccass_2fa_exporter::clock::Clock;
use ccass_2fa_exporter::evidence::{Audit, Content, Fault, Known, Ledger, Sighting, TerminalCheck};

const RECORDS: usize = 10_000;
const PATIENCE: Duration = Duration::from_secs(300);

/// Names the directory to append to in the process that is killed.
const APPEND_TO: &str = "CCASS_2FA_TEST_APPEND_TO";

/// The body of the process that is killed. In the ordinary test run there is nothing to append to.
#[test]
fn appends_until_killed() {
    if let Some(directory) = std::env::var_os(APPEND_TO) {
        append(Path::new(&directory));
    }
}

fn ledger(directory: &Path) -> Ledger {
    Ledger::in_directory(directory, Some("killed"), Clock::System)
}

/// Appends for ever, and says each record once it is acknowledged.
fn append(directory: &Path) {
    let ledger = ledger(directory);
    let mut out = std::io::stdout().lock();
    loop {
        let content = Content::Terminal(TerminalCheck {
            terminal: "terminal-1".to_owned(),
            outcome: Sighting::Seen,
            reference: None,
        });
        let receipts = ledger.append(&[content]).expect("it is recorded");
        for receipt in receipts {
            let head = receipt.head;
            // Nobody listens any more: the kill is under way.
            if writeln!(out, "{} {}", head.number, head.hash).is_err() {
                return;
            }
        }
    }
}

#[test]
fn every_acknowledged_record_survives_kills_at_any_moment() {
    // In memory, where there is such a place: a kill leaves what the kernel has taken, and a disk
    // would only take its time for each of ten thousand.
    let directory = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a directory");
    let started = Instant::now();
    let mut acknowledged: BTreeMap<u64, String> = BTreeMap::new();
    let (mut kills, mut torn) = (0_u32, 0_u32);
    while acknowledged.len() < RECORDS {
        assert!(
            started.elapsed() < PATIENCE,
            "{} so far",
            acknowledged.len()
        );
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args([
                "--exact",
                "kill_while_appending::appends_until_killed",
                "--nocapture",
            ])
            .env(APPEND_TO, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut taken = Vec::new();
        // Another number of records each time, and another moment within the last one.
        let wanted = 1 + (kills as usize * 37) % 400;
        taken.extend(lines.by_ref().take(wanted));
        let moment = Instant::now() + Duration::from_micros(u64::from(kills) * 131 % 2_000);
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        child.kill().expect("it runs");
        // What it had said before it died.
        taken.extend(lines);
        child.wait().expect("it has ended");
        for line in taken.into_iter().map_while(Result::ok) {
            let Some((number, hash)) = line.split_once(' ').filter(|(_, hash)| hash.len() == 64)
            else {
                continue;
            };
            acknowledged.insert(number.parse().expect("a number"), hash.to_owned());
        }
        kills += 1;
        // A write is over in one call of the kernel, so that a kill hardly ever tears a line: what a
        // loss of power does is done by hand.
        if kills % 5 == 0 {
            tear(directory.path());
            torn += 1;
        }
    }
    // The last start mends what the last kill left.
    let last = Content::Terminal(TerminalCheck {
        terminal: "terminal-1".to_owned(),
        outcome: Sighting::NotSeen,
        reference: None,
    });
    ledger(directory.path())
        .append(&[last])
        .expect("it is recorded");
    let audit = Audit::of(&ledger(directory.path()), Known::default()).expect("it can be read");
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
    assert!(repairs.count() >= torn as usize, "each torn line is told");
}

/// Leaves half of a line at the end, as a loss of power may.
fn tear(directory: &Path) {
    let files = ledger(directory).files().expect("it can be read");
    let newest = files.last().expect("a file");
    let text = std::fs::read(newest).expect("it can be read");
    let line = text.split(|byte| *byte == b'\n').next().expect("a line");
    let half = line.split_at(line.len() / 2).0;
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(newest)
        .expect("it can be written");
    file.write_all(half).expect("it can be written");
}
