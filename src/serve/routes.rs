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

use super::active_config::ActiveConfig;
use super::negotiation;
use super::prefix::Prefix;
use super::probe_endpoint::{ProbeEndpoint, ProbeResponse};
use super::reload;
use super::report_store::ReportStore;
use crate::clock::Clock;
use crate::config::{Config, Target};
use crate::redact::redact_emails;
use crate::render::json;
use crate::render::metrics::{self, Evidence, ReadinessState, Reload, Snapshot};
use crate::render::status::{self, Refresh, StatusPage};
use crate::report::Report;

/// Whole, since it may yet be compressed.
pub(super) type HttpResponse = Response<Bytes>;

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
    pub active: watch::Receiver<Arc<ActiveConfig>>,
    pub store: Arc<ReportStore>,
    pub endpoint: ProbeEndpoint,
    pub reload: mpsc::Sender<reload::Request>,
    pub reloaded: watch::Receiver<Reload>,
    pub readiness_state: watch::Receiver<ReadinessState>,
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
struct RequestContext {
    head: Parts,
    active: Arc<ActiveConfig>,
}

impl RequestContext {
    fn config(&self) -> &Config {
        &self.active.config
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
        let request = Arc::new(RequestContext {
            head,
            active: Arc::clone(&self.active.borrow()),
        });
        let answer = self.route(&request, scheme).await;
        let answer = if answer.body().len() > LARGE_BODY {
            run_blocking(move || compressed(&request, answer)).await
        } else {
            compressed(&request, answer)
        };
        answer.map(Full::new)
    }

    async fn route(self: &Arc<Self>, request: &Arc<RequestContext>, scheme: &str) -> HttpResponse {
        let path = request.head.uri.path();
        let Some(route) = self.prefix.strip(path).and_then(Route::of) else {
            return match self.prefix.root_redirect(path) {
                Some(root_redirect) => redirect(root_redirect),
                None => text_response(StatusCode::NOT_FOUND, "There is nothing here.\n"),
            };
        };
        let (methods, words) = route.methods();
        if !methods.contains(&request.head.method) {
            let text = format!("This address answers {words} only.\n");
            let mut answer = text_response(StatusCode::METHOD_NOT_ALLOWED, text);
            set(&mut answer, ALLOW, words);
            return answer;
        }
        match route {
            Route::Status => self.of_all_targets(request, Self::status).await,
            Route::Metrics => self.of_all_targets(request, Self::metrics).await,
            Route::Reports => self.of_all_targets(request, Self::reports).await,
            Route::Probe => self.probe(request).await,
            Route::Discovery => self.discovery(request, scheme),
            Route::History => self.history(request),
            Route::Healthy => text_response(StatusCode::OK, "healthy\n"),
            Route::Ready => self.ready(),
            Route::Reload => self.reload().await,
        }
    }

    /// Tells of every target, aside where they are many.
    async fn of_all_targets(
        self: &Arc<Self>,
        request: &Arc<RequestContext>,
        tell: fn(&Self, &RequestContext) -> HttpResponse,
    ) -> HttpResponse {
        if request.config().targets.len() <= MANY_TARGETS {
            return tell(self, request);
        }
        let (routes, request) = (Arc::clone(self), Arc::clone(request));
        run_blocking(move || tell(&routes, &request)).await
    }

