//! The readiness file as spreadsheets write it: encodings, separators, heads, rows.
//!
//! In: the bytes of a file. Out: counts, or each line that is wrong.

use std::collections::BTreeMap;

use super::row_error::{MAX_ERRORS, ReadinessError, RowError, RowErrorKind};
use super::{Accounts, Email, Kind};

const MAX_COUNT: u64 = 1_000_000;
/// What a kind is called in sheets.
const KINDS: [(&[&str], Kind); 2] = [
    (&["user", "users"], Kind::User),
    (
        &[
            "delegated_admin",
            "delegated admin",
            "delegated_admins",
            "delegated admins",
            "delegated administrator",
            "delegated administrators",
            "da",
        ],
        Kind::DelegatedAdmin,
    ),
];

/// Reads the bytes of a file.
///
/// # Errors
/// What is wrong with them.
pub fn parse(bytes: &[u8]) -> Result<Accounts, ReadinessError> {
    if bytes.starts_with(b"PK\x03\x04") {
        return Err(ReadinessError::Workbook);
    }
    let text = text(bytes);
    if text.contains('\0') {
        return Err(ReadinessError::Utf16);
    }
    let (text, skipped) = without_hint(&text);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .delimiter(delimiter(text))
        .from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    let mut columns: Option<Columns> = None;
    let mut accounts = Accounts::default();
    let mut errors = Vec::new();
    while errors.len() < MAX_ERRORS {
        let at = reader.position().byte();
        let wrong = |what| RowError {
            line: skipped + line_at(text, at),
            what,
        };
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => return Err(ReadinessError::Lines(vec![wrong(RowErrorKind::Form)])),
        }
        // Spreadsheets leave rows of nothing behind.
        if record.iter().all(str::is_empty) {
            continue;
        }
        match &columns {
            None => {
                let read = Columns::of(&record);
                // Without heads nothing below them can be read.
                let read = read.map_err(|what| ReadinessError::Lines(vec![wrong(what)]))?;
                accounts.tells_after_launch = read.after_launch.is_some();
                columns = Some(read);
            }
            Some(columns) => {
                let added = columns.add(&record, &mut accounts);
                errors.extend(added.err().map(wrong));
            }
        }
    }
    match columns {
        None => Err(ReadinessError::Empty),
        Some(_) if errors.is_empty() => Ok(accounts),
        Some(_) => Err(ReadinessError::Lines(errors)),
    }
}

/// The line, counted from 1, of what begins at or after a byte.
fn line_at(text: &str, byte: u64) -> u64 {
    let (before, rest) = usize::try_from(byte)
        .ok()
        .and_then(|byte| text.split_at_checked(byte))
        .unwrap_or((text, ""));
    let skipped = rest.len() - rest.trim_start_matches(['\r', '\n']).len();
    let newlines = |text: &str| text.bytes().filter(|byte| *byte == b'\n').count();
    let skipped = rest.get(..skipped).unwrap_or_default();
    (1 + newlines(before) + newlines(skipped)) as u64
}

/// UTF-8 with or without a mark, or the UTF-16 of "Unicode text". What is neither is in no list of
/// ours, so that it may be read as anything.
fn text(bytes: &[u8]) -> String {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes
            .chunks_exact(2)
            .filter_map(|pair| pair.try_into().ok().map(unit))
            .collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        all => String::from_utf8_lossy(all).into_owned(),
    }
}

/// Excel may begin with `sep=;`.
fn without_hint(text: &str) -> (&str, u64) {
    match text.split_once('\n') {
        Some((first, rest)) if first.trim().to_ascii_lowercase().starts_with("sep=") => (rest, 1),
        _ => (text, 0),
    }
}

/// What the first line that says something is divided by.
fn delimiter(text: &str) -> u8 {
    let first = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let most = [b',', b';', b'\t'].into_iter().rev();
    most.max_by_key(|one| first.bytes().filter(|byte| byte == one).count())
        .unwrap_or(b',')
}

