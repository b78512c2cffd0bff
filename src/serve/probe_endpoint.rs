//! `/probe`: probes a target on request, as blackbox_exporter does.
//!
//! Only configured targets and allowed hosts can be probed. Every rejection is counted, and its
//! message says what to change.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use hyper::{HeaderMap, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use url::Url;

use super::negotiation;
use super::request::RequestContext;
use super::response::{self, HttpResponse};
use super::single_flight::ProbeOutcome;
use crate::clock::Stopwatch;
use crate::config::{AllowedHosts, Config, LOGIN_MODULE, LOGIN_URL, ProbeModule, Target};
use crate::label;
use crate::lock::lock;
use crate::probe::ForbiddenAddress;
use crate::redact;
use crate::render::metrics::{self, Format, Outcome, Probed};
use crate::render::{Width, module, text};
use crate::report::RejectReason;
use crate::report::history::SavedState;

/// Requests for targets that are not configured.
const MAX_IN_FLIGHT: usize = 64;
/// Requests for one configured target: it is never shut out by requests for others.
const MAX_IN_FLIGHT_PER_TARGET: usize = 16;
/// The default of blackbox_exporter, if the scraper sends no timeout.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
/// Subtracted from the scrape timeout to return the response in time, as in blackbox_exporter.
const TIMEOUT_OFFSET: Duration = Duration::from_millis(500);
const TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";

pub struct ProbeHandler {
    permits: Arc<Semaphore>,
    /// By the name of a configured target; its requests hold the semaphore.
    target_permits: Mutex<HashMap<String, Weak<Semaphore>>>,
    rejections: Mutex<BTreeMap<RejectReason, u64>>,
}

/// Why a request is rejected, and the message for the client.
type Rejection = (RejectReason, String);

impl ProbeHandler {
    pub fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
            target_permits: Mutex::default(),
            rejections: Mutex::default(),
        }
    }

    /// Rejected requests since the start.
    pub fn rejections(&self) -> BTreeMap<RejectReason, u64> {
        lock(&self.rejections).clone()
    }

    /// Responds within the scrape timeout.
    pub async fn respond(&self, request: &RequestContext) -> HttpResponse {
        let (reason, message) = match self.probe(request).await {
            Ok(response) => return response,
            Err(rejection) => rejection,
        };
        *lock(&self.rejections).entry(reason).or_default() += 1;
        let status = match reason {
            RejectReason::UnknownModule
            | RejectReason::UnknownTarget
            | RejectReason::TimeLimit
            | RejectReason::MissingTarget
            | RejectReason::Parameter => StatusCode::BAD_REQUEST,
            RejectReason::Malformed
            | RejectReason::Scheme
            | RejectReason::Credentials
            | RejectReason::Host
            | RejectReason::Port
            | RejectReason::Address => StatusCode::FORBIDDEN,
            RejectReason::Busy => StatusCode::SERVICE_UNAVAILABLE,
        };
        response::text(status, format!("{message}\n"))
    }

    async fn probe(&self, request: &RequestContext) -> Result<HttpResponse, Rejection> {
        let probe = ProbeRequest::parse(request)?;
        let stopwatch = Stopwatch::start();
        let _permit = self.permit(&probe)?;
        let single_flight = &request.active.single_flight;
        let outcome = single_flight.probe(&probe.target, probe.allowed.as_ref());
        // A probe started here ends within its timeout; one that was joined may run longer.
        let outcome = timeout(probe.timeout + TIMEOUT_OFFSET / 2, outcome).await;
        let outcome = match &outcome {
            Ok(ProbeOutcome::Completed(report)) => Outcome::Report(report),
            Err(_) => Outcome::Unfinished {
                waited: stopwatch.elapsed(),
            },
            Ok(ProbeOutcome::Forbidden(forbidden)) => return Err(forbidden_address(forbidden)),
            Ok(ProbeOutcome::Panicked) => return Ok(response::internal_error("the probe")),
        };
        let probed = Probed {
            outcome,
            limit: probe.timeout,
        };
        if probe.debug {
            let metrics = metrics::probe(&probed, Format::Text);
            let text = debug_text(request.config(), &probe, outcome, &metrics);
            return Ok(response::text(StatusCode::OK, text));
        }
        let negotiated = negotiation::format(&request.parts.headers);
        let metrics = metrics::probe(&probed, negotiated.format);
        Ok(response::ok(&negotiated.media_type, metrics))
    }
}

