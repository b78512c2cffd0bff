//! The HTTP routes: a request in, a response out. Only `/probe` accesses the network.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_ENCODING, LOCATION, VARY, WWW_AUTHENTICATE};
use hyper::{Request, StatusCode};
use tokio::sync::{mpsc, oneshot};

use super::auth::{Auth, AuthError};
use super::negotiation;
use super::prefix::Prefix;
use super::probe_endpoint::{ProbeHandler, unknown_module};
use super::reload::ReloadRequest;
use super::request::RequestContext;
use super::response::{self, Body, HttpResponse, JSON, LARGE_BODY, set_header};
use super::same_origin;
use super::state::ServiceState;
use super::task;
use crate::config::age;
use crate::render::json;
use crate::render::metrics::{self, Snapshot};
use crate::report::Report;

const NOT_FOUND: &str = "Not found.\n";
/// Of the history.
const MAX_RANGE: Duration = Duration::from_secs(90 * 24 * 3_600);

/// With more targets than this, or a larger body, rendering or compressing takes longer than a
/// probe should be delayed: it runs on the blocking pool.
const MANY_TARGETS: usize = 20;

/// The paths without the prefix, and the methods they allow.
const ROUTES: [(&str, &str); 11] = [
    ("/", "GET, HEAD"),
    ("/report", "GET, HEAD"),
    ("/browser.png", "GET, HEAD"),
    ("/metrics", "GET, HEAD"),
    ("/probe", "GET, HEAD"),
    ("/sd", "GET, HEAD"),
    ("/api/v1/reports", "GET, HEAD"),
    ("/api/v1/history", "GET, HEAD"),
    ("/-/healthy", "GET, HEAD"),
    ("/-/ready", "GET, HEAD"),
    ("/-/reload", "POST, PUT"),
];

/// How a request reached the listener.
#[derive(Clone, Copy)]
pub struct ConnectionOrigin {
    pub client: IpAddr,
    /// `http` or `https`.
    pub scheme: &'static str,
}

pub struct Routes {
    pub state: Arc<ServiceState>,
    pub auth: Auth,
    pub probe_handler: ProbeHandler,
    pub reload: mpsc::Sender<ReloadRequest>,
    pub prefix: Prefix,
}

