//! A file of evidence, given as bytes; panics if a record does not read back as it was written.

use super::chain::{self, Head, Writer};
use super::state::EvidenceState;
use super::tail::tail_of;

pub(crate) fn file(data: &[u8]) {
    let mut state = EvidenceState::default();
    let whole = data
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    let (lines, torn) = data.split_at(whole);
    for line in lines.split(|byte| *byte == b'\n') {
        check_line(line);
        state.follow(line);
    }
    if let Some(tail) = tail_of(data, 0) {
        assert_eq!(tail.whole, whole as u64);
        assert_eq!(tail.torn, torn);
        assert_eq!(tail.head.hash.len(), 64);
    }
}

/// A record that is written again reads back the same, intact and behind the same record.
fn check_line(line: &[u8]) {
    let Some(record) = chain::read(line) else {
        assert!(!chain::is_intact(line));
        return;
    };
    let head = Head {
        number: record.number.saturating_sub(1),
        hash: record.previous.clone(),
    };
    let writer = Writer {
        host: record.host.clone(),
        site: record.site.clone(),
    };
    let (sealed, next) = chain::seal(&record.content, &head, &writer, record.recorded)
        .expect("a record that was read can be written");
    let sealed = sealed.strip_suffix('\n').expect("a line");
    assert!(!sealed.contains('\n'));
    assert!(chain::is_intact(sealed.as_bytes()));
    let again = chain::read(sealed.as_bytes()).expect("a record");
    assert_eq!(again.number, next.number);
    assert_eq!(again.hash, next.hash);
    assert_eq!(again.previous, record.previous);
    assert_eq!(again.recorded, record.recorded);
    assert_eq!(again.site, record.site);
    assert_eq!(again.content.kind(), record.content.kind());
    let text = |content: &super::Content| content.written().expect("JSON").get().to_owned();
    assert_eq!(text(&again.content), text(&record.content));
}
