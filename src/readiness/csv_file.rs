//! Parses the readiness file as spreadsheets write it: CSV with comma, semicolon or tab, in UTF-8 or
//! UTF-16.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::row_error::{MAX_ERRORS, ReadinessError, RowError, RowErrorKind};
use super::{Accounts, Email, Kind};

const MAX_COUNT: u64 = 1_000_000;

/// Parses the content of a file.
///
/// # Errors
/// The content is not CSV, has other columns, or has invalid rows.
pub fn parse(bytes: &[u8]) -> Result<Accounts, ReadinessError> {
    if bytes.starts_with(b"PK\x03\x04") {
        return Err(ReadinessError::Workbook);
    }
    let text = decode(bytes);
    if text.contains('\0') {
        return Err(ReadinessError::Utf16);
    }
    let (text, skipped) = without_separator_hint(&text);
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
        let start = reader.position().byte();
        let row_error = |kind| RowError {
            line: skipped + line_at(text, start),
            kind,
        };
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => return Err(ReadinessError::Rows(vec![row_error(RowErrorKind::NotCsv)])),
        }
        // Spreadsheets append empty rows.
        if record.iter().all(str::is_empty) {
            continue;
        }
        let Some(columns) = &columns else {
            let header = Columns::of(&record);
            let header = header.map_err(|kind| ReadinessError::Rows(vec![row_error(kind)]))?;
            accounts.has_after_launch = header.after_launch.is_some();
            columns = Some(header);
            continue;
        };
        let added = columns.add(&record, &mut accounts);
        errors.extend(added.err().map(row_error));
    }
    if columns.is_none() {
        Err(ReadinessError::Empty)
    } else if errors.is_empty() {
        Ok(accounts)
    } else {
        Err(ReadinessError::Rows(errors))
    }
}

/// The line, counted from 1, of the row that begins at or after a byte.
fn line_at(text: &str, byte: u64) -> u64 {
    let (before, rest) = usize::try_from(byte)
        .ok()
        .and_then(|byte| text.split_at_checked(byte))
        .unwrap_or((text, ""));
    let line_ends = rest.bytes().take_while(|byte| b"\r\n".contains(byte));
    let newlines = before
        .bytes()
        .chain(line_ends)
        .filter(|byte| *byte == b'\n');
    1 + newlines.count() as u64
}

/// Decodes UTF-8 with or without a byte order mark, or UTF-16 with one. Invalid characters are
/// replaced: no valid value contains any.
fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let pairs = bytes.chunks_exact(2);
        let units: Vec<u16> = pairs
            .filter_map(|pair| pair.try_into().ok().map(unit))
            .collect();
        Cow::Owned(String::from_utf16_lossy(&units))
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        all => String::from_utf8_lossy(all),
    }
}

/// The text after Excel's first line `sep=;`, and how many lines were skipped.
fn without_separator_hint(text: &str) -> (&str, u64) {
    match text.split_once('\n') {
        Some((first, rest)) if first.trim().to_ascii_lowercase().starts_with("sep=") => (rest, 1),
        _ => (text, 0),
    }
}

/// The most frequent separator of the first line that is not empty; a comma in case of a tie.
fn delimiter(text: &str) -> u8 {
    let first = text.lines().find(|line| !line.trim().is_empty());
    let count = |separator: &u8| {
        let bytes = first.unwrap_or_default().bytes();
        bytes.filter(|byte| byte == separator).count()
    };
    // Of several maxima, the last one is returned.
    [b'\t', b';', b',']
        .into_iter()
        .max_by_key(count)
        .unwrap_or(b',')
}

