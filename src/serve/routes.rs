//! The routes: a request in, a response out; nothing is asked of the network here.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use tracing::error;
use url::form_urlencoded;

use super::board::Board;
use crate::clock::Clock;
use crate::config::Config;
use crate::render::json;
use crate::render::metrics::{self, Exposition, TEXT_FORMAT};
use crate::render::status::{self, Refresh, StatusPage};

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// The status page has a style sheet in itself and nothing else.
const STATUS_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                             form-action 'none'; frame-ancestors 'none'";
const LONGEST_REFRESH: Duration = Duration::from_secs(60);

/// What the routes tell of.
pub struct Routes {
    pub config: Config,
    pub configured: Timestamp,
    pub board: Arc<Board>,
    pub clock: Clock,
}

impl Routes {
    /// Answers any request.
    pub fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let page: fn(&Self, &str) -> Response<Full<Bytes>> = match request.uri().path() {
            "/" => Self::status,
            "/metrics" => Self::metrics,
            "/api/v1/history" => Self::history,
            "/-/healthy" => Self::healthy,
            "/-/ready" => Self::ready,
            _ => return response(StatusCode::NOT_FOUND, PLAIN, "There is nothing here.\n"),
        };
        match *request.method() {
            Method::GET | Method::HEAD => page(self, request.uri().query().unwrap_or_default()),
            _ => {
                let text = "This address answers GET and HEAD only.\n";
                let mut response = response(StatusCode::METHOD_NOT_ALLOWED, PLAIN, text);
                response
                    .headers_mut()
                    .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                response
            }
        }
    }

    /// `?target=NAME` shows that target whole, `?refresh=off` leaves the page as it is.
    fn status(&self, query: &str) -> Response<Full<Bytes>> {
        let period = self.config.probe.interval.min(LONGEST_REFRESH);
        let refresh = match asked(query, "refresh").as_deref() {
            Some("off") => Refresh::Never,
            _ => Refresh::Every(period),
        };
        let page = status::page(&StatusPage {
            config: &self.config,
            known: &self.board.known(),
            now: self.clock.now(),
            opened: asked(query, "target").as_deref(),
            refresh,
        });
        let mut response = response(StatusCode::OK, HTML, page);
        let headers = response.headers_mut();
        // By a header, since an element would take the choice from whoever reads it aloud.
        if refresh != Refresh::Never
            && let Ok(value) = HeaderValue::try_from(period.as_secs().to_string())
        {
            headers.insert("refresh", value);
        }
        for (name, value) in [
            ("content-security-policy", STATUS_POLICY),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }

    fn healthy(&self, _query: &str) -> Response<Full<Bytes>> {
        response(StatusCode::OK, PLAIN, "healthy\n")
    }

    fn ready(&self, _query: &str) -> Response<Full<Bytes>> {
        match self.board.is_ready() {
            true => response(StatusCode::OK, PLAIN, "ready\n"),
            false => response(
                StatusCode::SERVICE_UNAVAILABLE,
                PLAIN,
                "not ready: some target has not been probed yet\n",
            ),
        }
    }

    /// `?target=NAME`; the one target there is needs no name.
    fn history(&self, query: &str) -> Response<Full<Bytes>> {
        let only = match self.config.targets.as_slice() {
            [one] => Some(one.name.clone()),
            _ => None,
        };
        let Some(target) = asked(query, "target").or(only) else {
            let text = "Name a target: /api/v1/history?target=NAME\n";
            return response(StatusCode::BAD_REQUEST, PLAIN, text);
        };
        let Some(remembered) = self.board.remembered(&target) else {
            let text = "No target of that name is configured.\n";
            return response(StatusCode::NOT_FOUND, PLAIN, text);
        };
        match json::history(&target, &remembered, self.clock.now()) {
            Ok(text) => response(StatusCode::OK, JSON, text),
            Err(cause) => {
                error!(%cause, "cannot write the history");
                let text = "The history cannot be written; the log says why.\n";
                response(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, text)
            }
        }
    }

    fn metrics(&self, _query: &str) -> Response<Full<Bytes>> {
        let exposition = Exposition {
            config: &self.config,
            configured: self.configured,
            known: &self.board.known(),
            now: self.clock.now(),
        };
        match metrics::text(&exposition) {
            Ok(text) => response(StatusCode::OK, TEXT_FORMAT, text),
            Err(cause) => {
                error!(%cause, "cannot write the metrics");
                let text = "The metrics cannot be written; the log says why.\n";
                response(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, text)
            }
        }
    }
}

/// The value of a key in the query.
fn asked(query: &str, key: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find_map(|(name, value)| (name == key).then(|| value.into_owned()))
}

fn response(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
