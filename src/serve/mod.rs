//! The exporter as a service: the scheduler probes, the listener tells.
//!
//! In: files to read, bound listeners, a clock and a stop, all from outside. Out: nothing until the
//! stop.
//!
//! * `in_force`: what the files say; `reloader` replaces it; `readiness` follows a file of its own
//! * `flights`: the probes under way, of the `scheduler` and of the `endpoint` `/probe`
//! * `board`: the latest report of each target, which the `keeper` writes down; the `recorder` adds to
//!   the evidence
//! * `listener`: connections; `access`: who may ask; `routes`, `prefix`, `negotiation`: what they
//!   are answered

mod active_config;
mod auth;
mod listener;
mod negotiation;
mod prefix;
mod probe_endpoint;
mod readiness;
mod recorder;
mod reload;
mod report_store;
mod routes;
mod scheduler;
mod single_flight;
mod state_writer;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::WebConfig;
use crate::evidence::Ledger;
use crate::render::metrics::{Evidence, ReadinessState, Reload};
use crate::state_file::StateFile;
pub use active_config::{ActiveConfig, Files};
use auth::Auth;
use listener::HttpContext;
pub use listener::bind;
pub use prefix::Prefix;
use probe_endpoint::ProbeEndpoint;
pub use reload::Request as ReloadRequest;
use reload::{RELOAD_QUEUE_SIZE, Reloader};
use report_store::ReportStore;
use routes::Routes;

/// What a service is given.
pub struct Service {
    pub files: Files,
    /// What the files said at the start.
    pub active: Arc<ActiveConfig>,
    pub web: Arc<WebConfig>,
    pub listeners: Vec<TcpListener>,
    pub prefix: Prefix,
    pub memory: Option<StateFile>,
    pub evidence: Option<Ledger>,
    pub clock: Clock,
    pub stop: CancellationToken,
}

/// A way to ask for a reload, and its other end.
pub fn reloads() -> (mpsc::Sender<ReloadRequest>, mpsc::Receiver<ReloadRequest>) {
    mpsc::channel(RELOAD_QUEUE_SIZE)
}

/// Probes on schedule, serves, keeps the memory in its file and records evidence, until the stop; it then ends within
/// two seconds or so.
pub async fn run(
    service: Service,
    (reload, requests): (mpsc::Sender<ReloadRequest>, mpsc::Receiver<ReloadRequest>),
) {
    let Service {
        files,
        active,
        web,
        listeners,
        prefix,
        memory,
        evidence,
        clock,
        stop,
    } = service;
    let history = memory.as_ref().map(StateFile::load_or_quarantine);
    let store = ReportStore::of(&active.config.targets, &history.unwrap_or_default());
    let store = Arc::new(store);
    let active = watch::Sender::new(active);
    let web = watch::Sender::new(web);
    let readiness_state = watch::Sender::new(ReadinessState::default());
    let told = watch::Sender::new(Evidence::default());
    let outcome = watch::Sender::new(Reload::Successful);
    let routes = Routes {
        active: active.subscribe(),
        store: Arc::clone(&store),
        endpoint: ProbeEndpoint::new(),
        reload,
        reloaded: outcome.subscribe(),
        readiness_state: readiness_state.subscribe(),
        evidence: told.subscribe(),
        prefix,
        clock,
    };
    let site = Arc::new(HttpContext {
        routes: Arc::new(routes),
        auth: Auth::new(),
        web: web.subscribe(),
    });
    let keeping = async {
        if let Some(file) = memory {
            state_writer::run(file, Arc::clone(&store), stop.clone()).await;
        }
    };
    let recording_in_force = active.subscribe();
    let counting = readiness::run(active.subscribe(), readiness_state, stop.clone());
    let (records, recorded) = recorder::channel();
    let records = evidence.is_some().then_some(records);
    let recording = async {
        if let Some(ledger) = evidence {
            recorder::run(ledger, recorded, recording_in_force, told, stop.clone()).await;
        }
    };
    let probing = scheduler::run(
        active.subscribe(),
        Arc::clone(&store),
        records,
        stop.clone(),
    );
    let reloader = Reloader {
        files,
        store: Arc::clone(&store),
        active,
        web,
        outcome,
        clock,
    };
    tokio::join!(
        keeping,
        recording,
        counting,
        probing,
        reloader.run(requests, stop.clone()),
        listener::run(listeners, site, stop.clone())
    );
}