/// The index of each column.
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
                // An empty column at the end.
                "" => continue,
                _ => {
                    unknown = unknown.or(Some(RowErrorKind::UnknownColumn(index + 1)));
                    continue;
                }
            };
            if found.insert(name, index).is_some() {
                return Err(RowErrorKind::DuplicateColumn(index + 1));
            }
        }
        match unknown {
            Some(_) if found.is_empty() => return Err(RowErrorKind::NoHeader),
            Some(unknown) => return Err(unknown),
            None => {}
        }
        let column = |name| found.get(name).copied();
        let required = |name| column(name).ok_or(RowErrorKind::MissingColumn(name));
        Ok(Self {
            kind: required("kind")?,
            email: required("email")?,
            after_launch: column("created_after_launch"),
            count: column("count"),
            all: header.len(),
        })
    }

    fn add(&self, row: &csv::StringRecord, accounts: &mut Accounts) -> Result<(), RowErrorKind> {
        if row.len() != self.all {
            return Err(RowErrorKind::CellCount {
                found: row.len(),
                expected: self.all,
            });
        }
        let cell = |column: usize| row.get(column).unwrap_or_default().to_ascii_lowercase();
        let kind = match cell(self.kind).replace(' ', "_").as_str() {
            "user" | "users" => Kind::User,
            "delegated_admin"
            | "delegated_admins"
            | "delegated_administrator"
            | "delegated_administrators"
            | "da" => Kind::DelegatedAdmin,
            _ => return Err(RowErrorKind::Kind),
        };
        let email = cell(self.email);
        let state = Email::ALL
            .into_iter()
            .find(|state| state.into_str() == email);
        let state = state.ok_or(if email.contains('@') {
            RowErrorKind::EmailAddress
        } else {
            RowErrorKind::Email
        })?;
        let count = match self.count.map(cell) {
            None => 1,
            Some(text) => text
                .parse()
                .ok()
                .filter(|count| *count <= MAX_COUNT)
                .ok_or(RowErrorKind::Count)?,
        };
        let is_after_launch = match self.after_launch.map(cell).unwrap_or_default().as_str() {
            "" | "no" | "n" | "false" | "0" => false,
            "yes" | "y" | "true" | "1" => true,
            _ => return Err(RowErrorKind::AfterLaunch),
        };
        *accounts.counts.entry((kind, state)).or_default() += count;
        if is_after_launch {
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
    fn files_of_spreadsheets_are_read() {
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
    fn rows_and_counts_are_summed() {
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
    fn errors_name_the_line_and_never_quote_a_cell() {
        let head = "kind,email,created_after_launch\nuser,missing,no\n";
        for (text, expected) in [
            (
                String::new(),
                "is empty; the first line must be kind,email,created_after_launch",
            ),
            (
                "kind,email,name\nuser,missing,Chan Tai Man\n".to_owned(),
                "line 1: column 3 (C) is not one of kind, email, created_after_launch, count; remove it: the file needs no names and no addresses",
            ),
            (
                "kind,kind,email\n".to_owned(),
                "line 1: column 2 (B) is a duplicate; remove it",
            ),
            (
                "kind,count\n".to_owned(),
                "line 1: missing column email; the first line must be kind,email,created_after_launch",
            ),
            (
                format!("{head}user,missing\n"),
                "line 3: 2 cells instead of 3; add the missing separator, or quote the cell that contains one",
            ),
            (
                format!("{head}chan,missing,no\n"),
                "line 3: invalid kind; use user or delegated_admin",
            ),
            (
                format!("{head}\nuser,chan,no\n"),
                "line 4: invalid email; use missing, submitted or confirmed",
            ),
            (
                format!("{head}user,chan@broker.example,no\n"),
                "line 3: email contains an address; use missing, submitted or confirmed",
            ),
            (
                format!("{head}user,missing,chan\n"),
                "line 3: invalid created_after_launch; use yes or no",
            ),
            (
                "kind,email,count\nuser,missing,-1\n".to_owned(),
                "line 2: invalid count; use a number from 0 to 1000000",
            ),
            (
                format!(
                    "{head}chan,missing,no\nuser,missing,no\nuser,lost,no\nuser,missing,chan\n"
                ),
                "line 3: invalid kind; use user or delegated_admin; line 5: invalid email; use missing, submitted or confirmed; line 6: invalid created_after_launch; use yes or no",
            ),
            (
                "類別,電郵\nuser,missing\n".to_owned(),
                "line 1: no header; the first line must be kind,email,created_after_launch",
            ),
            (
                "user,missing,no\n".to_owned(),
                "line 1: no header; the first line must be kind,email,created_after_launch",
            ),
            (
                "PK\u{3}\u{4}chan".to_owned(),
                "is an Excel workbook; save it as CSV (in Excel: Save As, CSV UTF-8)",
            ),
            (
                "k\0i\0n\0d\0".to_owned(),
                "is UTF-16 without a byte order mark; save it as CSV UTF-8",
            ),
        ] {
            let error = parse(text.as_bytes()).expect_err(&text).to_string();
            assert_eq!(error, expected);
            assert!(
                !error.contains("chan") && !error.contains("Chan"),
                "{error}"
            );
        }
    }
}
