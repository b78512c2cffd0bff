//! The counts of the readiness file, in sentences.

use crate::readiness::{Accounts, Contradiction, Email, Kind};

/// "users: 8 of 10 confirmed, 1 submitted, 1 missing" for each kind.
pub(super) fn lines(accounts: &Accounts) -> Vec<String> {
    let line = |kind| {
        let count = |email| accounts.count(kind, email);
        let after = match accounts.created_after_launch(kind) {
            0 => String::new(),
            count => format!("; {count} created since the launch, without a smartcard"),
        };
        format!(
            "{}: {} of {} confirmed, {} submitted, {} missing{after}",
            kind_name(kind),
            count(Email::Confirmed),
            accounts.total(kind),
            count(Email::Submitted),
            count(Email::Missing),
        )
    };
    Kind::ALL.map(line).to_vec()
}

/// What the file does not contain although a reader may assume it.
pub(super) fn remark(accounts: &Accounts) -> Option<&'static str> {
    let all: u64 = Kind::ALL.map(|kind| accounts.total(kind)).iter().sum();
    match (all, accounts.has_after_launch) {
        (0, _) => Some("the file contains no accounts"),
        (_, false) => Some(
            "the file has no column created_after_launch: every account is assumed to have a smartcard",
        ),
        (_, true) => None,
    }
}

pub(super) fn contradiction(contradiction: Contradiction) -> String {
    match contradiction {
        Contradiction::DoneButMissing { kind, missing } => format!(
            "timetable.done lists {}, but {missing} of the {} have no address",
            kind.deadline(),
            kind_name(kind)
        ),
        Contradiction::Total {
            kind,
            total,
            expected,
        } => format!(
            "{}: {total} in the file, {expected} in readiness.expected_total",
            kind_name(kind)
        ),
    }
}

pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::User => "users",
        Kind::DelegatedAdmin => "Delegated Administrators",
    }
}
