//! The routes: a request in, a response out. `/probe` alone asks the network for anything.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION,
    REFERRER_POLICY, REFRESH, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::error;
use url::form_urlencoded;

use super::board::Board;
use super::endpoint::{Answer, Endpoint};
use super::in_force::InForce;
use super::negotiation;
use super::prefix::Prefix;
use super::reloader;
use crate::clock::Clock;
use crate::config::{Config, Target};
use crate::personal::withheld;
use crate::render::json;
use crate::render::metrics::{self, Counted, Evidence, Exposition, Reload};
use crate::render::status::{self, Refresh, StatusPage};
use crate::report::Report;

/// Whole, since it may yet be compressed.
pub(super) type Answered = Response<Bytes>;

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// The status page has a style sheet in itself and nothing else.
const STATUS_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                             form-action 'none'; frame-ancestors 'none'";
const LONGEST_REFRESH: Duration = Duration::from_secs(60);

/// From here on writing what is known, or compressing it, takes longer than a probe should be held up.
const MANY_TARGETS: usize = 20;
const LARGE_BODY: usize = 128 * 1024;

/// What the routes tell of.
pub struct Routes {
    pub in_force: watch::Receiver<Arc<InForce>>,
    pub board: Arc<Board>,
    pub endpoint: Endpoint,
    pub reload: mpsc::Sender<reloader::Request>,
    pub reloaded: watch::Receiver<Reload>,
    pub counted: watch::Receiver<Counted>,
    pub evidence: watch::Receiver<Evidence>,
    pub prefix: Prefix,
    pub clock: Clock,
}

/// What there is, by its path below the prefix.
#[derive(Clone, Copy)]
enum Route {
    Status,
    Metrics,
    Probe,
    Discovery,
    Reports,
    History,
    Healthy,
    Ready,
    Reload,
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/" => Self::Status,
            "/metrics" => Self::Metrics,
            "/probe" => Self::Probe,
            "/sd" => Self::Discovery,
            "/api/v1/reports" => Self::Reports,
            "/api/v1/history" => Self::History,
            "/-/healthy" => Self::Healthy,
            "/-/ready" => Self::Ready,
            "/-/reload" => Self::Reload,
            _ => return None,
        })
    }

    /// What may be done with it.
    fn methods(self) -> (&'static [Method], &'static str) {
        match self {
            Self::Reload => (&[Method::POST, Method::PUT], "POST, PUT"),
            _ => (&[Method::GET, Method::HEAD], "GET, HEAD"),
        }
    }
}

/// A request without its body, which nothing here reads.
struct Asked {
    head: Parts,
    in_force: Arc<InForce>,
}

impl Asked {
    fn config(&self) -> &Config {
        &self.in_force.config
    }

    fn query(&self) -> &str {
        self.head.uri.query().unwrap_or_default()
    }

    /// The first value of a key in the query.
    fn value(&self, key: &str) -> Option<String> {
        self.values(key).next()
    }

    fn values(&self, key: &str) -> impl Iterator<Item = String> {
        form_urlencoded::parse(self.query().as_bytes())
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| value.into_owned())
    }
}

