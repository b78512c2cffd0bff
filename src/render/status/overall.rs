//! The overall status over all login targets. Targets of one group are paths to the same page.

use std::sync::Arc;

use jiff::Timestamp;

use super::StatusPage;
use crate::config::Target;
use crate::report::history::{Outage, TargetState, common};
use crate::report::{PageVerdict, Report, Verdict};

/// A login page and the paths to it: one target, or the targets of a group.
pub(super) struct Login<'a> {
    pub name: &'a str,
    /// At least one.
    pub paths: Vec<&'a (Arc<Target>, TargetState)>,
    outcomes: Vec<PathOutcome>,
}

/// What is known of a path now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PathOutcome {
    NotProbed,
    Stale,
    Good(PageVerdict),
    Failing,
}

pub(super) enum OverallStatus<'a> {
    NothingProbed,
    NotYet,
    Stale,
    Reached(PageVerdict),
    /// Every failing path has another that works.
    PartlyReached {
        failing: Vec<&'a str>,
    },
    NotReached {
        failing: usize,
        all: usize,
    },
}

impl<'a> Login<'a> {
    /// The logins, in the order of the configuration.
    pub fn all(page: &StatusPage<'a>) -> Vec<Self> {
        let mut logins: Vec<Self> = Vec::new();
        for path in page.known.iter().filter(|(target, _)| target.is_login()) {
            let (target, known) = path;
            let name = target.group.as_deref();
            let outcome = PathOutcome::of(page, target, known);
            let same = |login: &&mut Self| {
                let group = login
                    .paths
                    .first()
                    .and_then(|(one, _)| one.group.as_deref());
                name.is_some() && group == name
            };
            match logins.iter_mut().find(same) {
                Some(login) => {
                    login.paths.push(path);
                    login.outcomes.push(outcome);
                }
                None => logins.push(Self {
                    name: name.unwrap_or(&target.name),
                    paths: vec![path],
                    outcomes: vec![outcome],
                }),
            }
        }
        logins
    }

    /// Whether a path is known to fail, and none is known to work.
    pub fn is_down(&self) -> bool {
        self.outcomes.contains(&PathOutcome::Failing) && !self.has_good()
    }

    fn has_good(&self) -> bool {
        let mut outcomes = self.outcomes.iter();
        outcomes.any(|one| matches!(one, PathOutcome::Good(_)))
    }

    /// The paths that fail.
    pub fn failing(&self) -> impl Iterator<Item = &'a (Arc<Target>, TargetState)> {
        let paths = self.paths.iter().copied().zip(&self.outcomes);
        paths
            .filter(|(_, outcome)| **outcome == PathOutcome::Failing)
            .map(|(path, _)| path)
    }

    /// Since when no path has worked: when the last of them began to fail.
    pub fn down_since(&self) -> Option<Timestamp> {
        let since = self.failing();
        since
            .filter_map(|(_, known)| known.history.failing_since())
            .max()
    }

    /// Since when a path has worked without interruption.
    pub fn good_since(&self) -> Option<Timestamp> {
        let paths = self.paths.iter();
        paths
            .filter_map(|(_, known)| known.history.good_since())
            .min()
    }

    /// The newest success of any path.
    pub fn last_good(&self) -> Option<Timestamp> {
        let paths = self.paths.iter();
        let times = paths.filter_map(|(_, known)| Some(known.history.last_good.as_ref()?.at));
        times.max()
    }

    /// When no path worked.
    pub fn outages(&self) -> Vec<Outage> {
        let paths = self.paths.iter();
        let outages: Vec<_> = paths.map(|(_, known)| known.history.outages()).collect();
        common(&outages)
    }
}

impl PathOutcome {
    fn of(page: &StatusPage<'_>, target: &Target, known: &TargetState) -> Self {
        let Some(report) = known.stats.latest.as_deref() else {
            return Self::NotProbed;
        };
        match report.verdict {
            _ if is_stale(page, target, report) => Self::Stale,
            Verdict::Good { page } => Self::Good(page),
            Verdict::Failed { .. } => Self::Failing,
        }
    }
}

impl<'a> OverallStatus<'a> {
    /// A known failure counts even if other results are missing or stale.
    pub fn of(logins: &[Login<'a>]) -> Self {
        let outcomes: Vec<PathOutcome> = logins
            .iter()
            .flat_map(|login| login.outcomes.iter().copied())
            .collect();
        let any = |wanted| outcomes.contains(&wanted);
        let down = logins.iter().filter(|login| login.is_down()).count();
        let failing: Vec<&str> = logins
            .iter()
            .flat_map(Login::failing)
            .map(|(target, _)| target.name.as_str())
            .collect();
        match (down, outcomes.is_empty()) {
            (_, true) => Self::NothingProbed,
            (0, _) if !failing.is_empty() => Self::PartlyReached { failing },
            (0, _) if any(PathOutcome::NotProbed) => Self::NotYet,
            (0, _) if any(PathOutcome::Stale) => Self::Stale,
            (0, _) if any(PathOutcome::Good(PageVerdict::Unchecked)) => {
                Self::Reached(PageVerdict::Unchecked)
            }
            (0, _) => Self::Reached(PageVerdict::Checked),
            (down, _) => Self::NotReached {
                failing: down,
                all: logins.len(),
            },
        }
    }

    /// The CSS class of the banner.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Reached(_) => "good",
            Self::NotReached { .. } => "bad",
            Self::PartlyReached { .. } | Self::Stale | Self::NotYet | Self::NothingProbed => "warn",
        }
    }

    /// The state at the beginning of a tab's title.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Reached(_) => "OK",
            Self::NotReached { .. } => "DOWN",
            Self::PartlyReached { .. } => "PARTLY",
            Self::Stale | Self::NotYet | Self::NothingProbed => "UNKNOWN",
        }
    }

    pub fn title(&self) -> String {
        let title = match self {
            Self::NothingProbed => "No login target is configured",
            Self::NotYet => "Not probed yet",
            Self::Stale => "Unknown: the last probe is too old",
            Self::Reached(PageVerdict::Checked) => "Login page reachable",
            Self::Reached(PageVerdict::Unchecked) => {
                "Login page reachable, its content is not checked"
            }
            Self::PartlyReached { failing } => match &failing[..] {
                [one] => return format!("Login page reachable; one path is down: {one}"),
                several => {
                    return format!("Login page reachable; {} paths are down", several.len());
                }
            },
            Self::NotReached { failing, all } if failing < all => {
                return format!("{failing} of {all} login pages NOT reachable");
            }
            Self::NotReached { .. } => "Login page NOT reachable",
        };
        title.to_owned()
    }
}

fn is_stale(page: &StatusPage<'_>, target: &Target, report: &Report) -> bool {
    /// A result older than this many intervals is stale. While the server asked for no probes, it is
    /// the newest that there can be.
    const STALE_INTERVALS: u32 = 3;
    let until = report.pause().map_or(report.started, |(_, until)| until);
    page.age(until) > page.config.probe.interval * STALE_INTERVALS + target.timeout
}
