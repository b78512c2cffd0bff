//! The evidence files: what an audit finds in them, and what appending to them guarantees.

use std::path::{Path, PathBuf};

use ccass_2fa_exporter::clock::Clock;
use ccass_2fa_exporter::evidence::{
    Audit, Content, EvidenceState, Fault, KnownHashes, Ledger, LedgerError, TerminalCheck,
    TerminalOutcome,
};
use ccass_2fa_exporter::timetable::Timetable;

/// A data directory with evidence.
pub struct EvidenceDirectory {
    directory: tempfile::TempDir,
}

impl EvidenceDirectory {
    pub fn new() -> Self {
        Self {
            directory: temporary_directory(),
        }
    }

    /// With that number of terminal checks.
    pub fn with_records(count: usize) -> Self {
        let evidence = Self::new();
        for _ in 0..count {
            evidence.append("t1");
        }
        evidence
    }

    /// With that number of terminal checks, appended at once.
    pub fn with_many_records(count: usize) -> Self {
        let evidence = Self::new();
        let checks: Vec<Content> = (0..count).map(|_| seen_at("t1")).collect();
        evidence.ledger().append(&checks).unwrap();
        evidence
    }

    pub fn append(&self, terminal: &str) {
        self.ledger().append(&[seen_at(terminal)]).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn ledger_at(&self, at: &str) -> Ledger {
        let clock = Clock::Fixed(at.parse().unwrap());
        Ledger::in_directory(self.path(), Some("central"), clock)
    }

    fn ledger(&self) -> Ledger {
        self.ledger_at("2026-11-24T00:05:00Z")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join("evidence").join(name)
    }

    pub fn text(&self) -> String {
        std::fs::read_to_string(self.file("2026.jsonl")).unwrap()
    }

    pub fn replace(&self, text: &str) {
        std::fs::write(self.file("2026.jsonl"), text).unwrap();
    }

    fn faults(&self) -> Vec<String> {
        let faults = self.audit(KnownHashes::default()).faults;
        faults.iter().map(ToString::to_string).collect()
    }

    pub fn audit(&self, known: KnownHashes<'_>) -> Audit {
        Audit::of(&self.ledger(), known, |_| {}).unwrap()
    }
}

/// In memory where the system has a place for that: appending waits for the disk each time.
pub fn temporary_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a directory")
}

fn known(head: &str) -> KnownHashes<'_> {
    KnownHashes {
        head: Some(head),
        after: None,
    }
}

fn seen_at(terminal: &str) -> Content {
    Content::Terminal(TerminalCheck {
        terminal: terminal.to_owned(),
        outcome: TerminalOutcome::Seen,
        reference: None,
    })
}

