//! The HTML pages: the status page, with its pictures, and the latest report of a target.

use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, REFRESH};

use super::request::RequestContext;
use super::response::{self, HTML, HttpResponse, PNG, set_header};
use super::routes::Routes;
use crate::render::html;
use crate::render::status::{self, Refresh, StatusPage, View};

/// The status page contains its style sheet and loads nothing but the pictures of browser checks.
const STATUS_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; \
                             base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const MAX_REFRESH_INTERVAL: Duration = Duration::from_secs(60);
/// More sections are not expanded.
const MAX_EXPANDED: usize = 100;

impl Routes {
    /// `?open=NAME,NAME` expands sections, `?view=wall` is for a screen on the wall, `?refresh=off`
    /// disables the refresh.
    pub(super) fn status(&self, request: &RequestContext) -> HttpResponse {
        let known = self.state.reports.states();
        let now = self.state.clock.now();
        let interval = request.config().probe.interval.min(MAX_REFRESH_INTERVAL);
        let refresh = match request.parameter("refresh").as_deref() {
            Some("off") => Refresh::Never,
            _ => Refresh::Every(status::next_refresh(&known, interval, now)),
        };
        let expanded: Vec<String> = request
            .parameters("open")
            .flat_map(|names| names.split(',').map(str::to_owned).collect::<Vec<_>>())
            .take(MAX_EXPANDED)
            .collect();
        let page = status::page(&StatusPage {
            config: request.config(),
            known: &known,
            readiness_state: &self.state.readiness.borrow().clone(),
            evidence: &self.state.ledger.borrow().clone(),
            now,
            expanded: &expanded,
            refresh,
            view: match request.parameter("view").as_deref() {
                Some("wall") => View::Wall,
                _ => View::Desk,
            },
        });
        let mut response = html_page(page);
        // A header, because a user of a screen reader cannot turn off a meta element.
        if let Refresh::Every(period) = refresh {
            set_header(&mut response, REFRESH, &period.as_secs().to_string());
        }
        response
    }

    /// `?target=NAME`: the latest report of a target as `verify --format html` prints it.
    pub(super) fn report(&self, request: &RequestContext) -> HttpResponse {
        let Some(target) = request.parameter("target") else {
            let text = "Missing parameter target: /report?target=NAME\n";
            return response::text(StatusCode::BAD_REQUEST, text);
        };
        let known = self.state.reports.states();
        let Some((_, known)) = known.iter().find(|(known, _)| known.name == target) else {
            let text = format!("{}\n", request.config().targets.unknown(&target));
            return response::text(StatusCode::NOT_FOUND, text);
        };
        let Some(report) = known.stats.latest.as_deref() else {
            let text = "That target has not been probed yet; try again after its first probe.\n";
            return response::text(StatusCode::SERVICE_UNAVAILABLE, text);
        };
        let contacts = &request.config().contacts;
        let saved = self.state.reports.saved_state();
        html_page(html::reports(
            &[report],
            contacts,
            &saved,
            &[],
            self.state.clock.now(),
        ))
    }

    /// `?target=NAME`: what a browser showed in its latest check, in at most `MAX_SCREENSHOT` bytes.
    pub(super) fn browser_picture(&self, request: &RequestContext) -> HttpResponse {
        let Some(target) = request.parameter("target") else {
            let text = "Missing parameter target: /browser.png?target=NAME\n";
            return response::text(StatusCode::BAD_REQUEST, text);
        };
        let Some(png) = self.state.reports.picture(&target) else {
            let text = "There is no picture of that target: no browser has opened it (key browser of the \
                        configuration).\n";
            return response::text(StatusCode::NOT_FOUND, text);
        };
        let mut response = response::ok(PNG, Bytes::from_owner(png));
        // The status page names the time of the check, which makes each picture a path of its own.
        let caching = match request.parameter("at") {
            Some(_) => "private, max-age=3600",
            None => "no-store",
        };
        set_header(&mut response, CACHE_CONTROL, caching);
        response
    }
}

/// A page that loads nothing from elsewhere and is not stored.
fn html_page(page: String) -> HttpResponse {
    let mut response = response::ok(HTML, page);
    set_header(&mut response, CONTENT_SECURITY_POLICY, STATUS_POLICY);
    set_header(&mut response, REFERRER_POLICY, "no-referrer");
    set_header(&mut response, CACHE_CONTROL, "no-store");
    response
}
