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

use super::flights::Landing;
use super::in_force::InForce;
use crate::clock::Stopwatch;
use crate::config::{AllowedHosts, Config, LOGIN_MODULE, ProbeModule, Target};
use crate::personal;
use crate::render::metrics::{self, Format, Outcome, Probed};
use crate::render::{module, text};
use crate::report::Refusal;
use crate::report::memory::Memory;

/// Probes that `/probe` may have under way at once.
const MAX_UNDER_WAY: usize = 64;
/// blackbox_exporter's, where the scraper does not say.
const DEFAULT_LIMIT: Duration = Duration::from_secs(120);
/// What is left of the scraper's limit for the answer's way back, as in blackbox_exporter.
const OFFSET: Duration = Duration::from_millis(500);
const LIMIT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";

/// What `/probe` keeps between two calls.
pub struct Endpoint {
    places: Semaphore,
    refusals: Mutex<BTreeMap<Refusal, u64>>,
}

/// What a call is answered.
pub enum Answer {
    Metrics(Vec<u8>),
    /// For people.
    Debug(String),
    Refused(StatusCode, String),
    /// A defect of ours; the log says more.
    Broken,
}

/// A call as it is meant.
struct Call {
    target: Arc<Target>,
    /// Where a target may lead that is not configured.
    allowed: Option<Arc<AllowedHosts>>,
    limit: Duration,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Metrics,
    Debug,
}

/// Why a call is refused, and the sentence for whoever reads it.
type Refused = (Refusal, String);

impl Endpoint {
    pub fn new() -> Self {
        Self {
            places: Semaphore::new(MAX_UNDER_WAY),
            refusals: Mutex::default(),
        }
    }