impl Routes {
    /// Responds to a request.
    pub async fn respond(
        self: &Arc<Self>,
        request: Request<Incoming>,
        origin: ConnectionOrigin,
    ) -> HttpResponse {
        let web = Arc::clone(&self.state.web.borrow());
        let authorized = self.auth.authorize(&web, origin.client, request.headers());
        let mut response = match authorized.await {
            Ok(()) => self.respond_authorized(request, origin.scheme).await,
            Err(AuthError::RateLimited) => {
                response::text(StatusCode::TOO_MANY_REQUESTS, "Too many requests.\n")
            }
            Err(AuthError::Unauthorized) => {
                let text = "Unauthorized: user name and password required.\n";
                let mut response = response::text(StatusCode::UNAUTHORIZED, text);
                let challenge = "Basic realm=\"ccass-2fa-exporter\", charset=\"UTF-8\"";
                set_header(&mut response, WWW_AUTHENTICATE, challenge);
                response
            }
        };
        let headers = response.headers_mut();
        for (name, value) in &web.headers {
            if !headers.contains_key(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
        response
    }

    async fn respond_authorized(
        self: &Arc<Self>,
        request: Request<Incoming>,
        scheme: &'static str,
    ) -> HttpResponse {
        // A client that pipelines requests must not starve the others.
        tokio::task::yield_now().await;
        let request = Arc::new(RequestContext {
            parts: request.into_parts().0,
            active: self.state.active_config(),
            scheme,
        });
        let response = self.route(&request).await;
        if response.body().len() > LARGE_BODY {
            run_blocking(move || compress(&request, response)).await
        } else {
            compress(&request, response)
        }
    }

    async fn route(self: &Arc<Self>, request: &Arc<RequestContext>) -> HttpResponse {
        let path = request.parts.uri.path();
        let route = self.prefix.strip(path);
        let route = ROUTES.iter().find(|(known, _)| Some(*known) == route);
        let Some((route, allow)) = route else {
            let Some(location) = self.prefix.root_redirect(path) else {
                return response::text(StatusCode::NOT_FOUND, NOT_FOUND);
            };
            let mut redirect = response::text(StatusCode::FOUND, "");
            set_header(&mut redirect, LOCATION, &location);
            return redirect;
        };
        let method = request.parts.method.as_str();
        if !allow.split(", ").any(|allowed| allowed == method) {
            let text = format!("Method not allowed; use {allow}.\n");
            let mut response = response::text(StatusCode::METHOD_NOT_ALLOWED, text);
            set_header(&mut response, ALLOW, allow);
            return response;
        }
        if allow.contains("POST")
            && let Err(message) = same_origin::check(request, &self.prefix)
        {
            return response::text(StatusCode::FORBIDDEN, format!("{message}.\n"));
        }
        match *route {
            "/" => self.render(request, Self::status).await,
            "/report" => self.report(request),
            "/browser.png" => self.browser_picture(request),
            "/metrics" => self.render(request, Self::metrics).await,
            "/api/v1/reports" => self.render(request, Self::reports).await,
            "/api/v1/history" => self.history(request),
            "/probe" => self.probe_handler.respond(request).await,
            "/sd" => self.discovery(request),
            "/-/ready" => self.ready(),
            "/-/reload" => self.reload().await,
            "/-/healthy" => response::text(StatusCode::OK, "healthy\n"),
            _ => response::text(StatusCode::NOT_FOUND, NOT_FOUND),
        }
    }

    /// Renders a response about all targets, on the blocking pool if there are many.
    async fn render(
        self: &Arc<Self>,
        request: &Arc<RequestContext>,
        render: fn(&Self, &RequestContext) -> HttpResponse,
    ) -> HttpResponse {
        if request.config().targets.len() <= MANY_TARGETS {
            return render(self, request);
        }
        let (routes, request) = (Arc::clone(self), Arc::clone(request));
        run_blocking(move || render(&routes, &request)).await
    }

    fn metrics(&self, request: &RequestContext) -> HttpResponse {
        let negotiated = negotiation::format(&request.parts.headers);
        let snapshot = Snapshot {
            config: request.config(),
            loaded_at: request.active.loaded_at,
            known: &self.state.reports.states(),
            now: self.state.clock.now(),
            is_reload_successful: *self.state.is_reload_successful.borrow(),
            readiness_state: &self.state.readiness.borrow().clone(),
            evidence: &self.state.ledger.borrow().clone(),
            recording: self
                .state
                .recording
                .borrow()
                .map(|it| [("history", it.history), ("evidence", it.evidence)]),
            clock_steps: self.state.clock_steps(),
            rejections: &self.probe_handler.rejections(),
        };
        let texts = metrics::render(&snapshot, negotiated.format);
        let body = texts.map(Body::from_texts);
        response::rendered(&negotiated.media_type, body, "metrics")
    }

    /// The latest report of each target, or of each `?target=NAME` of the query.
    fn reports(&self, request: &RequestContext) -> HttpResponse {
        let names: Vec<String> = request.parameters("target").collect();
        let targets = &request.config().targets;
        if let Some(unknown) = names.iter().find(|name| targets.named(name).is_none()) {
            let text = format!("{}\n", targets.unknown(unknown));
            return response::text(StatusCode::NOT_FOUND, text);
        }
        let mut states = self.state.reports.states();
        if !names.is_empty() {
            states.retain(|(target, _)| names.contains(&target.name));
        }
        let latest = states
            .iter()
            .map(|(_, state)| state.stats.latest.as_deref());
        let latest: Vec<&Report> = latest.flatten().collect();
        let contacts = &request.config().contacts;
        let now = self.state.clock.now();
        let text = json::reports(&latest, contacts, &self.state.reports.saved_state(), now);
        response::rendered(JSON, text, "reports")
    }

    /// `?target=NAME`, optional if only one target is configured; `?range=24h` adds results.
    fn history(&self, request: &RequestContext) -> HttpResponse {
        let default = match &*request.config().targets {
            [only] => Some(only.name.clone()),
            _ => None,
        };
        let Some(target) = request.parameter("target").or(default) else {
            let text = "Missing parameter target: /api/v1/history?target=NAME\n";
            return response::text(StatusCode::BAD_REQUEST, text);
        };
        let Some(history) = self.state.reports.history(&target) else {
            let text = format!("{}\n", request.config().targets.unknown(&target));
            return response::text(StatusCode::NOT_FOUND, text);
        };
        let now = self.state.clock.now();
        let range = match request.parameter("range").map(|text| age(&text)) {
            None => None,
            Some(Ok(range)) if range <= MAX_RANGE => Some(range),
            Some(_) => {
                let text = "Invalid parameter range: use a duration of at most 90 days, such as 24h, 7d or \
                            30d.\n";
                return response::text(StatusCode::BAD_REQUEST, text);
            }
        };
        let text = json::history(&target, &history, range, now);
        response::rendered(JSON, text, "history")
    }

    /// Every target with its own module, or with each `?module=NAME` of the query.
    fn discovery(&self, request: &RequestContext) -> HttpResponse {
        let modules: Vec<String> = request.parameters("module").collect();
        let config = request.config();
        let unknown = modules
            .iter()
            .find(|name| !config.modules.contains_key(*name));
        if let Some(unknown) = unknown {
            let text = format!("{}\n", unknown_module(config, unknown));
            return response::text(StatusCode::BAD_REQUEST, text);
        }
        let mut entries = Vec::new();
        for target in config.targets.iter() {
            if modules.is_empty() {
                entries.push((&**target, target.module.name.as_str()));
            }
            entries.extend(modules.iter().map(|module| (&**target, module.as_str())));
        }
        let address = self.prefix.external().or_else(|| {
            let authority = request.authority()?;
            Some((request.scheme.to_owned(), authority))
        });
        let Some((scheme, authority)) = address else {
            let text = "The address of this exporter is unknown: send a Host header, or set \
                        --web.external-url.\n";
            return response::text(StatusCode::BAD_REQUEST, text);
        };
        let path = self.prefix.path("/probe");
        let text = json::discovery(&authority, &path, &scheme, &entries);
        response::rendered(JSON, text, "service discovery")
    }

    fn ready(&self) -> HttpResponse {
        if self.state.reports.is_ready() {
            return response::text(StatusCode::OK, "ready\n");
        }
        let text = "not ready: not every target has been probed yet\n";
        response::text(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    async fn reload(&self) -> HttpResponse {
        let (reply, result) = oneshot::channel();
        if self.reload.try_send(Some(reply)).is_err() {
            let text = "Too many reloads are queued; try again later.\n";
            return response::text(StatusCode::SERVICE_UNAVAILABLE, text);
        }
        match result.await {
            Ok(Ok(())) => response::text(StatusCode::OK, "configuration reloaded\n"),
            Ok(Err(error)) => response::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!(
                    "Configuration reload failed, keeping the active configuration; the log quotes the \
                     lines.\n{error}\n"
                ),
            ),
            Err(_) => response::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "The exporter is shutting down.\n",
            ),
        }
    }
}

async fn run_blocking(work: impl FnOnce() -> HttpResponse + Send + 'static) -> HttpResponse {
    let response = task::run_blocking("response", work).await;
    response.unwrap_or_else(|| response::internal_error("the response"))
}

fn compress(request: &RequestContext, mut response: HttpResponse) -> HttpResponse {
    set_header(&mut response, VARY, "accept, accept-encoding");
    if let Some(body) = negotiation::compress(&request.parts.headers, response.body()) {
        *response.body_mut() = body.into();
        set_header(&mut response, CONTENT_ENCODING, "gzip");
    }
    response
}