#[test]
fn altered_deleted_and_reordered_lines_are_reported() {
    let swapped = |lines: &mut Vec<String>| lines.swap(2, 3);
    let altered = |line: usize| {
        move |lines: &mut Vec<String>| lines[line] = lines[line].replace("\"seen\"", "\"not-seen\"")
    };
    // With the right hash, by an attacker who knows the format.
    let forged = |lines: &mut Vec<String>| {
        let line = lines[2].replace("\"seen\"", "\"not-seen\"");
        let (body, _) = line.rsplit_once(",\"hash\":").unwrap();
        use sha2::Digest;
        let hash: String = sha2::Sha256::digest(body)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        lines[2] = format!("{body},\"hash\":\"{hash}\"}}");
    };
    type Tampering<'a> = &'a dyn Fn(&mut Vec<String>);
    for (tamper, expected) in [
        (
            &altered(2) as Tampering,
            vec!["2026.jsonl line 3: record 3 was altered"],
        ),
        (&altered(4), vec!["2026.jsonl line 5: record 5 was altered"]),
        (&altered(0), vec!["2026.jsonl line 1: record 1 was altered"]),
        (&forged, vec!["2026.jsonl line 3: record 3 was altered"]),
        (
            &|lines: &mut Vec<String>| {
                lines.remove(1);
            },
            vec!["record 2 is missing"],
        ),
        (
            &|lines: &mut Vec<String>| {
                lines.drain(0..3);
            },
            vec!["records 1 to 3 are missing"],
        ),
        (
            &swapped,
            vec!["2026.jsonl line 4: record 3 follows record 4"],
        ),
        (
            &|lines: &mut Vec<String>| lines.push(lines[4].clone()),
            vec!["2026.jsonl line 6: record 5 appears a second time"],
        ),
        (
            &|lines: &mut Vec<String>| lines.insert(1, "{}".to_owned()),
            vec!["2026.jsonl line 2: the line is not a record"],
        ),
        (&|_: &mut Vec<String>| {}, vec![]),
    ] {
        let evidence = EvidenceDirectory::with_records(5);
        let mut lines: Vec<String> = evidence.text().lines().map(str::to_owned).collect();
        tamper(&mut lines);
        evidence.replace(&format!("{}\n", lines.join("\n")));
        assert_eq!(evidence.faults(), expected);
        // Appending still works, and does not hide what was done.
        evidence.append("t2");
        let later = evidence.faults();
        assert_eq!(later.is_empty(), expected.is_empty(), "{later:?}");
        for fault in expected {
            assert!(later.contains(&fault.to_owned()), "{fault}: {later:?}");
        }
    }
}

#[test]
fn removed_tail_is_detected_with_a_known_hash() {
    let evidence = EvidenceDirectory::with_records(5);
    let head = evidence.audit(KnownHashes::default()).head;
    let audit = evidence.audit(known(&head.hash));
    assert_eq!(
        (audit.faults.as_slice(), audit.head_found_at),
        (&[][..], Some(5))
    );
    let lines = evidence.text();
    let cut: Vec<&str> = lines.lines().take(3).collect();
    evidence.replace(&format!("{}\n", cut.join("\n")));
    assert_eq!(
        evidence.faults(),
        Vec::<String>::new(),
        "the chain alone does not show it"
    );
    let audit = evidence.audit(known(&head.hash));
    assert_eq!(audit.faults, [Fault::HeadUnknown]);
}

#[test]
fn torn_last_line_is_reported_and_set_aside() {
    let whole = EvidenceDirectory::with_records(3).text();
    let last = whole.trim_end().rfind('\n').unwrap() + 1;
    for cut in (last + 1)..whole.len() {
        let evidence = EvidenceDirectory::with_records(0);
        std::fs::create_dir(evidence.file("")).unwrap();
        evidence.replace(whole.split_at(cut).0);
        let torn = cut - last;
        if cut == whole.len() - 1 {
            // Only the line feed is missing: it is a whole record, and the next append completes it.
            assert_eq!(evidence.faults(), Vec::<String>::new());
            evidence.append("t9");
            let audit = evidence.audit(KnownHashes::default());
            assert_eq!((audit.faults.len(), audit.head.number), (0, 4));
            continue;
        }
        let faults = evidence.faults();
        let [fault] = faults.as_slice() else {
            panic!("{faults:?}");
        };
        assert!(
            fault.starts_with(&format!(
                "2026.jsonl line 3: the last line is torn ({torn} bytes)"
            )),
            "{fault}"
        );
        evidence.append("t9");
        let audit = evidence.audit(KnownHashes::default());
        assert_eq!(audit.faults, [], "cut at {cut}");
        let kinds: Vec<&str> = audit
            .records
            .iter()
            .map(|record| record.content.kind())
            .collect();
        assert_eq!(kinds, ["terminal", "terminal", "repair", "terminal"]);
        let Content::Repair(repair) = &audit.records[2].content else {
            panic!("{kinds:?}");
        };
        assert_eq!(repair.torn_bytes, torn as u64);
        let aside = std::fs::read_to_string(evidence.file("2026.torn")).unwrap();
        assert_eq!(aside.trim_end(), whole.get(last..cut).unwrap());
    }
}