impl Routes {
    /// Answers any request; `scheme` is the listener's.
    pub async fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
        scheme: &str,
    ) -> Response<Full<Bytes>> {
        // Who sends many requests at once has one of them answered in a turn, as everybody has.
        tokio::task::yield_now().await;
        let (head, _body) = request.into_parts();
        let asked = Arc::new(Asked {
            head,
            in_force: Arc::clone(&self.in_force.borrow()),
        });
        let answer = self.route(&asked, scheme).await;
        let answer = match answer.body().len() > LARGE_BODY {
            true => aside(move || compressed(&asked, answer)).await,
            false => compressed(&asked, answer),
        };
        answer.map(Full::new)
    }

    async fn route(self: &Arc<Self>, asked: &Arc<Asked>, scheme: &str) -> Answered {
        let path = asked.head.uri.path();
        let Some(route) = self.prefix.below(path).and_then(Route::of) else {
            return match self.prefix.home(path) {
                Some(home) => moved(home),
                None => plain(StatusCode::NOT_FOUND, "There is nothing here.\n"),
            };
        };
        let (methods, words) = route.methods();
        if !methods.contains(&asked.head.method) {
            let text = format!("This address answers {words} only.\n");
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, text);
            set(&mut answer, ALLOW, words);
            return answer;
        }
        match route {
            Route::Status => self.of_all_targets(asked, Self::status).await,
            Route::Metrics => self.of_all_targets(asked, Self::metrics).await,
            Route::Reports => self.of_all_targets(asked, Self::reports).await,
            Route::Probe => self.probe(asked).await,
            Route::Discovery => self.discovery(asked, scheme),
            Route::History => self.history(asked),
            Route::Healthy => plain(StatusCode::OK, "healthy\n"),
            Route::Ready => self.ready(),
            Route::Reload => self.reload().await,
        }
    }

    /// Tells of every target, aside where they are many.
    async fn of_all_targets(
        self: &Arc<Self>,
        asked: &Arc<Asked>,
        tell: fn(&Self, &Asked) -> Answered,
    ) -> Answered {
        if asked.config().targets.len() <= MANY_TARGETS {
            return tell(self, asked);
        }
        let (routes, asked) = (Arc::clone(self), Arc::clone(asked));
        aside(move || tell(&routes, &asked)).await
    }

    /// `?target=NAME` shows that target whole, `?refresh=off` leaves the page as it is.
    fn status(&self, asked: &Asked) -> Answered {
        let period = asked.config().probe.interval.min(LONGEST_REFRESH);
        let refresh = match asked.value("refresh").as_deref() {
            Some("off") => Refresh::Never,
            _ => Refresh::Every(period),
        };
        let page = status::page(&StatusPage {
            config: asked.config(),
            known: &self.board.known(),
            counted: &self.counted.borrow().clone(),
            evidence: &self.evidence.borrow().clone(),
            now: self.clock.now(),
            opened: asked.value("target").as_deref(),
            refresh,
        });
        let mut answer = response(StatusCode::OK, HTML, page);
        // By a header, since an element would take the choice from whoever reads it aloud.
        if refresh != Refresh::Never {
            set(&mut answer, REFRESH, &period.as_secs().to_string());
        }
        set(
            &mut answer,
            hyper::header::CONTENT_SECURITY_POLICY,
            STATUS_POLICY,
        );
        set(&mut answer, REFERRER_POLICY, "no-referrer");
        set(&mut answer, CACHE_CONTROL, "no-store");
        answer
    }

    fn ready(&self) -> Answered {
        match self.board.is_ready() {
            true => plain(StatusCode::OK, "ready\n"),
            false => plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "not ready: some target has not been probed yet\n",
            ),
        }
    }

    /// `?target=NAME`; the one target there is needs no name.
    fn history(&self, asked: &Asked) -> Answered {
        let only = match &*asked.config().targets {
            [one] => Some(one.name.clone()),
            _ => None,
        };
        let Some(target) = asked.value("target").or(only) else {
            let text = "Name a target: /api/v1/history?target=NAME\n";
            return plain(StatusCode::BAD_REQUEST, text);
        };
        match self.board.remembered(&target) {
            None => plain(
                StatusCode::NOT_FOUND,
                "No target of that name is configured.\n",
            ),
            Some(remembered) => {
                let text = json::history(&target, &remembered, self.clock.now());
                written(JSON, text, "the history")
            }
        }
    }

    /// The latest report of each target.
    fn reports(&self, asked: &Asked) -> Answered {
        let known = self.board.known();
        let latest = known
            .iter()
            .filter_map(|(_, known)| known.tally.latest.as_deref());
        let latest: Vec<&Report> = latest.collect();
        let contacts = &asked.config().contacts;
        let text = json::reports(&latest, contacts, &self.board.memory(), self.clock.now());
        written(JSON, text, "the reports")
    }

    /// Each target with its own module; `?module=NAME`, once or more, asks for these instead.
    fn discovery(&self, asked: &Asked, scheme: &str) -> Answered {
        let modules: Vec<String> = asked.values("module").collect();
        let known = &asked.config().modules;
        if let Some(unknown) = modules.iter().find(|name| !known.contains_key(*name)) {
            return plain(
                StatusCode::BAD_REQUEST,
                format!("Unknown module {unknown:?}\n"),
            );
        }
        let ways = asked.config().targets.iter().flat_map(|target| {
            let target: &Target = target;
            let own = modules.is_empty().then_some(target.module.name.as_str());
            let named = modules.iter().map(String::as_str);
            own.into_iter()
                .chain(named)
                .map(move |module| (target, module))
        });
        let ways: Vec<_> = ways.collect();
        let here = self.prefix.external().map_or_else(
            || asked_at(asked).map(|authority| (scheme.to_owned(), authority)),
            Some,
        );
        let Some((scheme, authority)) = here else {
            let text = "Without a Host header this exporter does not know its own address; \
                        --web.external-url names it.\n";
            return plain(StatusCode::BAD_REQUEST, text);
        };
        let path = self.prefix.path("/probe");
        let text = json::discovery(&authority, &path, &scheme, &ways);
        written(JSON, text, "the targets")
    }

    fn metrics(&self, asked: &Asked) -> Answered {
        let chosen = negotiation::format(&asked.head.headers);
        let exposition = Exposition {
            config: asked.config(),
            configured: asked.in_force.read_at,
            known: &self.board.known(),
            now: self.clock.now(),
            reload: *self.reloaded.borrow(),
            counted: &self.counted.borrow().clone(),
            evidence: &self.evidence.borrow().clone(),
            refusals: &self.endpoint.refusals(),
        };
        let text = metrics::board(&exposition, chosen.format);
        written(&chosen.media_type, text, "the metrics")
    }

    async fn probe(&self, asked: &Asked) -> Answered {
        let chosen = negotiation::format(&asked.head.headers);
        let headers = &asked.head.headers;
        let answer = self
            .endpoint
            .answer(&asked.in_force, asked.query(), headers, chosen.format);
        match answer.await {
            Answer::Metrics(text) => response(StatusCode::OK, &chosen.media_type, text),
            Answer::Debug(text) => plain(StatusCode::OK, text),
            Answer::Refused(status, text) => plain(status, text),
            Answer::Broken => broken("the probe"),
        }
    }

    async fn reload(&self) -> Answered {
        let (answer, outcome) = oneshot::channel();
        if self.reload.try_send(Some(answer)).is_err() {
            let text = "Several reloads are waiting already.\n";
            return plain(StatusCode::SERVICE_UNAVAILABLE, text);
        }
        match outcome.await {
            Ok(Ok(())) => plain(StatusCode::OK, "reloaded\n"),
            Ok(Err(mistakes)) => {
                let text = format!("Not reloaded; what was in force goes on.\n{mistakes}\n");
                plain(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
            Err(_) => plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "The exporter is stopping.\n",
            ),
        }
    }
}

