//! Whether a redirect is followed, and to where: by GET and https only, to the same host or a
//! listed one.

use std::collections::BTreeSet;

use cookie_store::CookieStore;
use url::Url;

use crate::config::{Scheme, Target};
use crate::report::Reason;

/// The requests of a probe so far: each URL with the cookies that were sent.
#[derive(Default)]
pub(super) struct RedirectHistory(BTreeSet<(String, String)>);

impl RedirectHistory {
    /// Records a request for `url` with these cookies. `false` if it repeats an earlier one: a
    /// sign-on page may lead to itself once it has set a cookie, but not with the same cookies.
    pub fn visit(&mut self, url: &Url, cookies: &CookieStore) -> bool {
        self.0.insert(request(url, cookies))
    }

    /// Whether this request was sent before.
    pub fn contains(&self, url: &Url, cookies: &CookieStore) -> bool {
        self.0.contains(&request(url, cookies))
    }
}

fn request(url: &Url, cookies: &CookieStore) -> (String, String) {
    let values = cookies.get_request_values(url);
    let mut jar: Vec<_> = values
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    jar.sort();
    (url.to_string(), jar.join("; "))
}

/// The URL that `location` leads to, found at `url` in a probe of `target`.
///
/// # Errors
/// Why it must not be followed.
pub(super) fn next(url: &Url, location: &str, target: &Target) -> Result<Url, Reason> {
    let next = url.join(location).map_err(|_| Reason::HttpMalformed)?;
    let host = next.host_str().unwrap_or_default().to_lowercase();
    // A sign-on page leads elsewhere and back.
    let is_known_host = [url.host(), target.url.host()].contains(&next.host())
        || target.module.http.allowed_hosts.contains(&host);
    let plain_allowed = url.scheme() == "http" && target.scheme == Scheme::HttpAllowed;
    let is_secure = next.scheme() == "https" || (next.scheme() == "http" && plain_allowed);
    if !is_known_host {
        return Err(Reason::HttpRedirectOffHost);
    }
    if !is_secure || !next.username().is_empty() || next.password().is_some() {
        return Err(Reason::HttpRedirectInsecure);
    }
    Ok(next)
}
