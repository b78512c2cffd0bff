//! Records what a login server receives, and what the exporter must never send.
//!
//! Input: every connection, ClientHello and request. Output: counts, a list of requests, and a list
//! of violations: a method other than GET, credentials, a body, form fields in the query, or a
//! cookie that the server did not set for this probe.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use crate::locked;

const MAX_SEEN: usize = 4096;
const MAX_VIOLATIONS: usize = 256;
const MAX_COOKIES: usize = 4096;
/// Longer than any probe: a cookie that is sent later was kept between probes.
const COOKIE_LIFE: Duration = Duration::from_secs(60);
const FORM_FIELDS: [&str; 3] = ["username=", "password=", "csrf_token="];

/// A received request.
#[derive(Clone, Debug)]
pub struct Seen {
    pub at: SystemTime,
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The Host header, or `:authority`.
    pub host: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// The connection's number, from 1.
    pub connection: u64,
    /// The name in the ClientHello (SNI).
    pub server_name: Option<String>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Every cookie pair, as `name=value`.
    fn cookies(&self) -> Vec<String> {
        self.headers
            .iter()
            .filter(|(key, _)| key == "cookie")
            .flat_map(|(_, value)| value.split(';'))
            .map(|pair| pair.trim().to_owned())
            .filter(|pair| !pair.is_empty())
            .collect()
    }
}

#[derive(Default)]
pub(crate) struct Guard {
    connections: AtomicU64,
    refused: AtomicUsize,
    records: Mutex<Records>,
    cookies: Arc<Mutex<Cookies>>,
}

#[derive(Default)]
struct Records {
    hellos: VecDeque<usize>,
    requests: VecDeque<Seen>,
    violations: Vec<String>,
}

#[derive(Default)]
struct Cookies {
    /// Cookies that a probe may still send back, with the time when they were set.
    live: HashMap<String, Instant>,
    issued: u64,
}

/// A recorded request, with those of its cookies that belong to its probe.
pub(crate) struct Recorded {
    cookies: Vec<String>,
}

impl Recorded {
    pub(crate) fn has_cookie(&self, name: &str) -> bool {
        self.cookies
            .iter()
            .any(|pair| pair.split_once('=').is_some_and(|(key, _)| key == name))
    }
}

impl Guard {
    /// A guard for another server of the same name, which accepts the same cookies.
    pub(crate) fn sibling(&self) -> Self {
        Self {
            cookies: Arc::clone(&self.cookies),
            ..Self::default()
        }
    }

    pub(crate) fn connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn forget_refusals(&self) {
        self.refused.store(0, Ordering::Relaxed);
    }

    /// Whether to refuse one more request; `times` are refused.
    pub(crate) fn refuse(&self, times: usize) -> bool {
        self.refused.fetch_add(1, Ordering::Relaxed) < times
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn hello(&self, size: usize) {
        push(&mut locked(&self.records).hellos, size);
    }

    pub(crate) fn hellos(&self) -> Vec<usize> {
        locked(&self.records).hellos.iter().copied().collect()
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        locked(&self.records).requests.iter().cloned().collect()
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        locked(&self.records).violations.clone()
    }

    /// Records a request and the violations in its head.
    pub(crate) fn record(&self, seen: Seen) -> Recorded {
        let mut records = locked(&self.records);
        let context = format!(
            "{} {} on connection {}",
            seen.method, seen.path, seen.connection
        );
        if seen.method != "GET" {
            records.violate(format!("{context}: a method other than GET"));
        }
        for (name, value) in &seen.headers {
            match name.as_str() {
                "authorization" | "proxy-authorization" => {
                    records.violate(format!("{context}: a {name} header"));
                }
                "content-length" if value != "0" => {
                    records.violate(format!("{context}: a body of {value} bytes"));
                }
                "transfer-encoding" => records.violate(format!("{context}: a body in chunks")),
                _ => {}
            }
        }
        let query = seen.path.split_once('?').map_or("", |(_, query)| query);
        if FORM_FIELDS.iter().any(|field| query.contains(field)) {
            records.violate(format!("{context}: a form in the query"));
        }
        let (own, unknown) = locked(&self.cookies).split(seen.cookies());
        for pair in unknown {
            records.violate(format!("{context}: the cookie {pair} is not of this probe"));
        }
        push(&mut records.requests, seen);
        Recorded { cookies: own }
    }

    /// Records a body without Content-Length.
    pub(crate) fn body(&self, bytes: usize) {
        locked(&self.records).violate(format!("a request body of {bytes} bytes"));
    }

    /// A new cookie pair. After a redirect the probe may send it with its next request; any other
    /// response ends the probe, and the cookie must not come back.
    pub(crate) fn issue_cookie(&self, name: &str, after: Answered) -> String {
        let mut cookies = locked(&self.cookies);
        cookies.issued += 1;
        let pair = format!("{name}=lab-{:08x}", cookies.issued);
        if after == Answered::Redirect && cookies.live.len() < MAX_COOKIES {
            cookies.live.insert(pair.clone(), Instant::now());
        }
        pair
    }

    /// Invalidates the cookies of a probe after its last response.
    pub(crate) fn answered(&self, recorded: &Recorded, answer: Answered) {
        if answer == Answered::Last {
            let mut cookies = locked(&self.cookies);
            for pair in &recorded.cookies {
                cookies.live.remove(pair);
            }
        }
    }
}

/// Whether a response redirects the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    Redirect,
    Last,
}

impl Cookies {
    /// Splits `pairs` into those that were set for a running probe and the others.
    fn split(&mut self, pairs: Vec<String>) -> (Vec<String>, Vec<String>) {
        let now = Instant::now();
        self.live
            .retain(|_, issued| now.duration_since(*issued) < COOKIE_LIFE);
        pairs
            .into_iter()
            .partition(|pair| self.live.contains_key(pair))
    }
}

impl Records {
    fn violate(&mut self, violation: String) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(violation);
        }
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() == MAX_SEEN {
        queue.pop_front();
    }
    queue.push_back(item);
}
