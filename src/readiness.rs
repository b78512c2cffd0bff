//! Readiness: how many of a firm's accounts have their e-mail address registered.
//!
//! In: a CSV of rows or of counts, as spreadsheets write it. Out: counts, or what is wrong and in
//! which line. It never holds a name or an address, and never repeats a cell: what stands in one by
//! mistake may be either.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;

/// An account of the clearing system (CD/OES/CCASS/013/2023, 2.1 and 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    User,
    /// A Delegated Administrator, who registers the users.
    DelegatedAdmin,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::User, Self::DelegatedAdmin];

    /// The value of the `kind` label, and of the column.
    pub fn code(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::DelegatedAdmin => "delegated_admin",
        }
    }

    /// The deadline by which it is to have an address.
    pub fn deadline(self) -> &'static str {
        match self {
            Self::User => "email_registration_users",
            Self::DelegatedAdmin => "email_registration_delegated_admins",
        }
    }
}

/// How far its registration is. Submitted is not confirmed: HKSCC processes forms for weeks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Email {
    Missing,
    Submitted,
    Confirmed,
}

impl Email {
    pub const ALL: [Self; 3] = [Self::Missing, Self::Submitted, Self::Confirmed];

    /// The value of the `email` label, and of the column.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Submitted => "submitted",
            Self::Confirmed => "confirmed",
        }
    }
}

/// `readiness:` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub path: PathBuf,
    /// How old the data may be.
    pub max_age: Duration,
    /// How many accounts there are, by the firm's own count.
    pub expected_total: BTreeMap<Kind, u64>,
}

/// The counts of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    counts: BTreeMap<(Kind, Email), u64>,
    after_launch: BTreeMap<Kind, u64>,
    /// Whether the file says which accounts were created after the launch.
    pub tells_after_launch: bool,
}

impl Accounts {
    pub fn count(&self, kind: Kind, email: Email) -> u64 {
        self.counts.get(&(kind, email)).copied().unwrap_or_default()
    }

    pub fn total(&self, kind: Kind) -> u64 {
        Email::ALL
            .iter()
            .map(|email| self.count(kind, *email))
            .sum()
    }

    /// They have no smartcard to fall back to.
    pub fn created_after_launch(&self, kind: Kind) -> u64 {
        self.after_launch.get(&kind).copied().unwrap_or_default()
    }

    /// What cannot be true together: a kind whose deadline is marked as done while accounts of it
    /// are missing, and one with more or fewer accounts than expected.
    pub fn contradictions(
        &self,
        expected_total: &BTreeMap<Kind, u64>,
        is_done: impl Fn(&str) -> bool,
    ) -> Vec<Contradiction> {
        let mut found = Vec::new();
        for kind in Kind::ALL {
            let missing = self.count(kind, Email::Missing);
            if missing > 0 && is_done(kind.deadline()) {
                found.push(Contradiction::DoneButMissing { kind, missing });
            }
            let total = self.total(kind);
            if let Some(expected) = expected_total.get(&kind)
                && total != *expected
            {
                found.push(Contradiction::Total {
                    kind,
                    total,
                    expected: *expected,
                });
            }
        }
        found
    }
}

/// What the file and the configuration say differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contradiction {
    DoneButMissing {
        kind: Kind,
        missing: u64,
    },
    Total {
        kind: Kind,
        total: u64,
        expected: u64,
    },
}

/// The counts with the age of their data: when the file was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    pub accounts: Accounts,
    pub updated: Timestamp,
}

/// What is wrong with a file. It never repeats a cell.
#[derive(Debug, Error)]
pub enum ReadinessError {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("is larger than {} MiB", MOST_BYTES >> 20)]
    TooLarge,
    #[error("is empty; its first line is kind,email,created_after_launch")]
    Empty,
    #[error(
        "is an Excel workbook; save it as CSV (in Excel: Save As, CSV UTF-8), or give the name of the CSV"
    )]
    Workbook,
    #[error("is UTF-16 without a mark; save it as CSV UTF-8")]
    Utf16,
    /// At least one, at most [`MOST_MISTAKES`].
    #[error("{}", told(.0))]
    Lines(Vec<Slip>),
}

/// A mistake in one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {what}")]
pub struct Slip {
    pub line: u64,
    pub what: What,
}

fn told(slips: &[Slip]) -> String {
    let slips: Vec<String> = slips.iter().map(ToString::to_string).collect();
    let more = match slips.len() {
        MOST_MISTAKES => "; and perhaps more",
        _ => "",
    };
    format!("{}{more}", slips.join("; "))
}

