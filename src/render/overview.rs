//! What several reports say together, in sentences.

use serde::Serialize;

use crate::report::overview::{Controls, FaultSide, Group, Overview, PathKind, Share};
use crate::report::{LayerName, Reason, Report, Verdict};

/// A word for the margin, and the sentences beside it.
pub(super) fn sentences(overview: &Overview<'_>) -> Vec<(&'static str, String)> {
    let groups = overview.groups.iter().map(|one| ("Group", group(one)));
    let controls = overview.controls.iter();
    groups
        .chain(controls.map(|one| ("Controls", self::controls(one))))
        .collect()
}

/// "direct (sso) good; by the proxy http://10.0.0.1:3128 (sso-proxy) fails at proxy: proxy_denied".
fn group(group: &Group<'_>) -> String {
    let paths: Vec<String> = group.paths.iter().map(|report| way(report)).collect();
    let meaning = match group.good() {
        Share::All => "Every way is good.",
        Share::None => "No way is good.",
        Share::Some => {
            "The page can be reached: the fault lies on the way that fails, and users who have the \
             other can log in."
        }
    };
    format!("{}: {}. {meaning}", group.name, paths.join("; "))
}

fn way(report: &Report) -> String {
    let way = match (PathKind::of(report), proxy(report)) {
        (PathKind::Direct, _) => "direct".to_owned(),
        (PathKind::Proxy, Some(proxy)) => format!("by the proxy {proxy}"),
        (PathKind::Proxy, None) => "by the proxy".to_owned(),
    };
    let outcome = match report.verdict {
        Verdict::Good { .. } => "good".to_owned(),
        Verdict::Failed { layer, reason } => {
            format!("fails at {}: {}", layer.into_str(), reason.into_str())
        }
    };
    format!("{way} ({}) {outcome}", report.target)
}

fn proxy(report: &Report) -> Option<&str> {
    let facts = report.hops.iter().find_map(|hop| hop.proxy.facts())?;
    Some(&facts.proxy)
}

fn controls(controls: &Controls<'_>) -> String {
    let (good, all) = (controls.good(), controls.reports.len());
    let meaning = match controls.meaning {
        FaultSide::None => "",
        FaultSide::Remote => {
            " This site's network works: the fault is the login server's, or lies on the way to it \
             alone."
        }
        FaultSide::Local => " Nothing is reached from here: look at this site's own network first.",
        FaultSide::Unknown => " Look at what those that fail have in common.",
    };
    format!("{good} of {all} reached.{meaning}")
}

/// The overview in JSON.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    groups: Vec<GroupDocument<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    controls: Option<ControlsDocument>,
}

#[derive(Serialize)]
struct GroupDocument<'a> {
    group: &'a str,
    good: Share,
    paths: Vec<PathDocument<'a>>,
}

#[derive(Serialize)]
struct PathDocument<'a> {
    target: &'a str,
    path: PathKind,
    good: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<LayerName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
}

#[derive(Serialize)]
struct ControlsDocument {
    good: usize,
    all: usize,
    fault: FaultSide,
}

impl<'a> Document<'a> {
    pub fn of(overview: &Overview<'a>) -> Self {
        let way = |report: &&'a Report| PathDocument {
            target: &report.target,
            path: PathKind::of(report),
            good: report.verdict.is_good(),
            layer: report.verdict.reason().map(Reason::layer),
            reason: report.verdict.reason(),
        };
        Self {
            groups: overview
                .groups
                .iter()
                .map(|group| GroupDocument {
                    group: group.name,
                    good: group.good(),
                    paths: group.paths.iter().map(way).collect(),
                })
                .collect(),
            controls: overview.controls.as_ref().map(|controls| ControlsDocument {
                good: controls.good(),
                all: controls.reports.len(),
                fault: controls.meaning,
            }),
        }
    }
}
