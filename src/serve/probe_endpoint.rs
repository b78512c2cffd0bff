//! The endpoint `/probe`: a probe when it is asked for, as blackbox_exporter's users expect it.
//!
//! What may be probed is a closed list: the configured targets, and the allowed hosts. Each refusal
//! says what to do, and is counted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::{HeaderMap, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::error;
use url::{Url, form_urlencoded};

use super::active_config::ActiveConfig;
use super::single_flight::ProbeOutcome;
use crate::clock::Stopwatch;
use crate::config::{AllowedHosts, Config, LOGIN_MODULE, ProbeModule, Target};
use crate::redact;
use crate::render::metrics::{self, Format, Outcome, Probed};
use crate::render::{module, text};
use crate::report::RejectReason;
use crate::report::history::SavedState;

/// Probes that `/probe` may have under way at once.
const MAX_IN_FLIGHT: usize = 64;
/// blackbox_exporter's, where the scraper does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
/// What is left of the scraper's limit for the answer's way back, as in blackbox_exporter.
const TIMEOUT_OFFSET: Duration = Duration::from_millis(500);
const TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";

/// What `/probe` keeps between two calls.
pub struct ProbeEndpoint {
    places: Semaphore,
    rejections: Mutex<BTreeMap<RejectReason, u64>>,
}

/// What a call is answered.
pub enum ProbeResponse {
    Metrics(Vec<u8>),
    /// For people.
    Debug(String),
    Refused(StatusCode, String),
    /// A defect of ours; the log says more.
    InternalError,
}

/// A call as it is meant.
struct ProbeRequest {
    target: Arc<Target>,
    /// Where a target may lead that is not configured.
    allowed: Option<Arc<AllowedHosts>>,
    limit: Duration,
    form: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    Metrics,
    Debug,
}

/// Why a call is refused, and the sentence for whoever reads it.
type Refused = (RejectReason, String);

impl ProbeEndpoint {
    pub fn new() -> Self {
        Self {
            places: Semaphore::new(MAX_IN_FLIGHT),
            rejections: Mutex::default(),
        }
    }

    /// What was refused since start.
    pub fn rejections(&self) -> BTreeMap<RejectReason, u64> {
        let rejections = self.rejections.lock();
        rejections.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers one call, within the scraper's limit.
    pub async fn answer(
        &self,
        active: &ActiveConfig,
        query: &str,
        headers: &HeaderMap,
        format: Format,
    ) -> ProbeResponse {
        let call = match parse_request(&active.config, query, headers) {
            Ok(call) => call,
            Err(refused) => return self.refuse(refused),
        };
        let watch = Stopwatch::start();
        let Ok(_place) = self.places.try_acquire() else {
            let message = format!("{MAX_IN_FLIGHT} probes are under way; ask again later");
            return self.refuse((RejectReason::Busy, message));
        };
        let outcome = active
            .single_flight
            .probe(&call.target, call.allowed.as_ref());
        // A probe of our own ends in time; one that was joined may have longer.
        let outcome = timeout(call.limit + TIMEOUT_OFFSET / 2, outcome).await;
        let outcome = match &outcome {
            Ok(ProbeOutcome::Completed(report)) => Outcome::Report(report),
            Err(_) => Outcome::Unfinished {
                waited: watch.elapsed(),
            },
            Ok(ProbeOutcome::Forbidden(address)) => {
                return self.refuse(forbidden(&call.target.url, *address));
            }
            Ok(ProbeOutcome::Panicked(cause)) => {
                error!(cause, "a probe broke: this is a defect, please report it");
                return ProbeResponse::InternalError;
            }
        };
        tell(active, &call, &outcome, format)
    }

    fn refuse(&self, (reason, message): Refused) -> ProbeResponse {
        let mut rejections = self
            .rejections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *rejections.entry(reason).or_default() += 1;
        let status = match reason {
            RejectReason::UnknownModule
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
        ProbeResponse::Refused(status, format!("{message}\n"))
    }
}

fn tell(
    active: &ActiveConfig,
    call: &ProbeRequest,
    outcome: &Outcome<'_>,
    format: Format,
) -> ProbeResponse {
    let probed = Probed {
        outcome: *outcome,
        limit: call.limit,
    };
    let format = match call.form {
        Output::Metrics => format,
        Output::Debug => Format::Text,
    };
    let metrics = match metrics::probe(&probed, format) {
        Ok(metrics) => metrics,
        Err(cause) => {
            error!(%cause, "cannot write the metrics of a probe");
            return ProbeResponse::InternalError;
        }
    };
    match call.form {
        Output::Metrics => ProbeResponse::Metrics(metrics),
        Output::Debug => ProbeResponse::Debug(debug(active, call, outcome, &metrics)),
    }
}

/// The three parts that blackbox_exporter shows.
fn debug(
    active: &ActiveConfig,
    call: &ProbeRequest,
    outcome: &Outcome<'_>,
    metrics: &[u8],
) -> String {
    let mut out = "Logs for the probe:\n".to_owned();
    match outcome {
        Outcome::Report(report) => {
            let contacts = &active.config.contacts;
            let told = text::reports(&[*report], contacts, &SavedState::default());
            out.push_str(&anstream::adapter::strip_str(&told).to_string());
        }
        Outcome::Unfinished { waited } => {
            let _ = writeln!(
                out,
                "A probe of this target was under way and did not end within {} s.",
                waited.as_secs_f64()
            );
        }
    }
    out.push_str("\n\n\nMetrics that would have been returned:\n");
    out.push_str(&String::from_utf8_lossy(metrics));
    out.push_str("\n\n\nModule configuration:\n");
    out.push_str(&module::yaml(&call.target.module));
    out
}

/// In blackbox_exporter's order: the module, the limit, the target.
fn parse_request(
    config: &Config,
    query: &str,
    headers: &HeaderMap,
) -> Result<ProbeRequest, Refused> {
    let asked = |key: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let value = pairs.find_map(|(name, value)| (name == key).then(|| value.into_owned()));
        value.filter(|value| !value.is_empty())
    };
    let module = asked("module").map(|name| module_of(config, &name));
    let module = module.transpose()?;
    let limit = scrape_timeout(headers)?;
    let target = asked("target").ok_or_else(|| {
        let message = "Target parameter is missing: /probe?target=https://…&module=…".to_owned();
        (RejectReason::MissingTarget, message)
    })?;
    if let Some(hostname) = asked("hostname") {
        let message = format!(
            "hostname={hostname:?} is not supported: the target's address names the host that is \
             asked for and that its certificate must name; resolve it with a module's route"
        );
        return Err((RejectReason::Parameter, message));
    }
    let form = match asked("debug").as_deref() {
        Some("true") => Output::Debug,
        Some(_) | None => Output::Metrics,
    };
    let (target, allowed) = match find_target(config, &target) {
        Some(target) => (Target::clone(target), None),
        None => {
            let target = ad_hoc_target(config, &target, module.as_ref(), limit)?;
            (target, Some(Arc::clone(&config.allowed_hosts)))
        }
    };
    let module = module.unwrap_or_else(|| Arc::clone(&target.module));
    // A configured target's limit holds here too: what is joined ends by it.
    let limit = module.timeout_within(match allowed {
        None => limit.min(config.probe.timeout),
        Some(_) => limit,
    });
    let target = Arc::new(Target {
        module,
        timeout: limit,
        ..target
    });
    Ok(ProbeRequest {
        target,
        allowed,
        limit,
        form,
    })
}

fn module_of(config: &Config, name: &str) -> Result<Arc<ProbeModule>, Refused> {
    config.modules.get(name).cloned().ok_or_else(|| {
        let known: Vec<&str> = config.modules.keys().map(String::as_str).collect();
        let message = format!("Unknown module {name:?}; there are {}", known.join(", "));
        (RejectReason::UnknownModule, message)
    })
}

/// The configured target of that name, or else of that address.
fn find_target<'a>(config: &'a Config, asked: &str) -> Option<&'a Arc<Target>> {
    let targets = &config.targets;
    let named = targets.named(asked);
    named.or_else(|| targets.at(&Url::parse(asked).ok()?))
}

