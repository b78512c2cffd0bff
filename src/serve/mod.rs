//! The exporter as a service: the scheduler probes, the listener tells.
//!
//! In: a configuration, bound listeners, a clock and a stop, all from outside. Out: nothing until the
//! stop. `board` stands between the two.

mod board;
mod listener;
mod routes;
mod scheduler;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Config;
use crate::probe::{Engine, Roots};
use board::Board;
pub use listener::bind;
use routes::Routes;

/// Probes on schedule and serves until `stop`; it then ends within two seconds or so.
pub async fn run(
    config: Config,
    listeners: Vec<TcpListener>,
    clock: Clock,
    stop: CancellationToken,
) {
    let board = Arc::new(Board::of(&config.targets));
    let configured = clock.now();
    let routes = Arc::new(Routes {
        config: config.clone(),
        configured,
        board: Arc::clone(&board),
        clock,
    });
    let probing = async {
        let roots = Roots::load();
        let engine = Engine::new(&config.modules, &roots, config.site.clone(), clock);
        scheduler::run(&config.targets, config.probe, engine, board, stop.clone()).await;
    };
    tokio::join!(probing, listener::run(listeners, routes, stop.clone()));
}