impl ProbeHandler {
    fn permit(&self, probe: &ProbeRequest) -> Result<OwnedSemaphorePermit, Rejection> {
        let (permits, max, of) = match &probe.allowed {
            Some(_) => {
                let of = "targets that are not configured";
                (Arc::clone(&self.permits), MAX_IN_FLIGHT, of)
            }
            None => {
                let name = probe.target.name.as_str();
                (self.target_permits(name), MAX_IN_FLIGHT_PER_TARGET, name)
            }
        };
        permits.try_acquire_owned().map_err(|_| {
            let message = format!("{max} probes of {of} are in flight; try again later");
            (RejectReason::Busy, message)
        })
    }

    fn target_permits(&self, name: &str) -> Arc<Semaphore> {
        let mut all = lock(&self.target_permits);
        all.retain(|_, permits| permits.strong_count() > 0);
        if let Some(permits) = all.get(name).and_then(Weak::upgrade) {
            return permits;
        }
        let permits = Arc::new(Semaphore::new(MAX_IN_FLIGHT_PER_TARGET));
        all.insert(name.to_owned(), Arc::downgrade(&permits));
        permits
    }
}

/// The same three sections as in blackbox_exporter.
fn debug_text(
    config: &Config,
    probe: &ProbeRequest,
    outcome: Outcome<'_>,
    metrics: &[u8],
) -> String {
    let mut out = "Logs for the probe:\n".to_owned();
    match outcome {
        Outcome::Report(report) => {
            let text = text::reports(
                &[report],
                &config.contacts,
                &SavedState::default(),
                Width::default(),
            );
            out.push_str(&anstream::adapter::strip_str(&text).to_string());
        }
        Outcome::Unfinished { waited } => {
            let waited = waited.as_secs_f64();
            let _ = writeln!(
                out,
                "The probe of this target that is in flight did not finish within {waited} s."
            );
        }
    }
    out.push_str("\n\n\nMetrics that would have been returned:\n");
    out.push_str(&String::from_utf8_lossy(metrics));
    out.push_str("\n\n\nModule configuration:\n");
    out.push_str(&module::yaml(&probe.target.module));
    out
}

/// A validated request.
struct ProbeRequest {
    target: Arc<Target>,
    /// The addresses allowed for a target that is not configured.
    allowed: Option<Arc<AllowedHosts>>,
    timeout: Duration,
    debug: bool,
}

impl ProbeRequest {
    /// Checks in blackbox_exporter's order: the module, the timeout, the target.
    fn parse(request: &RequestContext) -> Result<Self, Rejection> {
        let config = request.config();
        let parameter = |key: &str| request.parameter(key).filter(|value| !value.is_empty());
        let module = parameter("module").map(|name| find_module(config, &name));
        let module = module.transpose()?;
        let scrape_timeout = scrape_timeout(&request.parts.headers)?;
        let target = parameter("target").ok_or_else(|| {
            let message = "Target parameter is missing: /probe?target=https://…&module=…";
            (RejectReason::MissingTarget, message.to_owned())
        })?;
        if let Some(hostname) = parameter("hostname") {
            let message = format!(
                "hostname={hostname:?} is not supported: the host in the target's URL is the one that \
                 is resolved and that the certificate must name; to resolve it elsewhere, set `route` \
                 in a module"
            );
            return Err((RejectReason::Parameter, message));
        }
        let (target, allowed) = match find_target(config, &target) {
            Some(target) => (Target::clone(target), None),
            None => {
                let target = ad_hoc_target(config, &target, module.as_ref(), scrape_timeout)?;
                (target, Some(Arc::clone(&config.allowed_hosts)))
            }
        };
        let module = module.unwrap_or_else(|| Arc::clone(&target.module));
        // The configured timeout applies to configured targets here too: the probe may be joined.
        let timeout = module.timeout_within(match allowed {
            None => scrape_timeout.min(config.probe.timeout),
            Some(_) => scrape_timeout,
        });
        let target = Arc::new(Target {
            module,
            timeout,
            ..target
        });
        Ok(Self {
            target,
            allowed,
            timeout,
            debug: parameter("debug").as_deref() == Some("true"),
        })
    }
}

fn find_module(config: &Config, name: &str) -> Result<Arc<ProbeModule>, Rejection> {
    let module = config.modules.get(name).cloned();
    module.ok_or_else(|| (RejectReason::UnknownModule, unknown_module(config, name)))
}

