//! The path prefix of all routes, and the URL under which the exporter is reachable from outside.

use url::Url;

/// `--web.external-url` and `--web.route-prefix`.
#[derive(Clone, Debug, Default)]
pub struct Prefix {
    /// Empty, or a path with a leading and no trailing slash.
    prefix: String,
    external: Option<Url>,
}

impl Prefix {
    /// The prefix is the path of `external`, unless `prefix` is given.
    ///
    /// # Errors
    /// A message that names the invalid flag.
    pub fn new(external: Option<&str>, prefix: Option<&str>) -> Result<Self, String> {
        let external = external.map(external_url).transpose()?;
        let path = prefix.or(external.as_ref().map(Url::path)).unwrap_or("/");
        let trimmed = path.trim_matches('/');
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
        if path.contains("//")
            || !trimmed.chars().all(is_plain)
            || trimmed.split('/').any(|part| part == "..")
        {
            return Err(format!(
                "--web.route-prefix: {path:?} is not a path; write for example /ccass-2fa"
            ));
        }
        Ok(Self {
            prefix: match trimmed {
                "" => String::new(),
                path => format!("/{path}"),
            },
            external,
        })
    }

    /// `path` without the prefix, with a leading slash.
    pub fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(self.prefix.as_str())?;
        rest.starts_with('/').then_some(rest)
    }

    /// Where to redirect a request for `/`, or for the prefix without its trailing slash.
    pub fn root_redirect(&self, path: &str) -> Option<String> {
        let is_root = !self.prefix.is_empty() && (path == "/" || path == self.prefix);
        is_root.then(|| self.path("/"))
    }

    /// The path of a route, with the prefix.
    pub fn path(&self, route: &str) -> String {
        format!("{}{route}", self.prefix)
    }

    /// The scheme and authority of the external URL.
    pub fn external(&self) -> Option<(String, String)> {
        let url = self.external.as_ref()?;
        let host = url.host_str()?;
        let port = url.port_or_known_default()?;
        Some((url.scheme().to_owned(), format!("{host}:{port}")))
    }
}

fn external_url(text: &str) -> Result<Url, String> {
    let is_valid = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    Url::parse(text).ok().filter(is_valid).ok_or_else(|| {
        // A URL with credentials is not repeated.
        let quoted = if text.contains('@') {
            String::new()
        } else {
            format!("{text:?} is ")
        };
        format!(
            "--web.external-url: {quoted}not an http or https URL without query and credentials; \
             write for example https://monitoring.example.com/ccass-2fa/"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_is_the_path_of_the_external_url_unless_given() {
        for (external, prefix, root_redirect) in [
            (None, None, "/"),
            (Some("https://mon.example/"), None, "/"),
            (Some("https://mon.example/ccass"), None, "/ccass/"),
            (Some("https://mon.example/ccass/"), None, "/ccass/"),
            (Some("https://mon.example/ccass/"), Some("/"), "/"),
            (None, Some("a/b"), "/a/b/"),
        ] {
            let prefix = Prefix::new(external, prefix).unwrap();
            assert_eq!(prefix.path("/"), root_redirect);
            assert_eq!(prefix.strip(&prefix.path("/metrics")), Some("/metrics"));
        }
        let prefix = Prefix::new(None, Some("/ccass")).unwrap();
        assert_eq!(prefix.strip("/metrics"), None);
        assert_eq!(prefix.strip("/ccassx/metrics"), None);
        assert_eq!(prefix.root_redirect("/"), Some("/ccass/".to_owned()));
        assert_eq!(prefix.root_redirect("/metrics"), None);
    }

    #[test]
    fn invalid_urls_and_prefixes_are_rejected() {
        for (external, prefix) in [
            (Some("mon.example"), None),
            (Some("ftp://mon.example/"), None),
            (Some("https://user@mon.example/"), None),
            (Some("https://mon.example/?x"), None),
            (None, Some("/a/../b")),
            (None, Some("/a b")),
            (None, Some("//")),
            (None, Some("/a//b")),
        ] {
            assert!(
                Prefix::new(external, prefix).is_err(),
                "{external:?} {prefix:?}"
            );
        }
    }
}
