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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::config::Config;

    const CONFIGURATION: &str = "
modules:
  sign_on:
    http:
      allowed_hosts: [idp.example.com]
targets:
  - {name: secure, url: 'https://sso.example.com/sso', module: sign_on}
  - {name: plain, url: 'http://sso.example.com/sso', module: sign_on, allow_http: true}
";

    fn target(name: &str) -> Arc<Target> {
        let config = Config::parse(CONFIGURATION, Path::new("generated")).unwrap();
        Arc::clone(config.targets.named(name).unwrap())
    }

    /// Locations that a server sends: parts of URLs in any order, and other text.
    fn locations() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            3 => prop::sample::select(vec![
                "https:", "http:", "HTTPS:", "//", "/", "\\", "\\\\", "sso.example.com",
                "idp.example.com", "IDP.EXAMPLE.COM.", "evil.example", "10.0.0.1", "[::1]", "0x7f.1",
                "user:pass@", "@", ":", ":80", ":8443", "?", "#", ".", "..", "%2e", "%40", "javascript:",
                "data:", "file:", "ftp:", "\t", "\n", " ", "\u{200b}", "\u{ff0f}", "\u{3002}",
            ]).prop_map(str::to_owned),
            1 => any::<String>(),
        ];
        let mixture = vec(part, 0..8).prop_map(|parts| parts.concat());
        let part = |choices: &[&'static str]| prop::sample::select(choices.to_vec());
        let whole = (
            part(&["https:", "http:", "HTTP:", "ftp:", ""]),
            part(&["//", "//user@", "//:pass@", "/\\"]),
            part(&[
                "sso.example.com",
                "IDP.example.com",
                "evil.example",
                "idp.example.com.",
            ]),
            part(&["", ":80", ":8443", "@evil.example"]),
            mixture.clone(),
        )
            .prop_map(|(scheme, start, host, port, rest)| {
                format!("{scheme}{start}{host}{port}/{rest}")
            });
        prop_oneof![whole, mixture]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn redirects_lead_to_known_hosts_without_credentials_and_never_from_https_to_http(
            name in prop::sample::select(vec!["secure", "plain"]),
            locations in vec(locations(), 1..8),
        ) {
            let target = target(name);
            let mut url = target.url.clone();
            for location in locations {
                let Ok(next) = next(&url, &location, &target) else {
                    continue;
                };
                let host = next.host_str().unwrap();
                prop_assert!(["sso.example.com", "idp.example.com"].contains(&host), "{next}");
                prop_assert!(next.username().is_empty() && next.password().is_none(), "{next}");
                let plain_may_stay = name == "plain" && url.scheme() == "http";
                prop_assert!(
                    next.scheme() == "https" || next.scheme() == "http" && plain_may_stay,
                    "{url} to {next}"
                );
                // What is requested is what was checked.
                prop_assert_eq!(&Url::parse(next.as_str()).unwrap(), &next);
                url = next;
            }
        }

        #[test]
        fn the_same_request_is_never_sent_twice(paths in vec("/[ab]{1,2}", 1..20)) {
            let mut history = RedirectHistory::default();
            let cookies = CookieStore::default();
            let mut sent = BTreeSet::new();
            for path in paths {
                let url = Url::parse(&format!("https://sso.example.com{path}")).unwrap();
                prop_assert_eq!(history.contains(&url, &cookies), sent.contains(&path));
                prop_assert_eq!(history.visit(&url, &cookies), sent.insert(path));
            }
        }
    }
}
