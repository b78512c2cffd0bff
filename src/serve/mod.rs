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

mod access;
mod board;
mod endpoint;
mod flights;
mod in_force;
mod keeper;
mod listener;
mod negotiation;
mod prefix;
mod readiness;
mod recorder;
mod reloader;
mod routes;
mod scheduler;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::WebConfig;
use crate::evidence::Ledger;
use crate::memory::MemoryFile;
use crate::render::metrics::{Counted, Evidence, Reload};
use access::Access;
use board::Board;
use endpoint::Endpoint;
pub use in_force::{Files, InForce};
use listener::Site;
pub use listener::bind;
pub use prefix::Prefix;
pub use reloader::Request as ReloadRequest;
use reloader::{Reloader, WAITING};
use routes::Routes;

/// What a service is given.
pub struct Service {
    pub files: Files,
    /// What the files said at the start.
    pub in_force: Arc<InForce>,
    pub web: Arc<WebConfig>,
    pub listeners: Vec<TcpListener>,
    pub prefix: Prefix,
    pub memory: Option<MemoryFile>,
    pub evidence: Option<Ledger>,
    pub clock: Clock,
    pub stop: CancellationToken,
}

/// A way to ask for a reload, and its other end.
pub fn reloads() -> (mpsc::Sender<ReloadRequest>, mpsc::Receiver<ReloadRequest>) {
    mpsc::channel(WAITING)
}

/// Probes on schedule, serves, keeps the memory in its file and records evidence, until the stop; it then ends within
/// two seconds or so.
pub async fn run(
    service: Service,
    (reload, requests): (mpsc::Sender<ReloadRequest>, mpsc::Receiver<ReloadRequest>),
) {
    let Service {
        files,
        in_force,
        web,
        listeners,
        prefix,
        memory,
        evidence,
        clock,
        stop,
    } = service;
    let remembered = memory.as_ref().map(MemoryFile::load_or_set_aside);
    let board = Board::of(&in_force.config.targets, &remembered.unwrap_or_default());
    let board = Arc::new(board);
    let in_force = watch::Sender::new(in_force);
    let web = watch::Sender::new(web);
    let counted = watch::Sender::new(Counted::default());
    let told = watch::Sender::new(Evidence::default());
    let outcome = watch::Sender::new(Reload::Successful);
    let routes = Routes {
        in_force: in_force.subscribe(),
        board: Arc::clone(&board),
        endpoint: Endpoint::new(),
        reload,
        reloaded: outcome.subscribe(),
        counted: counted.subscribe(),
        evidence: told.subscribe(),
        prefix,
        clock,
    };
    let site = Arc::new(Site {
        routes: Arc::new(routes),
        access: Access::new(),
        web: web.subscribe(),
    });
    let keeping = async {
        if let Some(file) = memory {
            keeper::run(file, Arc::clone(&board), stop.clone()).await;
        }
    };
    let recording_in_force = in_force.subscribe();
    let counting = readiness::run(in_force.subscribe(), counted, stop.clone());
    let (records, recorded) = recorder::channel();
    let records = evidence.is_some().then_some(records);
    let recording = async {
        if let Some(ledger) = evidence {
            recorder::run(ledger, recorded, recording_in_force, told, stop.clone()).await;
        }
    };
    let probing = scheduler::run(
        in_force.subscribe(),
        Arc::clone(&board),
        records,
        stop.clone(),
    );
    let reloader = Reloader {
        files,
        board: Arc::clone(&board),
        in_force,
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
