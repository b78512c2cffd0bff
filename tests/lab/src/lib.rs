//! A loopback world that misbehaves in each way the exporter can name.
//!
//! - `authority`: a certificate authority, and the identities it issues
//! - `name_server`: an authoritative name server over UDP and TCP (`dns_answer`: its bytes;
//!   `dns_session`: the same over TLS and HTTPS)
//! - `login_server`: a login page over TLS (`hello`, `session`: the handshake and its faults;
//!   `answers`, `page`: sound answers; `raw`: broken ones; `guard`: what came, and whether it
//!   was polite)
//! - `proxy_server`: a web proxy, CONNECT, over TLS, and SOCKS5
//! - `faults`: everything that can be wrong; `scenarios`: which reason each fault shows
//! - `lab`: the three together, with a configuration for the exporter; `control`: its switches
//!   over HTTP
//! - `delays`: servers whose every phase takes a known time
//! - `port`, `tasks`: a port that stays ours while it is closed, a task that ends with its owner
//!
//! Everything binds loopback and free ports, speaks on real sockets, and stops when dropped.

#![allow(
    clippy::disallowed_methods,
    reason = "a world outside the exporter, with a clock of its own"
)]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

mod answers;
mod authority;
mod control;
mod delays;
mod dns_answer;
mod dns_session;
mod faults;
mod guard;
mod hello;
mod lab;
mod login_server;
mod name_server;
mod page;
mod port;
mod proxy_server;
mod raw;
mod scenarios;
mod session;
mod tasks;

pub use answers::LOGIN_PATH;
pub use authority::{Authority, Identity, Leaf, LeafKey};
pub use control::Control;
pub use delays::Delays;
pub use faults::{DnsFault, Encoding, Fault, HttpFault, PageFault, ProxyFault, TcpFault, TlsFault};
pub use guard::Seen;
pub use hickory_proto::rr::RecordType;
pub use lab::{HOST, Lab};
pub use login_server::{Alpn, LARGE_HELLO, LoginServer};
pub use name_server::{NameServer, Query, Transport};
pub use page::{BOMB_SIZE, TITLE, login as login_page};
pub use proxy_server::ProxyServer;
pub use scenarios::{Scenario, scenario, scenarios, variations};

/// The longest that the lab waits for anything.
const HOLD: Duration = Duration::from_secs(600);

/// Between two attempts to accept when the system has nothing left to accept with.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The lock, whoever died holding it: a test that failed is not to fail the next one.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