pub(super) fn unknown_module(config: &Config, name: &str) -> String {
    let known: Vec<&str> = config.modules.keys().map(String::as_str).collect();
    format!("Unknown module {name:?}; modules: {}", known.join(", "))
}

/// The configured target with that name or else that URL.
fn find_target<'a>(config: &'a Config, target: &str) -> Option<&'a Arc<Target>> {
    let targets = &config.targets;
    let named = targets.named(target);
    named.or_else(|| targets.at(&Url::parse(target).ok()?))
}

/// A target that is not configured, if its host is allowed.
fn ad_hoc_target(
    config: &Config,
    target: &str,
    module: Option<&Arc<ProbeModule>>,
    timeout: Duration,
) -> Result<Target, Rejection> {
    if label::check(target).is_ok() && !target.contains('.') && target != "localhost" {
        let unknown = config.targets.unknown(target);
        let message = format!("{unknown}; to probe another server, write its URL, https://…");
        return Err((RejectReason::UnknownTarget, message));
    }
    let url = if target.contains("://") {
        Url::parse(target)
    } else {
        Url::parse(&format!("http://{target}"))
    };
    let url = url.map_err(|error| {
        let message = format!("The target is not a URL ({error}); write for example {LOGIN_URL}");
        (RejectReason::Malformed, message)
    })?;
    // An e-mail address parses as credentials and a host.
    let allowed = if redact::contains_email(target) {
        Err(RejectReason::Credentials)
    } else {
        config.allowed_hosts.check(&url)
    };
    allowed.map_err(|reason| (reason, rejection_message(reason, &url)))?;
    let module = match module {
        Some(module) => Arc::clone(module),
        None => find_module(config, LOGIN_MODULE)?,
    };
    Target::ad_hoc(url.as_str(), module, timeout)
        .map_err(|message| (RejectReason::Malformed, message))
}

/// The URL that a request with these parameters would probe.
#[cfg(any(test, fuzzing))]
pub(crate) fn allowed_url(config: &Config, target: &str) -> Result<Url, String> {
    let target = match find_target(config, target) {
        Some(target) => Ok(Target::clone(target)),
        None => ad_hoc_target(config, target, None, DEFAULT_TIMEOUT),
    };
    target.map(|it| it.url).map_err(|(_, message)| message)
}

fn rejection_message(reason: RejectReason, url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    match reason {
        RejectReason::Scheme => format!(
            "Scheme {}:// is not allowed: use https://{host}…; plain http requires a configured target \
             with allow_http: true",
            url.scheme()
        ),
        RejectReason::Credentials => {
            "Credentials in the URL are not allowed: the exporter never logs in".to_owned()
        }
        RejectReason::Port => format!(
            "Port {port} of {host} is not allowed: add \"{host}:{port}\" to \
             probe_endpoint.allowed_hosts in the configuration"
        ),
        _ => format!(
            "{host} is not allowed: it is not the host of a configured target; add it to \
             probe_endpoint.allowed_hosts in the configuration"
        ),
    }
}

fn forbidden_address(forbidden: &ForbiddenAddress) -> Rejection {
    let ForbiddenAddress { host, address } = forbidden;
    let message = format!(
        "{host} resolves to {address}, a special-purpose address (loopback, link-local or multicast): to \
         allow it, add the address itself to probe_endpoint.allowed_hosts"
    );
    (RejectReason::Address, message)
}

/// The scraper's timeout minus [`TIMEOUT_OFFSET`], but at least half of it.
fn scrape_timeout(headers: &HeaderMap) -> Result<Duration, Rejection> {
    let header = headers.get(TIMEOUT_HEADER);
    let text = header.map_or("".into(), |value| String::from_utf8_lossy(value.as_bytes()));
    let scrape_timeout = match text.trim() {
        "" => Some(Duration::ZERO),
        text => text
            .parse()
            .ok()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    };
    let scrape_timeout = scrape_timeout.ok_or_else(|| {
        let message =
            format!("X-Prometheus-Scrape-Timeout-Seconds is not a number of seconds: {text:?}");
        (RejectReason::TimeLimit, message)
    })?;
    if scrape_timeout.is_zero() {
        return Ok(DEFAULT_TIMEOUT - TIMEOUT_OFFSET);
    }
    let reduced = scrape_timeout.saturating_sub(TIMEOUT_OFFSET);
    Ok(reduced.max(scrape_timeout / 2).min(DEFAULT_TIMEOUT))
}