/// A target that stands in no file.
fn ad_hoc_target(
    config: &Config,
    asked: &str,
    module: Option<&Arc<ProbeModule>>,
    limit: Duration,
) -> Result<Target, Refused> {
    let has_scheme = asked.contains("://");
    let url = if has_scheme {
        Url::parse(asked)
    } else {
        Url::parse(&format!("http://{asked}"))
    };
    let url = url.map_err(|error| {
        let message = format!("The target is not an address ({error})");
        (RejectReason::Malformed, message)
    })?;
    // An e-mail address reads as credentials and a host.
    let checked = if redact::contains_email(asked) {
        Err(RejectReason::Credentials)
    } else {
        config.allowed_hosts.check(&url)
    };
    if let Err(reason) = checked {
        return Err((reason, sentence(reason, &url)));
    }
    let built_in = || config.modules.get(LOGIN_MODULE);
    let Some(module) = module.or_else(built_in) else {
        let message = "Name a module".to_owned();
        return Err((RejectReason::UnknownModule, message));
    };
    Target::ad_hoc(url.as_str(), Arc::clone(module), limit)
        .map_err(|message| (RejectReason::Malformed, message))
}

fn sentence(reason: RejectReason, url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    match reason {
        RejectReason::Scheme => format!(
            "{}:// is refused here: write https://{host}…; plain http is for a configured target \
             with allow_http: true",
            url.scheme()
        ),
        RejectReason::Credentials => {
            "Credentials in the address are refused: this program never logs in".to_owned()
        }
        RejectReason::Port => format!(
            "Port {port} of {host} is not allowed: the configuration can list \"{host}:{port}\" \
             under probe_endpoint.allowed_hosts"
        ),
        _ => format!(
            "{host} is not allowed: it is no configured target's address, and not listed under \
             probe_endpoint.allowed_hosts"
        ),
    }
}

fn forbidden(url: &Url, address: IpAddr) -> Refused {
    let message = format!(
        "{} leads to {address}, which means this host, its link or a group: such an address is \
         connected to only if it is itself listed under probe_endpoint.allowed_hosts",
        url.host_str().unwrap_or_default()
    );
    (RejectReason::Address, message)
}

/// The scraper's limit without what the way back takes; never nothing.
fn scrape_timeout(headers: &HeaderMap) -> Result<Duration, Refused> {
    let Some(value) = headers.get(TIMEOUT_HEADER) else {
        return Ok(DEFAULT_TIMEOUT - TIMEOUT_OFFSET);
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    let limit = match text.trim() {
        "" => Some(Duration::ZERO),
        text => text
            .parse()
            .ok()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    };
    let limit = limit.ok_or_else(|| {
        let message =
            format!("X-Prometheus-Scrape-Timeout-Seconds is not a number of seconds: {text:?}");
        (RejectReason::TimeLimit, message)
    })?;
    Ok(match limit {
        Duration::ZERO => DEFAULT_TIMEOUT - TIMEOUT_OFFSET,
        limit => limit
            .checked_sub(TIMEOUT_OFFSET)
            .unwrap_or_default()
            .max(limit / 2)
            .min(DEFAULT_TIMEOUT),
    })
}