    /// `?target=NAME` shows that target whole, `?refresh=off` leaves the page as it is.
    fn status(&self, request: &RequestContext) -> HttpResponse {
        let period = request.config().probe.interval.min(LONGEST_REFRESH);
        let refresh = match request.value("refresh").as_deref() {
            Some("off") => Refresh::Never,
            _ => Refresh::Every(period),
        };
        let page = status::page(&StatusPage {
            config: request.config(),
            known: &self.store.known(),
            readiness_state: &self.readiness_state.borrow().clone(),
            evidence: &self.evidence.borrow().clone(),
            now: self.clock.now(),
            expanded: request.value("target").as_deref(),
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

    fn ready(&self) -> HttpResponse {
        if self.store.is_ready() {
            text_response(StatusCode::OK, "ready\n")
        } else {
            text_response(
                StatusCode::SERVICE_UNAVAILABLE,
                "not ready: some target has not been probed yet\n",
            )
        }
    }

    /// `?target=NAME`; the one target there is needs no name.
    fn history(&self, request: &RequestContext) -> HttpResponse {
        let only = match &*request.config().targets {
            [one] => Some(one.name.clone()),
            _ => None,
        };
        let Some(target) = request.value("target").or(only) else {
            let text = "Name a target: /api/v1/history?target=NAME\n";
            return text_response(StatusCode::BAD_REQUEST, text);
        };
        match self.store.history(&target) {
            None => text_response(
                StatusCode::NOT_FOUND,
                "No target of that name is configured.\n",
            ),
            Some(history) => {
                let text = json::history(&target, &history, self.clock.now());
                document(JSON, text, "the history")
            }
        }
    }

    /// The latest report of each target.
    fn reports(&self, request: &RequestContext) -> HttpResponse {
        let known = self.store.known();
        let latest = known
            .iter()
            .filter_map(|(_, known)| known.stats.latest.as_deref());
        let latest: Vec<&Report> = latest.collect();
        let contacts = &request.config().contacts;
        let text = json::reports(&latest, contacts, &self.store.memory(), self.clock.now());
        document(JSON, text, "the reports")
    }

    /// Each target with its own module; `?module=NAME`, once or more, asks for these instead.
    fn discovery(&self, request: &RequestContext, scheme: &str) -> HttpResponse {
        let modules: Vec<String> = request.values("module").collect();
        let known = &request.config().modules;
        if let Some(unknown) = modules.iter().find(|name| !known.contains_key(*name)) {
            return text_response(
                StatusCode::BAD_REQUEST,
                format!("Unknown module {unknown:?}\n"),
            );
        }
        let ways = request.config().targets.iter().flat_map(|target| {
            let target: &Target = target;
            let own = modules.is_empty().then_some(target.module.name.as_str());
            let named = modules.iter().map(String::as_str);
            own.into_iter()
                .chain(named)
                .map(move |module| (target, module))
        });
        let ways: Vec<_> = ways.collect();
        let here = self.prefix.external().map_or_else(
            || request_authority(request).map(|authority| (scheme.to_owned(), authority)),
            Some,
        );
        let Some((scheme, authority)) = here else {
            let text = "Without a Host header this exporter does not know its own address; \
                        --web.external-url names it.\n";
            return text_response(StatusCode::BAD_REQUEST, text);
        };
        let path = self.prefix.path("/probe");
        let text = json::discovery(&authority, &path, &scheme, &ways);
        document(JSON, text, "the targets")
    }

    fn metrics(&self, request: &RequestContext) -> HttpResponse {
        let chosen = negotiation::format(&request.head.headers);
        let exposition = Snapshot {
            config: request.config(),
            loaded_at: request.active.loaded_at,
            known: &self.store.known(),
            now: self.clock.now(),
            reload: *self.reloaded.borrow(),
            readiness_state: &self.readiness_state.borrow().clone(),
            evidence: &self.evidence.borrow().clone(),
            rejections: &self.endpoint.rejections(),
        };
        let text = metrics::render(&exposition, chosen.format);
        document(&chosen.media_type, text, "the metrics")
    }

    async fn probe(&self, request: &RequestContext) -> HttpResponse {
        let chosen = negotiation::format(&request.head.headers);
        let headers = &request.head.headers;
        let answer = self
            .endpoint
            .answer(&request.active, request.query(), headers, chosen.format);
        match answer.await {
            ProbeResponse::Metrics(text) => response(StatusCode::OK, &chosen.media_type, text),
            ProbeResponse::Debug(text) => text_response(StatusCode::OK, text),
            ProbeResponse::Refused(status, text) => text_response(status, text),
            ProbeResponse::InternalError => internal_error("the probe"),
        }
    }

    async fn reload(&self) -> HttpResponse {
        let (answer, outcome) = oneshot::channel();
        if self.reload.try_send(Some(answer)).is_err() {
            let text = "Several reloads are waiting already.\n";
            return text_response(StatusCode::SERVICE_UNAVAILABLE, text);
        }
        match outcome.await {
            Ok(Ok(())) => text_response(StatusCode::OK, "reloaded\n"),
            Ok(Err(diagnostics)) => {
                let text = format!("Not reloaded; what was in force goes on.\n{diagnostics}\n");
                text_response(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
            Err(_) => text_response(
                StatusCode::SERVICE_UNAVAILABLE,
                "The exporter is stopping.\n",
            ),
        }
    }
}

/// The address that the client knows this exporter by.
fn request_authority(request: &RequestContext) -> Option<String> {
    let host = request
        .head
        .headers
        .get(HOST)
        .map(|host| host.to_str().ok()?.parse().ok());
    // HTTP/2 has no such header.
    let authority: Authority = host.unwrap_or_else(|| request.head.uri.authority().cloned())?;
    Some(authority.as_str().to_owned())
}

/// Does what takes long on another thread, while this one goes on with the probes.
async fn run_blocking(work: impl FnOnce() -> HttpResponse + Send + 'static) -> HttpResponse {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(cause) => {
            error!(%cause, "an answer broke: this is a defect, please report it");
            internal_error("what was asked for")
        }
    }
}

fn compressed(request: &RequestContext, mut answer: HttpResponse) -> HttpResponse {
    set(&mut answer, VARY, "accept, accept-encoding");
    if let Some(small) = negotiation::compress(&request.head.headers, answer.body()) {
        *answer.body_mut() = small;
        set(&mut answer, CONTENT_ENCODING, "gzip");
    }
    answer
}

fn redirect(to: String) -> HttpResponse {
    let mut answer = text_response(StatusCode::FOUND, "");
    set(&mut answer, LOCATION, &to);
    answer
}

/// A document, unless it could not be written: a defect of ours.
fn document<E: std::fmt::Display>(
    media_type: &str,
    text: Result<impl Into<Bytes>, E>,
    what: &str,
) -> HttpResponse {
    match text {
        Ok(text) => response(StatusCode::OK, media_type, text),
        Err(cause) => {
            error!(%cause, what, "cannot write it");
            internal_error(what)
        }
    }
}

fn internal_error(what: &str) -> HttpResponse {
    let text = format!("This is a defect: {what} cannot be told; the log says why.\n");
    text_response(StatusCode::INTERNAL_SERVER_ERROR, text)
}

/// A text that may repeat what was asked.
pub(super) fn text_response(status: StatusCode, body: impl AsRef<str>) -> HttpResponse {
    response(status, PLAIN, redact_emails(body.as_ref()).into_owned())
}

fn response(status: StatusCode, media_type: &str, body: impl Into<Bytes>) -> HttpResponse {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    set(&mut answer, CONTENT_TYPE, media_type);
    set(&mut answer, X_CONTENT_TYPE_OPTIONS, "nosniff");
    answer
}

fn set(answer: &mut HttpResponse, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}
