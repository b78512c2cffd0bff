//! The way out: directly, or through a web proxy.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use strum::IntoStaticStr;
use url::{Host, Url};

use super::resolver::port_written;

/// Which proxy a request goes through.
#[derive(Clone, Debug, Default)]
pub enum ProxyPolicy {
    #[default]
    Direct,
    /// As the environment says for each address: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`,
    /// `NO_PROXY`.
    System(Environment),
    Always(Arc<Proxy>),
}

/// The environment's proxies, read at the start.
#[derive(Clone)]
pub struct Environment(Arc<Matcher>);

impl fmt::Debug for Environment {
    /// Without what may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

/// A web proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    pub scheme: ProxyScheme,
    pub host: Host,
    pub port: u16,
    pub credentials: Option<Credentials>,
}

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum ProxyScheme {
    /// CONNECT in the clear.
    Http,
    /// CONNECT over TLS to the proxy.
    Https,
    Socks5,
}

/// A name and a password for a proxy, never for a target.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

impl fmt::Debug for Credentials {
    /// Shows neither.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl fmt::Display for Proxy {
    /// As it is written in the configuration, without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}:{}",
            self.scheme.into_str(),
            self.host,
            self.port
        )
    }
}

const FORMS: &str = "write none, system, http://10.0.0.1:3128, https://proxy.example:443 or \
                     socks5://10.0.0.1:1080";

impl ProxyPolicy {
    /// Reads what stands under `proxy`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::Direct),
            "system" => Ok(Self::System(Environment(Arc::new(Matcher::from_env())))),
            url => Proxy::parse(url).map(|proxy| Self::Always(Arc::new(proxy))),
        }
    }

    /// The proxy for `url`; `None` is the direct way.
    pub fn of(&self, url: &Url) -> Option<Arc<Proxy>> {
        match self {
            Self::Direct => None,
            Self::Always(proxy) => Some(Arc::clone(proxy)),
            Self::System(Environment(matcher)) => {
                let uri: Uri = url.as_str().parse().ok()?;
                let found = matcher.intercept(&uri)?;
                let mut proxy = Proxy::parse(&without_credentials(found.uri())).ok()?;
                let basic = found.basic_auth().and_then(|header| header.to_str().ok());
                proxy.credentials = found
                    .raw_auth()
                    .map(|(user, password)| Credentials {
                        user: user.to_owned(),
                        password: password.to_owned(),
                    })
                    .or_else(|| basic.and_then(Credentials::from_basic));
                Some(Arc::new(proxy))
            }
        }
    }
}

/// `socks5h`, by which other programs ask for names to be resolved at the proxy, is what `socks5`
/// does here.
fn without_credentials(uri: &Uri) -> String {
    let scheme = match uri.scheme_str() {
        Some("socks5h") => "socks5",
        Some(scheme) => scheme,
        None => "http",
    };
    let host = uri.host().unwrap_or_default();
    match uri.port_u16() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
}

impl Proxy {
    fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| format!("not a proxy; {FORMS}"))?;
        let (scheme, port) = match scheme {
            "http" => (ProxyScheme::Http, 80),
            "https" => (ProxyScheme::Https, 443),
            "socks5" => (ProxyScheme::Socks5, 1080),
            "pac" | "pac+http" | "pac+https" => {
                return Err(format!("PAC files are not evaluated; {FORMS}"));
            }
            _ => return Err(format!("{scheme} is no way to speak to a proxy; {FORMS}")),
        };
        if rest.contains('@') {
            return Err(
                "credentials stand in a file of their own, proxy_credentials_file".to_owned(),
            );
        }
        // Parsed as an address of the web, whose rules for names and ports are the same.
        let url = Url::parse(&format!("http://{rest}"))
            .map_err(|error| format!("not a proxy ({error}); {FORMS}"))?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(format!(
                "a proxy has no path, and PAC files are not evaluated; {FORMS}"
            ));
        }
        let host = url
            .host()
            .ok_or_else(|| format!("the proxy has no host; {FORMS}"))?;
        Ok(Self {
            scheme,
            host: host.to_owned(),
            port: port_written(rest).unwrap_or(port),
            credentials: None,
        })
    }
}

impl Credentials {
    /// Reads `user:password` from the one line of a file.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let line = text.trim_end_matches(['\r', '\n']);
        let form = || format!("{} must hold one line, user:password", path.display());
        if line.contains(char::is_control) {
            return Err(form());
        }
        let (user, password) = line.split_once(':').ok_or_else(form)?;
        if user.is_empty() {
            return Err(form());
        }
        if user.contains('\\') {
            return Err(format!(
                "{} names a Windows domain: NTLM and Kerberos are not spoken, only basic \
                 credentials",
                path.display()
            ));
        }
        Ok(Self {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }

    fn from_basic(header: &str) -> Option<Self> {
        use base64::Engine as _;
        let code = header.strip_prefix("Basic ")?;
        let text = base64::engine::general_purpose::STANDARD
            .decode(code)
            .ok()?;
        let text = String::from_utf8(text).ok()?;
        let (user, password) = text.split_once(':')?;
        Some(Self {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_shown_as_it_is_written_and_without_credentials() {
        for (raw, shown) in [
            ("http://10.0.0.1:3128", "http://10.0.0.1:3128"),
            ("http://proxy.example", "http://proxy.example:80"),
            ("https://proxy.example", "https://proxy.example:443"),
            ("https://proxy.example:80", "https://proxy.example:80"),
            ("socks5://[2001:db8::1]", "socks5://[2001:db8::1]:1080"),
        ] {
            assert_eq!(Proxy::parse(raw).unwrap().to_string(), shown);
        }
        let mut proxy = Proxy::parse("http://10.0.0.1:3128").unwrap();
        proxy.credentials = Some(Credentials {
            user: "clerk".to_owned(),
            password: "secret".to_owned(),
        });
        let told = format!("{proxy} {proxy:?}");
        assert!(
            !told.contains("secret") && !told.contains("clerk"),
            "{told}"
        );
    }
}