    /// What was refused since start.
    pub fn refusals(&self) -> BTreeMap<Refusal, u64> {
        let refusals = self.refusals.lock();
        refusals.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers one call, within the scraper's limit.
    pub async fn answer(
        &self,
        in_force: &InForce,
        query: &str,
        headers: &HeaderMap,
        format: Format,
    ) -> Answer {
        let call = match understand(&in_force.config, query, headers) {
            Ok(call) => call,
            Err(refused) => return self.refuse(refused),
        };
        let watch = Stopwatch::start();
        let Ok(_place) = self.places.try_acquire() else {
            let message = format!("{MAX_UNDER_WAY} probes are under way; ask again later");
            return self.refuse((Refusal::Busy, message));
        };
        let landing = in_force.flights.probe(&call.target, call.allowed.as_ref());
        // A probe of our own ends in time; one that was joined may have longer.
        let landing = timeout(call.limit + OFFSET / 2, landing).await;
        let outcome = match &landing {
            Ok(Landing::Report(report)) => Outcome::Report(report),
            Err(_) => Outcome::Unfinished {
                waited: watch.elapsed(),
            },
            Ok(Landing::Forbidden(address)) => {
                return self.refuse(forbidden(&call.target.url, *address));
            }
            Ok(Landing::Broke(cause)) => {
                error!(cause, "a probe broke: this is a defect, please report it");
                return Answer::Broken;
            }
        };
        tell(in_force, &call, &outcome, format)
    }

    fn refuse(&self, (refusal, message): Refused) -> Answer {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        *refusals.entry(refusal).or_default() += 1;
        let status = match refusal {
            Refusal::UnknownModule
            | Refusal::TimeLimit
            | Refusal::MissingTarget
            | Refusal::Parameter => StatusCode::BAD_REQUEST,
            Refusal::Malformed
            | Refusal::Scheme
            | Refusal::Credentials
            | Refusal::Host
            | Refusal::Port
            | Refusal::Address => StatusCode::FORBIDDEN,
            Refusal::Busy => StatusCode::SERVICE_UNAVAILABLE,
        };
        Answer::Refused(status, format!("{message}\n"))
    }
}

fn tell(in_force: &InForce, call: &Call, outcome: &Outcome<'_>, format: Format) -> Answer {
    let probed = Probed {
        outcome: *outcome,
        limit: call.limit,
    };
    let format = match call.form {
        Form::Metrics => format,
        Form::Debug => Format::Text,
    };
    let metrics = match metrics::probe(&probed, format) {
        Ok(metrics) => metrics,
        Err(cause) => {
            error!(%cause, "cannot write the metrics of a probe");
            return Answer::Broken;
        }
    };
    match call.form {
        Form::Metrics => Answer::Metrics(metrics),
        Form::Debug => Answer::Debug(debug(in_force, call, outcome, &metrics)),
    }
}

/// The three parts that blackbox_exporter shows.
fn debug(in_force: &InForce, call: &Call, outcome: &Outcome<'_>, metrics: &[u8]) -> String {
    let mut out = "Logs for the probe:\n".to_owned();
    match outcome {
        Outcome::Report(report) => {
            let contacts = &in_force.config.contacts;
            let told = text::reports(&[*report], contacts, &Memory::default());
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
fn understand(config: &Config, query: &str, headers: &HeaderMap) -> Result<Call, Refused> {
    let asked = |key: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let value = pairs.find_map(|(name, value)| (name == key).then(|| value.into_owned()));
        value.filter(|value| !value.is_empty())
    };
    let module = asked("module").map(|name| module_of(config, &name));
    let module = module.transpose()?;
    let limit = scrapers_limit(headers)?;
    let target = asked("target").ok_or_else(|| {
        let message = "Target parameter is missing: /probe?target=https://…&module=…".to_owned();
        (Refusal::MissingTarget, message)
    })?;
    if let Some(hostname) = asked("hostname") {
        let message = format!(
            "hostname={hostname:?} is not supported: the target's address names the host that is \
             asked for and that its certificate must name; resolve it with a module's route"
        );
        return Err((Refusal::Parameter, message));
    }
    let form = match asked("debug").as_deref() {
        Some("true") => Form::Debug,
        Some(_) | None => Form::Metrics,
    };
    let (target, allowed) = match configured(config, &target) {
        Some(target) => (Target::clone(target), None),
        None => {
            let target = foreign(config, &target, module.as_ref(), limit)?;
            (target, Some(Arc::clone(&config.allowed_hosts)))
        }
    };
    let module = module.unwrap_or_else(|| Arc::clone(&target.module));
    // A configured target's limit holds here too: what is joined ends by it.
    let limit = module.limit(match allowed {
        None => limit.min(config.probe.timeout),
        Some(_) => limit,
    });
    let target = Arc::new(Target {
        module,
        timeout: limit,
        ..target
    });
    Ok(Call {
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
        (Refusal::UnknownModule, message)
    })
}

/// The configured target of that name, or else of that address.
fn configured<'a>(config: &'a Config, asked: &str) -> Option<&'a Arc<Target>> {
    let targets = &config.targets;
    let named = targets.named(asked);
    named.or_else(|| targets.at(&Url::parse(asked).ok()?))
}

/// A target that stands in no file.
fn foreign(
    config: &Config,
    asked: &str,
    module: Option<&Arc<ProbeModule>>,
    limit: Duration,
) -> Result<Target, Refused> {
    let has_scheme = asked.contains("://");
    let url = match has_scheme {
        true => Url::parse(asked),
        // As blackbox_exporter reads it.
        false => Url::parse(&format!("http://{asked}")),
    };
    let url = url.map_err(|error| {
        let message = format!("The target is not an address ({error})");
        (Refusal::Malformed, message)
    })?;
    // An e-mail address reads as credentials and a host.
    let checked = match personal::is_in(asked) {
        true => Err(Refusal::Credentials),
        false => config.allowed_hosts.check(&url),
    };
    if let Err(refusal) = checked {
        return Err((refusal, sentence(refusal, &url)));
    }
    let built_in = || config.modules.get(LOGIN_MODULE);
    let Some(module) = module.or_else(built_in) else {
        let message = "Name a module".to_owned();
        return Err((Refusal::UnknownModule, message));
    };
    Target::ad_hoc(url.as_str(), Arc::clone(module), limit)
        .map_err(|message| (Refusal::Malformed, message))
}

fn sentence(refusal: Refusal, url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    match refusal {
        Refusal::Scheme => format!(
            "{}:// is refused here: write https://{host}…; plain http is for a configured target \
             with allow_http: true",
            url.scheme()
        ),
        Refusal::Credentials => {
            "Credentials in the address are refused: this program never logs in".to_owned()
        }
        Refusal::Port => format!(
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
    (Refusal::Address, message)
}

/// The scraper's limit without what the way back takes; never nothing.
fn scrapers_limit(headers: &HeaderMap) -> Result<Duration, Refused> {
    let Some(value) = headers.get(LIMIT_HEADER) else {
        return Ok(DEFAULT_LIMIT - OFFSET);
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
        (Refusal::TimeLimit, message)
    })?;
    Ok(match limit {
        Duration::ZERO => DEFAULT_LIMIT - OFFSET,
        limit => limit
            .checked_sub(OFFSET)
            .unwrap_or_default()
            .max(limit / 2)
            .min(DEFAULT_LIMIT),
    })
}
