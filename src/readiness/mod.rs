//! The readiness file: how many of a firm's accounts have a registered e-mail address.
//!
//! A CSV file of rows or counts in, counts or errors with their lines out. The counts hold no names and
//! no addresses, and an error never quotes a cell, which may hold either by mistake.

mod csv_file;
mod row_error;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use strum::IntoStaticStr;

use crate::input_file::{self, InputFile};

pub use csv_file::parse;
pub use row_error::{ReadinessError, RowError, RowErrorKind};

/// The kind of an account in CCASS (CD/OES/CCASS/013/2023, 2.1 and 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Kind {
    User,
    /// A Delegated Administrator, who registers users.
    DelegatedAdmin,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::User, Self::DelegatedAdmin];

    /// The id of the deadline by which it must have an address.
    pub fn deadline(self) -> &'static str {
        match self {
            Self::User => "email_registration_users",
            Self::DelegatedAdmin => "email_registration_delegated_admins",
        }
    }
}

/// The state of the registration. Submitted is not confirmed: HKSCC takes weeks to process a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Email {
    Missing,
    Submitted,
    Confirmed,
}

impl Email {
    pub const ALL: [Self; 3] = [Self::Missing, Self::Submitted, Self::Confirmed];
}

/// The key `readiness` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub path: PathBuf,
    /// The maximum age of the file.
    pub max_age: Duration,
    /// How many accounts the firm has, as configured.
    pub expected_total: BTreeMap<Kind, u64>,
}

/// The counts of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    counts: BTreeMap<(Kind, Email), u64>,
    after_launch: BTreeMap<Kind, u64>,
    /// Whether the file has the column `created_after_launch`.
    pub has_after_launch: bool,
}

impl Accounts {
    pub fn count(&self, kind: Kind, email: Email) -> u64 {
        self.counts.get(&(kind, email)).copied().unwrap_or_default()
    }

    pub fn total(&self, kind: Kind) -> u64 {
        Email::ALL.map(|email| self.count(kind, email)).iter().sum()
    }

    /// Accounts without a smartcard to fall back to.
    pub fn created_after_launch(&self, kind: Kind) -> u64 {
        self.after_launch.get(&kind).copied().unwrap_or_default()
    }

    /// Kinds whose deadline is marked as done while accounts are missing, and kinds with more or fewer
    /// accounts than expected.
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

/// A contradiction between the file and the configuration.
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

/// The counts and their age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    pub accounts: Accounts,
    /// When the file was modified.
    pub updated: Timestamp,
}

/// The readiness file as the service last read it.
#[derive(Clone, Debug, Default)]
pub struct ReadinessState {
    /// The last valid counts; absent until the file could be read once.
    pub readiness: Option<Readiness>,
    /// Whether the file is readable and valid now.
    pub is_readable: bool,
    /// Why it is not: the line and the reason, without the contents of a cell.
    pub error: Option<String>,
}

impl Readiness {
    /// Reads `path`.
    ///
    /// # Errors
    /// The file cannot be read, is too large or is invalid.
    pub fn read(path: &Path) -> Result<Self, ReadinessError> {
        let contents = input_file::read(InputFile::Readiness, path)?;
        Ok(Self {
            accounts: parse(&contents.bytes)?,
            updated: Timestamp::try_from(contents.modified).unwrap_or(Timestamp::UNIX_EPOCH),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_between_file_and_configuration_are_found() {
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
