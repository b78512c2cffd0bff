//! The exporter as a service: the scheduler probes, the listener tells.
//!
//! In: a configuration, bound listeners, a clock and a stop, all from outside. Out: nothing until the
//! stop. `board` stands between the two.

mod board;
mod keeper;
mod listener;
mod routes;
mod scheduler;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Config;
use crate::memory::MemoryFile;
use crate::probe::{Engine, Roots};
use board::Board;
pub use listener::bind;
use routes::Routes;

/// Probes on schedule, serves, and keeps the memory in its file, until `stop`; it then ends within two seconds or so.
pub async fn run(
    config: Config,
    listeners: Vec<TcpListener>,
    memory: Option<MemoryFile>,
    clock: Clock,
    stop: CancellationToken,
) {
    let remembered = memory.as_ref().map(MemoryFile::load_or_set_aside);
    let board = Board::of(&config.targets, &remembered.unwrap_or_default());
    let board = Arc::new(board);
    let configured = clock.now();
    let routes = Arc::new(Routes {
        config: config.clone(),
        configured,
        board: Arc::clone(&board),
        clock,
    });
    let keeping = async {
        if let Some(file) = memory {
            keeper::run(file, Arc::clone(&board), stop.clone()).await;
        }
    };
    let probing = async {
        let roots = Roots::load();
        let engine = Engine::new(&config.modules, &roots, config.site.clone(), clock);
        let board = Arc::clone(&board);
        scheduler::run(&config.targets, config.probe, engine, board, stop.clone()).await;
    };
    tokio::join!(
        keeping,
        probing,
        listener::run(listeners, routes, stop.clone())
    );
}
