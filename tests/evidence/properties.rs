//! What is true of every chain of records and of every change to its file.

use std::fs;
use std::path::PathBuf;

use ccass_2fa_exporter::clock::Clock;
use ccass_2fa_exporter::evidence::{
    Audit, Content, Drill, DrillOutcome, EvidenceState, Fault, Head, KnownHashes, Ledger,
    TerminalCheck, TerminalOutcome,
};
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

fn contents() -> impl Strategy<Value = Content> {
    prop_oneof![
        ("[a-z0-9._-]{1,64}", any::<bool>()).prop_map(|(terminal, seen)| {
            Content::Terminal(TerminalCheck {
                terminal,
                outcome: if seen {
                    TerminalOutcome::Seen
                } else {
                    TerminalOutcome::NotSeen
                },
                reference: None,
            })
        }),
        ("(page|ticket)", "[a-z0-9.]{1,20}:[0-9]{1,5}").prop_map(|(severity, alertmanager)| {
            Content::Drill(Drill {
                severity,
                alertmanager,
                outcome: DrillOutcome::Good,
                reference: None,
            })
        }),
    ]
}

/// Evidence of one year with these records.
struct Chain {
    directory: TempDir,
    head: Head,
}

impl Chain {
    fn of(batches: &[Vec<Content>]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut chain = Self {
            directory,
            head: Head {
                number: 0,
                hash: String::new(),
            },
        };
        for batch in batches {
            chain.head = chain.ledger().append(batch).unwrap().pop().unwrap().head;
        }
        chain
    }

    fn ledger(&self) -> Ledger {
        let clock = Clock::Fixed("2026-11-24T00:05:00Z".parse().unwrap());
        Ledger::in_directory(self.directory.path(), Some("central"), clock)
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("evidence/2026.jsonl")
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.file()).unwrap()
    }

    /// The audit with the newest hash, which Prometheus has.
    fn audit(&self) -> Audit {
        let known = KnownHashes {
            head: Some(&self.head.hash),
            after: None,
        };
        Audit::of(&self.ledger(), known, |_| {}).unwrap()
    }

    fn state(&self) -> EvidenceState {
        EvidenceState::at(&self.ledger(), Timestamp::MAX).unwrap()
    }
}

fn batches() -> impl Strategy<Value = Vec<Vec<Content>>> {
    vec(vec(contents(), 1..4), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn records_read_back_in_order_as_they_were_appended(batches in batches()) {
        let chain = Chain::of(&batches);
        let audit = chain.audit();
        prop_assert_eq!(&audit.faults, &[]);
        prop_assert_eq!(&audit.head, &chain.head);
        prop_assert_eq!(&chain.state().head, &chain.head);
        prop_assert_eq!(chain.state().faults, 0);
        let text = |content: &Content| content.written().unwrap().get().to_owned();
        let read: Vec<_> = audit.records.iter().map(|one| text(&one.content)).collect();
        let appended: Vec<_> = batches.iter().flatten().map(text).collect();
        prop_assert_eq!(read, appended);
        prop_assert!(audit.records.iter().map(|one| one.number).eq(1..=chain.head.number));
    }

    #[test]
    fn no_byte_can_be_changed_unnoticed(
        batches in batches(),
        places in vec((any::<prop::sample::Index>(), any::<u8>()), 24),
    ) {
        let chain = Chain::of(&batches);
        let bytes = chain.bytes();
        for (place, byte) in places {
            let mut changed = bytes.clone();
            let place = place.index(bytes.len());
            if changed[place] == byte {
                continue;
            }
            changed[place] = byte;
            fs::write(chain.file(), &changed).unwrap();
            let audit = chain.audit();
            prop_assert!(!audit.faults.is_empty(), "byte {place} to {byte}");
            // The exporter reads complete lines only; the last one may have lost its line break.
            let state = chain.state();
            prop_assert!(state.faults > 0 || state.head != chain.head, "byte {place} to {byte}");
        }
    }

    #[test]
    fn no_line_can_be_removed_moved_or_repeated_unnoticed(
        batches in batches(),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let chain = Chain::of(&batches);
        let bytes = chain.bytes();
        let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        let (from, to) = (from.index(lines.len()), to.index(lines.len()));
        let mut removed = lines.clone();
        let line = removed.remove(from);
        let mut moved = removed.clone();
        moved.insert(to, line);
        let mut repeated = lines.clone();
        repeated.insert(to, line);
        for changed in [removed, moved, repeated] {
            if changed == lines {
                continue;
            }
            fs::write(chain.file(), changed.concat()).unwrap();
            prop_assert!(!chain.audit().faults.is_empty());
        }
    }

    #[test]
    fn after_a_cut_at_any_byte_appending_continues_and_the_loss_is_found(
        batches in batches(),
        cut in any::<prop::sample::Index>(),
        next in contents(),
    ) {
        let chain = Chain::of(&batches);
        let bytes = chain.bytes();
        let cut = cut.index(bytes.len());
        fs::write(chain.file(), &bytes[..cut]).unwrap();
        // Without its line break, the last record is whole.
        let is_whole = cut == bytes.len() - 1;
        let receipts = chain.ledger().append(&[next]).unwrap();
        prop_assert_eq!(receipts.len(), 1);
        let faults = chain.audit().faults;
        prop_assert_eq!(faults.is_empty(), is_whole, "{:?}", faults);
        // But for the known hash, the chain is sound again: what was cut is counted or set aside.
        let sound = Audit::of(&chain.ledger(), KnownHashes::default(), |_| {}).unwrap();
        prop_assert_eq!(sound.faults, Vec::<Fault>::new());
        prop_assert_eq!(&sound.head, &receipts[0].head);
        prop_assert_eq!(chain.state().faults, 0);
    }
}