/// Where what stands.
struct Columns {
    kind: usize,
    email: usize,
    after_launch: Option<usize>,
    count: Option<usize>,
    all: usize,
}

impl Columns {
    fn of(header: &csv::StringRecord) -> Result<Self, RowErrorKind> {
        let mut found: BTreeMap<&str, usize> = BTreeMap::new();
        let mut unknown = None;
        for (index, cell) in header.iter().enumerate() {
            let name = match cell.to_ascii_lowercase().replace([' ', '-'], "_").as_str() {
                "kind" => "kind",
                "email" | "e_mail" => "email",
                "created_after_launch" => "created_after_launch",
                "count" => "count",
                // A column of nothing, at the end.
                "" => continue,
                _ => {
                    unknown = unknown.or(Some(RowErrorKind::Column(index + 1)));
                    continue;
                }
            };
            if found.insert(name, index).is_some() {
                return Err(RowErrorKind::Twice(index + 1));
            }
        }
        if let Some(unknown) = unknown {
            return Err(if found.is_empty() {
                RowErrorKind::Heads
            } else {
                unknown
            });
        }
        let needed = |name| found.get(name).copied().ok_or(RowErrorKind::NoColumn(name));
        Ok(Self {
            kind: needed("kind")?,
            email: needed("email")?,
            after_launch: found.get("created_after_launch").copied(),
            count: found.get("count").copied(),
            all: header.len(),
        })
    }

