//! The verdict of the status page: how the login stands, over all login targets.

use super::StatusPage;
use crate::report::overview::{Overview, Share};
use crate::report::{PageVerdict, Report};

/// A result older than this many intervals says nothing of now.
const STALE_INTERVALS: u32 = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OverallStatus {
    NothingProbed,
    NotYet,
    Stale,
    Reached(PageVerdict),
    /// Every group that fails has a way that is good.
    OneWay,
    NotReached {
        failing: usize,
        all: usize,
    },
}

impl OverallStatus {
    /// A failure that is known is told, whatever is not known beside it.
    pub fn of(page: &StatusPage<'_>, overview: &Overview<'_>) -> Self {
        let all = page.logins().count();
        if all == 0 {
            return Self::NothingProbed;
        }
        let reports = page
            .logins()
            .filter_map(|known| known.stats.latest.as_deref());
        let reports: Vec<&Report> = reports.collect();
        let probed = reports.len();
        let fresh: Vec<&Report> = reports
            .into_iter()
            .filter(|report| !is_stale(page, report))
            .collect();
        let failing = fresh.iter().filter(|one| !one.verdict.is_good());
        let another_way = |report: &&&Report| {
            let mut groups = overview.groups.iter();
            groups.any(|group| {
                Some(group.name) == report.group.as_deref() && group.good() == Share::Some
            })
        };
        match failing.clone().count() {
            0 if probed < all => Self::NotYet,
            0 if fresh.len() < all => Self::Stale,
            0 => Self::Reached(if fresh.iter().all(|one| one.verdict.is_full_pass()) {
                PageVerdict::Checked
            } else {
                PageVerdict::Unchecked
            }),
            _ if failing.clone().all(|one| another_way(&one)) => Self::OneWay,
            failing => Self::NotReached { failing, all },
        }
    }

    /// The class of the banner.
    pub fn class(self) -> &'static str {
        match self {
            Self::Reached(_) => "good",
            Self::NotReached { .. } => "bad",
            Self::OneWay | Self::Stale | Self::NotYet | Self::NothingProbed => "warn",
        }
    }

    pub fn words(self) -> String {
        let words = match self {
            Self::NothingProbed => "No login page is configured",
            Self::NotYet => "Not probed yet",
            Self::Stale => "Not known: the last probe is too old",
            Self::Reached(PageVerdict::Checked) => "The login page is reached",
            Self::Reached(PageVerdict::Unchecked) => {
                "The login page is reached, its content is not checked"
            }
            Self::OneWay => "The login page is reached, but not by every way",
            Self::NotReached { failing, all } if failing < all => {
                return format!("{failing} of {all} login targets are NOT reached");
            }
            Self::NotReached { .. } => "The login page is NOT reached",
        };
        words.to_owned()
    }
}

fn is_stale(page: &StatusPage<'_>, report: &Report) -> bool {
    let most = page.config.probe.interval * STALE_INTERVALS + report.timeout;
    page.age(report.started) > most
}