/// What is wrong in one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum What {
    #[error(
        "these are no column heads; the first line is kind,email,created_after_launch, in these words"
    )]
    Heads,
    #[error(
        "column {} is none of kind, email, created_after_launch, count; names and addresses do not \
         belong into this file: counts and states are all it needs",
        column(*.0)
    )]
    Column(usize),
    #[error("column {} is there twice", column(*.0))]
    Twice(usize),
    #[error("the column {0} is missing; the first line is kind,email,created_after_launch")]
    NoColumn(&'static str),
    #[error(
        "it has {found} cells, and the first line {wanted}: is a separator missing, or a cell with one in \
         it not in quotes?"
    )]
    Cells { found: usize, wanted: usize },
    #[error("kind is one of user, delegated_admin")]
    Kind,
    #[error("email is one of missing, submitted, confirmed")]
    Email,
    #[error("an address stands in it: email is one of missing, submitted, confirmed")]
    Address,
    #[error("created_after_launch is yes or no")]
    AfterLaunch,
    #[error("count is a number from 0 to 1000000")]
    Count,
    #[error("it cannot be read as CSV: is a quote open?")]
    Form,
}

/// A column by its number, and as a spreadsheet heads it.
fn column(number: usize) -> String {
    let letter = u8::try_from(number)
        .ok()
        .filter(|number| (1..=26).contains(number));
    match letter {
        Some(number) => format!("{number} ({})", char::from(b'A' + number - 1)),
        None => number.to_string(),
    }
}

/// That many are told at once.
const MOST_MISTAKES: usize = 20;
const MOST_BYTES: u64 = 64 << 20;
const MOST_COUNT: u64 = 1_000_000;

impl Readiness {
    /// Reads `path`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(path: &Path) -> Result<Self, ReadinessError> {
        let metadata = fs::metadata(path)?;
        if metadata.len() > MOST_BYTES {
            return Err(ReadinessError::TooLarge);
        }
        let updated = Timestamp::try_from(metadata.modified()?).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(Self {
            accounts: parse(&fs::read(path)?)?,
            updated,
        })
    }
}

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
    let mut slips = Vec::new();
    while slips.len() < MOST_MISTAKES {
        let at = reader.position().byte();
        let wrong = |what| Slip {
            line: skipped + line_at(text, at),
            what,
        };
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => return Err(ReadinessError::Lines(vec![wrong(What::Form)])),
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
                slips.extend(added.err().map(wrong));
            }
        }
    }
    match columns {
        None => Err(ReadinessError::Empty),
        Some(_) if slips.is_empty() => Ok(accounts),
        Some(_) => Err(ReadinessError::Lines(slips)),
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
    fn of(header: &csv::StringRecord) -> Result<Self, What> {
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
                    unknown = unknown.or(Some(What::Column(index + 1)));
                    continue;
                }
            };
            if found.insert(name, index).is_some() {
                return Err(What::Twice(index + 1));
            }
        }
        if let Some(unknown) = unknown {
            return Err(if found.is_empty() {
                What::Heads
            } else {
                unknown
            });
        }
        let needed = |name| found.get(name).copied().ok_or(What::NoColumn(name));
        Ok(Self {
            kind: needed("kind")?,
            email: needed("email")?,
            after_launch: found.get("created_after_launch").copied(),
            count: found.get("count").copied(),
            all: header.len(),
        })
    }

    fn add(&self, row: &csv::StringRecord, accounts: &mut Accounts) -> Result<(), What> {
        if row.len() != self.all {
            return Err(What::Cells {
                found: row.len(),
                wanted: self.all,
            });
        }
        let cell = |column: usize| row.get(column).unwrap_or_default();
        let is = |text: &str, word: &str| text.eq_ignore_ascii_case(word);
        let kind = cell(self.kind);
        let kind = match kind.to_ascii_lowercase().replace([' ', '-'], "_").as_str() {
            "user" | "users" => Kind::User,
            "delegated_admin"
            | "delegated_admins"
            | "delegated_administrator"
            | "delegated_administrators"
            | "da" => Kind::DelegatedAdmin,
            _ => return Err(What::Kind),
        };
        let email = cell(self.email);
        let email = match Email::ALL.into_iter().find(|one| is(email, one.code())) {
            Some(email) => email,
            None if email.contains('@') => return Err(What::Address),
            None => return Err(What::Email),
        };
        let count = match self.count.map(cell) {
            None => 1,
            Some(text) => text
                .parse()
                .ok()
                .filter(|count| *count <= MOST_COUNT)
                .ok_or(What::Count)?,
        };
        let after_launch = self.after_launch.map(cell).unwrap_or_default();
        let after_launch = match after_launch.to_ascii_lowercase().as_str() {
            "" | "no" | "n" | "false" | "0" => false,
            "yes" | "y" | "true" | "1" => true,
            _ => return Err(What::AfterLaunch),
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

    #[test]
    fn a_file_and_a_configuration_can_contradict_each_other() {
        let accounts =
            parse(b"kind,email,count\nuser,missing,2\nuser,confirmed,8\nda,confirmed,2\n").unwrap();
        let expected = BTreeMap::from([(Kind::User, 10), (Kind::DelegatedAdmin, 3)]);
        let found =
            accounts.contradictions(&expected, |deadline| deadline == "email_registration_users");
        assert_eq!(
            found,
            [
                Contradiction::DoneButMissing {
                    kind: Kind::User,
                    missing: 2
                },
                Contradiction::Total {
                    kind: Kind::DelegatedAdmin,
                    total: 2,
                    expected: 3
                },
            ]
        );
        assert_eq!(accounts.contradictions(&BTreeMap::new(), |_| false), []);
    }
}
