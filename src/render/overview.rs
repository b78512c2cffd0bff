//! The comparison of several reports: groups and controls, as sentences and as JSON.

use serde::Serialize;

use super::layer_name;
use crate::report::overview::{Controls, FaultSide, Group, Overview, PathKind, Share};
use crate::report::{LayerName, Reason, Report, Verdict};

/// Labels and sentences, one pair for each group and one for the controls.
pub(super) fn sentences(overview: &Overview<'_>) -> Vec<(&'static str, String)> {
    let groups = overview.groups.iter().map(|one| ("Paths", group(one)));
    let controls = overview.controls.iter();
    controls
        .map(|one| ("Elsewhere", self::controls(one)))
        .chain(groups)
        .collect()
}

/// The conclusion, then each path: `direct (sso): OK; via proxy http://10.0.0.1:3128 (sso-proxy): failed at proxy (proxy_denied)`.
fn group(group: &Group<'_>) -> String {
    let paths: Vec<String> = group.paths.iter().map(|report| path(report)).collect();
    let meaning = match group.good() {
        Share::All => "Every path works.",
        Share::None => "No path works.",
        Share::Some => {
            "The login page can be reached: the fault is on the failing path. Use another path of the \
             group to log in."
        }
    };
    format!("{meaning} {}: {}.", group.name, paths.join("; "))
}

fn path(report: &Report) -> String {
    let path = match (PathKind::of(report), proxy(report)) {
        (PathKind::Direct, _) => "direct".to_owned(),
        (PathKind::Proxy, Some(proxy)) => format!("via proxy {proxy}"),
        (PathKind::Proxy, None) => "via proxy".to_owned(),
    };
    let outcome = match report.verdict {
        Verdict::Good { .. } => "OK".to_owned(),
        Verdict::Failed { layer, reason } => {
            format!("failed at {} ({})", layer_name(layer), reason.into_str())
        }
    };
    format!("{path} ({}): {outcome}", report.target)
}

fn proxy(report: &Report) -> Option<&str> {
    let facts = report.hops.iter().find_map(|hop| hop.proxy.facts())?;
    Some(&facts.proxy)
}

fn controls(controls: &Controls<'_>) -> String {
    let (good, all) = (controls.good(), controls.reports.len());
    let noun = if all == 1 { "control" } else { "controls" };
    let counted = format!("{good} of {all} {noun} reached.");
    let meaning = match controls.meaning {
        FaultSide::None => return counted,
        FaultSide::Remote => {
            "This site's network works: the fault is at the login server or on the path to it."
        }
        FaultSide::Path => "This site's network works.",
        FaultSide::Local => "Nothing is reachable from this site: check its own network first.",
        FaultSide::Unknown => "Unclear: check what the failing ones have in common.",
    };
    format!("{meaning} {counted}")
}

/// The overview in JSON.
#[derive(Serialize)]
pub(super) struct OverviewDocument<'a> {
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

impl<'a> OverviewDocument<'a> {
    pub fn of(overview: &Overview<'a>) -> Self {
        let path = |report: &&'a Report| PathDocument {
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
                    paths: group.paths.iter().map(path).collect(),
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