#[test]
fn crash_in_the_first_record_of_a_year_does_not_break_the_chain() {
    for (left, kinds) in [
        ("", &["terminal", "terminal", "terminal"][..]),
        (
            "{\"schema\":1,",
            &["terminal", "terminal", "repair", "terminal"],
        ),
    ] {
        let evidence = EvidenceDirectory::with_records(2);
        std::fs::write(evidence.file("2027.jsonl"), left).unwrap();
        let ledger = evidence.ledger_at("2027-01-04T01:00:00Z");
        let receipts = ledger.append(&[seen_at("t1")]).unwrap();
        let audit = evidence.audit(KnownHashes::default());
        assert_eq!(audit.faults, [], "after {left:?}");
        assert_eq!(receipts[0].head.number, kinds.len() as u64);
        let found: Vec<&str> = audit.records.iter().map(|it| it.content.kind()).collect();
        assert_eq!(found, kinds, "after {left:?}");
    }
}

#[test]
fn every_hong_kong_year_has_a_file_of_one_chain() {
    let evidence = EvidenceDirectory::new();
    for at in [
        "2026-12-31T15:59:59Z",
        // 2027 in Hong Kong.
        "2026-12-31T16:00:00Z",
        // The clock was set back.
        "2026-12-31T15:00:00Z",
        "2028-01-01T00:00:00Z",
    ] {
        evidence.ledger_at(at).append(&[seen_at("t1")]).unwrap();
    }
    let audit = evidence.audit(KnownHashes::default());
    assert_eq!(audit.files, ["2026.jsonl", "2027.jsonl", "2028.jsonl"]);
    assert_eq!((audit.faults.len(), audit.head.number), (0, 4));
    let backward: Vec<String> = audit.backward.iter().map(ToString::to_string).collect();
    assert_eq!(
        backward,
        [
            "2027.jsonl line 2: time runs backwards: record 3 is of 2026-12-31T15:00:00Z, the record before \
             it of 2026-12-31T16:00:00Z; the clock was set back"
        ]
    );
    let lines = |name| {
        std::fs::read_to_string(evidence.file(name))
            .unwrap()
            .lines()
            .count()
    };
    assert_eq!(
        ["2026.jsonl", "2027.jsonl", "2028.jsonl"].map(lines),
        [1, 2, 1]
    );
    std::fs::remove_file(evidence.file("2027.jsonl")).unwrap();
    assert_eq!(evidence.faults(), ["records 2 to 3 are missing"]);
}

#[test]
fn later_years_are_verified_without_the_earlier_files() {
    let evidence = EvidenceDirectory::new();
    for at in [
        "2026-02-01T00:00:00Z",
        "2027-02-01T00:00:00Z",
        "2027-03-01T00:00:00Z",
    ] {
        evidence.ledger_at(at).append(&[seen_at("t1")]).unwrap();
    }
    let moved = evidence.audit(KnownHashes::default()).records[0]
        .hash
        .clone();
    std::fs::remove_file(evidence.file("2026.jsonl")).unwrap();
    assert_eq!(evidence.faults(), ["record 1 is missing"]);
    let after = KnownHashes {
        head: None,
        after: Some(&moved),
    };
    assert_eq!(evidence.audit(after).faults, []);
    let other = "f".repeat(64);
    let after = KnownHashes {
        head: None,
        after: Some(&other),
    };
    assert_eq!(evidence.audit(after).faults.len(), 1);
}

