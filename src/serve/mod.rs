//! The long-running service. Its listeners, clock and stop signal come from outside.
//!
//! * `reload`: the active configuration and its replacement; `readiness` follows the readiness file.
//! * `scheduler` and `probe_endpoint` (`/probe`) start probes, through `single_flight`.
//! * `browser` opens targets in a browser of this host.
//! * `state`: what the tasks share; `report_store`: the latest reports and the saved histories.
//! * `recorder` writes evidence, of outages what `outage_tracker` finds; `clock_watch` notices steps of the clock.
//! * `listener`, `auth`, `routes`, `pages`, `prefix`, `negotiation`, `request`, `response`: the HTTP side.

mod auth;
mod browser;
mod clock_watch;
mod hash_queue;
mod listener;
mod negotiation;
mod outage_tracker;
mod pages;
mod prefix;
pub(crate) mod probe_endpoint;
mod readiness;
mod recorder;
mod reload;
mod report_store;
mod request;
mod response;
mod routes;
mod same_origin;
mod scheduler;
mod single_flight;
mod state;
mod task;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::clock::Clock;
use crate::config::WebConfig;
use crate::data_directory::Recording;
use crate::evidence::Ledger;
use crate::report::history::SavedState;
use crate::state_file::StateFile;
use auth::Auth;
pub use listener::bind;
pub use prefix::Prefix;
use probe_endpoint::ProbeHandler;
use reload::Reloader;
pub use reload::{Files, ReloadRequest, reload_channel};
use routes::Routes;
pub use state::ActiveConfig;
use state::ServiceState;

pub struct Service {
    pub files: Files,
    /// The configuration at startup; a reload reads `files` again.
    pub active: Arc<ActiveConfig>,
    pub web: Arc<WebConfig>,
    pub listeners: Vec<TcpListener>,
    pub prefix: Prefix,
    /// What earlier processes saved.
    pub saved: SavedState,
    /// State and evidence are absent without a data directory, and if another exporter uses it.
    pub state_file: Option<StateFile>,
    pub ledger: Option<Ledger>,
    /// What is saved at the start; absent without a data directory.
    pub recording: Option<Recording>,
    pub clock: Clock,
    pub reload: mpsc::Sender<ReloadRequest>,
    pub reload_requests: mpsc::Receiver<ReloadRequest>,
    pub stop: CancellationToken,
}

/// For all tasks together; each of them has a shorter one.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(4);

/// Runs every task of the service until the stop, and returns [`SHUTDOWN_TIMEOUT`] after it at the
/// latest.
pub async fn run(service: Service) {
    let stop = service.stop;
    let mut saved = service.saved;
    saved.forget_after(service.clock.now());
    let state = Arc::new(ServiceState::new(
        service.active,
        service.web,
        &saved,
        service.recording,
        service.clock,
    ));
    let (observations, recorded) = mpsc::channel(recorder::MAX_QUEUED);
    let observations = service.ledger.is_some().then_some(observations);
    let routes = Routes {
        state: Arc::clone(&state),
        auth: Auth::new(),
        probe_handler: ProbeHandler::new(),
        reload: service.reload,
        prefix: service.prefix,
    };
    let persistence = async {
        if let Some(file) = service.state_file {
            let recording = &state.recording;
            state.reports.persist(file, recording, stop.clone()).await;
        }
    };
    let recorder = async {
        if let Some(ledger) = service.ledger {
            recorder::run(ledger, &state, recorded, stop.clone()).await;
        }
    };
    let reloader = Reloader {
        files: service.files,
        state: Arc::clone(&state),
    };
    let tasks = Box::pin(async {
        tokio::join!(
            persistence,
            recorder,
            readiness::run(&state, stop.clone()),
            browser::run(&state, stop.clone()),
            scheduler::run(Arc::clone(&state), observations, stop.clone()),
            reloader.run(service.reload_requests, stop.clone()),
            listener::run(service.listeners, Arc::new(routes), stop.clone())
        );
    });
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(SHUTDOWN_TIMEOUT).await;
    };
    tokio::select! {
        () = tasks => {}
        () = overdue => warn!("stopped without waiting for every task"),
    }
}
