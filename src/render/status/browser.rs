//! What a browser of this host shows of a target, with a small picture, or why there is none.

use maud::{Markup, html};

use super::super::browser::{PATH_KEY, capitalized, not_run};
use super::super::html::{Picture, browser};
use super::StatusPage;
use crate::report::history::TargetState;
use crate::report::{BrowserRun, Report};

impl StatusPage<'_> {
    pub(super) fn browser(&self, report: &Report, known: &TargetState) -> Markup {
        let Some(run) = known.stats.browser.as_deref() else {
            return html! {};
        };
        html! {
            @match (&run.result, &report.browser) {
                (Err(why), _) => {
                    h3 { "In a browser" }
                    p { span.state.warn { "not opened" } }
                    p { bdi { (capitalized(&not_run(why, PATH_KEY))) } }
                },
                (Ok(_), Some(check)) => {
                    (browser(report, check, &Picture::At(&picture(report, run))))
                },
                (Ok(_), None) => {
                    h3 { "In a browser" }
                    p { span.state.warn { "outdated" } }
                }
            }
            p { "Latest check " (self.at(run.started)) ". With this outcome since " (self.at(run.since)) "." }
        }
    }
}

/// The path of the picture. Each has a path of its own, so that a page that loads again loads it once.
fn picture(report: &Report, run: &BrowserRun) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("target", &report.target);
    query.append_pair("at", &run.started.as_second().to_string());
    format!("browser.png?{}", query.finish())
}
