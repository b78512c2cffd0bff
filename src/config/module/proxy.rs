//! A web proxy and its credentials.

use std::fmt;
use std::path::Path;

use strum::IntoStaticStr;
use url::{Host, Url};

use super::resolver::explicit_port;
use crate::config::section::cannot_read;
use crate::input_file::{self, InputFile};

/// A web proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    pub scheme: ProxyScheme,
    pub host: Host,
    pub port: u16,
    pub credentials: Option<Credentials>,
}

/// The protocol of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum ProxyScheme {
    /// CONNECT over plain TCP.
    Http,
    /// CONNECT over TLS to the proxy.
    Https,
    Socks5,
}

/// User and password for a proxy, never for a target.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl fmt::Display for Proxy {
    /// The form used in the configuration, without credentials.
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

const FORMS: &str = "use none, system, http://10.0.0.1:3128, https://proxy.example:443 or \
                     socks5://10.0.0.1:1080";

impl Proxy {
    /// A value of the environment: the scheme is optional, and credentials are allowed.
    pub(super) fn parse_with_credentials(text: &str) -> Result<Self, String> {
        let with_scheme = match text.split_once("://") {
            Some(_) => text.to_owned(),
            None => format!("http://{text}"),
        };
        let (scheme, rest) = with_scheme.split_once("://").unwrap_or_default();
        let Some((user_info, host)) = rest.rsplit_once('@') else {
            return Self::parse(&with_scheme);
        };
        let decoded = |text: &str| {
            let bytes = percent_encoding::percent_decode_str(text);
            bytes.decode_utf8_lossy().into_owned()
        };
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        Ok(Self {
            credentials: Some(Credentials {
                user: decoded(user),
                password: decoded(password),
            }),
            ..Self::parse(&format!("{scheme}://{host}"))?
        })
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| format!("invalid proxy; {FORMS}"))?;
        let (scheme, port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (ProxyScheme::Http, 80),
            "https" => (ProxyScheme::Https, 443),
            // In other programs this means that the proxy resolves the name, as it does here.
            "socks5" | "socks5h" => (ProxyScheme::Socks5, 1080),
            "pac" | "pac+http" | "pac+https" => {
                return Err(format!("PAC files are not supported; {FORMS}"));
            }
            _ => return Err(format!("scheme {scheme:?} is not supported; {FORMS}")),
        };
        if rest.contains('@') {
            return Err(
                "remove the credentials; put them into a proxy_credentials_file".to_owned(),
            );
        }
        // Names and ports have the same form as in an http URL.
        let url = Url::parse(&format!("http://{rest}"))
            .map_err(|error| format!("invalid proxy ({error}); {FORMS}"))?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(format!(
                "a proxy has no path, and PAC files are not supported; {FORMS}"
            ));
        }
        let host = url
            .host()
            .ok_or_else(|| format!("the proxy has no host; {FORMS}"))?;
        Ok(Self {
            scheme,
            host: host.to_owned(),
            port: explicit_port(rest).unwrap_or(port),
            credentials: None,
        })
    }
}

impl Credentials {
    /// Reads a file with one line, `user:password`.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let text = input_file::read_to_string(InputFile::Credentials, path)
            .map_err(|error| cannot_read(path, &error))?;
        let line = text.trim_end_matches(['\r', '\n']);
        let form = || format!("{} must contain one line, user:password", path.display());
        let (user, password) = line.split_once(':').ok_or_else(form)?;
        if user.is_empty() || line.contains(char::is_control) {
            return Err(form());
        }
        if user.contains('\\') {
            return Err(format!(
                "{} names a Windows domain; NTLM and Kerberos are not supported, only basic \
                 credentials",
                path.display()
            ));
        }
        Ok(Self {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_displayed_as_configured_and_without_credentials() {
        for (raw, displayed) in [
            ("http://10.0.0.1:3128", "http://10.0.0.1:3128"),
            ("http://proxy.example", "http://proxy.example:80"),
            ("https://proxy.example", "https://proxy.example:443"),
            ("https://proxy.example:80", "https://proxy.example:80"),
            ("socks5://[2001:db8::1]", "socks5://[2001:db8::1]:1080"),
            ("socks5h://10.0.0.1", "socks5://10.0.0.1:1080"),
            ("HTTP://10.0.0.1:3128", "http://10.0.0.1:3128"),
        ] {
            assert_eq!(Proxy::parse(raw).unwrap().to_string(), displayed);
        }
        let mut proxy = Proxy::parse("http://10.0.0.1:3128").unwrap();
        proxy.credentials = Some(Credentials {
            user: "clerk".to_owned(),
            password: "secret".to_owned(),
        });
        let displayed = format!("{proxy} {proxy:?}");
        assert!(
            !displayed.contains("secret") && !displayed.contains("clerk"),
            "{displayed}"
        );
    }
}
