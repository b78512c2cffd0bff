//! The overall status over all login targets.

use super::StatusPage;
use crate::report::overview::{Overview, Share};
use crate::report::{PageVerdict, Report};

/// A result older than this many intervals is stale.
const STALE_INTERVALS: u32 = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OverallStatus {
    NothingProbed,
    NotYet,
    Stale,
    Reached(PageVerdict),
    /// Every failing group has a path that works.
    PartlyReached,
    NotReached {
        failing: usize,
        all: usize,
    },
}

impl OverallStatus {
    /// A known failure counts even if other results are missing or stale.
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
        let has_other_path = |report: &&&Report| {
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
            _ if failing.clone().all(|one| has_other_path(&one)) => Self::PartlyReached,
            failing => Self::NotReached { failing, all },
        }
    }

    /// The CSS class of the banner.
    pub fn class(self) -> &'static str {
        match self {
            Self::Reached(_) => "good",
            Self::NotReached { .. } => "bad",
            Self::PartlyReached | Self::Stale | Self::NotYet | Self::NothingProbed => "warn",
        }
    }

    pub fn title(self) -> String {
        let title = match self {
            Self::NothingProbed => "No login target is configured",
            Self::NotYet => "Not probed yet",
            Self::Stale => "Unknown: the last probe is too old",
            Self::Reached(PageVerdict::Checked) => "Login page reachable",
            Self::Reached(PageVerdict::Unchecked) => {
                "Login page reachable, its content is not checked"
            }
            Self::PartlyReached => "Login page reachable, but not on every path",
            Self::NotReached { failing, all } if failing < all => {
                return format!("{failing} of {all} login targets NOT reachable");
            }
            Self::NotReached { .. } => "Login page NOT reachable",
        };
        title.to_owned()
    }
}

fn is_stale(page: &StatusPage<'_>, report: &Report) -> bool {
    let max_age = page.config.probe.interval * STALE_INTERVALS + report.timeout;
    page.age(report.started) > max_age
}
