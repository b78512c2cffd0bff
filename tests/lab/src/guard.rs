//! What came to a login server, and whether it was polite.
//!
//! In: every connection, ClientHello and request. Out: counts, a list of requests, and the
//! violations of the promise that the exporter never logs in: anything but GET, credentials,
//! a body, a form in the query, or a cookie that this probe was not given.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use crate::locked;

const MAX_SEEN: usize = 4096;
const MAX_VIOLATIONS: usize = 256;
const MAX_COOKIES: usize = 4096;
/// No probe lasts so long: a cookie that comes back later was kept.
const COOKIE_LIFE: Duration = Duration::from_secs(60);
const FORM_FIELDS: [&str; 3] = ["username=", "password=", "csrf_token="];

/// One request as it came.
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
    /// `HTTP/1.1`, `HTTP/2.0`.
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
    book: Mutex<Book>,
    cookies: Arc<Mutex<Cookies>>,
}

#[derive(Default)]
struct Book {
    hellos: VecDeque<usize>,
    requests: VecDeque<Seen>,
    violations: Vec<String>,
}

#[derive(Default)]
struct Cookies {
    /// What a probe may still send back, with the time it was given.
    live: HashMap<String, Instant>,
    given: u64,
}

/// A request that was noted: which of its cookies were its own.
pub(crate) struct Admitted {
    cookies: Vec<String>,
}

impl Admitted {
    pub(crate) fn has_cookie(&self, name: &str) -> bool {
        self.cookies
            .iter()
            .any(|pair| pair.split_once('=').is_some_and(|(key, _)| key == name))
    }
}

impl Guard {
    /// A guard of another server of the same name: the cookies of one are good at both.
    pub(crate) fn sibling(&self) -> Self {
        Self {
            cookies: Arc::clone(&self.cookies),
            ..Self::default()
        }
    }

    pub(crate) fn connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn hello(&self, size: usize) {
        push(&mut locked(&self.book).hellos, size);
    }

    pub(crate) fn hellos(&self) -> Vec<usize> {
        locked(&self.book).hellos.iter().copied().collect()
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        locked(&self.book).requests.iter().cloned().collect()
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        locked(&self.book).violations.clone()
    }

    /// Notes a request and judges what its head shows.
    pub(crate) fn admit(&self, seen: Seen) -> Admitted {
        let mut book = locked(&self.book);
        let place = format!(
            "{} {} on connection {}",
            seen.method, seen.path, seen.connection
        );
        if seen.method != "GET" {
            book.violate(format!("{place}: a method other than GET"));
        }
        for (name, value) in &seen.headers {
            match name.as_str() {
                "authorization" | "proxy-authorization" => {
                    book.violate(format!("{place}: a {name} header"));
                }
                "content-length" if value != "0" => {
                    book.violate(format!("{place}: a body of {value} bytes"));
                }
                "transfer-encoding" => book.violate(format!("{place}: a body in chunks")),
                _ => {}
            }
        }
        let query = seen.path.split_once('?').map_or("", |(_, query)| query);
        if FORM_FIELDS.iter().any(|field| query.contains(field)) {
            book.violate(format!("{place}: a form in the query"));
        }
        let (own, strange) = locked(&self.cookies).sort(seen.cookies());
        for pair in strange {
            book.violate(format!("{place}: the cookie {pair} is not of this probe"));
        }
        push(&mut book.requests, seen);
        Admitted { cookies: own }
    }

    /// A body that the head did not announce.
    pub(crate) fn body(&self, bytes: usize) {
        locked(&self.book).violate(format!("a request body of {bytes} bytes"));
    }

    /// A new cookie pair. With a redirect the probe may send it back on its next hop; with any
    /// other answer the probe is over, and nobody may.
    pub(crate) fn give_cookie(&self, name: &str, after: Answered) -> String {
        let mut cookies = locked(&self.cookies);
        cookies.given += 1;
        let pair = format!("{name}=lab-{:08x}", cookies.given);
        if after == Answered::Redirect && cookies.live.len() < MAX_COOKIES {
            cookies.live.insert(pair.clone(), Instant::now());
        }
        pair
    }

    /// After the last answer of a probe its cookies are spent.
    pub(crate) fn answered(&self, admitted: &Admitted, answer: Answered) {
        if answer == Answered::Last {
            let mut cookies = locked(&self.cookies);
            for pair in &admitted.cookies {
                cookies.live.remove(pair);
            }
        }
    }
}

/// Whether an answer sends the client on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    Redirect,
    Last,
}

impl Cookies {
    /// The pairs that the sender was given, and those that it was not.
    fn sort(&mut self, pairs: Vec<String>) -> (Vec<String>, Vec<String>) {
        let now = Instant::now();
        self.live
            .retain(|_, given| now.duration_since(*given) < COOKIE_LIFE);
        pairs
            .into_iter()
            .partition(|pair| self.live.contains_key(pair))
    }
}

impl Book {
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