#[test]
fn altered_records_do_not_count_and_truncation_is_a_fault() {
    let evidence = EvidenceDirectory::with_records(3);
    let mut status = EvidenceState::default();
    status.catch_up(&evidence.ledger()).unwrap();
    let timetable = Timetable::embedded();
    let seen = |status: &EvidenceState| {
        let terminals = ["t1".to_owned()];
        status.count_terminals(&terminals, TerminalOutcome::Seen, &timetable)
    };
    assert_eq!((status.faults, seen(&status)), (0, 1));
    // A record that was changed from "not seen" to "seen" does not count, and is a fault.
    let not_seen = Content::Terminal(TerminalCheck {
        terminal: "t1".to_owned(),
        outcome: TerminalOutcome::NotSeen,
        reference: None,
    });
    evidence.ledger().append(&[not_seen]).unwrap();
    let text = evidence.text();
    evidence.replace(&text.replace("not-seen", "seen"));
    let mut forged = EvidenceState::default();
    forged.catch_up(&evidence.ledger()).unwrap();
    assert_eq!(forged.faults, 1);
    let audit = evidence.audit(KnownHashes::default());
    let altered: Vec<bool> = audit
        .records
        .iter()
        .map(|record| audit.is_altered(record))
        .collect();
    assert_eq!(altered, [false, false, false, true]);
    // An altered line in the middle is one fault, not a second one at the record behind it.
    let faults = |text: &str| {
        let evidence = EvidenceDirectory::with_records(1);
        evidence.replace(text);
        let mut state = EvidenceState::default();
        state.catch_up(&evidence.ledger()).unwrap();
        state.faults
    };
    let lines: Vec<&str> = text.lines().collect();
    let with_second = |line: &str| {
        let mut lines = lines.clone();
        lines[1] = line;
        lines.join("\n") + "\n"
    };
    assert_eq!(faults(&text), 0);
    assert_eq!(faults(&with_second(&lines[1].replace("t1", "t9"))), 1);
    assert_eq!(faults(&with_second("no record")), 1);
    let mut removed = lines.clone();
    removed.remove(1);
    assert_eq!(faults(&(removed.join("\n") + "\n")), 1);
    // Lines that were read before are missing now.
    let first = text.split_inclusive('\n').next().unwrap();
    evidence.replace(first);
    status.catch_up(&evidence.ledger()).unwrap();
    assert_eq!((status.faults, status.head.number), (1, 1));
}

#[test]
fn state_of_an_earlier_day_excludes_later_records() {
    let evidence = EvidenceDirectory::new();
    for at in ["2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"] {
        evidence.ledger_at(at).append(&[seen_at("t1")]).unwrap();
    }
    let timetable = Timetable::embedded();
    for (at, count) in [("2026-01-31T00:00:00Z", 0), ("2026-02-01T00:00:00Z", 1)] {
        let status = EvidenceState::at(&evidence.ledger(), at.parse().unwrap()).unwrap();
        let terminals = ["t1".to_owned()];
        assert_eq!(
            status.count_terminals(&terminals, TerminalOutcome::Seen, &timetable),
            count,
            "{at}"
        );
    }
}

#[test]
fn concurrent_writers_append_to_one_chain() {
    let evidence = EvidenceDirectory::new();
    std::thread::scope(|scope| {
        for _ in 0..48 {
            scope.spawn(|| {
                for _ in 0..5 {
                    evidence
                        .ledger()
                        .append(&[seen_at("t1"), seen_at("t2")])
                        .unwrap();
                }
            });
        }
    });
    let audit = evidence.audit(KnownHashes::default());
    assert_eq!((audit.faults.len(), audit.head.number), (0, 480));
}

#[test]
fn append_gives_up_when_the_lock_stays_held() {
    let evidence = EvidenceDirectory::with_records(1);
    let lock = std::fs::File::open(evidence.file("lock")).unwrap();
    lock.lock().unwrap();
    let error = evidence.ledger().append(&[seen_at("t1")]).unwrap_err();
    assert!(matches!(error, LedgerError::Locked { .. }));
    let message = error.to_string();
    for part in [
        "another program has held",
        "for 5 s; end it, or wait until it is done",
    ] {
        assert!(message.contains(part), "{message}");
    }
    drop(lock);
    assert_eq!(evidence.text().lines().count(), 1);
    evidence.append("t1");
}
