//! What the page may request: GET and HEAD, over https, to the target's host and the allowed ones.

use url::Url;

use crate::protocol::{Attempt, Request};

/// Requests of one check; a login page needs a few dozen.
const MAX_REQUESTS: u64 = 400;

/// Pages one after the other, by redirects, scripts or `meta refresh`; as many as browsers follow
/// redirects.
pub const MAX_DOCUMENTS: usize = 21;

/// The rules of one check.
pub struct Rules {
    /// Lower case.
    hosts: Vec<String>,
    allow_http: bool,
}

/// A request as the browser is about to send it.
pub struct Requested<'a> {
    pub method: &'a str,
    pub url: &'a str,
    /// The number of requests before it.
    pub before: u64,
}

impl Rules {
    pub fn of(request: &Request) -> Self {
        let own = Url::parse(&request.url).ok();
        let own = own.and_then(|url| url.host_str().map(str::to_lowercase));
        let others = request.allowed_hosts.iter().map(|host| host.to_lowercase());
        Self {
            hosts: own.into_iter().chain(others).collect(),
            allow_http: request.allow_http,
        }
    }

    /// # Errors
    /// Why the request must not be sent.
    pub fn check(&self, requested: &Requested<'_>) -> Result<(), Attempt> {
        if !matches!(requested.method, "GET" | "HEAD") {
            return Err(Attempt::Method);
        }
        let Ok(url) = Url::parse(requested.url) else {
            return Err(Attempt::Scheme);
        };
        match url.scheme() {
            // Inside the browser.
            "data" | "blob" | "about" => return Ok(()),
            "https" => {}
            "http" if self.allow_http => {}
            _ => return Err(Attempt::Scheme),
        }
        let host = url.host_str().unwrap_or_default().to_lowercase();
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        if has_credentials || !self.hosts.contains(&host) {
            return Err(Attempt::Host);
        }
        if requested.before >= MAX_REQUESTS {
            return Err(Attempt::TooMany);
        }
        Ok(())
    }
}

/// Whether a request between two pages could make the browser ask the server for permission first,
/// with a request of another method (a CORS preflight, which cannot be intercepted).
pub fn may_preflight(resource_type: &str, url: &str, document: &str) -> bool {
    let origin = |text: &str| Url::parse(text).map(|url| url.origin()).ok();
    matches!(resource_type, "XHR" | "Fetch" | "EventSource" | "Other")
        && !url.starts_with("data:")
        && !url.starts_with("blob:")
        && origin(url) != origin(document)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn check(method: &str, url: &str) -> Result<(), Attempt> {
        let request = Request {
            browser: None,
            url: "https://SSO.lab.test/sso".to_owned(),
            allowed_hosts: vec!["cdn.lab.test".to_owned()],
            allow_http: false,
            timeout_ms: 1,
            profile: PathBuf::new(),
        };
        Rules::of(&request).check(&Requested {
            method,
            url,
            before: 0,
        })
    }

    #[test]
    fn only_get_and_head_over_https_to_allowed_hosts_pass() {
        for (method, url, expected) in [
            ("GET", "https://sso.lab.test/", Ok(())),
            ("HEAD", "https://cdn.lab.test:8443/x.js", Ok(())),
            ("GET", "data:text/plain,x", Ok(())),
            ("POST", "https://sso.lab.test/", Err(Attempt::Method)),
            ("OPTIONS", "https://sso.lab.test/", Err(Attempt::Method)),
            ("GET", "http://sso.lab.test/", Err(Attempt::Scheme)),
            ("GET", "file:///etc/passwd", Err(Attempt::Scheme)),
            ("GET", "https://sso.lab.test.evil.test/", Err(Attempt::Host)),
            ("GET", "https://user:x@sso.lab.test/", Err(Attempt::Host)),
        ] {
            assert_eq!(check(method, url), expected, "{method} {url}");
        }
    }

    #[test]
    fn only_script_requests_to_another_origin_may_preflight() {
        let document = "https://sso.lab.test/sso";
        for (kind, url, expected) in [
            ("XHR", "https://sso.lab.test/api", false),
            ("XHR", "https://cdn.lab.test/api", true),
            ("Image", "https://cdn.lab.test/logo.png", false),
            ("Fetch", "data:text/plain,x", false),
        ] {
            assert_eq!(may_preflight(kind, url, document), expected, "{kind} {url}");
        }
    }
}
