//! What the reports of one cycle show together: which paths to a page work, and whether a fault is
//! local.

use serde::Serialize;
use strum::IntoStaticStr;

use super::{Report, Role};

/// A summary of several reports.
#[derive(Clone, Debug)]
pub struct Overview<'a> {
    /// Groups of at least two targets, in the order of their first.
    pub groups: Vec<Group<'a>>,
    pub controls: Option<Controls<'a>>,
}

/// Targets that are paths to the same page.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    pub name: &'a str,
    /// At least two.
    pub paths: Vec<&'a Report>,
}

/// How many of several targets are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    All,
    Some,
    None,
}

/// How a target is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum PathKind {
    Direct,
    Proxy,
}

/// The control targets, which show whether a fault is local or remote.
#[derive(Clone, Debug)]
pub struct Controls<'a> {
    /// At least one.
    pub reports: Vec<&'a Report>,
    pub meaning: FaultSide,
}

/// On which side the fault is, as far as the controls show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultSide {
    /// Every login target is good.
    None,
    /// A login target fails and every control is good.
    Remote,
    /// A login target fails and no control is good.
    Local,
    /// A login target fails, another one and every control are good.
    Path,
    /// A login target fails, and some of the controls.
    Unknown,
}

impl Share {
    fn of(reports: &[&Report]) -> Self {
        let is_good = |report: &&Report| report.verdict.is_good();
        if reports.iter().all(is_good) {
            Self::All
        } else if reports.iter().any(is_good) {
            Self::Some
        } else {
            Self::None
        }
    }
}

impl PathKind {
    pub fn of(report: &Report) -> Self {
        if report.proxied() {
            Self::Proxy
        } else {
            Self::Direct
        }
    }
}

impl<'a> Overview<'a> {
    pub fn of(reports: impl IntoIterator<Item = &'a Report>) -> Self {
        let reports: Vec<&Report> = reports.into_iter().collect();
        let mut groups: Vec<Group<'a>> = Vec::new();
        for report in &reports {
            let Some(name) = report.group.as_deref() else {
                continue;
            };
            match groups.iter_mut().find(|group| group.name == name) {
                Some(group) => group.paths.push(report),
                None => groups.push(Group {
                    name,
                    paths: vec![report],
                }),
            }
        }
        groups.retain(|group| group.paths.len() > 1);
        Self {
            groups,
            controls: Controls::of(&reports),
        }
    }
}

impl Overview<'_> {
    /// Whether every path and every control is good.
    pub fn is_good(&self) -> bool {
        let controls = self.controls.as_ref();
        self.groups.iter().all(|group| group.good() == Share::All)
            && controls
                .is_none_or(|one| one.meaning == FaultSide::None && one.good() == one.reports.len())
    }
}

impl Group<'_> {
    pub fn good(&self) -> Share {
        Share::of(&self.paths)
    }
}

impl<'a> Controls<'a> {
    /// `None` unless there are both login targets and controls.
    fn of(reports: &[&'a Report]) -> Option<Self> {
        let all = || reports.iter().copied();
        let logins: Vec<&Report> = all().filter(|one| one.is_login()).collect();
        let controls: Vec<&Report> = all().filter(|one| one.role == Role::Control).collect();
        if controls.is_empty() || logins.is_empty() {
            return None;
        }
        let meaning = match (Share::of(&logins), Share::of(&controls)) {
            (Share::All, _) => FaultSide::None,
            (Share::Some, Share::All) => FaultSide::Path,
            (Share::None, Share::All) => FaultSide::Remote,
            (_, Share::None) => FaultSide::Local,
            (_, Share::Some) => FaultSide::Unknown,
        };
        Some(Self {
            reports: controls,
            meaning,
        })
    }

    pub fn good(&self) -> usize {
        let reports = self.reports.iter();
        reports.filter(|one| one.verdict.is_good()).count()
    }
}
