//! Whether a redirect is followed, and to where. GET only, https only, and only to the same host or
//! a listed one.

use std::collections::BTreeSet;

use cookie_store::CookieStore;
use url::Url;

use crate::config::{Scheme, Target};
use crate::report::Reason;

/// Where a probe has been.
#[derive(Default)]
pub(super) struct RedirectHistory {
    seen: BTreeSet<(String, String)>,
}

impl RedirectHistory {
    /// Notes that `url` is asked for with these cookies. `false` if it was before: a sign-on page
    /// may lead to itself once it has set a cookie, but not again with the same ones.
    pub fn visit(&mut self, url: &Url, cookies: &CookieStore) -> bool {
        let mut jar: Vec<_> = cookies
            .get_request_values(url)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        jar.sort();
        self.seen.insert((url.as_str().to_owned(), jar.join("; ")))
    }
}

/// What to do with a response that names a location.
pub(super) enum RedirectDecision {
    Follow(Url),
    Fail(Reason),
}

/// Decides on `location`, found at `url` on the way to `target`.
pub(super) fn step(url: &Url, location: &str, target: &Target) -> RedirectDecision {
    let policy = &target.module.http;
    let Ok(next) = url.join(location) else {
        return RedirectDecision::Fail(Reason::HttpMalformed);
    };
    let host = next.host_str().unwrap_or_default().to_lowercase();
    // A sign-on page leads elsewhere and back.
    let known = [url.host(), target.url.host()].contains(&next.host())
        || policy.allowed_hosts.contains(&host);
    let secure = next.scheme() == "https"
        || (next.scheme() == "http"
            && url.scheme() == "http"
            && target.scheme == Scheme::HttpAllowed);
    if !known {
        return RedirectDecision::Fail(Reason::HttpRedirectOffHost);
    }
    if !secure || !next.username().is_empty() || next.password().is_some() {
        return RedirectDecision::Fail(Reason::HttpRedirectInsecure);
    }
    RedirectDecision::Follow(next)
}
