//! The counts of accounts, in sentences.

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
            words(kind),
            count(Email::Confirmed),
            accounts.total(kind),
            count(Email::Submitted),
            count(Email::Missing),
        )
    };
    Kind::ALL.map(line).to_vec()
}

/// What the file does not say and a person may think it does.
pub(super) fn remark(accounts: &Accounts) -> Option<&'static str> {
    let all: u64 = Kind::ALL.map(|kind| accounts.total(kind)).iter().sum();
    match (all, accounts.tells_after_launch) {
        (0, _) => Some("no account is in the file"),
        (_, false) => Some(
            "the file has no column created_after_launch: every account is taken to have a smartcard",
        ),
        (_, true) => None,
    }
}

pub(super) fn contradiction(contradiction: Contradiction) -> String {
    match contradiction {
        Contradiction::DoneButMissing { kind, missing } => format!(
            "timetable.done says that {} is done, and {missing} of the {} have no address",
            kind.deadline(),
            words(kind)
        ),
        Contradiction::Total {
            kind,
            total,
            expected,
        } => format!(
            "of {} the file has {total}, and readiness.expected_total {expected}",
            words(kind)
        ),
    }
}

fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::User => "users",
        Kind::DelegatedAdmin => "Delegated Administrators",
    }
}
