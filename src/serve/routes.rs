//! The routes: a request in, a response out; nothing is asked of the network here.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use tracing::error;

use super::board::Board;
use crate::clock::Clock;
use crate::config::Config;
use crate::render::metrics::{self, Exposition, TEXT_FORMAT};

const PLAIN: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

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
        let page: fn(&Self) -> Response<Full<Bytes>> = match request.uri().path() {
            "/" => Self::index,
            "/metrics" => Self::metrics,
            "/-/healthy" => Self::healthy,
            "/-/ready" => Self::ready,
            _ => return response(StatusCode::NOT_FOUND, PLAIN, "There is nothing here.\n"),
        };
        match *request.method() {
            Method::GET | Method::HEAD => page(self),
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

    fn index(&self) -> Response<Full<Bytes>> {
        response(StatusCode::OK, HTML, include_str!("index.html"))
    }

    fn healthy(&self) -> Response<Full<Bytes>> {
        response(StatusCode::OK, PLAIN, "healthy\n")
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        match self.board.is_ready() {
            true => response(StatusCode::OK, PLAIN, "ready\n"),
            false => response(
                StatusCode::SERVICE_UNAVAILABLE,
                PLAIN,
                "not ready: some target has not been probed yet\n",
            ),
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        let exposition = Exposition {
            config: &self.config,
            configured: self.configured,
            tallies: &self.board.tallies(),
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
}