    fn add(&self, row: &csv::StringRecord, accounts: &mut Accounts) -> Result<(), RowErrorKind> {
        if row.len() != self.all {
            return Err(RowErrorKind::Cells {
                found: row.len(),
                wanted: self.all,
            });
        }
        let cell = |column: usize| row.get(column).unwrap_or_default();
        let is = |text: &str, word: &str| text.eq_ignore_ascii_case(word);
        let kind = cell(self.kind);
        let kind = KINDS
            .iter()
            .find(|(words, _)| words.iter().any(|word| is(kind, word)))
            .map(|(_, kind)| *kind)
            .ok_or(RowErrorKind::Kind)?;
        let email = cell(self.email);
        let email = match Email::ALL.into_iter().find(|one| is(email, one.into_str())) {
            Some(email) => email,
            None if email.contains('@') => return Err(RowErrorKind::Address),
            None => return Err(RowErrorKind::Email),
        };
        let count = match self.count.map(cell) {
            None => 1,
            Some(text) => text
                .parse()
                .ok()
                .filter(|count| *count <= MAX_COUNT)
                .ok_or(RowErrorKind::Count)?,
        };
        let after_launch = self.after_launch.map(cell).unwrap_or_default();
        let after_launch = match after_launch.to_ascii_lowercase().as_str() {
            "" | "no" | "n" | "false" | "0" => false,
            "yes" | "y" | "true" | "1" => true,
            _ => return Err(RowErrorKind::AfterLaunch),
        };
        *accounts.counts.entry((kind, email)).or_default() += count;
        if after_launch {
            *accounts.after_launch.entry(kind).or_default() += count;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &[u8]) -> [u64; 6] {
        let accounts = parse(text).unwrap_or_else(|error| panic!("{error}"));
        let of = |kind| Email::ALL.map(|email| accounts.count(kind, email));
        let [users, admins] = Kind::ALL.map(of);
        [
            users[0], users[1], users[2], admins[0], admins[1], admins[2],
        ]
    }

    #[test]
    fn what_spreadsheets_write_is_read() {
        let utf16 = "\u{feff}kind\temail\tcreated_after_launch\r\nuser\tmissing\tno\r\n";
        let utf16: Vec<u8> = utf16.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for text in [
            &b"kind,email,created_after_launch\nuser,missing,no\n"[..],
            b"kind,email,created_after_launch\r\nuser,missing,no\r\n\r\n,,\r\n",
            b"\xef\xbb\xbfKind;E-mail;Created after launch\r\nUSER;Missing;\r\n;;\r\n",
            b"sep=;\r\n\"kind\";\"email\";\"created_after_launch\"\r\n\"user\";\" missing \";\"NO\"\r\n",
            b"email,kind\nmissing,user",
            b"email,kind\nmissing,Users",
            b"kind,email,count\nuser,missing,1\ndelegated_admin,confirmed,0\n",
            &utf16,
        ] {
            assert_eq!(counts(text), [1, 0, 0, 0, 0, 0], "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn rows_and_counts_are_added_up() {
        let text =
            b"kind,email,created_after_launch,count\nuser,missing,no,3\nuser,confirmed,yes,20\n\
                     DA,submitted,no,2\nDelegated Administrator,confirmed,yes,1\nuser,missing,yes,4\n";
        assert_eq!(counts(text), [7, 0, 20, 0, 2, 1]);
        let accounts = parse(text).unwrap();
        assert_eq!(
            Kind::ALL.map(|kind| accounts.created_after_launch(kind)),
            [24, 1]
        );
        assert_eq!(Kind::ALL.map(|kind| accounts.total(kind)), [27, 3]);
    }

    #[test]
    fn a_mistake_names_its_line_and_never_what_stands_there() {
        let head = "kind,email,created_after_launch\nuser,missing,no\n";
        for (text, told) in [
            (
                String::new(),
                "is empty; its first line is kind,email,created_after_launch",
            ),
            (
                "kind,email,name\nuser,missing,Chan Tai Man\n".to_owned(),
                "line 1: column 3 (C) is none of kind, email, created_after_launch, count; names and addresses do not belong into this file: counts and states are all it needs",
            ),
            (
                "kind,kind,email\n".to_owned(),
                "line 1: column 2 (B) is there twice",
            ),
            (
                "kind,count\n".to_owned(),
                "line 1: the column email is missing; the first line is kind,email,created_after_launch",
            ),
            (
                format!("{head}user,missing\n"),
                "line 3: it has 2 cells, and the first line 3: is a separator missing, or a cell with one in it not in quotes?",
            ),
            (
                format!("{head}chan,missing,no\n"),
                "line 3: kind is one of user, delegated_admin",
            ),
            (
                format!("{head}\nuser,chan,no\n"),
                "line 4: email is one of missing, submitted, confirmed",
            ),
            (
                format!("{head}user,chan@broker.example,no\n"),
                "line 3: an address stands in it: email is one of missing, submitted, confirmed",
            ),
            (
                format!("{head}user,missing,chan\n"),
                "line 3: created_after_launch is yes or no",
            ),
            (
                "kind,email,count\nuser,missing,-1\n".to_owned(),
                "line 2: count is a number from 0 to 1000000",
            ),
            (
                format!(
                    "{head}chan,missing,no\nuser,missing,no\nuser,lost,no\nuser,missing,chan\n"
                ),
                "line 3: kind is one of user, delegated_admin; line 5: email is one of missing, submitted, confirmed; line 6: created_after_launch is yes or no",
            ),
            (
                "類別,電郵\nuser,missing\n".to_owned(),
                "line 1: these are no column heads; the first line is kind,email,created_after_launch, in these words",
            ),
            (
                "user,missing,no\n".to_owned(),
                "line 1: these are no column heads; the first line is kind,email,created_after_launch, in these words",
            ),
            (
                "PK\u{3}\u{4}chan".to_owned(),
                "is an Excel workbook; save it as CSV (in Excel: Save As, CSV UTF-8), or give the name of the CSV",
            ),
            (
                "k\0i\0n\0d\0".to_owned(),
                "is UTF-16 without a mark; save it as CSV UTF-8",
            ),
        ] {
            let error = parse(text.as_bytes()).expect_err(&text).to_string();
            assert_eq!(error, told);
            assert!(
                !error.contains("chan") && !error.contains("Chan"),
                "{error}"
            );
        }
    }
}
