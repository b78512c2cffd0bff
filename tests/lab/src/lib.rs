//! Servers on loopback that provoke every reason with which the exporter can fail.
//!
//! - `authority`: a certificate authority, and the identities it issues
//! - `name_server`: an authoritative name server over UDP and TCP (`dns_answer`: its answers;
//!   `dns_session`: DNS over TLS and HTTPS)
//! - `login_server`: a login page over TLS (`hello`, `session`: the handshake and its faults;
//!   `answers`, `page`: valid responses; `raw`: broken ones; `guard`: received requests and
//!   violations)
//! - `issuer_server`: an authority's certificates over plain http
//! - `proxy_server`: a web proxy, CONNECT, over TLS, and SOCKS5
//! - `faults`: every fault; `scenarios`: the reason that each fault provokes
//! - `lab`: all servers together, with a configuration for the exporter; `control`: an HTTP endpoint
//!   that sets the faults
//! - `delays`: servers with a known delay in every phase
//! - `port`, `tasks`: a port that stays reserved while it is closed, a task that ends with its owner
//!
//! Every server binds a free port on loopback, uses real sockets, and stops when dropped.

#![allow(
    clippy::disallowed_methods,
    reason = "the lab runs outside the exporter and reads the system clock"
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
mod issuer_server;
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
pub use authority::{Authority, Identity, Leaf, LeafKey, Validity};
pub use control::Control;
pub use delays::Delays;
pub use faults::{
    DnsFault, Encoding, Fault, HttpFault, NotProcessed, PageFault, ProxyFault, TcpFault, TlsFault,
};
pub use guard::Seen;
pub use hickory_proto::rr::RecordType;
pub use issuer_server::IssuerServer;
pub use lab::{HOST, ISSUERS, Lab};
pub use login_server::{Alpn, LARGE_HELLO, LoginServer};
pub use name_server::{NameServer, Query, Transport};
pub use page::{BOMB_SIZE, TITLE, login as login_page};
pub use proxy_server::ProxyServer;
pub use scenarios::{Scenario, scenario, scenarios, variations};

/// Limits every wait of the lab.
const MAX_WAIT: Duration = Duration::from_secs(600);

/// The pause after a failed accept, such as without free file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Locks a mutex even if it is poisoned: a failed test must not fail the next one.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
