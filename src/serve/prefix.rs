//! The prefix: where the routes lie, and how the outside knows them.

use url::Url;

/// `--web.external-url` and `--web.route-prefix`.
#[derive(Clone, Debug, Default)]
pub struct Prefix {
    /// Without a slash at its end; empty where the routes lie at the root.
    prefix: String,
    external: Option<Url>,
}

impl Prefix {
    /// The prefix is the path of `external`, unless `prefix` says another.
    ///
    /// # Errors
    /// What is wrong with either, and which flag it is.
    pub fn new(external: Option<&str>, prefix: Option<&str>) -> Result<Self, String> {
        let external = external
            .map(|text| {
                let wrong = || {
                    format!(
                        "--web.external-url: {text:?} is not an address; write for example \
                         https://monitoring.example.com/ccass-2fa/"
                    )
                };
                let url = Url::parse(text).map_err(|_| wrong())?;
                let whole = matches!(url.scheme(), "http" | "https")
                    && url.has_host()
                    && url.query().is_none()
                    && url.fragment().is_none()
                    && url.username().is_empty()
                    && url.password().is_none();
                whole.then_some(url).ok_or_else(wrong)
            })
            .transpose()?;
        let path = prefix.or(external.as_ref().map(Url::path)).unwrap_or("/");
        let trimmed = path.trim_matches('/');
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
        if !trimmed.chars().all(plain) || trimmed.split('/').any(|part| part == "..") {
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

    /// What of `path` lies below the prefix; it begins with a slash.
    pub fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        let strip = path.strip_prefix(self.prefix.as_str())?;
        strip.starts_with('/').then_some(strip)
    }

    /// Where somebody is to go who asks for the root, or for the prefix without its slash.
    pub fn root_redirect(&self, path: &str) -> Option<String> {
        let lost = !self.prefix.is_empty() && (path == "/" || path == self.prefix);
        lost.then(|| self.path("/"))
    }

    /// The path of a route as a client writes it.
    pub fn path(&self, route: &str) -> String {
        format!("{}{route}", self.prefix)
    }

    /// Scheme and authority by which the outside knows this exporter.
    pub fn external(&self) -> Option<(String, String)> {
        let url = self.external.as_ref()?;
        let host = url.host_str()?;
        let port = url.port_or_known_default()?;
        Some((url.scheme().to_owned(), format!("{host}:{port}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_the_external_addresss_path_unless_it_is_named() {
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
    fn what_is_no_address_is_told() {
        for (external, prefix) in [
            (Some("mon.example"), None),
            (Some("ftp://mon.example/"), None),
            (Some("https://user@mon.example/"), None),
            (Some("https://mon.example/?x"), None),
            (None, Some("/a/../b")),
            (None, Some("/a b")),
        ] {
            assert!(
                Prefix::new(external, prefix).is_err(),
                "{external:?} {prefix:?}"
            );
        }
    }
}