/// The address that the client knows this exporter by.
fn asked_at(asked: &Asked) -> Option<String> {
    let host = asked
        .head
        .headers
        .get(HOST)
        .map(|host| host.to_str().ok()?.parse().ok());
    // HTTP/2 has no such header.
    let authority: Authority = host.unwrap_or_else(|| asked.head.uri.authority().cloned())?;
    Some(authority.as_str().to_owned())
}

/// Does what takes long on another thread, while this one goes on with the probes.
async fn aside(work: impl FnOnce() -> Answered + Send + 'static) -> Answered {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(cause) => {
            error!(%cause, "an answer broke: this is a defect, please report it");
            broken("what was asked for")
        }
    }
}

fn compressed(asked: &Asked, mut answer: Answered) -> Answered {
    set(&mut answer, VARY, "accept, accept-encoding");
    if let Some(small) = negotiation::compress(&asked.head.headers, answer.body()) {
        *answer.body_mut() = small;
        set(&mut answer, CONTENT_ENCODING, "gzip");
    }
    answer
}

fn moved(to: String) -> Answered {
    let mut answer = plain(StatusCode::FOUND, "");
    set(&mut answer, LOCATION, &to);
    answer
}

/// A document, unless it could not be written: a defect of ours.
fn written<E: std::fmt::Display>(
    media_type: &str,
    text: Result<impl Into<Bytes>, E>,
    what: &str,
) -> Answered {
    match text {
        Ok(text) => response(StatusCode::OK, media_type, text),
        Err(cause) => {
            error!(%cause, what, "cannot write it");
            broken(what)
        }
    }
}

fn broken(what: &str) -> Answered {
    let text = format!("This is a defect: {what} cannot be told; the log says why.\n");
    plain(StatusCode::INTERNAL_SERVER_ERROR, text)
}

/// A text that may repeat what was asked.
pub(super) fn plain(status: StatusCode, body: impl AsRef<str>) -> Answered {
    response(status, PLAIN, withheld(body.as_ref()).into_owned())
}

fn response(status: StatusCode, media_type: &str, body: impl Into<Bytes>) -> Answered {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    set(&mut answer, CONTENT_TYPE, media_type);
    set(&mut answer, X_CONTENT_TYPE_OPTIONS, "nosniff");
    answer
}

fn set(answer: &mut Answered, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}
